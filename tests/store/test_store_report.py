"""What the report reads: exact counts that scan nothing large, what was reached after all, and the tables of others."""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.worlds.made_mails import NOW
from triage import store
from triage.config import Settings
from triage.report.build import read_report
from triage.report.text import report_text

SORTS = (
    ("failed", "smtp-credentials", "own"),
    ("failed", "remote-rejection", "remote"),
    ("failed", "unverified", "remote"),
    ("delayed", "delayed", "remote"),
    ("auto-reply", None, None),
)


def text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def add(db: Any, at: datetime, sort: int = 0, **changes: Any) -> int:
    """A verdict as it stands in the database; returns its id."""
    kind, category, side = SORTS[sort]
    mail = db.execute(
        "INSERT INTO mails (source, seen_at, state, tries, thread_id) VALUES ('x', ?, 'judged', 1, '19a1')", [text(at)]
    )
    values: dict[str, Any] = {
        "mail_id": mail.lastrowid,
        "position": 0,
        "received_at": text(at),
        "source": "x",
        "kind": kind,
        "recipient": "Pat@client.example",
        "category": category,
        "side": side,
        "genuine": "pass",
        "cause": "alias-credentials-rejected" if category else None,
        "message_id": "m1@mail.gmail.com",
        "fix": '["a", "b"]',
        "links": '["https://support.google.com/x"]',
    }
    if any(column.name == "proof" for column in db["verdicts"].columns):
        values["proof"] = None if category == "unverified" else "sent"
    values |= changes
    names = ", ".join(f'"{name}"' for name in values)
    done = db.execute(f"INSERT INTO verdicts ({names}) VALUES ({', '.join('?' * len(values))})", [*values.values()])
    return int(done.lastrowid)


def counted(rows: list[dict[str, Any]]) -> Counter[tuple[Any, ...]]:
    found = Counter[tuple[Any, ...]]()
    for row in rows:
        found[row["day"], row["kind"], row["category"], row["side"]] += row["verdicts"]
    return found


def by_hand(db: Any, since: datetime, until: datetime | None) -> Counter[tuple[Any, ...]]:
    rows = db.execute(
        "SELECT substr(received_at, 1, 10), kind, category, side FROM verdicts"
        " WHERE received_at >= ? AND received_at < ?",
        [text(since), text(until) if until else "9999"],
    )
    return Counter(rows)


def test_counts_are_exact_whatever_the_moments_and_whatever_is_changed_later(db: Any) -> None:
    chance = random.Random(7)
    start = NOW - timedelta(days=3)
    ids = [add(db, start + timedelta(seconds=chance.randrange(3 * 86400)), chance.randrange(5)) for _ in range(400)]
    ids += [add(db, start + timedelta(hours=hour), 1) for hour in range(72)]  # on the hour, where an edge could be off
    for verdict_id in chance.sample(ids, 40):
        db.execute("DELETE FROM verdicts WHERE id = ?", [verdict_id])
    for verdict_id in chance.sample(ids, 60):
        kind, category, side = SORTS[chance.randrange(5)]
        moved = text(start + timedelta(seconds=chance.randrange(3 * 86400)))
        db.execute(
            "UPDATE verdicts SET kind = ?, category = ?, side = ?, received_at = ? WHERE id = ?",
            [kind, category, side, moved, verdict_id],
        )
    db.execute("UPDATE verdicts SET superseded_by = NULL, recipient = 'x'")  # concerns no count
    moments = [start, NOW, *(start + timedelta(seconds=chance.randrange(3 * 86400)) for _ in range(30))]
    moments += [start + timedelta(hours=hour) for hour in (1, 2, 50)]
    for since in moments:
        for until in (None, *(moment for moment in moments if moment > since)):
            assert counted(store.day_counts(db, since, until)) == by_hand(db, since, until), (since, until)


def test_counts_take_over_what_a_database_of_an_older_version_holds(tmp_path: Path) -> None:
    """The step that makes the table counts what is there."""
    from sqlite_utils import Database

    from triage.store.steps import migrations

    db = Database(tmp_path / "old.db")
    migrations.apply(db, stop_before="m020_report")
    for number in range(5):
        add(db, NOW - timedelta(hours=number), number)
    db.conn.commit()
    migrations.apply(db)
    assert counted(store.day_counts(db, NOW - timedelta(days=2))) == by_hand(db, NOW - timedelta(days=2), None)
    db.close()


