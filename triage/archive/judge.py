"""Judges an archive part by part, by whatever workers there are; what is done already is left as it is.

Each part is one piece of work for an Executor: it is read, judged and written where it is judged. Only names and counts
travel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from triage.archive.files import count_mails, find_archive, mails_of
from triage.archive.output import (
    Output,
    clear_up,
    new_part,
    parts_there,
    read_unreadable,
    write_unreadable,
)
from triage.archive.plan import WorkPart, make_parts, numbered, to_count
from triage.errors import ConfigError, TriageError, TryLater, UsageError, why_failed
from triage.judging import RECORD_VERSION, chunked, in_order, judge_chunk
from triage.mailbox import UnreadableFile

if TYPE_CHECKING:
    from concurrent.futures import Executor


class ArchivePart(NamedTuple):
    """What came of one part."""

    name: str
    mails: int
    counts: Counter[tuple[str, str | None, str | None]]
    """(kind, category, cause) -> how many records."""
    unreadable: list[UnreadableFile]
    was_there: bool = False
    """An earlier command had done it; what it counted then is not known any more, only what it could not read."""


class Archive:
    """The parts of an archive, of which some may be done."""

    def __init__(self, paths: Sequence[str], output: Output, part_bytes: int) -> None:
        self._output = output
        self._version = _version()
        self.parts = make_parts(find_archive(paths), part_bytes, output.form, self._version)
        there = parts_there(output)
        if strange := there - {part.name for part in self.parts}:
            raise UsageError(
                f"{output.folder} has parts of other mails, of another version, or of another size: {min(strange)}",
                "Name a folder without parts, or take these away.",
            )
        self._done = [part.name for part in self.parts if part.name in there]

    def judge(self, executor: Executor, at_once: int) -> Iterator[ArchivePart]:
        """What came of every part: first of those that were there, then of the others, in their order.

        Stopped anywhere, the parts that are done stay, and the same call does the others. Raises TriageError.
        """
        unreadable = read_unreadable(self._output)
        for name in self._done:
            yield ArchivePart(name, 0, Counter(), unreadable.get(name, []), was_there=True)
        done = set(self._done)
        left = [part for part in self.parts if part.name not in done]
        ranges = to_count(left)
        counted: dict[tuple[str, int], int] = {}
        so_far: Counter[str] = Counter()
        for piece, mails in zip(ranges, in_order(executor, count_mails, ranges, at_once), strict=True):
            so_far[piece.file.name] += mails
            counted[piece.file.name, piece.end or 0] = so_far[piece.file.name]
        work = partial(judge_part, output=self._output, version=self._version)
        yield from in_order(executor, work, (numbered(part, counted) for part in left), at_once)
        clear_up(self._output)


def judge_part(part: WorkPart, *, output: Output, version: str) -> ArchivePart:
    """Judge the mails of a part and write it. Doing it twice, even at the same time, changes nothing."""
    if version != _version():
        raise ConfigError(
            f"A worker has triage {_version()}, and this is {version} (version of the record, of the program).",
            "Install the same version on every worker.",
        )
    mails, counts, unreadable = 0, Counter[tuple[str, str | None, str | None]](), list[UnreadableFile]()
    try:
        with new_part(output, part.name) as write:
            for chunk in chunked(mail for piece in part.pieces for mail in mails_of(piece)):
                judged = judge_chunk(chunk)
                write(judged.records)
                mails += judged.mails
                counts.update(judged.counts())
                unreadable += judged.unreadable
            write_unreadable(output, part.name, unreadable)
    except TriageError:
        raise
    except Exception as error:
        raise TryLater(f"{part.name}: {why_failed(error)}", "Run it again: the parts that are done are kept.") from None
    return ArchivePart(part.name, mails, counts, unreadable)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"{RECORD_VERSION}/{version('bounce-triage')}"
    except PackageNotFoundError:
        return f"{RECORD_VERSION}/not installed"
