"""How many real-shaped bounces keep their proof: whoever must prove much may lose what is true.

    python -m benchmarks --only ownership

A thousand bounces, made of all sample pairs and of the mails of `unseen_mails`, each about a mail of its own that lies
in Sent. Sent is written from the returned headers as the standard library reads them, not as our parsers do. Samples
whose truth is "forged" or "inside another mail" are left out: nothing may prove them.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import closing
from copy import deepcopy
from datetime import datetime, timedelta
from email import message_from_bytes, message_from_string
from email.message import Message
from email.utils import format_datetime, parsedate_to_datetime
from itertools import cycle, islice
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

from benchmarks.measure import SAMPLES, Row, at_least
from benchmarks.unseen import cases
from tests.doubles.gmail import GmailDouble
from tests.worlds.made_mails import FROM_GOOGLE
from triage import run as worker
from triage import store
from triage.config import load_settings

BUDGET = 99.0
"""Per cent of the bounces that name the mail they return, by a Message-ID."""
_PROOFS = """SELECT m.gmail_id, v.id, v.proof, v.proof_why FROM verdicts v JOIN mails m ON m.id = v.mail_id
    WHERE v.kind IN ('failed', 'delayed')"""
_IDS = ("X-Gmail-Original-Message-ID", "X-Google-Original-Message-ID", "Message-ID")


class Returned(NamedTuple):
    """A bounce, and the headers of the mail it returns."""

    name: str
    bounce: bytes
    recipients: tuple[str, ...]
    original: Message | None


def rows(quick: bool, folder: Path | None = None) -> Iterator[Row]:
    """The share of verdicts with a proof: where the bounce names its mail, and of all."""
    number = 60 if quick else 1000
    tied = measured(number)
    yield at_least("bounces that name their mail: tied to Sent", tied.named, BUDGET, "%")
    yield Row("all bounces, also those that name no mail: tied to Sent", f"{tied.all:.1f} %", "", None)
    yield Row("a login or limit told by neither Gmail nor SES: only told", f"{tied.told} of {number}", "", None)


class Tied(NamedTuple):
    """Per cent of the verdicts that are proven, and how many are left out of that on purpose."""

    named: float
    all: float
    told: int
    lost: tuple[str, ...]
    """The names of bounces that name their mail and are not tied to it."""


def measured(number: int) -> Tied:
    """Judge so many bounces in a mailbox made for them."""
    bounces = list(islice(_numbered(cycle(_bounces())), number))
    names = {}
    with GmailDouble() as gmail, tempfile.TemporaryDirectory(prefix="triage-bench-") as made_in:
        now = datetime.now().astimezone()
        aliases: set[str] = set()
        for bounce in bounces:
            arrived = now - timedelta(hours=2)
            if bounce.original is not None:
                arrived = _sent(gmail, bounce, aliases) + timedelta(minutes=20)
            names[gmail.seed(bounce.bounce, received_at=arrived)] = bounce
        for alias in aliases:
            gmail.add_send_as(alias, host="email-smtp.us-east-1.amazonaws.com", port=587)
        config = Path(made_in, "triage.toml")
        gmail.write_credentials(config.parent)
        config.write_text("notes = false\nalert_inbox = false\nsince_days = 3650\n")
        settings = load_settings(config, {"TRIAGE_GMAIL_URL": gmail.url})
        while worker.run(settings, lambda: now).judged:
            pass
        db = store.open_readonly(settings.database)
        assert db is not None
        with closing(db):
            found = list(db.query(_PROOFS))
    told = [row for row in found if row["proof"] is None and row["proof_why"].endswith("signed it")]
    rest = [(names[row["gmail_id"]], row["proof"] is not None) for row in found if row not in told]
    named = [(bounce.name, is_tied) for bounce, is_tied in rest if bounce.original is not None]
    assert named, "nothing was judged"
    return Tied(
        100 * sum(is_tied for _, is_tied in named) / len(named),
        100 * sum(is_tied for _, is_tied in rest) / len(rest),
        len(told),
        tuple(name for name, is_tied in named if not is_tied),
    )


def _bounces() -> list[Returned]:
    """The samples and the unseen mails that tell of a failure of ours."""
    found = []
    for path in sorted(SAMPLES.glob("*.eml")):
        records = json.loads(path.with_suffix(".json").read_text())
        failed = [one for one in records if one["kind"] in ("failed", "delayed") and one["genuine"] != "fail"]
        people = tuple(one["original_recipient"] or one["recipient"] for one in failed if one["recipient"])
        if people:
            mail = path.read_bytes()
            found.append(Returned(path.stem, mail, people, _written(failed[0]["original"]) or _original(mail)))
    for case in cases():
        if case.recipients:
            original = _original(case.mail) or _answered(message_from_bytes(case.mail))
            found.append(Returned(case.name, _stamped(case.mail), case.recipients, original))
    return found


def _written(original: dict[str, Any] | None) -> Message | None:
    """What the sample's reviewed record says of the mail."""
    if original is None or not (original["gmail_message_id"] or original["message_id"]) or not original["from"]:
        return None
    written = Message()
    written["Message-ID"] = f"<{original['gmail_message_id'] or original['message_id']}>"
    written["From"] = original["from"]
    if original["sent_at"]:
        written["Date"] = format_datetime(datetime.fromisoformat(original["sent_at"]))
    return written


