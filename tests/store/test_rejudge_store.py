"""What rejudging does to the database: verdicts keep their numbers, what hangs on them follows, a mail is one step."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from tests.doubles.gmail import GmailDouble
from tests.worlds import run_world
from tests.worlds.made_mails import NOW, alias_notice, delay, minutes_ago, newsletter, refusal
from triage import run as worker
from triage import store
from triage.config import Settings
from triage.errors import TryLater
from triage.lock import locked
from triage.owner import rejudge as again
from triage.owner.rejudge import Rejudged
from triage.store import mails
from triage.store.mails import VERDICT_COLUMNS


@pytest.fixture
def settings(gmail: GmailDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return run_world.settings_over(gmail, tmp_path, monkeypatch)


@pytest.fixture
def db(settings: Settings) -> Iterator[Database]:
    """The database of the tests, open beside the program's own."""
    opened = store.open_store(settings.database)
    yield opened
    opened.close()


def judged(gmail: GmailDouble, settings: Settings, *mails: bytes) -> None:
    """Let mails arrive and a run judge them, oldest first."""
    for number, mail in enumerate(mails):
        gmail.seed(mail, received_at=minutes_ago(30 - number))
    worker.run(settings, lambda: NOW)


def pretend(db: Database, sql: str, *values: Any) -> None:
    """Let the database say what an older version might have written."""
    with db.conn:
        db.execute(sql, list(values))


def apply(settings: Settings) -> Rejudged:
    return again.judge_again(settings, NOW, apply=True)


OLD = "UPDATE verdicts SET category = 'unknown', cause = 'unknown', side = 'unknown', rule = 'old'"


def test_what_says_the_same_is_left_alone(gmail: GmailDouble, settings: Settings, db: Database) -> None:
    judged(gmail, settings, alias_notice(1), refusal(2), delay(3), newsletter(4))
    before = list(db.query("SELECT * FROM verdicts"))
    assert apply(settings) == Rejudged(3, (), 0, (), written=True)
    assert list(db.query("SELECT * FROM verdicts")) == before


def test_a_moved_verdict_keeps_its_number_and_gets_its_label(
    gmail: GmailDouble, settings: Settings, db: Database
) -> None:
    judged(gmail, settings, refusal(1))
    pretend(db, OLD)
    pretend(db, "UPDATE actions SET payload = '{\"label\": \"Bounce/Unknown\"}' WHERE kind = 'label'")
    (before,) = db.query("SELECT id, mail_id, received_at FROM verdicts")
    (move,) = again.judge_again(settings, NOW).moves
    assert (move.change, move.verdict_id) == ("moved", before["id"])
    assert move.fields["category"] == ("unknown", "remote-rejection")
    assert list(db.query("SELECT category FROM verdicts")) == [{"category": "unknown"}], "it was only shown"
    assert apply(settings).moves == (move,)
    (after,) = db.query("SELECT id, mail_id, received_at, category, cause, side FROM verdicts")
    assert after == {**before, "category": "remote-rejection", "cause": "recipient-unknown", "side": "remote"}
    assert [(action["kind"], action["payload"]) for action in store.pending_actions(db, NOW)] == [
        ("label", {"label": "Bounce/Remote rejection"})
    ]
    summary = worker.run(settings, lambda: NOW)
    assert (summary.actions, summary.notes) == (1, 0)
    assert apply(settings).moves == ()


def test_other_words_alone_are_written_and_only_counted(gmail: GmailDouble, settings: Settings, db: Database) -> None:
    judged(gmail, settings, refusal(1))
    pretend(db, "UPDATE verdicts SET fix = '[\"Do as before.\"]'")
    result = apply(settings)
    assert (result.moves, result.reworded) == ((), 1)
    assert "Do as before" not in str(list(db.query("SELECT fix FROM verdicts")))
    assert apply(settings).reworded == 0


def test_a_verdict_that_was_missing_is_added_and_one_too_many_goes(
    gmail: GmailDouble, settings: Settings, db: Database
) -> None:
    judged(gmail, settings, refusal(1))
    copied = ", ".join(f'"{name}"' for name in VERDICT_COLUMNS if name != "recipient")
    pretend(
        db,
        f"INSERT INTO verdicts (mail_id, position, received_at, recipient, {copied})"
        f" SELECT mail_id, 1, received_at, 'nobody@client.example', {copied} FROM verdicts",
    )
    (move,) = apply(settings).moves
    assert (move.change, move.recipient) == ("gone", "nobody@client.example")
    assert list(db.query("SELECT recipient FROM verdicts")) == [{"recipient": "pat@client.example"}]
    for table in ("evidence", "actions"):
        pretend(db, f"DELETE FROM {table}")
    pretend(db, "DELETE FROM verdicts")
    (move,) = apply(settings).moves
    assert (move.change, move.verdict_id, move.recipient) == ("added", None, "pat@client.example")
    (row,) = db.query("SELECT received_at, incident_id, cause FROM verdicts v")
    assert (row["received_at"], row["cause"]) == ("2026-11-24T09:00:00Z", "recipient-unknown")


