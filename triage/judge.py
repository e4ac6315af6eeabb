"""One mail to its verdicts and to what is planned about them; and the names of the labels.

Writes nothing, neither to the database nor to Gmail: both the run and the dry run use it. It asks Gmail one thing only,
whether the returned mail is in Sent, and that only for a bounce without authentication evidence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import parsers
from parsers.facts import Bounce, NotABounce
from triage.classify import classify
from triage.config import Settings
from triage.errors import ConfigError, CredentialsDead, TryLater
from triage.gmail import Gmail
from triage.note import note_key, note_place
from triage.store import Action, Mail

LABELS: Mapping[str, str] = {
    "smtp-credentials": "Fix your alias",
    "ses-refused": "SES refused",
    "gmail-refused": "Gmail refused",
    "exchange-rejection": "Exchange rejection",
    "remote-rejection": "Remote rejection",
    "delayed": "Delayed",
    "unknown": "Unknown",
}
"""The label of each category, nested under `label_prefix`. `unverified` has none: it is recorded, never acted on."""

MAX_LOOKUPS = 4  # ids of the returned mail to look for in Sent, 5 units each
MAX_WHY = 300  # characters of an error's text that are kept

# The id comes from a stranger's mail and goes into a search of ours: one word, without quotes, brackets or a colon.
_SEARCHABLE_ID = re.compile(r"[^\s\"(){}:]{3,250}")


@dataclass(frozen=True, slots=True)
class Judged:
    """A mail with its verdict records and what is to be done about them."""

    mail: Mail
    is_bounce: bool
    records: tuple[Mapping[str, Any], ...]
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """A mail that could not be fetched or judged, and why. `gone`: Gmail no longer has it."""

    mail: Mail
    why: str
    gone: bool = False


def judge(mail: Mail, settings: Settings, gmail: Gmail | None) -> Judged | Failed:
    """Parse and classify a mail that has its bytes, and plan what follows; `gmail` is None for a mail from a file.

    Whatever our code trips over is a `Failed` with its reason: one bad mail must not stop the others. Only what
    concerns every mail is raised (Gmail away, credentials dead).
    """
    assert mail.raw is not None
    try:
        found = parsers.parse(mail.raw)
        records = tuple(verdict.record() for verdict in classify(found, mail.source))
        is_bounce = isinstance(found, Bounce)
        in_sent = _is_original_in_sent(gmail, found, records) if gmail else None
        actions = plan(records, mail.thread_id, in_sent=in_sent, prefix=settings.label_prefix)
        if settings.notes and isinstance(found, Bounce):
            actions += plan_notes(found, records, mail, in_sent=in_sent)
    except (TryLater, CredentialsDead, ConfigError):
        raise
    except Exception as error:
        return Failed(mail, why_failed(error))
    mail = replace(
        mail,
        message_id=found.message_id,
        received_at=mail.received_at or (found.reported_at if isinstance(found, Bounce) else None),
        keep_raw=is_bounce or mail.gmail_id is not None,
        original_in_sent=in_sent,
    )
    return Judged(mail, is_bounce, records, actions)


def plan(
    records: Iterable[Mapping[str, Any]], thread_id: str | None, *, in_sent: bool | None, prefix: str
) -> tuple[Action, ...]:
    """What to do about these verdicts: one label per category, on the thread the bounce lies in.

    Not at all on a mail that lies in no thread, and only where `is_acted_on`.
    """
    if thread_id is None:
        return ()
    categories = dict.fromkeys(record["category"] for record in records if is_acted_on(record, in_sent))
    return tuple(Action("label", thread_id, {"label": f"{prefix}/{LABELS[category]}"}) for category in categories)


def is_acted_on(record: Mapping[str, Any], in_sent: bool | None) -> bool:
    """Whether a verdict leads to anything in Gmail: what is genuine, or may be and answers a mail found in Sent.

    Never what is not about us.
    """
    return record["category"] not in (None, "unverified") and (
        record["genuine"] == "pass" or (record["genuine"] == "unknown" and in_sent is True)
    )


def plan_notes(
    found: Bounce, records: Sequence[Mapping[str, Any]], mail: Mail, *, in_sent: bool | None
) -> tuple[Action, ...]:
    """The notes that explain a bounce in its thread: one for each cause that is acted on.

    What a note says is decided when it is written, from all that is known of the thread by then.
    """
    if mail.thread_id is None or mail.gmail_id is None:
        return ()
    notes = []
    for key in dict.fromkeys(note_key(record) for record in records if is_acted_on(record, in_sent)):
        place = note_place(
            key,
            mail.thread_id,
            mail.gmail_id,
            subject=found.subject,
            message_id=found.message_id,
            references=found.references,
        )
        if place is not None:
            notes.append(Action("note", mail.thread_id, {"about": key, **asdict(place)}))
    return tuple(notes)


def why_failed(error: Exception) -> str:
    """An error as one line for the database and the report."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:MAX_WHY]


def _is_original_in_sent(gmail: Gmail, found: Bounce | NotABounce, records: Iterable[Mapping[str, Any]]) -> bool | None:
    """Whether a mail this bounce may be about is in Sent; None where nothing hangs on it, so nothing was asked."""
    if not isinstance(found, Bounce) or not any(r["category"] and r["genuine"] == "unknown" for r in records):
        return None
    # Behind SES the returned Message-ID is not the one in Sent, the one Gmail first gave is.
    candidates = dict.fromkeys([found.original.gmail_message_id, found.original.message_id, *found.references])
    ids = [message_id for message_id in candidates if message_id and _SEARCHABLE_ID.fullmatch(message_id)]
    return any(True for message_id in ids[:MAX_LOOKUPS] for _ in gmail.list_refs(f"rfc822msgid:{message_id} in:sent"))
