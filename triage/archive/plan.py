"""Cuts the files of an archive into parts: each is judged and written by itself, in any place, any number of times.

A part's name says what is in it: files, bytes, and the version that judges. So a part that is there is a part that is
done, and nothing else has to be remembered.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from triage.archive.files import ArchiveFile, Piece, is_mbox

PART_FILES = 1000
PART_NAME = re.compile(r"part-\d{6,9}-[0-9a-f]{12}\.(jsonl|parquet)")


class WorkPart(NamedTuple):
    """A piece of work: files, or pieces of them, whose mails stand in one part of the output."""

    name: str
    pieces: tuple[Piece, ...]


def make_parts(files: Iterable[ArchiveFile], part_bytes: int, form: str, version: str) -> list[WorkPart]:
    """All parts, in the order of the files; an mbox that is larger than a part is cut."""
    parts: list[WorkPart] = []
    for number, pieces in enumerate(_grouped(_pieces(files, part_bytes), part_bytes)):
        content = [(piece.file.name, piece.file.size, piece.start, piece.end) for piece in pieces]
        digest = hashlib.sha256(json.dumps([form, version, content]).encode()).hexdigest()[:12]
        parts.append(WorkPart(f"part-{number:06d}-{digest}.{form}", tuple(pieces)))
    return parts


def to_count(parts: Iterable[WorkPart]) -> list[Piece]:
    """The ranges whose mails must be counted before these parts can be judged: all of a file before the last one."""
    last: dict[str, Piece] = {}
    for part in parts:
        for piece in part.pieces:
            if piece.end is not None:
                last[piece.file.name] = piece
    return [
        piece
        for until in last.values()
        for piece in _ranges(until.file, until.end - until.start if until.end else 0)
        if piece.start < until.start
    ]


def numbered(part: WorkPart, counted: dict[tuple[str, int], int]) -> WorkPart:
    """The part, whose pieces know how many mails of their file come before them; `counted` has it by file and byte."""
    return part._replace(
        pieces=tuple(piece._replace(before=counted.get((piece.file.name, piece.start), 0)) for piece in part.pieces)
    )


def _pieces(files: Iterable[ArchiveFile], part_bytes: int) -> Iterator[Piece]:
    for file in files:
        if file.size > part_bytes and file.why is None and is_mbox(file):
            yield from _ranges(file, part_bytes)
        else:
            yield Piece(file)


def _ranges(file: ArchiveFile, length: int) -> Iterator[Piece]:
    for start in range(0, file.size, length):
        yield Piece(file, start, start + length)


def _grouped(pieces: Iterable[Piece], part_bytes: int) -> Iterator[list[Piece]]:
    group: list[Piece] = []
    size = 0
    for piece in pieces:
        length = piece.file.size if piece.end is None else piece.end - piece.start
        if group and (size + length > part_bytes or len(group) >= PART_FILES):
            yield group
            group, size = [], 0
        group.append(piece)
        size += length
    if group:
        yield group