def test_a_mail_that_was_kept_for_study_is_judged(gmail: GmailDouble, settings: Settings, db: Database) -> None:
    judged(gmail, settings, refusal(1))
    for table in ("evidence", "actions", "verdicts"):
        pretend(db, f"DELETE FROM {table}")
    pretend(db, "UPDATE mails SET state = 'kept', error = 'RecursionError: too deep'")
    assert [move.change for move in apply(settings).moves] == ["added"]
    assert list(db.query("SELECT state, error FROM mails")) == [{"state": "judged", "error": None}]


def test_how_a_delay_ended_follows(gmail: GmailDouble, settings: Settings, db: Database) -> None:
    judged(gmail, settings, delay(1), refusal(2))
    sql = "SELECT kind, id, superseded_by FROM verdicts"
    ended = {kind: (number, by) for kind, number, by in db.execute(sql)}
    assert ended["delayed"][1] == ended["failed"][0]
    pretend(db, "UPDATE verdicts SET kind = 'delayed', superseded_by = NULL")
    assert len(apply(settings).moves) == 1
    assert {kind: (number, by) for kind, number, by in db.execute(sql)} == ended
    # And a failure that turns out to be none ends no delay any more.
    pretend(db, "UPDATE mails SET raw = ? WHERE id = 2", zlib.compress(newsletter(2)))
    apply(settings)
    assert [by for (by,) in db.execute("SELECT superseded_by FROM verdicts WHERE kind = 'delayed'")] == [None]


def test_evidence_for_another_question_is_looked_up_anew(gmail: GmailDouble, settings: Settings, db: Database) -> None:
    judged(gmail, settings, refusal(1), refusal(2, original_id="mail-2@example.org"))
    count: Callable[[], int] = lambda: db.execute("SELECT count(DISTINCT verdict_id) FROM evidence").fetchone()[0]  # noqa: E731
    assert count() == 2
    pretend(db, f"{OLD} WHERE id = 1")
    pretend(db, "UPDATE verdicts SET status = '5.0.0' WHERE id = 2")
    assert len(apply(settings).moves) == 2
    assert count() == 1
    worker.run(settings, lambda: NOW)
    assert count() == 2


def test_what_an_event_added_is_not_lost(gmail: GmailDouble, settings: Settings, db: Database) -> None:
    judged(gmail, settings, refusal(1))
    ses = {"ses_message_id": "0100-x-000000", "ses_region": "us-east-1", "ses_id_source": "SES event"}
    pretend(db, f"{OLD}, ses_message_id = ?, ses_region = ?, ses_id_source = ?", *ses.values())
    assert "ses_message_id" not in apply(settings).moves[0].fields
    assert list(db.query(f"SELECT {', '.join(ses)} FROM verdicts")) == [ses]


def test_the_incident_follows_the_verdict(gmail: GmailDouble, settings: Settings, db: Database) -> None:
    judged(gmail, settings, alias_notice(1))
    (incident,) = db.query("SELECT id, state FROM incidents")
    assert incident["state"] == "open"
    pretend(db, "UPDATE mails SET raw = ?", zlib.compress(refusal(1)))
    assert apply(settings).moves[0].fields["side"] == ("own", "remote")
    assert list(db.query("SELECT state, closed_by FROM incidents")) == [{"state": "closed", "closed_by": "emptied"}]
    assert list(db.query("SELECT incident_id FROM verdicts")) == [{"incident_id": None}]


def test_one_bad_mail_stops_nobody_and_is_left_whole(
    gmail: GmailDouble, settings: Settings, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged(gmail, settings, refusal(1), refusal(2, original_id="mail-2@example.org"))
    pretend(db, OLD)
    real = mails.plan_actions

    def broken(opened: Database, mail_id: int, *values: Any) -> None:
        if mail_id == 1:  # the last step of its transaction
            raise ValueError("no")
        real(opened, mail_id, *values)

    monkeypatch.setattr(mails, "plan_actions", broken)
    result = apply(settings)
    assert [why for _, why in result.failed] == ["ValueError: no"]
    assert len(result.moves) == 1
    causes = [cause for (cause,) in db.execute("SELECT cause FROM verdicts ORDER BY id")]
    assert causes == ["unknown", "recipient-unknown"]


def test_nothing_is_written_while_a_run_is_at_work(gmail: GmailDouble, settings: Settings, db: Database) -> None:
    judged(gmail, settings, refusal(1))
    pretend(db, OLD)
    with locked(settings.database):
        with pytest.raises(TryLater):
            apply(settings)
        assert len(again.judge_again(settings, NOW).moves) == 1, "to look is allowed"


def test_a_forged_bounce_gets_no_label(gmail: GmailDouble, settings: Settings, db: Database) -> None:
    judged(gmail, settings, refusal(1, genuine="fail"))
    pretend(db, f"{OLD}, genuine = 'pass'")
    assert apply(settings).moves[0].fields["category"] == ("unknown", "unverified")
    assert store.pending_actions(db, NOW) == []


def test_mails_without_their_bytes_are_not_asked_for(gmail: GmailDouble, settings: Settings, db: Database) -> None:
    judged(gmail, settings, refusal(1))
    pretend(db, "UPDATE mails SET raw = NULL")
    assert store.mails_with_bytes(db) == []
    assert again.judge_again(settings, NOW) == Rejudged(0, (), 0, (), written=False)
