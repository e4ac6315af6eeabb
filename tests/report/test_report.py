"""The report: what counts as what, from hand-made rows; every format against reports/FORMAT/*.json at a fixed time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import timedelta
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.golden import as_text, differences
from tests.report.made import (
    DELAYED,
    EVERYTHING,
    HOSTILE,
    NOW,
    RUN,
    STORY,
    TEXTS,
    UNKNOWN_ADDRESS,
    counts_of,
    report_of,
    row,
)
from triage.report.build import Counts, report_json
from triage.report.html import GMAIL_CLIPS_AT, MOST_BYTES, report_html
from triage.report.markdown import report_markdown
from triage.report.model import Report
from triage.report.outside import rates, suppression_lists
from triage.report.text import report_text
from triage.report.words import totals_words

full_text = partial(report_text, full=True)
full_markdown = partial(report_markdown, full=True)
full_html = partial(report_html, full=True)
FOLDER = Path(__file__).parents[1] / "reports"
FORMATS: dict[str, Callable[[Report], Any]] = {
    "text": lambda report: report_text(report, 80).splitlines(),
    "markdown": lambda report: report_markdown(report).splitlines(),
    "html": lambda report: report_html(report).splitlines(),
    "full-text": lambda report: report_text(report, 80, full=True).splitlines(),
    "full-markdown": lambda report: report_markdown(report, full=True).splitlines(),
    "full-html": lambda report: report_html(report, full=True).splitlines(),
    "json": lambda report: json.loads(report_json(report)),
}


def test_there_is_an_expectation_for_each_text_in_each_format() -> None:
    found = {(path.parent.name, path.stem) for path in FOLDER.rglob("*.json") if not path.name.endswith(".got.json")}
    assert found == {(form, name) for form in FORMATS for name in TEXTS}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("form", FORMATS)
def test_the_report_reads_as_accepted(form: str, name: str) -> None:
    """A report that reads otherwise is written beside as .got.json, for reading and `make golden`."""
    wanted_file, got_file = FOLDER / form / f"{name}.json", FOLDER / form / f"{name}.got.json"
    wanted = json.loads(wanted_file.read_text(encoding="utf-8")) if wanted_file.exists() else []
    got = FORMATS[form](TEXTS[name])
    if got != wanted:
        got_file.write_text(as_text(got), encoding="utf-8")
        pytest.fail("\n".join([f"{form}/{got_file.name} differs from {name}.json:", *differences(wanted, got)]))
    got_file.unlink(missing_ok=True)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("full", [False, True])
def test_the_text_fits_the_terminal(name: str, width: int, full: bool) -> None:
    for line in report_text(TEXTS[name], width, full=full).splitlines():
        assert len(line) <= width or " " not in line.strip() or "`" in line or "://" in line


def test_one_repair_is_one_trouble() -> None:
    rows = [
        row(1),
        row(2),
        row(3, sender="crew@queenofsandiego.com"),
        row(4, remote_host="smtp.example.net"),
    ]
    own = report_of(rows).own
    assert [(one.verdicts, one.sender, one.place) for one in own] == [
        (2, "admin@queenofsandiego.com", None),
        (1, "admin@queenofsandiego.com", "smtp.example.net"),
        (1, "crew@queenofsandiego.com", None),
    ]
    assert own[0].people == ("p1@client.example", "p2@client.example")
    assert (own[0].first_at, own[0].last_at) == (rows[1]["received_at"], rows[0]["received_at"])


def test_the_place_is_a_region_only_where_ses_itself_refused() -> None:
    assert report_of([row(1, ses_region="us-west-2")]).own[0].place == "us-west-2"
    elsewhere = UNKNOWN_ADDRESS | {"remote_host": None}
    assert report_of([row(1, **elsewhere, ses_region="us-west-2")]).refusals[0].place is None


def test_own_side_is_never_told_as_a_refusal_of_others_nor_the_reverse() -> None:
    report = report_of(STORY)
    assert {one.side for one in report.own} == {"own"}
    assert "own" not in {one.side for one in (*report.refusals, *report.undecided)}
    assert [one.cause for one in report.undecided] == ["unknown"]


def test_a_forged_bounce_is_counted_and_nothing_else() -> None:
    report = report_of([row(1, category="unverified", genuine="fail")])
    assert report.unverified == 1
    assert report.own == report.missed == report.refusals == report.undecided == ()


@pytest.mark.parametrize("render", [full_text, full_markdown, full_html])
def test_what_is_not_about_a_mail_of_ours_is_told_of_apart(render: Callable[[Report], str]) -> None:
    why = "Sent holds no such mail to this recipient"
    report = report_of([row(1, proof=None, proof_why=why), row(2, proof=None, proof_why=why), row(3, proof="given")])
    assert [(one.verdicts, one.verdict_id, one.why) for one in report.untied] == [(2, 1, why)]
    assert [trouble.verdicts for trouble in report.own] == [1]
    assert [one.verdict_id for one in report.missed] == [3]
    text = render(report)
    assert "could not be tied to a mail of yours" in text.lower()
    assert why in " ".join(text.split())
    assert "could not be tied" not in render(report_of([row(3)])).lower()


def test_people_are_listed_once_with_own_side_first() -> None:
    rows = [
        row(1, **UNKNOWN_ADDRESS, recipient="A@client.example"),
        row(2, recipient="b@client.example"),
        row(3, **UNKNOWN_ADDRESS, recipient="a@client.example"),
        row(4, **UNKNOWN_ADDRESS, recipient="c@client.example", permanent=False),
        row(5, **UNKNOWN_ADDRESS, recipient="a@client.example", message_id="m3@mail.gmail.com"),
    ]
    assert [(one.recipient, one.mails) for one in report_of(rows).missed] == [
        ("b@client.example", 1),
        ("A@client.example", 2),
        ("c@client.example", 1),
    ]


def test_who_was_reached_after_all_is_not_missed() -> None:
    came = row(1, kind="delivered", category=None, cause=None, side=None, recipient="p2@client.example")
    came["message_id"] = "m2@mail.gmail.com"
    assert report_of([came, row(2)]).missed == ()
    assert [one.recipient for one in report_of([came, row(3)]).missed] == ["p3@client.example"]


def test_a_delay_with_a_known_end_is_no_longer_being_tried() -> None:
    assert [one.verdict_id for one in report_of([row(1, **DELAYED)]).delayed] == [1]
    assert report_of([row(1, **DELAYED, superseded_by=9)]).delayed == ()


def test_a_complaint_is_told_but_its_author_was_reached() -> None:
    report = report_of([row(1, **(UNKNOWN_ADDRESS | {"kind": "feedback", "cause": "complaint"}))])
    assert [one.cause for one in report.refusals] == ["complaint"]
    assert report.missed == ()


def test_where_only_the_newest_rows_were_looked_at_the_text_says_so() -> None:
    counts = counts_of([row(1)])
    report = report_of([row(1)], counts=Counts([*counts, {**counts[0], "verdicts": 9000}]))
    assert report.totals == {"smtp-credentials": 9001}
    assert "The details below come from the newest 1 of them." in full_text(report)


def test_long_lists_are_cut_with_the_rest_counted() -> None:
    text = full_text(report_of([row(number) for number in range(1, 60)]))
    assert "WHO WAS NOT REACHED: 59 people" in text
    assert "and 39 more (`triage report --format json` has all of them)" in text


def test_hostile_text_stays_harmless() -> None:
    bad = HOSTILE + "x" * 5000
    rows = [
        row(1, recipient=bad, diagnostic=bad, remote_host=bad, fix=[bad], subject=bad, sender=bad),
        row(2, **UNKNOWN_ADDRESS | {"recipient": bad, "diagnostic": bad, "remote_host": bad, "fix": [bad] * 3}),
    ]
    unreadable = [{"source": bad, "state": "failed", "tries": 1, "error": bad}]
    for full in (False, True):
        runs = [RUN | {"error": bad, "source": bad}]
        text = report_text(report_of(rows, unreadable=unreadable, runs=runs), full=full)
        assert all(line.isprintable() for line in text.splitlines())
        assert len(text) < 20_000


def test_json_has_the_names_of_the_model_and_every_person() -> None:
    report = report_of([row(number) for number in range(1, 60)])
    data = json.loads(report_json(report))
    assert list(data) == [field.name for field in fields(Report)]
    assert (data["since"], data["until"]) == ("2026-11-16T08:00:00Z", "2026-11-23T08:00:00Z")
    assert len(data["missed"]) == 59
    assert data["own"][0]["cause"] == "alias-credentials-rejected"


def test_the_order_of_rows_with_the_same_weight_does_not_matter() -> None:
    rows = [row(1, **UNKNOWN_ADDRESS), row(2, **UNKNOWN_ADDRESS | {"cause": "mailbox-full"})]
    one, other = report_of(rows), report_of(rows[::-1])
    assert [t.cause for t in one.refusals] == [t.cause for t in other.refusals]
    assert replace(one, missed=()) == replace(other, missed=())


def test_totals_of_a_run() -> None:
    words = (
        "2 new mails: 2 verdicts, 0 no bounce; 1 label set; 56 quota units (26 by Google's older table), 4 requests."
    )
    assert totals_words(RUN) == words
    local = RUN | {"failed": 1, "actions": 0, "requests": 0}
    assert totals_words(local) == "2 new mails: 2 verdicts, 0 no bounce, 1 not readable."


# -- trend, bars, rates ---------------------------------------------------------------------------------------------


def counted(day: str, number: int, **changes: Any) -> dict[str, Any]:
    return {"day": day, "kind": "failed", "category": "smtp-credentials", "side": "own", "verdicts": number} | changes


def test_the_trend_compares_with_the_period_before() -> None:
    before = [counted("2026-11-10", 5), counted("2026-11-11", 2, kind="delayed", category="delayed", side="remote")]
    report = report_of([], counts=Counts([counted("2026-11-20", 3)], before, "2026-01-01T00:00:00Z"))
    assert [(one.sort, one.now, one.before) for one in report.trend] == [("smtp-credentials", 3, 5), ("delayed", 0, 2)]
    text = full_text(report)
    assert "3 kept back by the server behind your alias (smtp-credentials); before 5, so 2 fewer." in text
    assert "The record begins" not in text
    young = replace(report, recorded_since="2026-11-12T00:00:00Z")
    assert "The record begins Thu 12 Nov 2026 00:00 UTC, so the time before is not complete." in full_text(young)


def test_each_day_has_a_bar_also_without_failures() -> None:
    counts = [
        counted("2026-11-17", 3),
        counted("2026-11-17", 2, side="remote", category="remote-rejection"),
        counted("2026-11-18", 7, kind="delayed", category="delayed", side="remote"),
        counted("2026-11-19", 4, category="unverified"),
        counted("2026-12-24", 1, side="unknown", category="unknown"),  # a sender's clock that is ahead
    ]
    bars = report_of([], counts=Counts(counts)).bars
    assert [bar.first_day[-2:] for bar in bars] == ["16", "17", "18", "19", "20", "21", "22", "23"]
    assert (bars[1].own, bars[1].remote, bars[1].unclear) == (3, 2, 0)
    assert sum(bar.own + bar.remote + bar.unclear for bar in bars[2:7]) == 0
    assert bars[7].unclear == 1


@pytest.mark.parametrize("days", [1, 7, 30, 365, 3650])
def test_bars_cover_the_period_without_gap(days: int) -> None:
    report = report_of([], since=NOW - timedelta(days=days))
    assert report.bars[0].first_day == (NOW - timedelta(days=days)).date().isoformat()
    assert report.bars[-1].last_day == NOW.date().isoformat()
    assert len(report.bars) <= 15
    for one, following in zip(report.bars, report.bars[1:], strict=False):
        assert one.last_day < following.first_day


def event(kind: str, number: int, *, counts: bool = False, region: str | None = "us-east-1") -> dict[str, Any]:
    return {"ses_region": region, "kind": kind, "counts": counts, "number": number}


def test_only_permanent_bounces_count_toward_the_rate() -> None:
    told = rates([event("Send", 200), event("Bounce", 9), event("Bounce", 8, counts=True), event("Complaint", 1)], [])
    assert [(one.mails, one.is_counted, one.bounces, one.complaints) for one in told] == [(200, True, 8, 1)]


def test_without_send_events_the_rate_rests_on_what_became_of_the_mails() -> None:
    told = rates([event("Delivery", 90), event("Bounce", 4), event("Bounce", 6, counts=True)], [])
    assert [(one.mails, one.is_counted, one.bounces) for one in told] == [(100, False, 6)]


def test_bounces_alone_give_no_rate() -> None:
    assert rates([event("Bounce", 4, counts=True)], []) == []


def test_what_ses_itself_published_stands_beside_or_alone() -> None:
    measured = [{"subject": name, "figures": {"rate": 0.06}, "at": ""} for name in ("us-east-1", "us-west-2")]
    told = rates([event("Send", 1000), event("Bounce", 10, counts=True)], measured)
    assert [(one.region, one.mails, one.measured) for one in told] == [
        ("us-east-1", 1000, 0.06),
        ("us-west-2", 0, 0.06),
    ]
    text = full_text(replace(EVERYTHING, rates=tuple(told)))
    assert "us-west-2: 6.0 % of the mails bounced as SES counts" in text


@pytest.mark.parametrize(
    ("bounces", "words"),
    [(49, "below the 5 %"), (50, "AWS reviews accounts from 5 % on"), (100, "above the 10 %")],
)
def test_a_rate_is_judged_by_the_limits_of_ses(bounces: int, words: str) -> None:
    told = rates([event("Send", 1000), event("Bounce", bounces, counts=True)], [])
    assert words in full_text(replace(EVERYTHING, rates=tuple(told)), 200)


def test_the_suppression_list_is_compared_with_the_audit_before_the_period() -> None:
    def row_of(total: int, at: str) -> dict[str, Any]:
        return {"subject": "us-east-1", "at": at, "figures": {"total": total}}

    found = suppression_lists([row_of(31, "2026-11-22T05:00:00Z")], [row_of(27, "2026-11-15T05:00:00Z")])
    assert [(one.addresses, one.before) for one in found] == [(31, 27)]
    assert suppression_lists([row_of(31, "2026-11-22T05:00:00Z")], [])[0].before is None


# -- the re-send list -----------------------------------------------------------------------------------------------


def test_conversations_come_before_single_mails_and_many_before_one() -> None:
    rows = [row(1), row(2, subject="Re: Charter"), row(3), row(4, recipient="p3@client.example")]
    assert [one.recipient[:2] for one in report_of(rows).missed] == ["p2", "p3", "p1"]


def test_who_got_the_mail_again_is_not_missed_and_a_draft_is_told() -> None:
    again = {("p1@client.example", "m1@mail.gmail.com"): "ses", ("p2@client.example", "m2@mail.gmail.com"): "draft"}
    report = report_of([row(1), row(2), row(3)], resent=again)
    assert [(one.recipient[:2], one.has_draft) for one in report.missed] == [("p2", True), ("p3", False)]
    assert "A draft of it lies in the conversation." in full_text(report, 400)


def test_what_ses_delivered_after_all_is_not_missed() -> None:
    assert [one.verdict_id for one in report_of([row(1), row(2)], delivered={1}).missed] == [2]


def test_resending_is_offered_only_where_our_side_kept_mails_back() -> None:
    assert "`triage resend`" in full_text(report_of(STORY))
    assert "triage resend" not in full_text(report_of([row(3, **UNKNOWN_ADDRESS)]))


# -- markdown and HTML ----------------------------------------------------------------------------------------------

STRANGER = '<img src=x onerror=1>|a|[b](http://evil.example)`c`*d*_e_ www.evil.example\n# f <script>alert(1)</script>"'


def hostile_report() -> Report:
    bad = STRANGER + HOSTILE
    rows = [
        row(
            1,
            recipient=bad,
            diagnostic=bad,
            remote_host=bad,
            fix=[bad],
            subject=bad,
            sender=bad,
            links=["javascript:1"],
        ),
        row(2, **UNKNOWN_ADDRESS | {"recipient": bad, "diagnostic": bad, "remote_host": bad, "fix": [bad] * 3}),
        row(3, thread_id='1"><script>', subject=bad),
    ]
    unreadable = [{"source": bad, "state": "failed", "tries": 1, "error": bad}]
    report = report_of(rows, unreadable=unreadable, runs=[RUN | {"error": bad, "source": bad}])
    return replace(report, drift=(replace(EVERYTHING.drift[0], answered=bad, subject=bad),))


class Page(HTMLParser):
    """The tags, links, texts and attributes of a page; complains about a tag that is not closed."""

    EMPTY = frozenset({"meta", "br"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        if tag not in self.EMPTY:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("report", [*TEXTS.values(), hostile_report()])
def test_the_page_is_a_mail_that_asks_nobody_for_anything(report: Report, full: bool) -> None:
    page = report_html(report, full=full)
    read = Page(page)
    assert set(read.tags) <= {
        *("html", "head", "meta", "title", "style", "body", "table", "tr", "td", "th", "div", "span", "a", "b", "code"),
        *("h1", "h2", "h3"),
    }
    assert not {name for name in read.attributes if name.startswith("on") or name == "src"}
    for link in read.links:
        assert re.match(r"https://(mail|support)\.google\.com/|https://docs\.aws\.amazon\.com/", link), link
    assert "url(" not in page
    assert "@import" not in page
    # Gmail throws a style block away that is longer than 8192 characters or that it cannot read.
    style = page[page.index("<style>") : page.index("</style>")]
    assert len(style) < 8192
    assert style.count("{") == style.count("}")
    assert len(page.encode()) <= MOST_BYTES < GMAIL_CLIPS_AT


def test_a_page_says_what_the_text_says() -> None:
    read = Page(full_html(EVERYTHING))
    squeezed = " ".join(read.text.split())
    for one in EVERYTHING.missed:
        assert one.recipient in squeezed
    for trouble in (*EVERYTHING.own, *EVERYTHING.refusals, *EVERYTHING.undecided):
        assert trouble.title in squeezed
        assert f"#{trouble.verdict_id}" in squeezed
    for words in ("12 of 412 mails sent bounced for good, 2.9 %", "31 addresses", "no active key", "2 people hit"):
        assert words in squeezed


def test_the_longest_report_still_fits_into_what_gmail_shows() -> None:
    long = "x" * 5000
    rows = [
        row(n, cause=f"cause-{n}", recipient=f"p{n}@{long}.example", diagnostic=long, fix=[long] * 12, subject=long)
        for n in range(1, 120)
    ]
    page = full_html(report_of(rows))
    assert len(page.encode()) <= MOST_BYTES
    assert ">119<" in page


@pytest.mark.parametrize("full", [False, True])
def test_markdown_of_strangers_makes_nothing_of_its_own(full: bool) -> None:
    text = report_markdown(hostile_report(), full=full)
    bare = re.sub(r"\\[!-/:-@\[-`{-~]", " ", re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", text))
    assert not [made for made in ("<img", "<script", "](http://evil", "http://") if made in bare]
    assert not re.search(r"^# f", text, re.MULTILINE)
    for line in text.splitlines():
        if line.startswith("| ") and "client.example" in line:
            assert len(re.findall(r"(?<!\\)\|", line)) == 6, line
    assert all(line.isprintable() for line in text.splitlines())
