"""Gets a login into Gmail: by the API where a service account may, else as a note in the threads that failed.

The note says every click with the real values and never the password. Prints nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

from remediation.credentials import Relay
from remediation.rotation import Rotation, Stop, Wait
from remediation.rotation_steps import Failed
from remediation.rotation_words import hand_over
from triage import rotations, store, store_rotations
from triage.config import Settings
from triage.database import open_readonly
from triage.errors import ConfigError, TriageError
from triage.note import NOTE_HEADER, NOTE_SENDER, note_place
from triage.rotations import Clock, Outcome

if TYPE_CHECKING:
    from triage.gmail import Gmail

LOOK_BACK = timedelta(days=30)
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


def by_api(settings: Settings, clock: Clock, rotation: Rotation, tell: Callable[[str], None]) -> Outcome:
    """Enter the login to be kept by the service account and read it back. After an abort the new key goes then.

    Raises ConfigError, CredentialsDead or TryLater; both keys work whatever happens.
    """
    from triage.gmail_delegation import update_alias

    assert settings.service_account is not None
    if rotation.alias is None:
        raise ConfigError("Which alias is to be changed is not named.", "Set `smtp_alias`, or add --by-hand.")
    login = rotations.kept_login(rotation)
    if isinstance(login, Failed):
        return Outcome(rotation, login)
    if login is None:
        return Outcome(
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
    return Outcome(rotations.stored(settings)[0], Wait("Gmail has the new login."))


def by_note(settings: Settings, rotation: Rotation, now: datetime) -> list[str]:
    """Put the hand-over into the threads of recent alias failures, once each; returns what went wrong with that."""
    connect = connector(settings)
    db = open_readonly(settings.database)
    if db is None:
        return []
    with closing(db):
        failures = store_rotations.alias_failures(db, rotation.alias, now - LOOK_BACK)
        threads = {row["thread_id"]: row for row in failures if row["thread_id"]}
        subjects = {row["mail_id"]: _subject(store.read_raw(db, row["mail_id"])) for row in threads.values()}
    if not (settings.notes and connect and threads):
        return []
    try:
        with closing(connect()) as gmail:
            mailbox = gmail.profile_address()
            for row in list(threads.values())[-MAX_NOTES:]:
                _insert_once(gmail, mailbox, rotation, row | {"subject": subjects[row["mail_id"]]}, now)
    except TriageError as error:
        return [f"The note in the thread could not be written: {error.what}"]
    return []


def _subject(raw: bytes | None) -> str | None:
    """The subject of the bounce: only under the same one does a note join its thread."""
    from parsers.mime import open_headers_of

    return open_headers_of(raw).get("subject") if raw else None


def _insert_once(gmail: Gmail, mailbox: str, rotation: Rotation, row: dict[str, Any], now: datetime) -> None:
    thread_id = row["thread_id"]
    place = note_place(
        f"rotation {rotation.id} {rotation.keeps}",
        thread_id,
        thread_id,
        subject=row["subject"],
        message_id=row["bounce_message_id"],
        references=(),
    )
    if place is None or gmail.find_message_id(place.message_id):
        return
    note = EmailMessage()
    note["From"], note["To"] = NOTE_SENDER, mailbox
    note["Subject"] = place.subject
    note["Message-ID"] = f"<{place.message_id}>"
    note["In-Reply-To"] = note["References"] = f"<{place.references[-1]}>"
    note["Date"] = now
    note["Auto-Submitted"] = "auto-generated"
    note[NOTE_HEADER] = "rotation"
    note.set_content("\n\n".join(hand_over(rotation, now)) + "\n")
    gmail.insert(note.as_bytes(), thread_id, ["INBOX", "UNREAD"])


def _mailbox(settings: Settings) -> str:
    if settings.mailbox:
        return settings.mailbox
    connect = connector(settings)
    if connect is None:
        raise ConfigError("Whose alias is to be changed is not named.", "Set `mailbox` to the Gmail address.")
    with closing(connect()) as gmail:
        return gmail.profile_address()
