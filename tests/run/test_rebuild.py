"""`triage rebuild`: the database again from the mailbox, and nothing in the mailbox twice or anew."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.doubles.gmail import GmailDouble
from tests.run.test_run_items import poison
from tests.run.test_run_sizes import large
from tests.worlds.made_mails import alias_notice, minutes_ago, refusal
from tests.worlds.run_world import ask, clock, seed, settings_over
from triage import rebuild as making
from triage import run as worker
from triage import store
from triage.config import Settings
from triage.errors import ConfigError, TryLater
from triage.lock import locked

RESENT = (
    "INSERT INTO resends (original_id, recipient, way, state, message_id, verdict_id, started_at)"
    " VALUES ('a@mail.example', 'b@example.org', 'ses', 'done', 'c@mail.example', 1, '2026-11-24T09:00:00Z')"
)
SHAPED = (
    "SELECT m.gmail_id, v.kind, v.recipient, v.cause, v.proof FROM verdicts v"
    " JOIN mails m ON m.id = v.mail_id ORDER BY 1, 3"
)
ACTIONS = "SELECT kind, target, state, payload FROM actions ORDER BY kind, target"


@pytest.fixture
def settings(gmail: GmailDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    settings = settings_over(gmail, tmp_path, monkeypatch, modules=(worker, making))
    seed(gmail, alias_notice(1), refusal(2, original_id="mail-3@example.org"))
    worker.run(settings, clock)
    return settings


def mailbox(gmail: GmailDouble) -> dict[str, frozenset[str]]:
    return {id_: frozenset(gmail.labels_of(id_)) for id_ in gmail.messages}


def damage(settings: Settings) -> None:
    """Half of the pages are noise; what SQLite can still read of it can be read."""
    os.truncate(settings.database, settings.database.stat().st_size // 2 // 4096 * 4096)


def test_verdicts_labels_and_notes_are_on_record_again_and_nothing_is_done_twice(
    gmail: GmailDouble, settings: Settings
) -> None:
    verdicts, actions, before = ask(settings, SHAPED), ask(settings, ACTIONS), mailbox(gmail)
    assert {action["state"] for action in actions} == {"done"}
    assert {action["kind"] for action in actions} == {"label", "note"}
    damage(settings)
    with pytest.raises(ConfigError, match="damaged"):
        worker.run(settings, clock)
    gmail.reset_counters()
    done = making.rebuild(settings, clock)
    assert {name for name in gmail.quota.calls if "modify" in name or "insert" in name or "trash" in name} == set()
    assert (done.mails, done.failed, done.planned) == (2, 0, 0)
    assert (done.labels, done.notes) == tuple(sum(a["kind"] == kind for a in actions) for kind in ("label", "note"))
    assert ask(settings, SHAPED) == verdicts
    assert ask(settings, ACTIONS) == actions
    assert done.aside is not None
    assert done.aside.exists()
    worker.run(settings, clock)
    assert mailbox(gmail) == before


def test_what_the_owner_took_off_stays_off_and_what_is_new_is_done(gmail: GmailDouble, settings: Settings) -> None:
    [alias] = [id_ for id_ in gmail.messages if b"Message-ID: <bounce-1@" in gmail.messages[id_].raw]
    ours = {key for key in gmail.labels_of(alias) if key.startswith("Label")}
    assert ours
    gmail.messages[alias].labels = [key for key in gmail.messages[alias].labels if key not in ours]
    [fresh] = seed(gmail, refusal(3, original_id="mail-4@example.org"), minutes=5)
    settings.database.write_bytes(b"S")
    done = making.rebuild(settings, clock)
    assert done.mails == 3
    worker.run(settings, clock)
    assert ours.isdisjoint(gmail.labels_of(alias)), "taken off by the owner"
    assert any(key.startswith("Label") for key in gmail.labels_of(fresh)), "newer than anything done before"


def test_what_only_the_database_knew_is_carried_over(gmail: GmailDouble, settings: Settings) -> None:
    db = store.open_store(settings.database)
    db.execute(RESENT)
    db.conn.commit()
    db.close()
    done = making.rebuild(settings, clock)
    assert done.salvaged >= 1
    assert done.lost == ()
    assert [row["message_id"] for row in ask(settings, "SELECT * FROM resends")] == ["c@mail.example"]


def test_without_gmail_or_the_lock_the_old_database_stays(gmail: GmailDouble, settings: Settings) -> None:
    before = settings.database.read_bytes()
    with locked(settings.database), pytest.raises(TryLater):
        making.rebuild(settings, clock)
    gmail.fail("messages.list", times=None, status=503)
    with pytest.raises(TryLater):
        making.rebuild(settings, clock)
    gmail.clear_faults()
    assert settings.database.read_bytes() == before
    assert not list(settings.database.parent.glob("triage.db.old-*"))
    assert making.rebuild(settings, clock).mails == 2, "what was left half made is no hindrance"


def test_a_backup_put_back_catches_up_without_doing_anything_twice(
    gmail: GmailDouble, settings: Settings, work: Callable[..., object]
) -> None:
    from triage.store import backups

    backups.back_up(settings.database, minutes_ago(60))
    seed(gmail, refusal(3, original_id="mail-4@example.org"), minutes=5)
    work()
    before = mailbox(gmail)
    settings.database.write_bytes(b"S")
    backups.restore(settings.database, None, minutes_ago(0))
    work()
    assert mailbox(gmail) == before
    assert len(ask(settings, SHAPED)) == 3


# What a run takes care of, a rebuild takes care of, too: it reads by the same loop


def test_a_large_mail_is_judged_by_its_headers_and_one_at_fault_stops_no_other(
    gmail: GmailDouble, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = seed(gmail, large(alias_notice(5), 9_000_000), *(refusal(number) for number in range(6, 10)), minutes=20)
    poison(monkeypatch, ids[2])
    done = making.rebuild(settings, clock)
    assert (done.mails, done.failed) == (7, 1)
    [large_one] = ask(
        settings, "SELECT error, length(raw) < 2000 AS is_small FROM mails WHERE error LIKE 'not fetched%'"
    )
    assert large_one["is_small"]
    [put_off] = ask(settings, "SELECT gmail_id, tries, put_off FROM mails WHERE state = 'failed'")
    assert put_off == {"gmail_id": ids[2], "tries": 0, "put_off": 1}, "Gmail's own trouble counts against no mail"


def test_a_rebuild_that_was_ended_goes_on_from_there(gmail: GmailDouble, settings: Settings) -> None:
    verdicts, actions, before = ask(settings, SHAPED), ask(settings, ACTIONS), mailbox(gmail)
    settings.database.write_bytes(b"S")
    gmail.fail("labels.list", times=None, status=503)
    with pytest.raises(TryLater):
        making.rebuild(settings, clock)
    assert settings.database.read_bytes() == b"S"
    gmail.clear_faults()
    gmail.reset_counters()
    done = making.rebuild(settings, clock)
    assert (done.mails, gmail.quota.calls["messages.get"]) == (2, 0), "what was read is not read again"
    assert (ask(settings, SHAPED), ask(settings, ACTIONS), mailbox(gmail)) == (verdicts, actions, before)
    assert ask(settings, "SELECT * FROM fetches") == []


def test_a_rebuild_by_another_sign_in_begins_anew(gmail: GmailDouble, settings: Settings) -> None:
    gmail.fail("labels.list", times=None, status=503)
    with pytest.raises(TryLater):
        making.rebuild(settings, clock)
    gmail.clear_faults()
    fresh = settings.database.with_name("triage.db.rebuilding")
    with closing(store.open_store(fresh)) as db:
        store.names.keep_owner(db, "other@example.org", "another sign-in")
    gmail.reset_counters()
    assert making.rebuild(settings, clock).mails == 2
    assert gmail.quota.calls["messages.get"] == 2
