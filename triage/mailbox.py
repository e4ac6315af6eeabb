"""Mails from local sources: one .eml, a folder of them, an mbox of any size, a Maildir, or standard input.

Yields each mail's bytes with a name to find it by again; a file that cannot be read is a value with its reason. Opens
files for reading only, and parses no mail.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from triage.errors import UsageError

BLOCK = 1 << 20
"""Bytes read at a time from an mbox."""

MAX_MAIL = 16 << 20
"""No more of a mail than this is looked at: what a bounce says stands before what it returns. Bounds the memory."""

_FOLDER_SUFFIXES = (".eml", ".mbox")  # what a folder is searched for; Google Takeout packs .mbox files into folders
_LOOKAHEAD = 2048  # a separator line and the start of the next, which tell it from a sentence that begins with "From"
# RFC 4155: the separator ends in a time of day. Where it does not, a header must follow. A mail is passed over
# in one search, which stops at a separator and at a quoted line.
_SEPARATOR_LINE = rb"(\r?\n)From (?=[^\n]{0,2000}?\d\d:\d\d|[^\n]{0,1800}\n(?:[!-9;-~]{1,200}:|>From ))"
_SEPARATOR = re.compile(rb"\n" + _SEPARATOR_LINE)
_MARK = re.compile(rb"\n(?:>{1,20}From |" + _SEPARATOR_LINE + rb")")
_MARK_BYTES = 32  # more than such a mark has: one that lies across the end of a block is found with the next
# mboxrd quotes "From " and ">From " alike by one more ">"; mboxo, which quotes only the first, reads the same way.
_QUOTED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)


class LocalMail(NamedTuple):
    """A mail and where it lies: `bounces/a.eml`, `takeout.mbox#17` (counted from 1), `-` for standard input."""

    source: str
    data: bytes


class UnreadableFile(NamedTuple):
    """A file that could not be read, and why."""

    source: str
    why: str


def read_mails(paths: Iterable[str | Path], stdin: BinaryIO | None = None) -> Iterator[LocalMail | UnreadableFile]:
    """Yield every mail of every path, in the order given, files of a folder sorted by name.

    A path is a file (one mail, or an mbox when it starts with `From `), a folder (searched below for .eml and .mbox),
    a Maildir, or `-` for `stdin`. Raises UsageError at once, before the first mail, for a path that is not there, may
    not be read, or is a folder without mails.
    """
    return _chain([_opened(str(path), stdin) for path in paths])


def split_mbox(stream: BinaryIO, source: str, start: bytes = b"") -> Iterator[LocalMail]:
    """Yield the mails of an mbox while reading it, with `>From ` unquoted; holds one block or one mail, never the file.

    A separator is a line `From ...` after an empty line (or at the start) that ends in a time or is followed by a
    header; line ends may be LF or CRLF. Of a mail beyond MAX_MAIL only the first part is given. `start` holds the bytes
    that were read of the stream already.
    """
    for number, (_, data) in enumerate(_between_separators(stream, start), start=1):
        yield LocalMail(f"{source}#{number}", data)


def split_range(stream: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    """Yield the mails of an mbox whose separators begin at a byte from `start` on and before `end`.

    Ranges that touch give every mail exactly once, each as `split_mbox` gives it. `stream` can be sought in.
    """
    first = _separator_from(stream, start)
    if first is None or first >= end:
        return
    stream.seek(first)
    for position, data in _between_separators(stream, b""):
        if first + position >= end:
            return
        yield data


def starts_mbox(start: bytes, name: str) -> bool:
    """Whether a file of this name that starts so is an mbox; an .eml with its `From ` line is still one mail."""
    return start.startswith(b"From ") and not name.lower().endswith(".eml")


def files_of(path: str) -> list[Path | UnreadableFile]:
    """The files that are read for a path, in their order. Raises UsageError where there is none to read."""
    try:
        if stat.S_ISDIR(os.stat(path).st_mode):
            return _files_in(path)
        if not os.access(path, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return [Path(path)]
    except OSError as error:
        raise UsageError(f"{name_of(path)}: {error.strerror}", "Name a file, a folder, a Maildir, or - .") from error


def why_no_file(path: Path) -> str | None:
    """Why what a folder holds is not read: opening a pipe or a device could wait for ever."""
    return "not a regular file" if path.exists() and not path.is_file() else None


def name_of(path: str | Path) -> str:
    """The path as printable text; a file name may be any bytes."""
    return os.fsencode(path).decode("utf-8", "replace")


def _chain(readers: list[Iterator[LocalMail | UnreadableFile]]) -> Iterator[LocalMail | UnreadableFile]:
    for reader in readers:
        yield from reader


def _opened(path: str, stdin: BinaryIO | None) -> Iterator[LocalMail | UnreadableFile]:
    """The reader for one path, chosen by looking at it now, so that a wrong path is told before any work."""
    if path == "-":
        if stdin is None:
            raise UsageError("-: there is no standard input to read", "Name a file or a folder instead.")
        return read_stream(stdin, "-")
    files = files_of(path)
    return _read_files(files) if os.path.isdir(path) else _read_file(path)


def _files_in(path: str) -> list[Path | UnreadableFile]:
    os.scandir(path).close()  # raises now what os.walk would pass over in silence
    if (Path(path) / "cur").is_dir() and (Path(path) / "new").is_dir():
        return _maildir_files(path)
    files = _files_below(path)
    if not files:
        raise UsageError(
            f"{name_of(path)}: no mails in this folder", "Name a folder with .eml or .mbox files, or a Maildir."
        )
    return files


def _maildir_files(path: str) -> list[Path | UnreadableFile]:
    """The files of a Maildir; delivery order within each part, because the names start with the time."""
    return [file for part in ("new", "cur") for file in sorted((Path(path) / part).iterdir()) if file.name[0] != "."]


def _files_below(path: str) -> list[Path | UnreadableFile]:
    found: list[Path | UnreadableFile] = []

    def refused(error: OSError) -> None:
        found.append(UnreadableFile(name_of(error.filename), f"{error.strerror}"))

    for folder, subfolders, names in os.walk(path, onerror=refused):
        subfolders.sort()
        found += [Path(folder) / name for name in sorted(names) if name.lower().endswith(_FOLDER_SUFFIXES)]
    return found


def _read_files(files: Iterable[Path | UnreadableFile]) -> Iterator[LocalMail | UnreadableFile]:
    for file in files:
        if isinstance(file, UnreadableFile):
            yield file
        elif why := why_no_file(file):
            yield UnreadableFile(name_of(file), why)
        else:
            yield from _read_file(file)


def _read_file(path: str | Path) -> Iterator[LocalMail | UnreadableFile]:
    """The mails of one file; what was readable a moment ago may be gone, as files of a Maildir are moved."""
    try:
        with open(path, "rb") as stream:
            yield from read_stream(stream, name_of(path))
    except OSError as error:
        yield UnreadableFile(name_of(path), f"{error.strerror}")


def read_stream(stream: BinaryIO, source: str) -> Iterator[LocalMail]:
    """One mail, or the mails of an mbox. An .eml that someone saved with its `From ` line is still one mail."""
    start = stream.read(len(b"From "))
    if starts_mbox(start, source):
        yield from split_mbox(stream, source, start)
    else:
        data = start + stream.read(MAX_MAIL - len(start))
        yield LocalMail(source, data[_end_of_line(data) :] if start == b"From " else data)


def _between_separators(stream: BinaryIO, buffer: bytes) -> Iterator[tuple[int, bytes]]:
    """The mails between separator lines, each cut out once, each at most MAX_MAIL long, and where its line begins."""
    while len(buffer) < _LOOKAHEAD and (block := stream.read(BLOCK)):
        buffer += block
    start = searched = _end_of_line(buffer) if buffer.startswith(b"From ") else 0
    in_excess = is_quoted = False
    offset = position = 0
    """Where the buffer begins, and where the separator line of the mail that is read."""
    while True:
        # A long mail is read in longer steps, so that it is not copied for every block of it.
        block = stream.read(max(BLOCK, min(len(buffer), 4 * BLOCK)))
        done = max(0, start - 1)  # the line end before a mail may be the first of the next separator
        buffer = buffer[done:] + block
        searched, start, offset = searched - done, start - done, offset + done
        # Nothing is searched before the mail: one whose first line is quoted shows no mark.
        is_quoted = is_quoted or buffer.startswith(b">", start)
        end = max(searched, len(buffer) - _LOOKAHEAD) if block else len(buffer)
        # One search finds separators and quoted lines alike; a second pass over every byte would double the cost. It
        # begins early: the line ends before a line that is looked at belong to what is searched for.
        while (
            mark := (_SEPARATOR if is_quoted else _MARK).search(buffer, max(0, searched - 3))
        ) is not None and mark.end() <= end:
            searched = mark.end()
            if (empty_line := mark[1]) is None:
                is_quoted = True
                continue
            found = searched - len(b"From ")
            if not in_excess:
                mail_end = min(found - len(empty_line), start + MAX_MAIL)
                yield position, _unquoted(buffer[start:mail_end], is_quoted)
            start, in_excess, is_quoted = _end_of_line(buffer, found), False, False
            position = offset + found
            searched = max(searched, start)
        if not block:
            if not in_excess:
                yield position, _unquoted(_without_empty_line(buffer[start : start + MAX_MAIL]), is_quoted)
            return
        if end - start > MAX_MAIL and not in_excess:
            yield position, _unquoted(buffer[start : start + MAX_MAIL], is_quoted)
            in_excess = True
        if in_excess:
            start = max(start, end - _LOOKAHEAD)
        searched = max(searched, start, end - _MARK_BYTES)


def _separator_from(stream: BinaryIO, start: int) -> int | None:
    """Where the first separator line at or after this byte begins; None: there is none."""
    if start == 0:
        return 0
    at = max(0, start - len(b"\n\r\n"))
    stream.seek(at)
    buffer, searched = b"", 0
    while True:
        block = stream.read(BLOCK)
        buffer += block
        end = len(buffer) - _LOOKAHEAD if block else len(buffer)
        while (mark := _SEPARATOR.search(buffer, searched)) is not None and mark.end() <= end:
            if (found := at + mark.end() - len(b"From ")) >= start:
                return found
            searched = mark.end()
        if not block:
            return None
        done = max(0, end - _MARK_BYTES)
        buffer, searched, at = buffer[done:], max(0, searched - done), at + done


def _end_of_line(buffer: bytes, position: int = 0) -> int:
    return buffer.find(b"\n", position) + 1 or len(buffer)


def _without_empty_line(data: bytes) -> bytes:
    """The last mail of an mbox without the empty line that ends it."""
    for line_end in (b"\r\n", b"\n"):
        if data.endswith(line_end * 2):
            return data[: -len(line_end)]
    return data


def _unquoted(data: bytes, is_quoted: bool) -> bytes:
    return _QUOTED_FROM.sub(rb"\1", data) if is_quoted else data