@pytest.mark.parametrize(
    ("question", "arguments"),
    [
        ("report_rows", [NOW, 10]),
        ("day_counts", [NOW - timedelta(days=7), NOW]),
        ("first_seen", [["alias-credentials-rejected"]]),
        ("recorded_since", []),
        ("verdicts_numbered", [[1, 2]]),
        ("delivered_later", [[1, 2]]),
        ("incidents_of", [NOW]),
        ("event_counts", [NOW - timedelta(days=7), NOW]),
    ],
)
def test_no_question_reads_all_verdicts_or_events(db: Any, question: str, arguments: list[Any]) -> None:
    """A report over a million verdicts must take less than a second; benchmarks/report.py measures it."""
    add(db, NOW)
    db.execute(
        "INSERT INTO events (kind, recipient, ses_message_id, event_id, at, seen_at)"
        " VALUES ('Delivery', 'x', 'y', 'z', '', '')"
    )
    asked: list[tuple[str, Any]] = []
    with db.tracer(lambda sql, values: asked.append((sql, values))):
        answer = getattr(store, question)(db, *arguments)
    assert answer is not None
    plans = [
        row[3]
        for sql, values in asked
        for row in db.conn.execute(f"EXPLAIN QUERY PLAN {sql}", values or [])
        if sql.lstrip().startswith("SELECT")
    ]
    assert plans
    for step in plans:
        assert not step.startswith(("SCAN verdicts", "SCAN v ", "SCAN events", "SCAN m")) or "INDEX" in step, plans
        assert "SCAN v" not in step.removeprefix("SCAN verdict_hours"), plans


def test_what_is_read_of_a_verdict(db: Any) -> None:
    verdict_id = add(db, NOW, **{"from": "admin@queenofsandiego.com", "subject": "Charter"})
    (row,) = store.report_rows(db, NOW, 10)
    assert (row["id"], row["sender"], row["subject"], row["thread_id"]) == (
        *(verdict_id, "admin@queenofsandiego.com"),
        *("Charter", "19a1"),
    )
    found = store.verdicts_numbered(db, [verdict_id, 99])
    assert {number: record["links"] for number, record in found.items()} == {
        verdict_id: ["https://support.google.com/x"]
    }
    assert store.first_seen(db, ["alias-credentials-rejected", "x"]) == {"alias-credentials-rejected": text(NOW)}


def test_a_forged_bounce_is_no_first_sight(db: Any) -> None:
    add(db, NOW - timedelta(days=9), 2)
    add(db, NOW)
    assert store.first_seen(db, ["alias-credentials-rejected"]) == {"alias-credentials-rejected": text(NOW)}


def event(db: Any, kind: str, recipient: str = "pat@client.example", **changes: Any) -> None:
    values = {
        "kind": kind,
        "recipient": recipient,
        "ses_message_id": "s1",
        "event_id": f"{kind}{recipient}{changes}",
        "at": text(NOW),
        "seen_at": text(NOW),
    } | changes
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    db.execute(f"INSERT INTO events ({names}) VALUES ({marks})", [*values.values()])


@pytest.mark.parametrize(
    ("changes", "was_reached"),
    [
        ({"client_id": "m1@mail.gmail.com"}, True),
        ({"client_id": "other@mail.gmail.com"}, False),
        ({"client_id": "m1@mail.gmail.com", "recipient": "else@client.example"}, False),
        ({"ses_message_id": "s9"}, True),
    ],
)
def test_a_delivery_of_the_same_mail_to_the_same_person_ends_it(
    db: Any, changes: dict[str, Any], was_reached: bool
) -> None:
    verdict_id = add(db, NOW - timedelta(hours=1), ses_message_id="s9")
    assert store.delivered_later(db, [verdict_id]) == set()
    event(db, "Delivery", **changes)
    assert store.delivered_later(db, [verdict_id]) == ({verdict_id} if was_reached else set())


def test_events_are_counted_by_region_and_by_what_counts(db: Any) -> None:
    for number in range(3):
        event(db, "Send", f"{number}@x.example", ses_region="us-east-1")
    event(db, "Bounce", ses_region="us-east-1", words="Permanent/General: smtp; 550 5.1.1 user unknown")
    event(db, "Bounce", "b@x.example", ses_region="us-east-1", words="Permanent/OnAccountSuppressionList: x")
    event(db, "Bounce", "c@x.example", ses_region="us-east-1", words="Transient/MailboxFull: x")
    event(db, "Bounce", "d@x.example", ses_region="us-west-2", words=None)
    event(db, "Send", "late@x.example", at=text(NOW + timedelta(days=1)))
    found = store.event_counts(db, NOW - timedelta(days=1), NOW + timedelta(hours=1))
    assert {(row["ses_region"], row["kind"], bool(row["counts"]), row["number"]) for row in found} == {
        ("us-east-1", "Send", False, 3),
        ("us-east-1", "Bounce", True, 1),
        ("us-east-1", "Bounce", False, 2),
        ("us-west-2", "Bounce", False, 1),
    }


def audit(db: Any, at: datetime, total: int, state: str = "ok", answered: str = "fine") -> None:
    audit_id = db.execute(
        "INSERT INTO audits (at, domains, regions, calls, seconds, not_asked)"
        " VALUES (?, '[\"example.org\"]', '[]', '{}', 1, '[]')",
        [text(at)],
    ).lastrowid
    for check, subject, of, says, numbers in (
        ("suppression-list", "us-east-1", "ok", "x", {"total": total}),
        ("spf-record", "example.org", state, answered, {}),
    ):
        db.execute(
            'INSERT INTO findings (audit_id, "check", subject, state, severity, asked, answered, meaning, fix, by_hand,'
            " leaves_open, figures) VALUES (?, ?, ?, ?, 'high', '', ?, '', '[]', '', '[]', ?)",
            [audit_id, check, subject, of, says, json.dumps(numbers)],
        )


