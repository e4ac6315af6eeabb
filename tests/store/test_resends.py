"""Giving a mail once more is written down before anything leaves, and nothing leaves on what is written down."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlite_utils import Database

from triage import store

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)


def begin(db: Database, *people: str, again: bool = False, message_id: str = "1@queenofsandiego.com") -> bool:
    return store.begin_resend(db, "old@x.example", dict.fromkeys(people, 1), "ses", message_id, AT, again=again)


def test_what_was_begun_is_not_begun_again(db: Database) -> None:
    db.execute("PRAGMA foreign_keys = OFF")
    assert begin(db, "pat@client.example")
    assert not begin(db, "Pat@Client.example", message_id="2@queenofsandiego.com")
    assert not begin(db, "kim@client.example", "pat@client.example", message_id="2@queenofsandiego.com")
    assert [row["message_id"] for row in store.resends_in_doubt(db)] == ["1@queenofsandiego.com"]
    assert begin(db, "pat@client.example", again=True, message_id="2@queenofsandiego.com")


def test_what_was_done_is_not_begun_again_and_what_was_refused_is(db: Database) -> None:
    db.execute("PRAGMA foreign_keys = OFF")
    begin(db, "pat@client.example")
    store.refuse_resend(db, "1@queenofsandiego.com", "550 no")
    assert begin(db, "pat@client.example")
    store.finish_resend(db, "1@queenofsandiego.com", AT)
    assert not begin(db, "pat@client.example")
    assert not begin(db, "pat@client.example", again=True)
