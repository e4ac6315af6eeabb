"""The report: what counts as what, from hand-made rows; its text against reports/*.json at a fixed time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from remediation import Cause, Step
from tests.golden import as_text, differences
from triage.report import Report, build_report, report_json
from triage.report_text import report_text, totals_words

FOLDER = Path(__file__).parent / "reports"
NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)  # a Monday
SINCE = NOW - timedelta(days=7)
HOSTILE = "\x1b]0;owned\x07\u202e\n"


def cause(name: str, title: str, side: Any, actor: Any, decide: str | None = None) -> Cause:
    """A cause with little text, so that these tests do not move with the catalogue."""
    meaning = (
        f"What {name} means, in a sentence or two that is long enough to be wrapped on a terminal of eighty columns."
    )
    return Cause(name, title, meaning, side, actor, "permanent", "onhold", None, (Step("Do it."),), (), decide, ())


CAUSES = {
    one.id: one
    for one in (
        cause(
            "alias-credentials-rejected",
            "The alias's SMTP login was refused",
            "own",
            "mailbox-owner",
            "Save the settings.",
        ),
        cause("recipient-unknown", "The address does not exist", "remote", "sender"),
        cause("mailbox-full", "The recipient's mailbox is full", "remote", "recipient"),
        cause("unknown", "Not understood", "unknown", "sender"),
    )
}


def row(number: int, **changes: Any) -> dict[str, Any]:
    """A verdict as the store gives it: an alias failure unless changed; `original__x` changes a key of `original`."""
    at = NOW - timedelta(hours=number)
    verdict: dict[str, Any] = {
        "id": number,
        "source": f"gmail:{number}",
        "kind": "failed",
        "recipient": f"p{number}@client.example",
        "original_recipient": None,
        "category": "smtp-credentials",
        "cause": "alias-credentials-rejected",
        "side": "own",
        "actor": "mailbox-owner",
        "permanent": True,
        "diagnostic": "535 Authentication Credentials Invalid",
        "remote_host": None,
        "genuine": "pass",
        "fix": ["Open the settings.", "Enter the password.", f"Send it to p{number}@client.example again."],
        "links": ["https://support.google.com/mail/answer/22370"],
        "received_at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "superseded_by": None,
        "original": {
            "message_id": f"m{number}@mail.gmail.com",
            "gmail_message_id": None,
            "sent_at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "from": "admin@queenofsandiego.com",
            "subject": f"Sunset charter {number}",
            "ses_region": None,
        },
    }
    for key, value in changes.items():
        if key.startswith("original__"):
            verdict["original"][key.removeprefix("original__")] = value
        else:
            verdict[key] = value
    return verdict


UNKNOWN_ADDRESS = {
    "cause": "recipient-unknown",
    "category": "exchange-rejection",
    "side": "remote",
    "actor": "sender",
    "diagnostic": "550 5.1.10 RESOLVER.ADR.RecipientNotFound",
    "remote_host": "mx.client.example",
    "links": [],
}
DELAYED = {
    "kind": "delayed",
    "category": "delayed",
    "cause": "mailbox-full",
    "side": "remote",
    "actor": "recipient",
    "permanent": False,
}


def counts_of(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What `store.verdict_counts` says about these rows, one group for each row."""
    return [{**one, "verdicts": 1, "first_at": one["received_at"], "last_at": one["received_at"]} for one in rows]


def report_of(rows: Sequence[dict[str, Any]], **more: Any) -> Report:
    """The report over these rows, newest first."""
    given: dict[str, Any] = {"counts": None, "counts_ever": [], "unreadable": [], "runs": []}
    return build_report(rows, since=SINCE, now=NOW, causes=CAUSES, **(given | more))


RUN = {
    "source": "gmail",
    "started_at": "2026-11-23T07:45:00Z",
    "finished_at": "2026-11-23T07:45:02Z",
    "error": None,
    "new": 2,
    "judged": 2,
    "not_bounces": 0,
    "failed": 0,
    "actions": 1,
    "units_new": 56,
    "units_old": 26,
    "requests": 4,
}
STORY = [
    row(1),
    row(2),
    row(3, **UNKNOWN_ADDRESS),
    row(4, **DELAYED),
    row(5, cause="unknown", category="unknown", side="unknown", actor="sender", diagnostic=None, fix=[], links=[]),
    row(6, category="unverified", genuine="fail"),
    row(7, kind="auto-reply", category=None, cause=None, side=None, actor=None, original=None),
]
UNREADABLE = [
    {"source": "gmail:18c", "state": "failed", "tries": 2, "error": "HTTP 500"},
    {"source": "gmail:18d", "state": "kept", "tries": 5, "error": "KeyError: 'x'"},
]
TEXTS = {
    "story": report_of(
        STORY,
        counts_ever=[*counts_of(STORY), *counts_of([row(24 * 20)])],
        unreadable=UNREADABLE,
        runs=[
            RUN,
            RUN | {"error": "Gmail cannot be reached: timed out"},
            RUN | {"finished_at": None, "started_at": "2026-11-22T07:45:00Z"},
        ],
    ),
    "quiet": report_of([], runs=[RUN | {"new": 0, "judged": 0, "actions": 0, "units_new": 6, "units_old": 6}]),
    "stopped": report_of([], runs=[RUN | {"started_at": "2026-11-20T07:45:00Z"}]),
    "one-refusal": report_of([row(3, **UNKNOWN_ADDRESS, genuine="unknown")]),
}


