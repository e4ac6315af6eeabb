"""Whom we believe: the judgement of `genuine` over headers that honest systems and strangers write."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parsers import Bounce, parse
from parsers.genuine import authenticity
from parsers.genuine.auth_results import read_field, values_of, without_comments
from parsers.genuine.domains import is_domain, is_same_organization
from parsers.genuine.from_field import author
from parsers.mime import open_headers
from tests.parsers.hostile_stamps import HOSTILE
from tests.parsers.stamps import FORGED, FROM_GOOGLE, GMAILS_RESULTS, HONEST, REPLAYED, Stamp
from tests.worlds.made_mails import alias_notice, refusal

FORMS = ("gmail-notice", "ses-notification")


def name_of(stamp: Stamp) -> str:
    return stamp.name


def test_there_are_stamps_of_each_kind() -> None:
    assert len(HONEST) >= 15
    assert len(HOSTILE) >= 40
    assert len(REPLAYED) >= 3
    assert {stamp.expected for stamp in HOSTILE} == {"fail", "unknown"}


@pytest.mark.parametrize("stamp", [*HONEST, *REPLAYED], ids=name_of)
def test_honest_mail_is_believed_as_far_as_it_goes(stamp: Stamp) -> None:
    found = authenticity(stamp.headers(), stamp.reader)
    assert (found.result, found.signer, found.by_gmail) == (stamp.expected, stamp.signer, stamp.by_gmail), found.why


@pytest.mark.parametrize("stamp", HOSTILE, ids=name_of)
def test_a_stranger_is_not_believed(stamp: Stamp) -> None:
    found = authenticity(stamp.headers(), stamp.reader)
    assert (found.result, found.signer, found.by_gmail) == (stamp.expected, None, False), found.why
    assert found.why
    assert found.why.isprintable()


@pytest.mark.parametrize("stamp", HOSTILE, ids=name_of)
def test_no_form_and_no_fold_makes_it_better(stamp: Stamp) -> None:
    """The form of a mail can only take trust away; a fold stands for a blank (RFC 5322 2.2.3)."""
    for block in (stamp.block(), re.sub(r"\n[ \t]+", "\n\t \t", stamp.block())):
        headers = open_headers(block)
        assert "pass" not in {authenticity(headers, form).result for form in (stamp.reader, *FORMS)}
        assert not authenticity(headers).by_gmail


SHORT = [stamp for stamp in [*HOSTILE, *HONEST] if stamp.results is not None and len(stamp.results) < 16_000]
"""Those with a field to stand below, and with From in the part of the header that is read."""


@pytest.mark.parametrize("stamp", SHORT, ids=name_of)
def test_what_stands_below_the_results_adds_nothing(stamp: Stamp) -> None:
    """A stranger may write anything below what Gmail stamps, copies of its best words too."""
    more = stamp._replace(below=f"{stamp.below}\nAuthentication-Results: {FORGED}\nReceived: {FROM_GOOGLE}".strip())
    assert authenticity(more.headers(), stamp.reader) == authenticity(stamp.headers(), stamp.reader)


@pytest.mark.parametrize("server", ["xmx.google.com", "mx.google.com.evil.example", "mx.google", "MX.GOOGLE.COM_"])
def test_a_server_whose_name_is_like_gmails_is_not_gmail(server: str) -> None:
    stamp = Stamp("alike", "unknown", GMAILS_RESULTS.replace("mx.google.com", server, 1), hop=FROM_GOOGLE)
    assert authenticity(stamp.headers()).result == "unknown"
    assert not authenticity(stamp.headers(), "gmail-notice").by_gmail


def test_a_field_with_the_forged_words_passes_where_gmail_wrote_it() -> None:
    """The table above proves nothing if its words would not do in the right place."""
    stamp = Stamp("forged", "pass", FORGED, hop=FROM_GOOGLE)
    assert authenticity(stamp.headers(), "gmail-notice").by_gmail


# Bounces inside mails -------------------------------------------------------------------------------------------------

OUTER = "From: Nils <nils@evil.example>\nTo: jadasailing@gmail.com\nSubject: look\nMIME-Version: 1.0\n"


def _attached(inner: bytes, results: str | None = None, times: int = 1) -> bytes:
    mail = inner
    for number in range(times):
        stamp = f"Authentication-Results: {results}\n" if results else ""
        head = f"{stamp}{OUTER}Content-Type: multipart/mixed; boundary=o{number}\n\n--o{number}\n"
        mail = f"{head}Content-Type: message/rfc822\n\n".encode() + mail + f"\n--o{number}--\n".encode()
    return mail


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("results", [None, "mx.google.com; dkim=pass header.i=@evil.example", GMAILS_RESULTS])
def test_an_attached_notice_gains_nothing(results: str | None, times: int) -> None:
    direct = parse(alias_notice(1))
    attached = parse(_attached(alias_notice(1), results, times))
    assert isinstance(direct, Bounce)
    assert isinstance(attached, Bounce)
    assert (direct.is_direct, direct.genuine.result, direct.genuine.by_gmail) == (True, "pass", True)
    assert (attached.is_direct, attached.genuine.result) == (False, "unknown")
    assert (attached.genuine.signer, attached.genuine.by_gmail) == (None, False)
    assert attached.failures == direct.failures


@pytest.mark.parametrize("times", [1, 2])
def test_an_attached_notice_that_is_forged_stays_so(times: int) -> None:
    found = parse(_attached(refusal(1, genuine="fail"), "mx.google.com; dkim=pass header.i=@evil.example", times))
    assert isinstance(found, Bounce)
    assert (found.genuine.result, found.is_direct) == ("fail", False)


def test_a_forged_mail_makes_what_it_brings_forged() -> None:
    results = "mx.google.com; dmarc=fail (p=NONE) header.from=evil.example"
    found = parse(_attached(alias_notice(1), results))
    assert isinstance(found, Bounce)
    assert (found.genuine.result, found.is_direct) == ("fail", False)


# The stranger's words in Gmail's own field ----------------------------------------------------------------------------

PIECES = ('"', "(", ")", "\\", "; ", "dkim=pass header.i=@client.example", " reason=", " a.b=", "x")
QUOTINGS: tuple[Callable[[str], str], ...] = (
    lambda sender: sender,
    lambda sender: f'"{sender}"',
    lambda sender: '"' + sender.replace("\\", "\\\\").replace('"', '\\"') + '"',
)


def _believes(words: str) -> list[str]:
    """How Gmail might have to quote a stranger's words for us to believe that another domain signed."""
    found = []
    for quoted in QUOTINGS:
        field = f"mx.google.com; spf=pass (google.com: domain of {words} designates 192.0.2.1) smtp.x={quoted(words)}"
        for sender, helo in ((words, "x"), ("", words)):
            hop = f"from {helo} (x. [192.0.2.1]) by mx.google.com with ESMTP id 1"
            top = f"Received: {hop}\nReturn-Path: <{sender}>\nAuthentication-Results: {field}"
            if authenticity(open_headers(f"{top}\nFrom: postmaster@client.example")).result == "pass":
                found.append(top)
    return found


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_nothing_a_stranger_may_choose_becomes_a_result(words: str) -> None:
    """Gmail repeats the envelope sender, or the HELO name, inside its results: even if it did so without any care."""
    assert _believes(words) == []


