"""A stranger's words never become a link: not in a note, an alert, a report, or a list of mails to send again.

What makes links here is harsher than Gmail: it reads percent forms and full-width characters too, and takes every name
with a dot and a letter behind it for a website.
"""

from __future__ import annotations

import html
import re
import shlex
import subprocess
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import pytest

from remediation.suggest import suggest
from tests.incidents.made import record, refused
from tests.report.made import EVERYTHING, RUN, UNKNOWN_ADDRESS, report_of, row
from triage.cli import resend as resend_command
from triage.incidents.words import IncidentFacts, alert_body, alert_title
from triage.letters.note import note_text
from triage.model import Incident
from triage.no_links import own_domain, told, unlinked, unlinked_step
from triage.report import report_html, report_markdown, report_text
from triage.report.model import Report
from triage.resend import Item

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
FORMS = (
    *("http://evil.example/x", "https://evil.example", "HTTPS://EVIL.EXAMPLE/", "http:\\\\evil.example", "https:evil"),
    *("https:/evil.example", "//evil.example", "ftp://evil.example", "mailto:x@evil.example", "javascript:evil()"),
    *("evil.example/x", "evil.example", "EVIL.Example.", "www.evil.example", "www.evil", "(evil.example)", "a.b.evil"),
    *("evil.example:8080/x", "user@evil.example/x", "www.evil.example@client.example", "http://a@evil.example"),
    *(
        "xn--evil-abc.xn--p1ai",
        "evil.рф",
        "пример.evil",
        "evil。example",
        "evil．example",
        "evil․example",
        "ｅvil｡example",
    ),
    *(
        "https：//evil",
        "http%3A%2F%2Fevil.example",
        "evil%2Eexample/",
        "http://evil%2eexample",
        "x.http://evil",
        "tel:evil",
    ),
    *(
        "http://198.51.100.7/evil",
        "198.51.100.7/evil",
        "'evil.example'",
        "<http://evil.example>",
        "evil.example,evil.org",
    ),
    *("see:http://evil.example", "evil_.example", "-evil.example", "пат@evil.example", "RESOLVER.ADR.evil"),
)
HOST = re.compile(r"[\w-]+(?:\.[\w-]+)*\.(?=[\w-]*[^\W\d_])[\w-]+")
IP = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])[^\s]*")
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+-]*:(?=[^\s\d'])[^\s]*|[A-Za-z0-9]*:[/\\]+[^\s]*|(?:tel|sms):[^\s']\S*")
ADDRESS = re.compile(
    r"(?<![\w.+=@:/\\-])(?!www\.)[A-Za-z0-9_+=-]+(?:\.[A-Za-z0-9_+=-]+)*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?![/\\:\w@])"
)


def links(text: str) -> list[str]:
    """Whatever a program might make a link of, also after it read the text more kindly than it stands."""
    found: list[str] = []
    kinder = unicodedata.normalize("NFKC", text).replace("\u3002", ".")
    for reading in {text, kinder, unquote(text)}:
        rest = ADDRESS.sub("ADDRESS", reading)
        found += [match[0] for pattern in (HOST, IP, SCHEME) for match in pattern.finditer(rest)]
    return found


def evil(text: str) -> list[str]:
    return [link for link in links(text) if "evil" in link.lower()]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_a_link_before_and_none_after(form: str) -> None:
    assert evil(form), "the harness must see it"
    for words in (form, f'550 5.7.1 see "{form}", or {form}', f"{form};{form}"):
        assert evil(unlinked(words)) == []
        assert evil(unlinked_step(f"Do {words}.")) == []
        assert evil(told(words)) == []


def test_what_is_no_link_stays_as_it_is() -> None:
    for words in (
        "550-5.7.26 5.1.10 (10:05, 3.5 MB) at 25:30; AKIA...7Q",
        "pat.o-brien+x=y@client.example <pat@client.example>: no such user",
        "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
        "email-smtp.us-east-1.amazonaws.com:587, feedback-smtp.eu-west-1.amazonses.com",
        "[2001:db8::1] 2001:db8:0:1::7",
        "  two  spaces\tand a tab ",
        "",
    ):
        assert unlinked(words) == words


def test_it_is_still_read_by_people() -> None:
    assert unlinked("see https://evil.example/x?a=1") == "see https[:]//evil[.]example/x?a=1"
    assert unlinked("mx.evil.example[198.51.100.7]:25: refused") == "mx[.]evil[.]example[198.51.100[.]7]:25: refused"


def test_what_only_looks_like_amazons_is_broken() -> None:
    for name in (
        "email-smtp.us-east-1.amazonaws.com.evil.example",
        "evil.s3.amazonaws.com",
        "email-smtp.evil.amazonaws.com",
    ):
        assert evil(unlinked(name)) == []


@pytest.mark.parametrize("host", ["client.example", "mx-1.evil.example", "198.51.100.7"])
def test_a_command_runs_as_it_would_have(host: str) -> None:
    step = unlinked_step(f"Look: `printf '%s ' {host} {host}:25 '{host}' a@{host}`.")
    assert host not in re.sub(r"a@\S+", "", step)
    command = step.split("`")[1]
    assert shlex.split(command)[2:] == [host, f"{host}:25", host, f"a@{host}"]
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [host, f"{host}:25", host, f"a@{host}"]


def test_names_of_ours_stay_whole_in_a_fix_and_those_that_end_alike_do_not() -> None:
    own = ["queenofsandiego.com", "smtp.relay.example"]
    whole = '`_dmarc.queenofsandiego.com` = `"v=DMARC1; rua=mailto:dmarc@queenofsandiego.com"`, smtp.relay.example:587'
    assert unlinked_step(whole, own) == whole
    for name in ("evilqueenofsandiego.com", "evil.example/@queenofsandiego.com", "http://evil@queenofsandiego.com"):
        assert evil(unlinked_step(f"see {name}", own)) == []
    assert own_domain("admin@queenofsandiego.com") == "queenofsandiego.com"
    assert own_domain("www.evil.example/@x.example") == own_domain(None) == own_domain("x@localhost") == ""


# -- what is made for people outside a terminal ---------------------------------------------------------------------


def hostile_report(form: str) -> Report:
    said = f"550 see {form} now"
    values: dict[str, Any] = {
        "diagnostic": said,
        "remote_host": form,
        "subject": said,
        "fix": [f"Ask {form}.", f"Run `dig +short MX {form}`", f'Then send "{said}" again.'],
    }
    rows = [
        row(1, **values | {"recipient": form, "sender": form}),
        row(2, **UNKNOWN_ADDRESS | values | {"recipient": form, "genuine": "unknown"}),
        row(3, **UNKNOWN_ADDRESS | values | {"kind": "delayed", "cause": "mailbox-full", "permanent": False}),
        row(4, **values | {"cause": "unknown", "category": "unknown", "side": "unknown", "actor": "sender"}),
    ]
    unreadable = [{"source": "gmail:1", "state": "failed", "tries": 1, "error": f"KeyError: '{said}'"}]
    runs = [RUN | {"error": said}, RUN | {"not_told": said}]
    incident = replace(EVERYTHING.incidents[0], place=form, evidence=said, closed_at="2026-11-22T10:00:00Z")
    drift = replace(EVERYTHING.drift[0], answered=said, answered_before=said)
    return replace(report_of(rows, unreadable=unreadable, runs=runs), incidents=(incident,), drift=(drift,))


@pytest.mark.parametrize("form", FORMS)
def test_no_report_brings_a_link_of_a_stranger(form: str) -> None:
    report = hostile_report(form)
    assert "550 see " in report_text(report, 4000, full=True), "it must still be told"
    for full in (False, True):
        assert evil(report_text(report, 4000, full=full)) == []
        assert evil(re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", report_markdown(report, full=full))) == []
        page = report_html(report, full=full)
        assert evil(html.unescape(re.sub(r"<[^>]*>", " ", page.partition("</style>")[2]))) == []
        assert not [link for link in re.findall(r'(?:href|src)="([^"]*)"', page) if "evil" in link]


def incident(form: str) -> Incident:
    return Incident(
        id=1, key="k", kind="remote", state="closed", cause="spam-rejected", sender=form, place=form, path="ses-api",
        openings=1, first_at=NOW, last_at=NOW, detected_at=NOW, closed_at=NOW, closed_by="later-delivery",
        closed_why=f"told by {form}", noticed_at=NOW, bounces=2, people=(form,),
    )  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_no_alert_brings_one(form: str) -> None:
    hostile = incident(form)
    steps = suggest(refused(remote_host=form, diagnostic=f"550 see {form}", subject=form))
    facts = IncidentFacts(
        ({"recipient": form, "subject": form, "mails": 2},), [*steps, f"Ask {form}."], f"{form} says so", 3
    )
    for one in (hostile, replace(hostile, state="open", closed_at=None), replace(hostile, kind="alias")):
        for occasion in ("opened", "reminder", "closed"):
            assert evil(alert_title(one, occasion, NOW)) == []
            body = alert_body(one, occasion, facts, NOW)
            assert "not reached" in body
            assert evil(body) == []


@pytest.mark.parametrize("form", FORMS)
def test_no_note_brings_one(form: str) -> None:
    for made in (record, refused):
        one = made(recipient=form, remote_host=form, diagnostic=f"550 see {form}", subject=form, ses_message_id=form)
        one |= {"id": 17, "evidence": form}
        text = note_text([one], NOW, found=f"the server {form} said so")
        assert "Not delivered: the mail to" in text
        assert evil(text) == []


@pytest.mark.parametrize("form", FORMS)
def test_no_list_of_mails_to_send_again_brings_one(form: str) -> None:
    item = Item(
        verdict_id=1, recipient=form, original_id="x@mail.gmail.com", cause="unknown", title="Not understood",
        subject=f"see {form}", sent_at="2026-11-23T08:00:00Z", sender="admin@queenofsandiego.com",
    )  # fmt: skip
    lines = "\n".join(resend_command._line(item, "nothing was done"))
    assert "nothing was done" in lines
    assert evil(lines) == []


def test_who_was_not_reached_can_be_read_and_copied_everywhere() -> None:
    who = "m.okafor+sail@client.example"
    rows = [row(1, recipient=who), row(2, **UNKNOWN_ADDRESS | {"recipient": who})]
    report = report_of(rows)
    assert all(
        who in made for made in (report_text(report), report_markdown(report).replace("\\", ""), report_html(report))
    )
    assert who in note_text([refused(recipient=who) | {"id": 17}], NOW)
    assert who in alert_body(replace(incident("client.example"), state="open", closed_at=None), "opened", IncidentFacts(
        ({"recipient": who, "subject": None, "mails": 1},)), NOW)  # fmt: skip
