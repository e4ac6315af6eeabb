"""Judges mails in bulk: chunks of them become blocks of text, in order, in this process or in several.

Opens no database and no network; keeps memory flat whatever the number of mails.
"""

from __future__ import annotations

import json
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

from triage.errors import TriageError
from triage.judging.public import judge
from triage.judging.workers import cores, in_order, process_pool
from triage.mailbox import LocalMail, UnreadableFile
from triage.rows import VerdictRecord

CHUNK_MAILS = 64
CHUNK_BYTES = 2 << 20
"""A chunk ends with whichever comes first: small enough to show progress, large enough to make sending it cheap."""

ALONE_MAILS = 1000
"""So many are judged before other processes are started unasked: fewer are done sooner than those are up."""

Chunk = Sequence[LocalMail | UnreadableFile]

Render = Callable[[VerdictRecord], str]
"""One verdict record to its text, line end included. Runs in the worker processes, so it must be picklable."""

_encode = json.JSONEncoder(ensure_ascii=False, check_circular=False).encode


class JudgedChunk(NamedTuple):
    """What became of one chunk of mails."""

    records: list[VerdictRecord]
    """In the order of the mails."""
    mails: int
    unreadable: list[UnreadableFile]

    def counts(self) -> Counter[tuple[str, str | None, str | None]]:
        """(kind, category, cause) -> how many records."""
        return Counter((record["kind"], record["category"], record["cause"]) for record in self.records)


class Block(NamedTuple):
    """The same as text."""

    text: str
    """The rendered records, in the order of the mails."""
    mails: int
    counts: Counter[tuple[str, str | None, str | None]]
    unreadable: list[UnreadableFile]


def judge_mails(mails: Iterable[LocalMail | UnreadableFile], render: Render, jobs: int | None = 1) -> Iterator[Block]:
    """Judge every mail and render its records, in the order given; with `jobs` > 1 in that many processes.

    None: as many as there are cores, once there were more than ALONE_MAILS. A mail our own code trips over is an
    `UnreadableFile` with its reason. Raises TriageError when a worker process is killed from outside, for example
    because memory ran out, and ConfigError where the rules cannot be used.
    """
    chunks = chunked(mails)
    if jobs is None:
        yield from (_judge_block(chunk, render) for chunk in _first(chunks, ALONE_MAILS))
        following = next(chunks, None)
        chunks, jobs = (iter(()), 1) if following is None else (chain([following], chunks), cores())
    if jobs <= 1:
        yield from (_judge_block(chunk, render) for chunk in chunks)
        return
    with process_pool(jobs) as pool:
        yield from in_order(pool, partial(_judge_block, render=render), chunks, 2 * jobs)


def json_line(record: VerdictRecord) -> str:
    """A record as one line of JSON."""
    return _encode(record) + "\n"


def _first(chunks: Iterator[Chunk], number: int) -> Iterator[Chunk]:
    """The chunks up to that number of mails."""
    while number > 0 and (chunk := next(chunks, None)) is not None:
        yield chunk
        number -= len(chunk)


def chunked(mails: Iterable[LocalMail | UnreadableFile]) -> Iterator[Chunk]:
    """The mails in chunks that are judged at a time."""
    chunk: list[LocalMail | UnreadableFile] = []
    size = 0
    for mail in mails:
        chunk.append(mail)
        size += len(mail.data) if isinstance(mail, LocalMail) else 0
        if len(chunk) >= CHUNK_MAILS or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _judge_block(chunk: Chunk, render: Render) -> Block:
    judged = judge_chunk(chunk)
    return Block("".join(map(render, judged.records)), judged.mails, judged.counts(), judged.unreadable)


def judge_chunk(chunk: Chunk) -> JudgedChunk:
    """Judge a chunk step by step, each step for all of its mails before the next.

    The code of one step stays in the processor's cache while it is used.
    """
    unreadable = {number: mail for number, mail in enumerate(chunk) if isinstance(mail, UnreadableFile)}
    mails = {number: mail for number, mail in enumerate(chunk) if isinstance(mail, LocalMail)}

    def each(step: Callable[[int, Any], Any], values: dict[int, Any]) -> dict[int, Any]:
        done = {}
        for number, value in values.items():
            try:
                done[number] = step(number, value)
            except TriageError:  # the rules cannot be used: that is no fault of the mail
                raise
            except Exception as error:  # our own mistake must not cost the user the other mails
                unreadable[number] = UnreadableFile(chunk[number].source, tripped(error))
        return done

    verdicts = each(lambda number, mail: judge(mail.data, source=mail.source), mails)
    records = each(lambda number, found: [verdict.as_dict() for verdict in found], verdicts)
    return JudgedChunk(
        [record for found in records.values() for record in found],
        len(chunk),
        [unreadable[number] for number in sorted(unreadable)],
    )


def tripped(error: Exception) -> str:
    """Where our own code failed on a mail, in one line that helps to find the place."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"triage itself failed on it: {type(error).__name__} in {frame.name}, line {frame.lineno}"
