"""Gets a login into Gmail: by the API where a service account may, else as a note in the threads that failed.

The note says every click with the real values and never the password. Prints nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from remediation.credentials import Relay
from remediation.rotation import Rotation, StepFailed, Stop, Wait, hand_over
from triage import store
from triage.config import Settings
from triage.errors import ConfigError, TriageError
from triage.letters import IN_INBOX, NOTE_SENDER, Place, insert_once, letter_bytes, note_place
from triage.model import Clock
from triage.rotation import turns as rotations
from triage.rotation.turns import Standing

if TYPE_CHECKING:
    from sqlite_utils import Database

    from triage.gmail import Gmail

NOTE_SPAN = timedelta(days=30)
"""How old a failure may be whose thread still gets the note."""
MAX_NOTES = 5


def connector(settings: Settings) -> Callable[[], Gmail] | None:
    """How to reach the mailbox; None: nobody is signed in."""
    if not settings.token.exists():
        return None

    def connect() -> Gmail:
        from triage.gmail import connect as connected

        return connected(settings.token, url=settings.gmail_url)

    return connect


def by_api(settings: Settings, clock: Clock, rotation: Rotation, tell: Callable[[str], None]) -> Standing:
    """Enter the login to be kept by the service account and read it back. After an abort the new key goes then.

    Raises ConfigError, CredentialsDead or TryLater; both keys work whatever happens.
    """
    from triage.gmail import update_alias

    assert settings.service_account is not None
    if rotation.alias is None:
        raise ConfigError("Which alias is to be changed is not named.", "Set `smtp_alias`, or add --by-hand.")
    login = rotations.kept_login(rotation)
    if isinstance(login, StepFailed):
        return Standing(rotation, login)
    if login is None:
        return Standing(
            rotation,
            Stop(
                "The secret does not hold the old password, so it cannot be given back to Gmail.",
                "If Gmail still has it: triage credentials rotate abort --gmail-has-old",
            ),
        )
    said = update_alias(
        settings.service_account,
        _mailbox(settings),
        rotation.alias,
        login,
        Relay(rotation.host, rotation.port, "ssl" if rotation.security == "ssl" else "starttls"),
        url=settings.gmail_url,
    )
    tell(said + ".")
    if rotation.keeps == "old":
        return rotations.abort(settings, clock, tell, gmail_has_old=True)
    rotations.change(settings, rotation, evidence=said)
    return Standing(rotations.stored(settings)[0], Wait("Gmail has the new login."))


def by_note(settings: Settings, rotation: Rotation, now: datetime) -> list[str]:
    """Put the hand-over into the threads of recent alias failures, once each; returns what went wrong with that."""
    connect = connector(settings)
    if not (settings.notes and connect and settings.database.exists()):
        return []
    try:
        with closing(store.open_store(settings.database)) as db:
            failures = store.failures_of_alias(db, rotation.alias, now - NOTE_SPAN)
            threads = {row["thread_id"]: row for row in failures if row["thread_id"]}
            if not threads:
                return []
            with closing(connect()) as gmail:
                to = gmail.profile_address()
                told = [_noted(gmail, db, to, rotation, row, now) for row in list(threads.values())[-MAX_NOTES:]]
    except TriageError as error:
        told = [error.what]
    return [f"The note in the thread could not be written: {why}" for why in told if why]


def _noted(
    gmail: Gmail, db: Database, to: str, rotation: Rotation, row: Mapping[str, Any], now: datetime
) -> str | None:
    """Put the hand-over into the thread of one failure; why it is not there for certain, None: no more can be done."""
    thread_id = row["thread_id"]
    place = note_place(
        f"rotation {rotation.id} {rotation.keeps}",
        thread_id,
        thread_id,
        subject=_subject(store.read_raw(db, row["mail_id"])),
        message_id=row["bounce_message_id"],
        references=(),
    )
    if place is None:
        return None
    note, own_id = partial(_note, rotation, place, to, now), place.message_id
    return insert_once(
        gmail, db, f"rotation {own_id}", own_id, note, thread_id=thread_id, label_ids=IN_INBOX, now=now
    ).why


def _note(rotation: Rotation, place: Place, to: str, now: datetime) -> bytes:
    text = "\n\n".join(hand_over(rotation, now)) + "\n"
    return letter_bytes("rotation", NOTE_SENDER, place, now, text, to=to)


def _subject(raw: bytes | None) -> str | None:
    """The subject of the bounce: only under the same one does a note join its thread."""
    from parsers.mime import open_headers_of

    return open_headers_of(raw).get("subject") if raw else None


def _mailbox(settings: Settings) -> str:
    if settings.mailbox:
        return settings.mailbox
    connect = connector(settings)
    if connect is None:
        raise ConfigError("Whose alias is to be changed is not named.", "Set `mailbox` to the Gmail address.")
    with closing(connect()) as gmail:
        return gmail.profile_address()
