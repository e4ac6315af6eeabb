"""A run against the Gmail double: what it stores, what it labels, what it costs, and what it never does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from remediation import load_causes
from tests.doubles.gmail import GmailDouble
from tests.made_mails import NOW, alias_notice, delay, minutes_ago, newsletter, refusal, sent
from triage import judge, store
from triage import run as worker
from triage.config import Settings, load_settings
from triage.errors import ConfigError, CredentialsDead, TryLater, UsageError
from triage.lock import locked
from triage.run import RunSummary
from triage.store import Action

QUIET = RunSummary(units_new=5, units_old=5, requests=1)


def clock() -> datetime:
    return NOW


@pytest.fixture
def gmail() -> Iterator[GmailDouble]:
    with GmailDouble() as double:
        yield double


@pytest.fixture
def settings(gmail: GmailDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Everything in one folder; waiting takes no time."""
    gmail.write_credentials(tmp_path)
    monkeypatch.setattr(worker, "connect", partial(worker.connect, sleep=lambda seconds: None, timeout_seconds=2))
    config = tmp_path / "triage.toml"
    config.write_text("notes = false\n")  # see test_note.py
    return load_settings(config, {"TRIAGE_GMAIL_URL": gmail.url})


@pytest.fixture
def work(settings: Settings) -> Callable[..., RunSummary]:
    """Do one run, at the one moment these tests know."""
    return partial(worker.run, settings, clock)


@pytest.fixture
def query(settings: Settings) -> Callable[[str], list[dict[str, Any]]]:
    """Ask the database after a run."""

    def ask(sql: str) -> list[dict[str, Any]]:
        db = store.open_readonly(settings.database)
        assert db is not None
        try:
            return list(db.query(sql))
        finally:
            db.close()

    return ask


Work = Callable[..., RunSummary]
Query = Callable[[str], list[dict[str, Any]]]


def seed(gmail: GmailDouble, *mails: bytes, thread_id: str | None = None, minutes: float = 30) -> list[str]:
    """Let mails arrive one minute after the other, in one thread if given; returns their ids."""
    return [
        gmail.seed(mail, thread_id=thread_id, received_at=minutes_ago(minutes - number))
        for number, mail in enumerate(mails)
    ]


def user_labels(gmail: GmailDouble, message_id: str) -> set[str]:
    names = gmail.label_names_of_thread(gmail.messages[message_id].thread_id)
    return names - {"INBOX", "UNREAD", "SENT", "SPAM"}


# The whole road


def test_a_thread_with_two_causes_gets_two_labels(gmail: GmailDouble, work: Work, query: Query) -> None:
    (first,) = seed(gmail, sent("mail-1@example.org"), minutes=60)
    thread = gmail.messages[first].thread_id
    seed(gmail, alias_notice(1), alias_notice(2), refusal(3), thread_id=thread)
    (news,) = seed(gmail, newsletter(4), minutes=1)
    summary = work()
    assert user_labels(gmail, first) == {"Bounce/Fix your alias", "Bounce/Remote rejection"}
    assert user_labels(gmail, news) == set()
    assert (summary.new, summary.judged, summary.not_bounces, summary.failed, summary.actions) == (4, 3, 1, 0, 3)
    assert summary.failures == ()
    verdicts = query("SELECT kind, category, side, thread_id FROM verdicts v JOIN mails m ON m.id = mail_id")
    assert [(row["kind"], row["category"], row["side"]) for row in verdicts] == [
        ("failed", "smtp-credentials", "own"),
        ("failed", "smtp-credentials", "own"),
        ("failed", "remote-rejection", "remote"),
        ("not-a-bounce", None, None),
    ]
    assert {row["thread_id"] for row in verdicts[:3]} == {thread}
    (run,) = query("SELECT * FROM runs")
    assert {key: run[key] for key in summary.counts()} == summary.counts()
    assert (run["source"], run["finished_at"], run["error"]) == ("gmail", "2026-11-24T09:30:00Z", None)


def test_the_mails_are_stored_whole_with_when_they_came(gmail: GmailDouble, work: Work, settings: Settings) -> None:
    (message_id,) = seed(gmail, refusal(1))
    work()
    db = store.open_readonly(settings.database)
    assert db is not None
    (mail,) = store.find_mails(db, message_id)
    assert (mail["source"], mail["message_id"]) == (f"gmail:{message_id}", "bounce-1@mx.example.com")
    assert (mail["received_at"], mail["seen_at"]) == ("2026-11-24T09:00:00Z", "2026-11-24T09:30:00Z")
    assert store.read_raw(db, mail["id"]) == refusal(1)
    assert store.read_cursor(db) == NOW
    db.close()


