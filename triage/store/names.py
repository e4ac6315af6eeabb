"""The part of the store that knows names of ours for a fix: what Gmail last said of the account, what SES events tell.

Says SQL, judges nothing. Nothing in here comes out of a mail; a mail only says which row is meant.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from parsers.times import moment_from, utc_text
from triage.fixes import OwnAccount, OwnAddress, ToldBySes
from triage.store.database import Row, first_row, keep_state, read_state, transaction

if TYPE_CHECKING:
    from sqlite_utils import Database

SEARCH_ASKED = timedelta(days=1)
"""So long a search that was found to work is believed."""
_COLUMNS = "sender, ses_region, caller, ses_message_id"


def keep_account(db: Database, account: OwnAccount) -> None:
    """Remember what Gmail says of the account, for commands that do not sign in."""
    value = json.dumps({"mailbox": account.mailbox, "send_as": account.send_as})
    with transaction(db):
        keep_state(db, "account", value)


def read_account(db: Database) -> OwnAccount | None:
    """What Gmail last said of the account; None: it was never asked."""
    value = read_state(db, "account")
    if value is None:
        return None
    known = json.loads(value)
    return OwnAccount(known["mailbox"], tuple(OwnAddress(*one) for one in known["send_as"]))


def told_by_events(db: Database, record: Mapping[str, Any]) -> ToldBySes:
    """What events of our own SES, and confirmed renewals of the login, tell about a verdict, stored or not."""
    said = (record.get("original") or {}).get("from")
    sender = said.strip().lower() if said else None
    about: Row = _of_the_mail(db, record.get("id")) or {}
    newest: Row = about or _of_the_sender(db, sender) or {}
    renewed: Row = _renewed(db, sender) or {}
    return ToldBySes(
        sender=newest.get("sender"),
        region=newest.get("ses_region"),
        iam_user=newest.get("caller") or renewed.get("iam_user"),
        ses_message_id=about.get("ses_message_id"),
        access_key_id=renewed.get("key_id"),
    )


def _of_the_mail(db: Database, verdict_id: int | None) -> Row | None:
    """The events name the message and the recipient (see `proofs`), whatever the bounce says beside that."""
    sql = (
        f"SELECT {', '.join(f'e.{column}' for column in _COLUMNS.split(', '))} FROM verdicts v"  # noqa: S608
        " JOIN events e ON e.recipient IN (lower(v.recipient), lower(v.original_recipient))"
        " AND (e.ses_message_id = v.ses_message_id OR e.client_id IN (v.gmail_message_id, v.message_id))"
        " WHERE v.id = ? ORDER BY e.caller IS NULL, e.id LIMIT 1"
    )
    return first_row(db, sql, [verdict_id])


def _of_the_sender(db: Database, sender: str | None) -> Row | None:
    sql = (
        f"SELECT {_COLUMNS} FROM events WHERE kind IN ('Send', 'Delivery') AND sender = ?"  # noqa: S608
        " ORDER BY at DESC LIMIT 1"
    )
    return first_row(db, sql, [sender]) if sender else None


def _renewed(db: Database, alias: str | None) -> Row | None:
    """The user whose login was last renewed and confirmed, and the access key that left in use."""
    return first_row(
        db,
        "SELECT iam_user, iif(reason IS NULL, new_key_id, old_key_id) AS key_id FROM rotations"
        " WHERE lower(alias) = ? AND confirmed_at IS NOT NULL ORDER BY confirmed_at DESC LIMIT 1",
        [alias],
    )


def doubts_search(db: Database, at: datetime, problem: Callable[[], str | None]) -> str | None:
    """Why a search for bounces that found none is not believed; `problem` is asked until it is None, then in a day.

    None also where none was ever seen: then there may be none.
    """
    cursor, asked = (moment_from(read_state(db, key)) for key in ("cursor", "search"))
    if cursor is None or (asked is not None and timedelta(0) <= at - asked < SEARCH_ASKED):
        return None
    found = problem()
    if found is None:
        with transaction(db):
            keep_state(db, "search", utc_text(at))
    return found


def read_owner(db: Database) -> tuple[str | None, str | None]:
    """(address of the mailbox this database is about, mark of the sign-in that was last found to be its own)."""
    return read_state(db, "mailbox"), read_state(db, "sign_in")


def keep_owner(db: Database, address: str, mark: str) -> None:
    """Remember whose mailbox this is, and by which sign-in it was last asked."""
    with transaction(db):
        keep_state(db, "mailbox", address)
        keep_state(db, "sign_in", mark)


def newest_gmail_ids(db: Database, most: int) -> list[str]:
    """Gmail's ids of the newest mails on record."""
    sql = "SELECT gmail_id FROM mails WHERE gmail_id IS NOT NULL AND state = 'judged' ORDER BY id DESC LIMIT ?"
    return [gmail_id for (gmail_id,) in db.execute(sql, [most])]
