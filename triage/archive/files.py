"""The files of an archive, and the mails of a piece of one: on this computer, or wherever fsspec reaches.

A path with `://` in it is fsspec's (https://filesystem-spec.readthedocs.io), with whatever wildcards it takes. Every
mail has the name that `triage classify` gives it when it reads the same files alone.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from triage.archive.extra import need_extra
from triage.errors import ConfigError, UsageError
from triage.mailbox import (
    LocalMail,
    UnreadableFile,
    files_of,
    name_of,
    read_stream,
    split_range,
    starts_mbox,
    why_no_file,
)

_LOGIN = re.compile(r"://[^/@]{1,500}@")
_SUFFIXES = (".eml", ".mbox")


class ArchiveFile(NamedTuple):
    """A file with mails, or one that cannot be read."""

    name: str
    """What its mails are named after."""
    path: str
    size: int
    store: Any
    """Where it lies: a file system of fsspec, which other processes may be given; None: on this computer's disks."""
    why: str | None = None
    """Why it cannot be read, where that is known before."""


class Piece(NamedTuple):
    """A file, or the mails of an mbox whose separators begin in a range of bytes."""

    file: ArchiveFile
    start: int = 0
    end: int | None = None
    """None: it is the whole file."""
    before: int = 0
    """So many mails of the file come before it."""


def find_archive(paths: Iterable[str]) -> list[ArchiveFile]:
    """The files of all paths, in the order in which one process reads them.

    Raises UsageError for a path that is not there or has no mails, ConfigError where what it needs is not installed.
    """
    return [file for path in paths for file in (_in_store(path) if "://" in path else _here(path))]


def is_mbox(file: ArchiveFile) -> bool:
    """Whether the file can be cut into ranges."""
    try:
        with _opened(file) as stream:
            return starts_mbox(stream.read(5), file.name)
    except Exception:  # told by whoever reads it
        return False


def mails_of(piece: Piece) -> Iterator[LocalMail | UnreadableFile]:
    """The mails of a piece; what cannot be read is a value with its reason."""
    file = piece.file
    try:
        if file.why is not None:
            raise OSError(0, file.why)
        with _opened(file) as stream:
            if piece.end is None:
                yield from read_stream(stream, file.name)
            else:
                mails = split_range(stream, piece.start, piece.end)
                for number, data in enumerate(mails, start=piece.before + 1):
                    yield LocalMail(f"{file.name}#{number}", data)
    except Exception as error:
        if not _stays_so(error, file):
            raise  # a store of objects may answer again: whoever gave us the work tries once more
        yield UnreadableFile(file.name, getattr(error, "strerror", None) or type(error).__name__)


def count_mails(piece: Piece) -> int:
    """How many mails a range of an mbox has; 0 where it cannot be read."""
    try:
        with _opened(piece.file) as stream:
            return sum(1 for _ in split_range(stream, piece.start, piece.end or piece.file.size))
    except Exception as error:
        if not _stays_so(error, piece.file):
            raise
        return 0


def store_of(url: str) -> tuple[Any, str]:
    """The file system of an address, and the path in it. Raises ConfigError or UsageError."""
    need_extra("fsspec", "A path such as s3://bucket/*.mbox")
    import fsspec

    try:
        store, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise ConfigError(f"{_shown(url)}: a library for it is missing.", f"{error}") from None
    except ValueError as error:
        raise UsageError(f"{_shown(url)}: {error}", "Name a file, or an address such as s3://bucket/*.mbox") from None
    return store, str(path)


def _here(path: str) -> Iterator[ArchiveFile]:
    if path == "-":
        raise UsageError("Standard input cannot be cut into parts.", "Name files or folders, or leave --parts out.")
    is_folder = Path(path).is_dir()
    for file in files_of(path):
        if isinstance(file, UnreadableFile):
            yield ArchiveFile(file.source, file.source, 0, None, file.why)
            continue
        try:
            yield ArchiveFile(name_of(file), str(file), file.stat().st_size, None, why_no_file(file))
        except OSError as error:
            yield ArchiveFile(name_of(file), str(file), 0, None, error.strerror)
    if not is_folder and (why := why_no_file(Path(path))):
        raise UsageError(f"{name_of(path)}: {why}", "Name files or folders, or leave --parts out.")


def _in_store(url: str) -> Iterator[ArchiveFile]:
    store, path = store_of(url)
    try:
        if re.search(r"[*?\[]", path):
            found = store.glob(path, detail=True)
        elif store.isdir(path):
            found = store.find(path, detail=True)
            found = {name: info for name, info in found.items() if name.lower().endswith(_SUFFIXES)}
        else:
            found = {path: store.info(path)}
    except FileNotFoundError:
        found = {}
    except Exception as error:  # each store has errors of its own, which may tell what is secret
        raise UsageError(
            f"{_shown(url)}: it cannot be listed ({type(error).__name__}).", "Check the address, and its login."
        ) from None
    files = [(name, info) for name, info in sorted(found.items()) if info.get("type") == "file"]
    if not files:
        raise UsageError(f"{_shown(url)}: no mails there", "Name files, or a folder with .eml or .mbox files.")
    # What lies in an archive is named after both.
    behind = "::" + _shown(url.partition("::")[2]) if "::" in url else ""
    for name, info in files:
        yield ArchiveFile(store.unstrip_protocol(name) + behind, name, int(info["size"]), store)


def _opened(file: ArchiveFile) -> BinaryIO:
    if file.store is None:
        return open(file.path, "rb")
    stream: BinaryIO = file.store.open(file.path, "rb")
    return stream


def _stays_so(error: Exception, file: ArchiveFile) -> bool:
    """Whether the file is not to be read, whoever tries and whenever: it is gone, closed to us, or damaged."""
    damage = (FileNotFoundError, PermissionError, EOFError, zlib.error, zipfile.BadZipFile)
    return isinstance(error, damage) or (isinstance(error, OSError) and file.store is None)


def _shown(url: str) -> str:
    """An address without the login in it."""
    return _LOGIN.sub("://", url)