def test_spam_is_read_too(gmail: GmailDouble, work: Work) -> None:
    gmail.seed(refusal(1), labels=["SPAM"], received_at=minutes_ago(5))
    assert work().judged == 1


def test_a_run_says_nothing_itself(gmail: GmailDouble, work: Work, capfd: pytest.CaptureFixture[str]) -> None:
    seed(gmail, refusal(1))
    work()
    assert capfd.readouterr() == ("", "")


def test_nothing_but_labels_changes_in_the_mailbox(gmail: GmailDouble, work: Work) -> None:
    (message_id,) = seed(gmail, refusal(1))
    work()
    assert gmail.messages[message_id].raw == refusal(1)
    assert {"INBOX", "UNREAD"} < gmail.labels_of(message_id)
    reading = {"messages.list", "batch", "messages.get", "labels.list"}
    assert set(gmail.quota.calls) - reading == {"labels.create", "threads.modify"}
    assert gmail.sent == []


def test_progress_is_told_mail_by_mail(gmail: GmailDouble, work: Work) -> None:
    seed(gmail, refusal(1), refusal(2))
    told: list[tuple[int, int | None]] = []
    work(progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]


# What it costs


def test_a_quiet_run_costs_one_listing(gmail: GmailDouble, work: Work) -> None:
    seed(gmail, refusal(1), newsletter(2))
    work()
    gmail.reset_counters()
    assert work() == QUIET
    assert gmail.quota.http_requests <= 2
    assert gmail.quota.units_new <= 6


def test_a_quiet_run_imports_no_boto3(settings: Settings, tmp_path: Path) -> None:
    code = (
        "import sys, datetime; from pathlib import Path; from triage import run, config\n"
        "run.run(config.load_settings(Path(sys.argv[1]), {'TRIAGE_GMAIL_URL': sys.argv[2]}),"
        " lambda: datetime.datetime.now(datetime.UTC))\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules} & {'boto3', 'botocore', 'googleapiclient'}))"
    )
    command = [sys.executable, "-c", code, tmp_path / "triage.toml", str(settings.gmail_url)]
    done = subprocess.run(command, cwd=Path(store.__file__).parents[1], capture_output=True, text=True, check=True)
    assert done.stdout == "googleapiclient\n"


def test_a_hundred_bounces_are_fetched_in_few_requests(gmail: GmailDouble, work: Work) -> None:
    seed(gmail, *(refusal(number) for number in range(100)), minutes=200)
    summary = work()
    assert summary.judged == 100
    assert gmail.quota.calls["messages.get"] == 100
    assert summary.requests - gmail.quota.calls["threads.modify"] - gmail.quota.calls["labels.create"] - 2 <= 25


def test_a_bounce_with_its_label_costs_thirty_units(gmail: GmailDouble, work: Work) -> None:
    seed(gmail, refusal(1))
    work()  # makes the label
    per_run = QUIET.units_new + 1  # listing the mails, listing the labels
    for number in (2, 3, 4):
        gmail.reset_counters()
        seed(gmail, refusal(number, original_id=f"mail-{number}@example.org"), minutes=5)
        work()
        assert gmail.quota.units_new - per_run <= 30


# Who is believed


@pytest.mark.parametrize(
    ("genuine", "original_in_sent", "is_labelled"),
    [
        ("pass", False, True),
        ("unknown", True, True),
        ("unknown", False, False),
        ("fail", True, False),
    ],
)
def test_only_what_is_genuine_or_answers_a_mail_in_sent_is_acted_on(
    gmail: GmailDouble, work: Work, query: Query, genuine: str, original_in_sent: bool, is_labelled: bool
) -> None:
    if original_in_sent:
        gmail.seed(sent("mail-1@example.org"), labels=["SENT"], received_at=minutes_ago(60))
    (message_id,) = seed(gmail, refusal(1, genuine=genuine))
    assert work().judged == 1
    assert user_labels(gmail, message_id) == ({"Bounce/Remote rejection"} if is_labelled else set())
    looked_for = {"pass": None, "unknown": int(original_in_sent), "fail": None}[genuine]
    assert query("SELECT original_in_sent FROM mails") == [{"original_in_sent": looked_for}]


