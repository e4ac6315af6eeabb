"""Judges mails in bulk: chunks of them become blocks of text, in order, in this process or in several.

Opens no database and no network; keeps memory flat whatever the number of mails.
"""

from __future__ import annotations

import json
import signal
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from triage.errors import TriageError
from triage.judging.public import judge
from triage.judging.table import load_tables
from triage.mailbox import LocalMail, UnreadableFile
from triage.rows import VerdictRecord

CHUNK_MAILS = 64
CHUNK_BYTES = 2 << 20
"""A chunk ends with whichever comes first: small enough to show progress, large enough to make sending it cheap."""

Render = Callable[[VerdictRecord], str]
"""One verdict record to its text, line end included. Runs in the worker processes, so it must be picklable."""

_encode = json.JSONEncoder(ensure_ascii=False, check_circular=False).encode


class Block(NamedTuple):
    """What became of one chunk of mails."""

    text: str
    """The rendered records, in the order of the mails."""
    mails: int
    counts: Counter[tuple[str, str | None, str | None]]
    """(kind, category, cause) -> how many records."""
    unreadable: list[UnreadableFile]


def judge_mails(mails: Iterable[LocalMail | UnreadableFile], render: Render, jobs: int = 1) -> Iterator[Block]:
    """Judge every mail and render its records, in the order given; with `jobs` > 1 in that many processes.

    A mail our own code trips over is an `UnreadableFile` with its reason. Raises TriageError when a worker process is
    killed from outside, for example because memory ran out, and ConfigError where the rules cannot be used.
    """
    chunks = _chunks(mails)
    if jobs <= 1:
        yield from (_judge_chunk(chunk, render) for chunk in chunks)
        return
    from concurrent.futures import Future, ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    load_tables()  # before the processes part: each of them has it then
    waiting: deque[Future[Block]] = deque()
    with ProcessPoolExecutor(jobs, mp_context=_process_context(), initializer=_leave_interrupts_to_parent) as pool:
        try:
            for chunk in chunks:
                waiting.append(pool.submit(_judge_chunk, chunk, render))
                # Never more than this is held in memory, however fast the mails can be read.
                if len(waiting) > 2 * jobs:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise TriageError("A worker process was killed from outside.", "Try again with --jobs 1.") from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def json_line(record: VerdictRecord) -> str:
    """A record as one line of JSON."""
    return _encode(record) + "\n"


def _process_context() -> Any:
    """Fork where there is one: the workers start with rules and code already loaded. No thread runs at this point."""
    import multiprocessing

    methods = multiprocessing.get_all_start_methods()
    return multiprocessing.get_context("fork" if "fork" in methods else "spawn")


def _leave_interrupts_to_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _chunks(mails: Iterable[LocalMail | UnreadableFile]) -> Iterator[list[LocalMail | UnreadableFile]]:
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


def _judge_chunk(chunk: Sequence[LocalMail | UnreadableFile], render: Render) -> Block:
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
    counts = Counter(
        (record["kind"], record["category"], record["cause"]) for found in records.values() for record in found
    )
    text = "".join([render(record) for found in records.values() for record in found])
    return Block(text, len(chunk), counts, [unreadable[number] for number in sorted(unreadable)])


def tripped(error: Exception) -> str:
    """Where our own code failed on a mail, in one line that helps to find the place."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"triage itself failed on it: {type(error).__name__} in {frame.name}, line {frame.lineno}"
