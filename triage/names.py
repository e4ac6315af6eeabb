"""Gathers what is known of our own side for the fix of a stored verdict; asks Gmail only where it is told to.

What Gmail says of the account is kept, so that a report or an explanation without sign-in knows it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

from triage import store
from triage.errors import TriageError
from triage.fixes import OwnAccount, OwnAddress, names_of

if TYPE_CHECKING:
    from sqlite_utils import Database

    from remediation.suggest import Names
    from triage.config import Settings
    from triage.gmail import Gmail


def known_names(
    db: Database, settings: Settings, record: Mapping[str, Any], account: OwnAccount | None = None
) -> Names:
    """The names for the fix of a verdict; `account` None: what Gmail said last."""
    return names_of(record, settings, account or store.names.read_account(db), store.names.told_by_events(db, record))


def names_on_record(settings: Settings, record: Mapping[str, Any]) -> Names:
    """The names for the fix of a mail that is in no database, with what the database of the settings knows of ours.

    A database that is not there or cannot be read stops nothing: then the settings alone tell.
    """
    db = None
    if settings.database.exists():  # without one a file is explained without SQLite
        with suppress(TriageError):
            db = store.open_readonly(settings.database)
    if db is None:
        return names_of(record, settings)
    with closing(db):
        return known_names(db, settings, record)


def account_now(db: Database, gmail: Gmail) -> OwnAccount:
    """What Gmail says of the account now (2 units), written down. Raises what Gmail raises."""
    addresses = (OwnAddress(one.address, one.host, one.port) for one in gmail.send_as())
    account = OwnAccount(gmail.profile_address(), tuple(addresses))
    if account != store.names.read_account(db):
        store.names.keep_account(db, account)
    return account


def account_if_told(db: Database, gmail: Gmail | None) -> OwnAccount | None:
    """The same where Gmail tells; what it said last where it does not, or nobody is signed in."""
    if gmail is not None:
        try:
            return account_now(db, gmail)
        except TriageError:
            pass
    return store.names.read_account(db)