def test_a_copy_that_is_not_in_sent_proves_nothing(gmail: GmailDouble, work: Work) -> None:
    gmail.seed(sent("mail-1@example.org"), labels=["INBOX"], received_at=minutes_ago(60))
    (message_id,) = seed(gmail, refusal(1, genuine="unknown"))
    work()
    assert user_labels(gmail, message_id) == set()


def test_the_original_is_found_by_what_the_bounce_refers_to(gmail: GmailDouble, work: Work) -> None:
    gmail.seed(sent("real@example.org"), labels=["SENT"], received_at=minutes_ago(60))
    bounce = refusal(1, genuine="unknown", original_id="ses@example.com", references="References: <real@example.org>\n")
    (message_id,) = seed(gmail, bounce)
    work()
    assert user_labels(gmail, message_id) == {"Bounce/Remote rejection"}


@pytest.mark.parametrize("forged", ['x"OR"y@example.org', "{x}@example.org", "x@y)OR(in:sent", "x:y@example.org"])
def test_a_strangers_message_id_never_becomes_a_search_of_its_own(gmail: GmailDouble, work: Work, forged: str) -> None:
    gmail.seed(sent("mail-1@example.org"), labels=["SENT"], received_at=minutes_ago(60))
    (message_id,) = seed(gmail, refusal(1, genuine="unknown", original_id=forged))
    assert work().failed == 0
    assert gmail.quota.calls["messages.list"] == 1
    assert user_labels(gmail, message_id) == set()


def test_lookups_in_sent_are_few(gmail: GmailDouble, work: Work) -> None:
    many = "".join(f" <ref-{number}@example.org>" for number in range(50))
    seed(gmail, refusal(1, genuine="unknown", references=f"References:{many}\n"))
    work()
    assert gmail.quota.calls["messages.list"] <= 1 + judge.MAX_LOOKUPS


# The plan


def verdict(category: str | None, genuine: str | None = "pass") -> dict[str, Any]:
    return {"category": category, "genuine": genuine}


@pytest.mark.parametrize("category", list(judge.LABELS))
def test_each_category_has_its_label(category: str) -> None:
    (action,) = judge.plan([verdict(category)], "t", in_sent=None, prefix="Bounce")
    assert action == Action("label", "t", {"label": f"Bounce/{judge.LABELS[category]}"})


def test_every_category_a_cause_can_name_has_a_label() -> None:
    named = {cause.category for cause in load_causes().values()} - {None, "unverified"}
    assert named <= set(judge.LABELS)


@pytest.mark.parametrize(
    ("records", "thread_id", "in_sent"),
    [
        ([verdict(None, None)], "t", None),
        ([verdict("unverified", "fail")], "t", True),
        ([verdict("unverified", "pass")], "t", True),
        ([verdict("remote-rejection", "fail")], "t", True),
        ([verdict("remote-rejection", "unknown")], "t", False),
        ([verdict("remote-rejection", "unknown")], "t", None),
        ([verdict("remote-rejection", "pass")], None, None),
    ],
)
def test_what_leads_to_no_action(records: list[dict[str, Any]], thread_id: str | None, in_sent: bool | None) -> None:
    assert judge.plan(records, thread_id, in_sent=in_sent, prefix="Bounce") == ()


def test_one_mail_with_several_recipients_gets_each_label_once() -> None:
    records = [verdict("delayed"), verdict("remote-rejection"), verdict("delayed"), verdict("unknown", "fail")]
    labels = [action.payload["label"] for action in judge.plan(records, "t", in_sent=None, prefix="B")]
    assert labels == ["B/Delayed", "B/Remote rejection"]


def test_the_label_prefix_is_the_users(gmail: GmailDouble, settings: Settings) -> None:
    (message_id,) = seed(gmail, refusal(1))
    worker.run(replace(settings, label_prefix="Mail/Zurück"), clock)
    assert user_labels(gmail, message_id) == {"Mail/Zurück/Remote rejection"}


# What is asked again


def trip_over(monkeypatch: pytest.MonkeyPatch, word: bytes) -> None:
    """Let our own code fail on mails that hold this word."""
    real = judge.parsers.parse

    def parse(data: bytes) -> Any:
        if word in data:
            raise RecursionError("too deep\nfor us")
        return real(data)

    monkeypatch.setattr(judge.parsers, "parse", parse)


