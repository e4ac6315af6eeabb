"""The public interface of the judgement: a mail, a file or a pasted text in, verdicts out.

Pure but for reading a named file: no network, no database, no clock, nothing remembered from one call to the next. The
command line judges with nothing else. What callers may rely on is told in docs/python.md.
"""

from __future__ import annotations

import os
from typing import Literal

from parsers import Bounce, NotABounce, parse, parse_pasted
from triage.errors import UsageError
from triage.judging.verdict import Verdict, classify
from triage.mailbox import UnreadableFile, read_mails

RECORD_VERSION = 1
"""Goes up when a key of the verdict record goes away or comes to mean something else; not when one is added."""

PASTED = "pasted text"
"""The source of a verdict on one."""

Speaker = Literal["recipient", "relay"]
"""Whose server said a pasted text: the recipient's, or the one behind a "Send mail as" alias."""


def judge(
    mail: bytes | os.PathLike[str] | str, *, source: str | None = None, said_by: Speaker | None = None
) -> list[Verdict]:
    """Tell why a mail bounced, whose move it is, and how to fix it: one verdict for each recipient it tells of.

    `mail` is a mail as bytes, the path of a file (a mail, an mbox, a Maildir, a folder), or, as a `str`, a text that
    somebody copied: an error line, a notice without headers, a mail's source. A mail that is no bounce has one verdict,
    which says why. `source` is handed on; `said_by` is for a copied text, and may be left out.

    Never raises for what a mail or text holds. Raises UsageError for a file that cannot be read.
    """
    if isinstance(mail, bytes):
        return classify(parse(mail), source or "mail")
    if isinstance(mail, str):
        at_relay = None if said_by is None else said_by == "relay"
        return _of_words(parse_pasted(mail, at_relay=at_relay), source or PASTED)
    if isinstance(mail, os.PathLike):
        return _of_file(os.fspath(mail), source)
    raise TypeError(f"a mail is bytes, a path, or a pasted text; not {type(mail).__name__}")


def _of_words(found: Bounce | NotABounce, source: str) -> list[Verdict]:
    """A text without a code or a sentence of failure is about one only if a rule knows its words."""
    verdicts = classify(found, source)
    if isinstance(found, Bounce) and found.reader == "pasted-words" and verdicts[0].cause == "unknown":
        return classify(NotABounce("not-a-bounce", "no error code and no words of a failed delivery are in it"), source)
    return verdicts


def _of_file(path: str, source: str | None) -> list[Verdict]:
    verdicts: list[Verdict] = []
    for mail in read_mails([path]):
        if isinstance(mail, UnreadableFile):
            raise UsageError(f"{mail.source}: {mail.why}", "Name a file that can be read.")
        verdicts += judge(mail.data, source=source or mail.source)
    return verdicts
