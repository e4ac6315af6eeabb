"""The whole of `classify` for one mail, bytes to JSON, against what others need to do less with the same mails."""

from __future__ import annotations

import email
import logging
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.measure import Row, best_of, sample_mails, within
from parsers import parse
from triage.judging.files import json_line, judge_mails
from triage.judging.verdict import classify
from triage.mailbox import LocalMail


def judge(mail: bytes) -> str:
    """What `triage classify --jsonl` does with one mail."""
    return "".join([json_line(verdict.as_dict()) for verdict in classify(parse(mail), "mail")])


def rows(quick: bool, folder: Path | None = None) -> Iterator[Row]:
    """Ratios against the standard library's parser alone, and against flufl.bounce and mail-parser."""
    mails = sample_mails(folder)[: 20 if quick else None]
    named = [LocalMail("mail", mail) for mail in mails]
    ours, stdlib = _judge_all(named), _each(email.message_from_bytes, mails)
    (new, stdlib_new, again, stdlib_again) = best_of([_as_new(ours), _as_new(stdlib), ours, stdlib], 3 if quick else 9)
    micros = new / len(mails) * 1e6
    yield Row("classify, one process", f"{micros:.0f} us a mail", f"(of {len(mails)} mails)", None)
    yield within("classify / email.message_from_bytes", new / stdlib_new, 1.0, "x")
    yield Row("the same for mails it has just parsed", f"{again / stdlib_again:.2f} x", "(a figure to know)", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what other people's readers have to say about strange mails
        logging.disable(logging.CRITICAL)
        (flufl, parser) = best_of(
            [_as_new(_each(_scan, mails)), _as_new(_each(_mail_parser, mails))], 1 if quick else 3
        )
        logging.disable(logging.NOTSET)
    yield within("classify / flufl.bounce", new / flufl, 1.0, "x")
    yield within("classify / mail-parser", new / parser, 1.0, "x")


def _judge_all(mails: list[LocalMail]) -> Callable[[], object]:
    """What `triage classify --jsonl` does with all of them, but for reading and writing files."""
    return lambda: [block.text for block in judge_mails(mails, json_line)]


def _as_new(work: Callable[[], object]) -> Callable[[], object]:
    """As if each mail were seen for the first time, which in life it is.

    The standard library compiles a pattern for the boundary of each multipart mail. Of mails that are read again and
    again to be timed `re` keeps it: a third of the work would be gone.
    """

    def forgetful() -> None:
        re.purge()
        work()

    return forgetful


def _each(read: Callable[[bytes], object], mails: list[bytes]) -> Callable[[], object]:
    def work() -> None:
        for mail in mails:
            read(mail)

    return work


def _scan(mail: bytes) -> object:
    """flufl.bounce reads a parsed mail; without one there is nothing to scan, so the parsing belongs to it."""
    from flufl.bounce import scan_message

    try:
        return scan_message(email.message_from_bytes(mail))
    except Exception as error:  # it trips over some mails; so far as it came is what it took
        return error


def _mail_parser(mail: bytes) -> object:
    import mailparser

    try:
        return mailparser.parse_from_bytes(mail).mail
    except Exception as error:
        return error