def test_a_report_tells_what_the_tables_of_others_hold(db: Any, plain: Settings) -> None:
    add(db, NOW - timedelta(hours=2))
    event(db, "Send", ses_region="us-east-1", at=text(NOW - timedelta(hours=1)))
    audit(db, NOW - timedelta(days=10), 20)
    audit(db, NOW - timedelta(days=1), 31, "fail", "two records")
    db.execute(
        "INSERT INTO incidents (key, kind, state, cause, sender, openings, first_at, last_at, detected_at) VALUES"
        " ('alias a', 'alias', 'open', 'alias-credentials-rejected', 'admin@queenofsandiego.com', 1, ?, ?, ?)",
        [text(NOW - timedelta(hours=2))] * 3,
    )
    db.execute("UPDATE verdicts SET incident_id = 1")
    report = read_report(db, plain, since=NOW - timedelta(days=7), now=NOW)
    assert [(one.addresses, one.before) for one in report.suppression] == [(31, 20)]
    assert [(one.check, one.before, one.after) for one in report.drift] == [("spf-record", "ok", "fail")]
    assert [(one.people, one.closed_at, one.side) for one in report.incidents] == [(1, None, "own")]
    assert [(one.mails, one.is_counted) for one in report.rates] == [(1, True)]
    told = report_text(report, full=True)
    for heading in ("Incidents:", "BOUNCE RATE AGAINST", "SUPPRESSION LIST", "CHANGED IN YOUR SETUP"):
        assert heading in told


def test_empty_tables_make_no_noise(db: Any, plain: Settings) -> None:
    report = read_report(db, plain, since=NOW - timedelta(days=7), now=NOW)
    assert report_text(report, full=True).splitlines()[1:] == [
        *("  Nothing came in.", "", "ON YOUR SIDE", "  The mailbox has not been read yet."),
        *("", "LAST RUNS", "  None yet."),
    ]


def test_a_verdict_tells_whether_its_incident_is_over(db: Any) -> None:
    add(db, NOW - timedelta(hours=9))
    add(db, NOW - timedelta(hours=2))
    assert [row["over_at"] for row in store.report_rows(db, NOW - timedelta(days=7), 10)] == [None, None]
    opened, closed = text(NOW - timedelta(hours=3)), text(NOW - timedelta(hours=1))
    db.execute(
        "INSERT INTO incidents (key, kind, state, cause, openings, first_at, last_at, detected_at) VALUES"
        " ('alias a', 'alias', 'open', 'alias-credentials-rejected', 2, ?, ?, ?)",
        [opened] * 3,
    )
    db.execute("UPDATE verdicts SET incident_id = 1")
    newest, older = store.report_rows(db, NOW - timedelta(days=7), 10)
    assert newest["over_at"] is None
    assert older["over_at"] is not None  # of the time before: the incident opened anew
    db.execute(
        "UPDATE incidents SET state = 'closed', closed_at = ?, closed_by = 'by-hand', closed_why = 'x'", [closed]
    )
    rows = store.report_rows(db, NOW - timedelta(days=7), 10)
    assert {(row["over_at"], row["over_by"], row["over_why"]) for row in rows} == {(closed, "by-hand", "x")}


def test_only_a_run_that_came_to_its_end_has_read_the_mailbox(db: Any, plain: Settings) -> None:
    def reading() -> tuple[str | None, str | None]:
        found = read_report(db, plain, since=NOW - timedelta(days=7), now=NOW).reading
        return found.read_at, found.stopped_why

    store.finish_run(db, store.start_run(db, "some/folder", NOW), NOW, {})
    assert not read_report(db, plain, since=NOW - timedelta(days=7), now=NOW).reading.is_mailbox
    store.finish_run(db, store.start_run(db, "gmail", NOW - timedelta(hours=2)), NOW, {}, error="no sign-in")
    assert reading() == (None, "no sign-in")
    store.finish_run(db, store.start_run(db, "gmail", NOW - timedelta(hours=1)), NOW, {})
    assert reading() == (text(NOW - timedelta(hours=1)), None)
    store.start_run(db, "gmail", NOW)  # at work, or killed
    assert reading() == (text(NOW - timedelta(hours=1)), None)
    store.finish_run(db, store.start_run(db, "gmail", NOW), NOW, {}, error="the sign-in is dead")
    assert reading() == (text(NOW - timedelta(hours=1)), "the sign-in is dead")


def test_a_mail_given_again_is_known_by_person_and_message(db: Any) -> None:
    for way, state in (("draft", "done"), ("ses", "done"), ("ses", "started")):
        db.execute(
            "INSERT INTO resends (original_id, recipient, way, state, message_id, verdict_id, started_at)"
            " VALUES (?, 'pat@client.example', ?, ?, 'x', 1, '')",
            [f"m{state}@mail.gmail.com", way, state],
        )
    assert store.resent(db) == {("pat@client.example", "mdone@mail.gmail.com"): "ses"}