def test_a_mail_our_code_trips_over_is_judged_later_without_fetching_it_again(
    gmail: GmailDouble, work: Work, query: Query
) -> None:
    seed(gmail, refusal(1, recipient="trap@client.example"), refusal(2))
    with pytest.MonkeyPatch.context() as patch:
        trip_over(patch, b"trap@")
        summary = work()
    assert (summary.judged, summary.failed, summary.new) == (1, 1, 2)
    assert summary.failures[0][1] == "RecursionError: too deep for us"
    assert query("SELECT state, error FROM mails WHERE error IS NOT NULL") == [
        {"state": "failed", "error": "RecursionError: too deep for us"}
    ]
    gmail.reset_counters()
    again = work()
    assert (again.judged, again.failed, again.actions) == (1, 0, 1)
    assert gmail.quota.calls["messages.get"] == 0
    assert query("SELECT state, tries FROM mails ORDER BY tries") == [
        {"state": "judged", "tries": 1},
        {"state": "judged", "tries": 2},
    ]


def test_a_mail_that_always_fails_is_kept_for_study(
    gmail: GmailDouble, work: Work, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed(gmail, refusal(1))
    trip_over(monkeypatch, b"")
    assert [work().failed for _ in range(store.MAX_TRIES + 1)] == [1] * store.MAX_TRIES + [0]
    (mail,) = query("SELECT state, raw IS NOT NULL AS has_raw FROM mails")
    assert mail == {"state": "kept", "has_raw": 1}


def test_a_mail_gmail_does_not_give_is_asked_for_again_by_its_id(gmail: GmailDouble, settings: Settings) -> None:
    (message_id, _) = seed(gmail, refusal(1), refusal(2))
    gmail.fail("messages.get", nth=1, status=400)
    summary = worker.run(settings, clock)
    assert (summary.judged, summary.failed) == (1, 1)
    much_later = NOW + timedelta(days=300)  # far outside of what is listed
    again = worker.run(settings, lambda: much_later)
    assert (again.judged, again.failed, again.new) == (1, 0, 1)
    assert user_labels(gmail, message_id) == {"Bounce/Remote rejection"}


def test_a_mail_deleted_meanwhile_is_forgotten(gmail: GmailDouble, work: Work, query: Query) -> None:
    seed(gmail, refusal(1))
    gmail.fail("messages.get", status=404)
    summary = work()
    assert (summary.failed, summary.new) == (0, 1)
    assert query("SELECT state FROM mails") == [{"state": "gone"}]
    assert work() == QUIET


def test_a_verdict_the_database_does_not_take_is_a_failure_of_its_mail_only(
    gmail: GmailDouble, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Verdict:
        def record(self) -> dict[str, Any]:
            return dict.fromkeys(store.RECORD_KEYS) | {"kind": "failed", "source": "x", "diagnostic": object()}

    seed(gmail, refusal(1, recipient="trap@client.example"), refusal(2))
    real = judge.classify
    trap = "trap@client.example"
    monkeypatch.setattr(
        judge,
        "classify",
        lambda found, source: [Verdict()] if found.failures[0].recipient == trap else real(found, source),
    )
    summary = work()
    assert (summary.judged, summary.failed) == (1, 1)
    assert "ProgrammingError" in summary.failures[0][1]


# When Gmail is away


def test_gmail_away_in_the_middle_loses_nothing(gmail: GmailDouble, work: Work, query: Query) -> None:
    seed(gmail, *(refusal(number) for number in range(15)))
    gmail.fail("batch", nth=2, times=None, status=503)
    with pytest.raises(TryLater):
        work()
    assert query("SELECT count(*) AS n FROM verdicts") == [{"n": 10}]
    assert query("SELECT * FROM state") == []
    (run,) = query("SELECT * FROM runs")
    assert run["error"]
    assert run["new"] is None
    gmail.clear_faults()
    summary = work()
    assert (summary.new, summary.actions) == (5, 15)
    assert query("SELECT count(*) AS n FROM verdicts") == [{"n": 15}]


def test_dead_credentials_are_told_and_recorded(gmail: GmailDouble, work: Work, query: Query) -> None:
    gmail.oauth.kill_refresh_tokens()
    gmail.clock.advance(7200)
    gmail.fail("messages.list", times=None, status=401)
    with pytest.raises(CredentialsDead):
        work()
    assert query("SELECT error FROM runs")[0]["error"]
    assert query("SELECT * FROM state") == []


def test_a_label_gmail_refuses_stays_planned_and_the_others_are_set(
    gmail: GmailDouble, work: Work, query: Query
) -> None:
    first, second = seed(gmail, refusal(1, original_id="a@example.org"), refusal(2, original_id="b@example.org"))
    assert gmail.messages[first].thread_id != gmail.messages[second].thread_id
    gmail.fail("threads.modify", status=400)
    assert work().actions == 1
    assert [row["state"] for row in query("SELECT state FROM actions ORDER BY state")] == ["done", "planned"]
    assert work().actions == 1
    assert user_labels(gmail, first) == user_labels(gmail, second) == {"Bounce/Remote rejection"}


def test_a_thread_deleted_meanwhile_drops_its_action(gmail: GmailDouble, work: Work, query: Query) -> None:
    seed(gmail, refusal(1))
    gmail.fail("threads.modify", times=None, status=404)
    assert work().actions == 0
    (action,) = query("SELECT state, error FROM actions")
    assert action["state"] == "dropped"
    assert action["error"]


# From when on


def test_the_first_run_looks_back_a_month_and_since_decides_otherwise(gmail: GmailDouble, settings: Settings) -> None:
    for days in (1, 10, 40):
        gmail.seed(refusal(days), received_at=NOW - timedelta(days=days))
    assert len(worker.dry_run(settings, clock).outcomes) == 2
    assert len(worker.dry_run(settings, clock, since=NOW - timedelta(days=5)).outcomes) == 1
    assert len(worker.dry_run(settings, clock, since=NOW - timedelta(days=50)).outcomes) == 3


def test_later_runs_overlap_and_since_only_looks_further_back(gmail: GmailDouble, work: Work) -> None:
    work()
    gmail.seed(refusal(1), received_at=NOW - timedelta(hours=47))  # search had not shown it in time
    gmail.seed(refusal(2), received_at=NOW - timedelta(hours=50))
    assert work(since=NOW - timedelta(hours=1)).new == 1
    assert work(since=NOW - timedelta(days=3)).new == 1


def test_a_clock_that_was_ahead_hides_nothing(gmail: GmailDouble, settings: Settings) -> None:
    worker.run(settings, lambda: NOW + timedelta(days=365))
    seed(gmail, refusal(1))
    assert worker.run(settings, clock).new == 1


def test_subjects_of_other_languages_are_the_users(gmail: GmailDouble, settings: Settings) -> None:
    mail = refusal(1).replace(b"Undelivered Mail Returned to Sender", b"Unzustellbar")
    seed(gmail, mail.replace(b"Mail Delivery <mailer-daemon@", b"<robot@"))
    assert worker.dry_run(settings, clock).outcomes == ()
    assert len(worker.dry_run(replace(settings, subjects=("Unzustellbar",)), clock).outcomes) == 1


def test_a_delay_that_ended_is_noted(gmail: GmailDouble, work: Work, query: Query) -> None:
    seed(gmail, delay(1))
    work()
    seed(gmail, refusal(2), minutes=1)
    work()
    failed = query("SELECT id FROM verdicts WHERE kind = 'failed'")[0]["id"]
    assert query("SELECT superseded_by FROM verdicts WHERE kind = 'delayed'") == [{"superseded_by": failed}]


# One at a time


def test_a_second_run_at_the_same_time_is_for_later(gmail: GmailDouble, work: Work, settings: Settings) -> None:
    with locked(settings.database):
        with pytest.raises(TryLater, match="Another run is at work") as caught:
            work()
        assert caught.value.exit_code == 75
        with pytest.raises(TryLater):
            worker.run_local(settings, clock, [os.devnull])
        worker.dry_run(settings, clock)
    assert work() == QUIET


def test_a_folder_that_cannot_be_written_is_a_configuration_error(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError):
        worker.run(replace(settings, database=tmp_path / "file/triage.db"), clock)


# Dry run


def test_a_dry_run_tells_what_a_run_would_do_and_writes_nothing(
    gmail: GmailDouble, settings: Settings, tmp_path: Path
) -> None:
    (message_id,) = seed(gmail, refusal(1))
    before = sorted(tmp_path.iterdir())
    plan = worker.dry_run(settings, clock)
    assert sorted(tmp_path.iterdir()) == before
    assert set(gmail.quota.calls) == {"messages.list", "batch", "messages.get"}
    assert user_labels(gmail, message_id) == set()
    (outcome,) = plan.outcomes
    assert isinstance(outcome, judge.Judged)
    assert [action.payload["label"] for action in outcome.actions] == ["Bounce/Remote rejection"]
    done = worker.run(settings, clock)
    assert (plan.summary.new, plan.summary.judged, plan.summary.actions) == (done.new, done.judged, done.actions)
    assert worker.dry_run(settings, clock).outcomes == (), "it knows what was judged"


# Files


def test_files_are_judged_and_stored_and_touch_no_gmail(
    gmail: GmailDouble, settings: Settings, query: Query, tmp_path: Path
) -> None:
    box = tmp_path / "box"
    box.mkdir()
    (box / "a.eml").write_bytes(refusal(1, genuine="unknown"))
    (box / "b.eml").write_bytes(newsletter(2))
    (box / "c.eml").write_bytes(refusal(1, genuine="unknown"))
    os.symlink("nowhere", box / "d.eml")
    summary = worker.run_local(settings, clock, [box])
    assert (summary.new, summary.judged, summary.not_bounces, summary.failed, summary.actions) == (3, 1, 1, 1, 0)
    assert summary.failures == ((f"{box}/d.eml", "No such file or directory"),)
    assert gmail.quota.http_requests == 0
    mails = query("SELECT source, received_at, raw IS NOT NULL AS has_raw FROM mails")
    assert mails == [
        {"source": f"{box}/a.eml", "received_at": "2026-11-24T09:00:01Z", "has_raw": 1},
        {"source": f"{box}/b.eml", "received_at": None, "has_raw": 0},
    ]
    assert query("SELECT * FROM actions") == query("SELECT * FROM state") == []
    (box / "d.eml").unlink()
    assert worker.run_local(settings, clock, [box]) == RunSummary()


def test_a_dry_run_over_files_writes_nothing(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(refusal(1))
    (tmp_path / "b.eml").write_bytes(newsletter(2))
    plan = worker.dry_run_local(settings, [tmp_path / "a.eml", tmp_path / "b.eml"])
    assert (plan.summary.judged, plan.summary.not_bounces) == (1, 1)
    assert [outcome.mail.source for outcome in plan.outcomes] == [str(tmp_path / "a.eml")]
    assert plan.outcomes[0].mail.raw is None, "a dry run over a large mbox must not hold it in memory"
    assert not settings.database.exists()


def test_any_file_name_can_be_recorded(settings: Settings, tmp_path: Path, query: Query) -> None:
    name = os.fsencode(tmp_path) + b"/\xff.eml"
    with open(name, "wb") as file:
        file.write(refusal(1))
    assert worker.run_local(settings, clock, [os.fsdecode(name)]).judged == 1
    assert query("SELECT source FROM runs") == [{"source": f"{tmp_path}/?.eml"}]


def test_a_wrong_path_stops_before_anything_is_made(settings: Settings) -> None:
    with pytest.raises(UsageError):
        worker.run_local(settings, clock, ["nowhere"])
    assert not settings.database.exists()


def test_a_file_our_code_trips_over_is_judged_by_the_next_run(
    gmail: GmailDouble, settings: Settings, tmp_path: Path, query: Query
) -> None:
    (tmp_path / "a.eml").write_bytes(refusal(1, genuine="unknown"))
    with pytest.MonkeyPatch.context() as patch:
        trip_over(patch, b"")
        assert worker.run_local(settings, clock, [tmp_path / "a.eml"]).failed == 1
    assert worker.run(settings, clock).judged == 1
    assert query("SELECT state, gmail_id FROM mails") == [{"state": "judged", "gmail_id": None}]
    assert gmail.quota.calls["messages.list"] == 1


def test_the_database_is_closed_after_a_run(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Database] = []
    real = store.open_store

    def remember(path: Path) -> Database:
        opened.append(real(path))
        return opened[-1]

    monkeypatch.setattr(store, "open_store", remember)
    work()
    with pytest.raises(Exception, match="closed"):
        opened[0].execute("SELECT 1")
