"""The SPF walker: what a record costs, where it leads, and how it ends (RFC 7208)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation.dns.spf import SpfWalk, spf_records, tree_lines, walk
from tests.worlds.made_dns import UNKNOWN, made_ask

INCLUDED = {"TXT _spf.example.net": ["v=spf1 ip4:192.0.2.0/24 -all"], "A example.org": ["192.0.2.1"]}


def walked(record: str, **more: Sequence[str]) -> SpfWalk:
    table: dict[str, Sequence[str]] = {"TXT example.org": [record], **INCLUDED, **more}
    return walk(made_ask(table), "Example.org.")


@pytest.mark.parametrize(
    ("record", "lookups", "all_"),
    [
        ("v=spf1 -all", 0, "-"),
        ("V=SPF1 ~ALL", 0, "~"),
        ("v=spf1 ip4:192.0.2.1 ip6:2001:db8::/32 ?all", 0, "?"),
        ("v=spf1 all", 0, "+"),
        ("v=spf1", 0, None),
        ("v=spf1 include:_spf.example.net ~all", 1, "~"),
        ("v=spf1 +include:_spf.example.net ~all", 1, "~"),
        ("v=spf1 a -all", 1, "-"),
        ("v=spf1 ptr ptr:example.org -all", 2, "-"),
        ("v=spf1 a/24 a:example.org/24//64 -all", 2, "-"),
        ("v=spf1 redirect=_spf.example.net", 1, "-"),
        ("v=spf1 -all redirect=_spf.example.net include:nowhere.example", 0, "-"),
        ("v=spf1 exists:%{i}._spf.example.net -all", 1, "-"),
        ("v=spf1 include:%{d}.example.net -all", 1, "-"),
        ("v=spf1 exp=why.example.org unknown=x -all", 0, "-"),
    ],
)
def test_lookups_and_the_end(record: str, lookups: int, all_: str | None) -> None:
    result = walked(record)
    assert (result.lookups, result.all_, result.errors, result.loops, result.unknown) == (lookups, all_, [], [], [])


@pytest.mark.parametrize(
    "term",
    [
        "ip4:192.0.2.300",
        "ip4:2001:db8::1",
        "ip6:192.0.2.1",
        "ipv4:192.0.2.1",
        "include:",
        "include",
        "a/33",
        "all:x",
        "ptr/24",
        "mx:nodot",
        "!",
    ],
)
def test_what_nobody_can_read_is_an_error(term: str) -> None:
    result = walked(f"v=spf1 {term} -all")
    assert len(result.errors) == 1
    assert term in result.errors[0]


def test_only_spf_counts_among_the_texts() -> None:
    ask = made_ask({"TXT example.org": ["v=spf10 -all", "v=spf1", "hello", "v=spf2.0/pra -all", " v=spf1 -all"]})
    assert spf_records(ask("example.org", "TXT")) == ("v=spf1",)


def test_several_records_are_not_walked() -> None:
    result = walk(made_ask({"TXT example.org": ["v=spf1 a -all", "v=spf1 -all"]}), "example.org")
    assert (result.record, len(result.records), result.lookups) == (None, 2, 0)


def test_lookups_are_counted_through_the_tree_and_not_by_name() -> None:
    table = {
        "TXT example.org": ["v=spf1 include:a.example include:b.example -all"],
        "TXT a.example": ["v=spf1 include:c.example -all"],
        "TXT b.example": ["v=spf1 include:c.example -all"],
        "TXT c.example": ["v=spf1 mx -all"],
        "MX c.example": ["10 mx.example"],
    }
    result = walk(made_ask(table), "example.org")
    assert result.lookups == 6
    assert result.includes == {"a.example", "b.example", "c.example"}
    assert list(tree_lines(result))[:3] == [
        "include:a.example: v=spf1 include:c.example -all",
        "  include:c.example: v=spf1 mx -all",
        "    mx: 10 mx.example",
    ]


def test_voids_are_lookups_that_find_nothing() -> None:
    result = walked("v=spf1 a:nowhere.example mx:_spf.example.net exists:gone.example a:example.org -all")
    assert result.voids == ["a:nowhere.example", "mx:_spf.example.net", "exists:gone.example"]
    assert result.lookups == 4


def test_an_address_of_the_other_family_is_no_void() -> None:
    assert walked("v=spf1 a:six.example -all", **{"AAAA six.example": ["2001:db8::1"]}).voids == []


@pytest.mark.parametrize(
    ("table", "loop"),
    [
        ({"TXT example.org": ["v=spf1 include:example.org -all"]}, "example.org -> example.org"),
        (
            {"TXT example.org": ["v=spf1 include:a.example -all"], "TXT a.example": ["v=spf1 redirect=EXAMPLE.org"]},
            "example.org -> a.example -> example.org",
        ),
        (
            {
                "TXT example.org": ["v=spf1 include:a.example -all"],
                "TXT a.example": ["v=spf1 include:b.example -all"],
                "TXT b.example": ["v=spf1 include:a.example -all"],
            },
            "a.example -> b.example -> a.example",
        ),
    ],
)
def test_loops_are_named_and_end(table: dict[str, list[str]], loop: str) -> None:
    result = walk(made_ask(table), "example.org")
    assert result.loops == [loop]
    assert result.errors == []


def test_a_wide_tree_ends() -> None:
    table = {f"TXT d{n}.example": [f"v=spf1 include:d{n + 1}.example include:d{n + 1}.example -all"] for n in range(60)}
    result = walk(made_ask(table), "d0.example")
    assert 10 < result.lookups <= 40


def test_what_was_not_looked_up_is_neither_void_nor_error() -> None:
    result = walked(
        "v=spf1 include:down.example a:down.example -all", **{"TXT down.example": UNKNOWN, "A down.example": UNKNOWN}
    )
    assert (result.voids, result.errors, len(result.unknown), result.lookups) == ([], [], 2, 2)


def test_a_domain_that_was_not_looked_up_is_no_missing_record() -> None:
    result = walk(made_ask({"TXT example.org": UNKNOWN}), "example.org")
    assert (result.answer.state, result.records, len(result.unknown)) == ("unknown", (), 1)


def test_plus_all_counts_wherever_it_stands() -> None:
    result = walked("v=spf1 include:open.example -all", **{"TXT open.example": ["v=spf1 +all"]})
    assert (result.lets_all_pass, result.all_) == (["open.example"], "-")


def test_more_than_ten_mail_servers_are_an_error() -> None:
    result = walked("v=spf1 mx -all", **{"MX example.org": [f"10 m{n}.example" for n in range(11)]})
    assert result.errors == ["example.org: mx: more than 10 MX names"]


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=30), max_size=8))
def test_no_text_breaks_the_walker(terms: list[str]) -> None:
    record = "v=spf1 " + " ".join(terms)
    result = walk(made_ask({"TXT example.org": [record]}), "example.org")
    assert result.records == (record,)
