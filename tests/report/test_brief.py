"""The short report: true as things stand now, one screen long, and without a word an owner must look up."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.report.made import EVERYTHING, NOW, REPAIRED, RUN, STORY, TEXTS, UNKNOWN_ADDRESS, report_of, row
from triage.report.brief import STEPS_SHOWN, in_brief
from triage.report.html import report_html
from triage.report.mail import subject
from triage.report.markdown import report_markdown
from triage.report.model import MailboxRead
from triage.report.state import headline, tone
from triage.report.text import report_text

SCREEN = 24
"""Lines of a small terminal."""
GOOD = {"runs": [RUN]}

RENDERERS = {
    "text": lambda report: report_text(report, 80),
    "markdown": report_markdown,
    "html": report_html,
    "full text": lambda report: report_text(report, 80, full=True),
    "full markdown": lambda report: report_markdown(report, full=True),
    "full html": lambda report: report_html(report, full=True),
}


# -- true as things stand now ---------------------------------------------------------------------------------------


def test_after_the_repair_nothing_is_left_to_repair() -> None:
    report = TEXTS["repaired"]
    assert headline(report) == "Nothing to repair. Repaired Saturday; 2 people still lack a mail."
    assert subject(report) == "Bounce report, Mon 23 Nov: repaired, 2 people not reached"
    assert tone(report) == "good"


@pytest.mark.parametrize("form", RENDERERS)
def test_after_the_repair_the_steps_are_folded_away(form: str) -> None:
    before, after = (RENDERERS[form](report_of([row(1, **more)], **GOOD)) for more in ({}, REPAIRED))
    assert "Enter the password." in before
    assert "Enter the password." not in after
    assert "needs repair" not in after


def test_one_bounce_after_the_repair_is_a_trouble_again() -> None:
    report = report_of([row(1), row(70, **REPAIRED)], **GOOD)
    assert headline(report).startswith("1 thing on your side needs repair")
    assert tone(report) == "bad"
    assert "Enter the password." in report_text(report)


def test_what_is_broken_comes_before_what_was_repaired_and_only_it_is_counted() -> None:
    rows = [row(1, sender="crew@queenofsandiego.com"), *(row(number, **REPAIRED) for number in range(60, 70))]
    report = report_of(rows, **GOOD)
    assert [one.over_at is None for one in report.own] == [True, False]
    assert headline(report) == "1 thing on your side needs repair; 1 person was not reached because of it."


def test_somebodys_word_is_not_called_a_repair() -> None:
    report = report_of([row(1, **REPAIRED | {"over_by": "by-hand"})], **GOOD)
    assert headline(report) == "Nothing to repair. Closed Saturday; 1 person still lacks a mail."


@pytest.mark.parametrize(
    ("reading", "words"),
    [
        (MailboxRead(is_mailbox=True, read_at=None, stopped_why=None), "The mailbox has not been read yet."),
        (MailboxRead(is_mailbox=True, read_at=None, stopped_why="no sign-in"), "The mailbox has not been read yet."),
        (
            MailboxRead(is_mailbox=True, read_at="2026-11-23T07:45:00Z", stopped_why="Gmail is away"),
            "The mailbox has not been read since Mon 23 Nov 2026 07:45 UTC.",
        ),
        (
            MailboxRead(is_mailbox=True, read_at="2026-11-20T07:45:00Z", stopped_why=None),
            "The mailbox has not been read since Fri 20 Nov 2026 07:45 UTC.",
        ),
        (
            MailboxRead(is_mailbox=True, read_at="2026-11-23T07:45:00Z", stopped_why=None),
            "Nothing to repair on your side.",
        ),
        (MailboxRead(is_mailbox=False, read_at=None, stopped_why=None), "Nothing to repair on your side."),
    ],
)
def test_nothing_is_green_while_nothing_is_read(reading: MailboxRead, words: str) -> None:
    report = report_of([], reading=reading)
    is_read = words.startswith("Nothing")
    assert headline(report) == words
    assert tone(report) == ("good" if is_read else "bad")
    assert subject(report).endswith("all quiet" if is_read else "the mailbox is not being read")
    for form in RENDERERS.values():
        assert words in re.sub(r"\\(?=[.])", "", form(report)).replace("\n", " ")


def test_a_trouble_is_told_also_where_nothing_is_read_any_more() -> None:
    report = report_of([row(1)], reading=MailboxRead(is_mailbox=True, read_at=None, stopped_why="the sign-in is dead"))
    assert headline(report) == (
        "The mailbox has not been read yet. Up to then: 1 thing on your side needs repair;"
        " 1 person was not reached because of it."
    )
    assert "The last run stopped: the sign-in is dead" not in headline(report)


def test_what_stopped_the_run_stands_beside() -> None:
    stopped = [RUN | {"error": "The sign-in is dead."}]
    assert "The last run stopped: The sign-in is dead." in report_text(report_of([], runs=stopped))


@pytest.mark.parametrize("form", RENDERERS)
def test_what_was_found_out_is_said_before_any_step(form: str) -> None:
    found = "Key AKIA…KV was made inactive on 21 Nov 06:02 UTC."
    told = re.sub(r"\\", "", RENDERERS[form](report_of([row(1)], findings={1: found}, **GOOD)))
    assert found in told
    assert told.index(found) < told.index("Open the settings.")
    assert told.index(found) < told.index("Mails from admin") if form == "full text" else True


# -- one screen -----------------------------------------------------------------------------------------------------


def many(number: int) -> list[dict[str, Any]]:
    """Verdicts of as many causes, people and senders as a bad week has."""
    causes = [
        UNKNOWN_ADDRESS | {"cause": f"cause-{n}", "fix": ["Do this. " * 20, "Then that. " * 20]} for n in range(12)
    ]
    own = [{"sender": f"a{n}@queenofsandiego.com", "fix": ["Click here. " * 20] * 6} for n in range(7)]
    sorts = [*causes, *own]
    return [row(n, received_at=(NOW - timedelta(minutes=n)).strftime("%Y-%m-%dT%H:%M:%SZ"),
                **sorts[n % len(sorts)]) for n in range(1, number + 1)]  # fmt: skip


def test_a_report_of_five_bounces_is_one_screen() -> None:
    lines = report_text(TEXTS["story"], 80).splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("number", [350, 3500])
def test_however_much_came_in_it_fits_five_screens(number: int) -> None:
    lines = report_text(report_of(many(number)), 80).splitlines()
    assert len(lines) <= 5 * SCREEN
    assert max(map(len, lines)) <= 80


def test_what_is_left_out_is_counted() -> None:
    text = report_text(report_of(many(350)), 80)
    assert "and 4 more: `triage report --full`" in text
    assert "and 7 more reasons: `triage report --full`" in text
    short = in_brief(report_of(many(350)))
    assert sum(group.more + len(group.people) for group in short.groups if group.side == "own") == 126


def test_at_most_three_steps_and_numbered_through() -> None:
    report = report_of([row(1, fix=[f"Step {n}." for n in range(1, 8)])])
    assert len(in_brief(report).todos[0].steps) == STEPS_SHOWN
    assert re.findall(r"^  (\d)\. ", report_text(report, 80), re.MULTILINE) == ["1", "2", "3"]


def test_steps_for_others_are_left_to_the_full_report() -> None:
    steps = ["For whoever looks after AWS: run `aws iam list-access-keys`.", "Click here.", "Then there."]
    report = report_of([row(1, fix=steps)])
    assert in_brief(report).todos[0].steps == ("Click here.", "Then there.")
    assert "aws iam" in report_text(report, full=True)


@pytest.mark.parametrize("form", ["text", "markdown", "html"])
@pytest.mark.parametrize("name", ["story", "everything", "one-refusal", "repaired", "quiet"])
def test_no_word_to_look_up_and_few_links(form: str, name: str) -> None:
    page = RENDERERS[form](TEXTS[name])
    page = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    for word in ("smtp-credentials", "exchange-rejection", "alias-credentials-rejected", "recipient-unknown",
                 "(mailbox-owner)", "Not certain", "quota unit", "unverified", "verdict"):  # fmt: skip
        assert word not in page
    links = set(re.findall(r"https://[^\s\")<]+", page))
    assert len([link for link in links if "#all/" not in link]) <= 1


def test_a_link_opens_the_right_account() -> None:
    report = replace(EVERYTHING, mailbox="jadasailing@gmail.com")
    page = report_html(report)
    assert 'href="https://mail.google.com/mail/?authuser=jadasailing@gmail.com#settings/accounts"' in page
    assert "?authuser=jadasailing@gmail.com#all/19a1b77cc01" in page
    assert "authuser" not in report_html(replace(EVERYTHING, mailbox='"><script>@x.example'))


def test_whoever_is_still_waited_for_is_not_counted_as_lost() -> None:
    text = report_text(report_of(STORY), 80)
    assert "Still being tried, nothing to do: 1 (#4)" in text
    assert "WHO WAS NOT REACHED: 4 people" in text
