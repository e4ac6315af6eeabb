"""Fetches messages byte by byte: ten to a request, large ones alone, and no message stops the others.

What a request for ten does not bring, whatever went wrong, is asked for one by one; then the one at fault is known.
Knows nothing of bounces.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from triage.errors import TriageError, why_failed
from triage.gmail.answers import Passing, Refused
from triage.gmail.messages import RawMessage, Unavailable, raw_message, refused
from triage.gmail.streak import Streak, is_everywhere
from triage.gmail.wire import Wire, half_answer

BATCH_SIZE = 10
"""Ten at once take away most of the waiting; 25 already draw 429 "Too many concurrent requests for user"."""

Fetched = RawMessage | Unavailable


def fetch(
    wire: Wire,
    messages: Any,
    ids: Iterable[str],
    singly: Collection[str],
    starting: Callable[[list[str]], None] | None,
    most_bytes: int,
) -> Iterator[Fetched]:
    """See `Gmail.get_raw`; `messages` are those of Google's client."""
    trouble = Streak()
    for chunk in _chunks(dict.fromkeys(ids), frozenset(singly)):
        if starting:
            starting(chunk)
        answers: dict[str, Fetched] = {}
        if len(chunk) > 1:
            with _at_most(wire, most_bytes):
                answers = _batch(wire, messages, chunk, trouble)
        for message_id in chunk:
            if message_id not in answers:
                with _at_most(wire, most_bytes):
                    answers[message_id] = _one(wire, messages, message_id, trouble)
            yield answers.pop(message_id)


@contextmanager
def _at_most(wire: Wire, most_bytes: int) -> Iterator[None]:
    before, wire.most_bytes = wire.most_bytes, most_bytes
    try:
        yield
    finally:
        wire.most_bytes = before


def _chunks(ids: Iterable[str], singly: frozenset[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    for message_id in ids:
        if message_id in singly:
            if chunk:  # the order stays
                yield chunk
                chunk = []
            yield [message_id]
            continue
        chunk.append(message_id)
        if len(chunk) == BATCH_SIZE:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _batch(wire: Wire, messages: Any, ids: list[str], trouble: Streak) -> dict[str, Fetched]:
    """What one request brings; those that are missing have to be asked for alone. Raises what concerns all of them."""
    answers: dict[str, Fetched] = {}
    put_off: dict[str, Passing] = {}

    def send() -> None:
        put_off.clear()
        fatal: list[TriageError] = []

        def answered(message_id: str, answer: Any, error: Any) -> None:
            failure = wire.understood(error) if error is not None else half_answer(answer)
            if failure is None:
                answers[message_id] = raw_message(message_id, answer)
            elif isinstance(failure, Passing):
                put_off[message_id] = failure
            elif isinstance(failure, Refused):
                answers[message_id] = refused(message_id, failure)
            else:
                fatal.append(failure)

        batch = wire.service.new_batch_http_request(callback=answered)
        for message_id in ids:
            if message_id not in answers:
                request = _request(messages, message_id)
                wire.quota.charge(request.methodId)
                batch.add(request, request_id=message_id)
        batch.execute()
        if fatal:
            raise fatal[0]
        if put_off:
            raise max(put_off.values(), key=lambda failure: failure.wait_seconds or 0.0)

    try:
        wire.repeat(send)
    except Refused:  # the request itself, so it says nothing about any of them
        return answers
    except Passing as failure:
        if not put_off:  # all of it: the one at fault, if there is one, is found by asking for each alone
            if is_everywhere(failure):
                raise
            return answers
        if not answers:
            if all(one.limited for one in put_off.values()):
                raise
            trouble.met(failure, len(put_off))
    except TriageError:
        raise
    except (Exception, MemoryError):  # an answer that cannot be unpacked or held
        return answers
    if answers:
        trouble.over()
    return answers | {i: _put_off(i, failure) for i, failure in put_off.items()}


def _one(wire: Wire, messages: Any, message_id: str, trouble: Streak) -> Fetched:
    request = _request(messages, message_id)
    # Packed, the answer would be held twice, and one that packs too well is refused by httplib2.
    request.headers["accept-encoding"] = "identity"
    try:
        answer = raw_message(message_id, wire.call(request))
    except Passing as failure:
        trouble.met(failure)
        return _put_off(message_id, failure)
    except Refused as refusal:
        answer = refused(message_id, refusal)
    except TriageError:
        raise
    except (Exception, MemoryError) as error:
        answer = Unavailable(message_id, why_failed(error), gone=False, is_too_much=True)
    trouble.over()
    return answer


def _request(messages: Any, message_id: str) -> Any:
    return messages.get(userId="me", id=message_id, format="raw", fields="id,threadId,labelIds,internalDate,raw")


def _put_off(message_id: str, failure: Passing) -> Unavailable:
    return Unavailable(message_id, failure.what, gone=False, is_passing=True)
