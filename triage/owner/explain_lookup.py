"""Finds the mail a user names, in files or in the database, and gathers what is known of it for `triage explain`.

Reads only. What is said about the mail is written by `explain.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from parsers import parse
from parsers.facts import Bounce, NotABounce
from parsers.mime import open_mail
from parsers.returned import returned_headers
from parsers.second_opinion import differences, second_opinion
from parsers.trail import Hop, received_trail
from remediation import load_causes
from triage import store
from triage.config import Settings
from triage.errors import UsageError
from triage.fixes import fix_of, names_of
from triage.judging import also_matched, classify
from triage.mailbox import LocalMail, read_mails
from triage.names import known_names
from triage.owner.explain import explain_mail
from triage.owner.for_admin import admin_message, why_no_message
from triage.rows import EvidenceRow, MailRow, StoredVerdict, VerdictRecord
from triage.ses import read_again

MOST_MAILS = 10
"""Mails with the same Message-ID that are explained, the newest first."""

KnownMail = tuple[bytes | None, Sequence[VerdictRecord | StoredVerdict]]
"""The bytes of a mail, where they are at hand, and the verdicts on it."""

_RETURNED_TYPES = ("message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers")


def names_a_file(name: str) -> bool:
    """Whether the user means a file: a path that is there, `-`, or `PATH#NUMBER` for one mail of an mbox."""
    return name == "-" or Path(name).exists() or ("#" in name and Path(name.rpartition("#")[0]).exists())


def explain_file(name: str, stdin: BinaryIO, settings: Settings, width: int) -> list[str]:
    """Lines about the one mail `name` stands for. Raises UsageError where it stands for none, or for several."""
    mail = _one_mail(name, stdin)
    found = parse(mail.data)
    records = []
    for verdict in classify(found, mail.source):
        record = verdict.record()
        record["fix"] = fix_of(record, names_of(record, settings))
        records.append(record)
    return _lines(found, records, mail.data, width)


def explain_stored(ident: str, settings: Settings, width: int) -> list[str]:
    """Lines about the mails of the database with this verdict number, Gmail id or Message-ID.

    Raises UsageError where there is none, also for want of a database.
    """
    lines: list[str] = []
    db = store.open_readonly(settings.database)
    if db is not None:
        with closing(db):
            for row in store.find_mails(db, ident)[:MOST_MAILS]:
                raw = store.read_raw(db, row["id"])
                found = None if raw is None else read_again(row["source"], raw)
                records = store.verdicts_of(db, row["id"])
                for record in records:
                    record["fix"] = fix_of(record, known_names(db, settings, record))
                evidence = store.evidence_of(db, [record["id"] for record in records])
                lines += ["", ""] if lines else []
                lines += _lines(found, records, raw, width, row, evidence)
    if not lines:
        raise UsageError(
            f"There is no file {ident!r}, and no such mail in {settings.database}.",
            "Give a file, or a number from `triage report`, a Gmail message id or a Message-ID.",
        )
    return lines


def admin_lines(name: str, stdin: BinaryIO, database: Path, width: int) -> list[str]:
    """The ready messages to the recipients' administrators about one mail, or about one verdict by its number.

    Raises UsageError where there is no such mail, or none of its failures is of the other side.
    """
    if names_a_file(name):
        mail = _one_mail(name, stdin)
        judged = classify(parse(mail.data), mail.source)
        found: Sequence[KnownMail] = [(mail.data, [verdict.record() for verdict in judged])]
    else:
        found = _stored_records(name, database)
    lines: list[str] = []
    reasons: list[str] = []
    for raw, records in found:
        headers = None if raw is None else returned_headers(open_mail(raw))
        hops = [] if raw is None or headers is None else received_trail(raw)
        for record in records:
            if why := why_no_message(record):
                reasons.append(why)
                continue
            lines += ["", "-" * 20, ""] if lines else []
            lines += admin_message(record, load_causes().get(record["cause"] or ""), headers, hops, width)
    if not lines:
        why = reasons[0] if reasons else f"There is no such mail in {database}."
        raise UsageError(
            f"There is nothing to write to an administrator about {name!r}. {why}", f"`triage explain {name}`"
        )
    return lines


def _stored_records(ident: str, database: Path) -> Sequence[KnownMail]:
    """(bytes, records) of the stored mails meant; only the one record where `ident` is the number of a verdict."""
    db = store.open_readonly(database)
    if db is None:
        return []
    with closing(db):
        found = [
            (store.read_raw(db, row["id"]), store.verdicts_of(db, row["id"]))
            for row in store.find_mails(db, ident)[:MOST_MAILS]
        ]
    number = int(ident) if ident.isdecimal() and len(ident) < 15 else None
    one = [(raw, [record for record in records if record["id"] == number]) for raw, records in found]
    return one if any(records for _, records in one) else found


def _one_mail(name: str, stdin: BinaryIO) -> LocalMail:
    is_whole = name == "-" or Path(name).exists()
    path = name if is_whole else name.rpartition("#")[0]
    mails = (mail for mail in read_mails([path], stdin) if is_whole or mail.source == name)
    mail = next(mails, None)
    if mail is None:
        raise UsageError(f"{name}: there is no mail with this number.", f"`triage classify {path}` lists them.")
    if not isinstance(mail, LocalMail):
        raise UsageError(f"{mail.source}: {mail.why}", "Name a file that can be read.")
    if is_whole and next(mails, None) is not None:
        raise UsageError(f"{name} holds more than one mail.", f"Name one of them: triage explain '{mail.source}'")
    return mail


def _lines(
    found: Bounce | NotABounce | None,
    records: Sequence[VerdictRecord | StoredVerdict],
    raw: bytes | None,
    width: int,
    stored: MailRow | None = None,
    evidence: Mapping[int, Sequence[EvidenceRow]] | None = None,
) -> list[str]:
    hops: list[Hop] = []
    is_returned = True
    opinion = None if raw is None else second_opinion(raw)
    doubts = [] if opinion is None or found is None else list(differences(found, opinion))
    if raw is not None and isinstance(found, Bounce):
        hops = received_trail(raw)
        # Without a returned part the trail is that of the bounce itself.
        is_returned = any(part.media_type in _RETURNED_TYPES for part in open_mail(raw).parts)
    return explain_mail(
        found,
        records,
        hops,
        load_causes(),
        is_returned=is_returned,
        stored=stored,
        evidence=evidence,
        also=also_matched(found) if isinstance(found, Bounce) else None,
        doubts=doubts,
        width=width,
    )
