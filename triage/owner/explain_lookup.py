"""Finds the mail a user names, in files or in the database, and gathers what is known of it for `triage explain`.

Reads only. What is said about the mail is written by `explain.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from parsers import is_mail_source, parse, parse_pasted
from parsers.facts import Bounce, NotABounce
from parsers.mime import open_mail
from parsers.returned import returned_headers
from parsers.second_opinion import differences, second_opinion
from parsers.trail import Hop, received_trail
from remediation import load_causes
from triage import store
from triage.config import Settings
from triage.errors import UsageError
from triage.fixes import fix_of
from triage.judging import Speaker, Verdict, also_matched, judge
from triage.mailbox import LocalMail, read_mails
from triage.names import known_names, names_on_record
from triage.owner.explain import explain_mail
from triage.owner.explain_copy import not_in_a_copy
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
    return name == "-" or _is_there(name) or ("#" in name and _is_there(name.rpartition("#")[0]))


def explain_file(
    name: str, stdin: BinaryIO, settings: Settings, width: int, said_by: Speaker | None = None
) -> list[str]:
    """Lines about the one mail `name` stands for; what comes in by `-` may also be a text that somebody copied.

    Raises UsageError where it stands for no mail, or for several.
    """
    mail = _one_mail(name, stdin)
    if name == "-" and not is_mail_source(text := mail.data.decode("utf-8", "replace")):
        return explain_text(text, settings, width, said_by)
    return _lines(parse(mail.data), _filled(judge(mail.data, source=mail.source), settings), mail.data, width)


def explain_text(text: str, settings: Settings, width: int, said_by: Speaker | None = None) -> list[str]:
    """Lines about what somebody copied out of a bounce; `said_by` is whose server said it, where that is known."""
    found = parse_pasted(text, at_relay=None if said_by is None else said_by == "relay")
    verdicts = judge(text, said_by=said_by)
    if not isinstance(found, Bounce) or verdicts[0].kind == "not-a-bounce":
        return explain_mail(None, _filled(verdicts, settings), [], load_causes(), width=width, is_copy=True)
    lines = explain_mail(
        found,
        _filled(verdicts, settings),
        [],
        load_causes(),
        also=also_matched(found),
        width=width,
        is_copy=True,
    )
    return lines + not_in_a_copy(found, verdicts, judge(text, said_by="relay"), said_by, width)


def _filled(verdicts: Sequence[Verdict], settings: Settings) -> list[VerdictRecord]:
    """The records with the names of ours that the settings and the database know."""
    records = [verdict.as_dict() for verdict in verdicts]
    for record in records:
        record["fix"] = fix_of(record, names_on_record(settings, record))
    return records


def _is_there(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # a pasted text is no file name: too long, or with a NUL in it
        return False


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
            "Give a file, an error line in quotes, a number from `triage report`, a Gmail message id or a Message-ID.",
        )
    return lines


def admin_lines(name: str, stdin: BinaryIO, database: Path, width: int) -> list[str]:
    """The ready messages to the recipients' administrators about one mail, or about one verdict by its number.

    Raises UsageError where there is no such mail, or none of its failures is of the other side.
    """
    if names_a_file(name):
        mail = _one_mail(name, stdin)
        judged = judge(mail.data, source=mail.source)
        found: Sequence[KnownMail] = [(mail.data, [verdict.as_dict() for verdict in judged])]
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
    is_whole = name == "-" or _is_there(name)
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