def test_there_is_an_expectation_for_each_text() -> None:
    expected = {path.stem for path in FOLDER.glob("*.json") if not path.name.endswith(".got.json")}
    assert expected == set(TEXTS)


@pytest.mark.parametrize("name", TEXTS)
def test_the_text_reads_as_accepted(name: str) -> None:
    """A report that reads otherwise is written beside as .got.json, for reading and `make golden`."""
    wanted_file, got_file = FOLDER / f"{name}.json", FOLDER / f"{name}.got.json"
    wanted = json.loads(wanted_file.read_text(encoding="utf-8")) if wanted_file.exists() else []
    got: list[Any] = report_text(TEXTS[name], 80).splitlines()
    if got != wanted:
        got_file.write_text(as_text(got), encoding="utf-8")
        pytest.fail("\n".join([f"{got_file.name} differs from {name}.json:", *differences(wanted, got)]))
    got_file.unlink(missing_ok=True)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_text_fits_the_terminal(name: str, width: int) -> None:
    for line in report_text(TEXTS[name], width).splitlines():
        assert len(line) <= width or " " not in line.strip() or "`" in line or "://" in line


def test_one_repair_is_one_trouble() -> None:
    rows = [
        row(1),
        row(2),
        row(3, original__from="crew@queenofsandiego.com"),
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
    assert report_of([row(1, original__ses_region="us-west-2")]).own[0].place == "us-west-2"
    elsewhere = UNKNOWN_ADDRESS | {"remote_host": None}
    assert report_of([row(1, **elsewhere, original__ses_region="us-west-2")]).refusals[0].place is None


def test_own_side_is_never_told_as_a_refusal_of_others_nor_the_reverse() -> None:
    report = report_of(STORY)
    assert {one.side for one in report.own} == {"own"}
    assert "own" not in {one.side for one in (*report.refusals, *report.undecided)}
    assert [one.cause for one in report.undecided] == ["unknown"]


def test_a_forged_bounce_is_counted_and_nothing_else() -> None:
    report = report_of([row(1, category="unverified", genuine="fail")])
    assert report.unverified == 1
    assert report.own == report.missed == report.refusals == report.undecided == ()


def test_a_trouble_is_proven_by_one_genuine_bounce() -> None:
    assert report_of([row(1, genuine="unknown"), row(2)]).own[0].is_proven
    unproven = report_of([row(1, genuine="unknown")])
    assert not unproven.own[0].is_proven
    assert "Nothing proves that these bounces are genuine" in report_text(unproven)


def test_people_are_listed_once_with_own_side_first() -> None:
    rows = [
        row(1, **UNKNOWN_ADDRESS, recipient="A@client.example"),
        row(2, recipient="b@client.example"),
        row(3, **UNKNOWN_ADDRESS, recipient="a@client.example"),
        row(4, **UNKNOWN_ADDRESS, recipient="c@client.example", permanent=False),
        row(5, **UNKNOWN_ADDRESS, recipient="a@client.example", original__message_id="m3@mail.gmail.com"),
    ]
    assert [(one.recipient, one.mails) for one in report_of(rows).missed] == [
        ("b@client.example", 1),
        ("A@client.example", 2),
        ("c@client.example", 1),
    ]


def test_who_was_reached_after_all_is_not_missed() -> None:
    came = row(1, kind="delivered", category=None, cause=None, side=None, recipient="p2@client.example")
    came["original"]["message_id"] = "m2@mail.gmail.com"
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
    report = report_of(
        [row(1)], counts=[*counts_of([row(1)]), {**row(2), "verdicts": 9000, "first_at": "", "last_at": ""}]
    )
    assert report.totals == {"smtp-credentials": 9001}
    assert "The details below come from the newest 1 of them." in report_text(report)


def test_long_lists_are_cut_with_the_rest_counted() -> None:
    text = report_text(report_of([row(number) for number in range(1, 60)]))
    assert "WHO WAS NOT REACHED: 59 people" in text
    assert "and 39 more (`triage report --format json` has all of them)" in text


def test_hostile_text_stays_harmless() -> None:
    bad = HOSTILE + "x" * 5000
    rows = [
        row(1, recipient=bad, diagnostic=bad, remote_host=bad, fix=[bad], original__subject=bad, original__from=bad),
        row(2, **UNKNOWN_ADDRESS | {"recipient": bad, "diagnostic": bad, "remote_host": bad, "fix": [bad] * 3}),
    ]
    unreadable = [{"source": bad, "state": "failed", "tries": 1, "error": bad}]
    text = report_text(report_of(rows, unreadable=unreadable, runs=[RUN | {"error": bad, "source": bad}]))
    assert all(line.isprintable() for line in text.splitlines())
    assert len(text) < 20_000


def test_json_has_the_names_of_the_model_and_every_person() -> None:
    report = report_of([row(number) for number in range(1, 60)])
    data = json.loads(report_json(report))
    assert list(data) == [
        *("since", "until", "own", "missed", "refusals", "delayed", "undecided"),
        *("unverified", "unreadable", "runs", "totals", "rows_seen", "rows_all"),
    ]
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
