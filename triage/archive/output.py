"""The folder of parts: what is there, and how one more is written, whole or not at all.

A part is written beside its place under a name nobody looks for, and then moved there. Two workers that write the same
part write the same bytes. Beside a part lies, where there is one, a list of what could not be read of it.
"""

from __future__ import annotations

import json
import os
import re
import typing
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import NoneType
from typing import Any, BinaryIO, Literal, NamedTuple, Protocol

from triage.archive.extra import need_extra
from triage.archive.files import store_of
from triage.archive.plan import PART_NAME
from triage.errors import UsageError
from triage.judging import json_line
from triage.mailbox import UnreadableFile
from triage.rows import OriginalRecord, VerdictRecord

PartForm = Literal["jsonl", "parquet"]
UNREADABLE = ".unreadable"
ROWS_AT_ONCE = 10_000
"""Of a Parquet part so many records are held before they are written."""
_MADE = re.compile(r"\.part-.{1,80}\.made")


class Output(NamedTuple):
    """A folder of parts."""

    folder: str
    store: Any
    """As of a file that is read."""
    form: PartForm


class PartWriter(Protocol):
    """Takes the records of a part in their order."""

    def __call__(self, records: list[VerdictRecord]) -> None: ...


def form_of(folder: str, form: PartForm | None) -> PartForm:
    """The form that is asked for, else the one the folder's name ends with, else JSON lines."""
    chosen: PartForm = form or ("parquet" if folder.rstrip("/").lower().endswith(".parquet") else "jsonl")
    if chosen == "parquet":
        need_extra("pyarrow", "Parquet")
    return chosen


def open_output(folder: str, form: PartForm) -> Output:
    """Make the folder, or take the one that is there. Raises UsageError or ConfigError."""
    store, path = store_of(folder) if "://" in folder else (None, folder)
    try:
        if store is None:
            Path(path).mkdir(mode=0o700, parents=True, exist_ok=True)
        else:
            store.makedirs(path, exist_ok=True)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise UsageError(f"{folder}: {why}", "Name a folder that can be written.") from error
    return Output(path if store else os.path.abspath(path), store, form)


def parts_there(output: Output) -> set[str]:
    """The names of the parts that are done."""
    return {name for name in _names(output) if PART_NAME.fullmatch(name)}


def write_unreadable(output: Output, part: str, unreadable: list[UnreadableFile]) -> None:
    """Keep what could not be read of a part; before the part itself, which says that this is complete."""
    if not unreadable:
        return
    with _made(output, part + UNREADABLE) as stream:
        for one in unreadable:
            stream.write(json.dumps(one._asdict()).encode() + b"\n")


def read_unreadable(output: Output) -> dict[str, list[UnreadableFile]]:
    """What could not be read of the parts that are done, by part."""
    found = {}
    for name in sorted(_names(output)):
        if name.endswith(UNREADABLE) and PART_NAME.fullmatch(name.removesuffix(UNREADABLE)):
            path = f"{output.folder}/{name}"
            with open(path, "rb") if output.store is None else output.store.open(path, "rb") as stream:
                lines = [json.loads(line) for line in stream]
            found[name.removesuffix(UNREADABLE)] = [UnreadableFile(**line) for line in lines]
    return found


@contextmanager
def new_part(output: Output, part: str) -> Iterator[PartWriter]:
    """Give a function that takes records; the part is there when all of them were taken, and not before."""
    with _made(output, part) as stream:
        if output.form == "jsonl":
            yield lambda records: _write_lines(stream, records)
        else:
            with _parquet(stream) as write:
                yield write


def clear_up(output: Output) -> None:
    """Take away what killed workers left half made."""
    for name in _names(output):
        if _MADE.fullmatch(name):
            path = f"{output.folder}/{name}"
            Path(path).unlink(missing_ok=True) if output.store is None else output.store.rm_file(path)


def _names(output: Output) -> list[str]:
    if output.store is None:
        return os.listdir(output.folder)
    return [str(path).rpartition("/")[2] for path in output.store.ls(output.folder, detail=False, refresh=True)]


@contextmanager
def _made(output: Output, name: str) -> Iterator[BinaryIO]:
    made, path = f"{output.folder}/.{name}.{uuid.uuid4().hex}.made", f"{output.folder}/{name}"
    if output.store is None:
        with open(made, "wb", opener=lambda file, flags: os.open(file, flags, 0o600)) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(made, path)
    else:
        with output.store.open(made, "wb") as stream:
            yield stream
        output.store.mv(made, path)


def _write_lines(stream: BinaryIO, records: list[VerdictRecord]) -> None:
    # A lone surrogate becomes the escape it has in ASCII, as everywhere JSON is written.
    stream.write("".join(map(json_line, records)).encode("utf-8", "backslashreplace"))


@contextmanager
def _parquet(stream: BinaryIO) -> Iterator[PartWriter]:
    import pyarrow
    import pyarrow.parquet

    schema = pyarrow.schema(_fields(VerdictRecord))
    held: list[Any] = []

    def write() -> None:
        writer.write_table(pyarrow.Table.from_pylist(held, schema))
        held.clear()

    def take(records: list[VerdictRecord]) -> None:
        held.extend(map(_without_surrogates, records))
        if len(held) >= ROWS_AT_ONCE:
            write()

    with pyarrow.parquet.ParquetWriter(stream, schema, compression="zstd") as writer:
        yield take
        write()


def _fields(record: Any) -> list[Any]:
    """The columns of a record: what its keys may hold."""
    import pyarrow

    return [pyarrow.field(key, _kind(hint)) for key, hint in typing.get_type_hints(record).items()]


def _kind(hint: Any) -> Any:
    import pyarrow

    chosen = [one for one in typing.get_args(hint) if one is not NoneType]
    if hint is OriginalRecord or OriginalRecord in chosen:
        return pyarrow.struct(_fields(OriginalRecord))
    if typing.get_origin(hint) is list:
        return pyarrow.list_(pyarrow.string())
    return pyarrow.bool_() if hint is bool or bool in chosen else pyarrow.string()


def _without_surrogates(value: Any) -> Any:
    """Parquet is UTF-8, in which half a character cannot be written; it becomes the escape it has in ASCII."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {key: _without_surrogates(one) for key, one in value.items()}
    return [_without_surrogates(one) for one in value] if isinstance(value, list) else value