def test_no_short_words_become_a_result() -> None:
    """All of them: out of the comment, the result, and what may follow it."""
    before = ["".join(pieces) for size in range(4) for pieces in product('"()\\x', repeat=size)]
    after = ["", "; x=y (", '; x=y reason="', "; x=y a.b=", "; x=y ", ' a.b="', " ("]
    for start, end in product(before, after):
        assert _believes(f"{start}; dkim=pass header.i=@client.example{end}") == []


def test_the_same_words_would_do_where_gmail_wrote_them() -> None:
    field = (
        "mx.google.com; spf=pass (google.com: domain of x); dkim=pass header.i=@client.example (y designates 1.2.3.4)"
    )
    headers = open_headers(f"Authentication-Results: {field}\nFrom: postmaster@client.example")
    assert authenticity(headers).result == "pass"


# The grammar ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        # RFC 8601 appendix B, shortened
        ("example.org 1; none", ("example.org", [])),
        ("example.com; spf=pass smtp.mailfrom=example.net", ("example.com", [("spf", "pass")])),
        (
            "example.com;\tauth=pass (cram-md5) smtp.auth=sender@example.net; spf=pass smtp.mailfrom=example.net",
            ("example.com", [("auth", "pass"), ("spf", "pass")]),
        ),
        (
            "foo.example.net (foobar) 1 (baz); dkim (Because I like it) / 1 (One yay) = (wait for it) fail policy (A"
            " dot can go here) . (like that) expired (this surprised me) = (as I wasn't expecting it) 1362471462",
            ("foo.example.net", [("dkim", "fail")]),
        ),
        ('a.example; dkim=pass reason="good; signature" header.i=@b.example', ("a.example", [("dkim", "pass")])),
        ("a.example; DMARC=Fail header.from=b.example", ("a.example", [("dmarc", "fail")])),
        ("a.example; x-new=weird policy.some-thing_else=1:2::3", ("a.example", [("x-new", "weird")])),
        ("a.example; dkim=pass;", ("a.example", None)),
        ("a.example; dkim", ("a.example", None)),
        ("a.example; dkim=", ("a.example", None)),
        ("a.example; dkim=pass header", ("a.example", None)),
        ("a.example; dkim=pass header.i", ("a.example", None)),
        ("a.example; dkim=pass header.i=", ("a.example", None)),
        ("a.example; dkim=pass=pass", ("a.example", None)),
        ("a.example; none; dkim=pass", ("a.example", None)),
        ("a.example; dkim=pass (never ends", ("a.example", None)),
        ("a.example 2; dkim=pass", (None, None)),
        ("a.example", (None, None)),
        ("a.example dkim=pass", (None, None)),
        ("", (None, None)),
    ],
)
def test_a_field_is_read_by_its_grammar(field: str, expected: tuple[str | None, list[tuple[str, str]] | None]) -> None:
    server, results = read_field(field)
    assert (server, None if results is None else [(r.method, r.result) for r in results]) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a (b) c", "a   c"),
        ("a (b (c) d) e", "a   e"),
        ("a (b \\) c) d", "a   d"),
        ('a "(b)" c', 'a "(b)" c'),
        ('a ("b) c', "a   c"),
        ('a "b\\"(" (c)', 'a "b\\"("  '),
        ("a (b", None),
        ("a (b (c)", None),
        ("a b)", None),
        ('a "b', None),
        ('a "b\\"', None),
    ],
)
def test_comments_are_taken_out_and_strings_are_not(text: str, expected: str | None) -> None:
    assert without_comments(text) == expected


