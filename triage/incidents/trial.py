"""Tries out the ways to tell the owner: one message by each that says it is only a test.

What came through is recorded, so that whoever looks every quarter of an hour need not send one each time. The address
of a way is a secret and comes back in no words.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from triage import store
from triage.errors import TriageError
from triage.incidents.alerts import ALERT_SENDER
from triage.incidents.channels import Channel, push
from triage.incidents.pings import ping
from triage.letters import IN_INBOX, Place, insert_once, letter_bytes, letter_id

if TYPE_CHECKING:
    from sqlite_utils import Database

    from triage.gmail import Gmail

LATELY = timedelta(days=1)
"""What came through in this time need not be tried again."""
TITLE = "Test: this is how you will hear of broken mail"
BODY = "This is only a test by bounce-triage. Nothing is broken, and nothing is to be done.\n"


def try_push(channel: Channel, at: datetime, db: Database | None) -> str | None:
    """Send the test by Apprise; returns why it was not taken, None when it was. `db` None: nowhere to record it."""
    assert channel.address is not None
    why = push(channel.address, TITLE, BODY, "test")
    if why is None and db is not None:
        store.keep_tried(db, channel.name, at)
    return why


def try_inbox(gmail: Gmail, db: Database, at: datetime) -> str | None:
    """Put the test into the inbox; returns why that failed, None when it is there."""
    own_id = letter_id(f"alert test\n{at.isoformat()}")
    try:
        return insert_once(
            gmail, db, f"alert {own_id}", own_id, partial(_letter, gmail, own_id, at), label_ids=IN_INBOX, now=at
        ).why
    except TriageError as error:
        return error.what


def try_watcher(address: str) -> str | None:
    """Send the watcher a line for its log, which it takes neither for a start nor for an end; returns why in vain."""
    # https://healthchecks.io/docs/http_api/ "Send a Log Event": it does not alter the state of the check.
    return ping(address, "log", BODY)


def told_lately(db: Database, channel: Channel, at: datetime) -> datetime | None:
    """When a channel took something in the last day; None: it did not."""
    told_at = store.last_told(db, channel.name)
    return told_at if told_at and timedelta(0) <= at - told_at < LATELY else None


def _letter(gmail: Gmail, own_id: str, at: datetime) -> bytes:
    return letter_bytes("alert", ALERT_SENDER, Place(own_id, TITLE), at, BODY, to=gmail.profile_address())