def _stamped(mail: bytes) -> bytes:
    """With what the receiving Gmail writes on top of every mail."""
    sender = re.search(rb"(?im)^From:.*@([a-z0-9.-]+)", mail)
    domain = sender[1] if sender else b"mx.example.com"
    stamp = b"Authentication-Results: mx.google.com; dkim=pass header.i=@%b; dmarc=pass header.from=%b\n"
    hop = FROM_GOOGLE.encode()
    return (hop if domain == b"googlemail.com" else b"") + stamp % (domain, domain) + mail


def _original(bounce: bytes) -> Message | None:
    """The returned headers, where they name the mail: as a part, or as a paragraph of some text."""
    for part in message_from_bytes(bounce).walk():
        inner = part.get_payload()
        if part.get_content_type() == "message/rfc822" and isinstance(inner, list):
            found = [inner[0]]
        elif isinstance(inner, str):
            payload = part.get_payload(decode=True)
            text = payload.decode("latin-1").replace("\r\n", "\n") if isinstance(payload, bytes) else ""
            found = [message_from_string(dedent(each)) for each in text.split("\n\n")]
        else:
            continue
        for original in found:
            if any(original.get(name) for name in _IDS) and original.get("From"):
                return original
    return None


def _answered(bounce: Message) -> Message | None:
    """What the bounce says it is an answer to, where it returns no headers: an id, and no more."""
    ids = f"{bounce.get('In-Reply-To', '')} {bounce.get('References', '')}".split()
    if not ids:
        return None
    original = Message()
    original["Message-ID"] = ids[0]
    original["From"] = str(bounce.get("To", "admin@queenofsandiego.com"))
    original["Date"] = str(bounce["Date"])
    return original


def _numbered(bounces: Iterator[Returned]) -> Iterator[Returned]:
    """Each about a mail with a Message-ID of its own, wherever its bytes name that."""
    for number, bounce in enumerate(bounces):
        old = _id_of(bounce.original).strip("<>") if bounce.original is not None else ""
        if bounce.original is None or old.encode() not in bounce.bounce:
            yield bounce
            continue
        new = f"n{number}.{old}"
        original = deepcopy(bounce.original)
        name = next(name for name in _IDS if original.get(name))
        original.replace_header(name, f"<{new}>")
        yield bounce._replace(bounce=bounce.bounce.replace(old.encode(), new.encode()), original=original)


def _id_of(original: Message) -> str:
    return next(str(original[name]).strip() for name in _IDS if original.get(name))


def _sent(gmail: GmailDouble, bounce: Returned, aliases: set[str]) -> datetime:
    """Put the mail into Sent as it was written; returns when."""
    original = bounce.original
    assert original is not None
    sent_at = parsedate_to_datetime(original["Date"]) if original.get("Date") else datetime.now().astimezone()
    if sent_at.tzinfo is None:
        sent_at = sent_at.astimezone()
    fields = {name: original[name] for name in ("From", "Subject", "Date") if original.get(name)}
    fields |= {"To": ", ".join(bounce.recipients), "Message-ID": _id_of(original)}
    copy = "".join(f"{name}: {value}\r\n" for name, value in fields.items()) + "\r\nHello\r\n"
    aliases.add(str(original["From"]).rpartition("<")[2].strip("> "))
    gmail.seed(copy.encode(errors="replace"), labels=["SENT"], received_at=sent_at)
    return sent_at