def test_properties_are_read_by_name() -> None:
    _, results = read_field('a.example; dkim=pass Header . I = "a\\"b"@c.example header.s=x header.s=y reason="z z"')
    assert results is not None
    assert values_of(results[0].properties) == {"header.i": 'a"b@c.example', "header.s": None, "reason": "z z"}


@given(st.text(max_size=300))
def test_no_text_breaks_the_reading(text: str) -> None:
    for field in (text, f"mx.google.com; {text}", f"mx.google.com; dkim=pass {text}"):
        found = read_field(field)
        assert found.results is None or all(r.method == r.method.lower() for r in found.results)
        authenticity(open_headers(f"Authentication-Results: {field}\nFrom: {text}"))


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("a@b.example", "a@b.example"),
        ("<a@b.example>", "a@b.example"),
        (" A.B+c=d@B.Example (Mail (Delivery) System) ", "a.b+c=d@b.example"),
        ('"Last, First" <a@b.example>', "a@b.example"),
        ("Système de courrier <a@b.example>", "a@b.example"),
        ("=?utf-8?b?8J+Tqw==?= <a@b.example>", "a@b.example"),
        ('"a@b.example" <a@b.example>', "a@b.example"),
        ("Mail [no reply] <a@b.example>", "a@b.example"),
        ("a@b", None),
        ("a", None),
        ("<>", None),
        ("<@>", None),
        ("", None),
        ("a@b.example, c@b.example", None),
        ("a@b.example c@b.example", None),
        ("undisclosed: a@b.example;", None),
        ("<@c.example:a@b.example>", None),
        ("c@d.example <a@b.example>", None),
        ('"c@d.example" <a@b.example>', None),
        ("(c@d.example) a@b.example", None),
        ("=?utf-8?q?c=40d.example?= <a@b.example>", None),
        ("a@b.example (never ends", None),
        ('"never ends <a@b.example>', None),
        ("a@b..example", None),
        ("a@b.example.", None),
        ("a@exämple.example", None),
    ],
)
def test_one_author_or_none(field: str, expected: str | None) -> None:
    assert author(open_headers(f"From: {field}\nSubject: x")) == expected


def test_two_from_fields_have_no_author() -> None:
    assert author(open_headers("From: a@b.example\nSubject: x\nFrom: a@b.example")) is None


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("client.example", "mx.client.example", True),
        ("a.client.co.uk", "b.client.co.uk", True),
        ("a.client.github.io", "client.github.io", True),
        ("client.co.uk", "evil.co.uk", False),
        ("co.uk", "client.co.uk", False),
        ("co.uk", "co.uk", False),
        ("client.github.io", "github.io", False),
        ("example", "client.example", False),
        ("notclient.example", "client.example", False),
        ("a.city.kawasaki.jp", "city.kawasaki.jp", True),  # an exception in the list: !city.kawasaki.jp
        ("a.b.kawasaki.jp", "c.b.kawasaki.jp", False),  # a wildcard: *.kawasaki.jp
        ("mail.xn--80ak6aa92e.xn--p1ai", "xn--80ak6aa92e.xn--p1ai", True),
    ],
)
def test_one_organization_as_dmarc_sees_it(one: str, other: str, expected: bool) -> None:
    assert is_same_organization(one, other) is expected
    assert is_same_organization(other, one) is expected


@pytest.mark.parametrize("name", ["", "a", "a.", ".a", "a..b", "A.b", "a.b\n", "ü.example", "a." * 130 + "b", "a b.c"])
def test_what_is_no_domain(name: str) -> None:
    assert not is_domain(name)
