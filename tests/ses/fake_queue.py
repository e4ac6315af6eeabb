"""An SQS queue in memory with the habits of the real one: at least once, in any order, hidden while being worked on."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import pytest

from remediation.aws import queue as aws_queue
from remediation.aws.client import NotLookedUp
from remediation.aws.queue import QueueMessage


class FakeQueue:
    """Gives each body one or more times, shuffled; `bodies` may be a generator of any length."""

    def __init__(self, bodies: Iterator[str], *, seed: int = 0, repeats: int = 0) -> None:
        self.random = random.Random(seed)
        self.repeats = repeats
        self.bodies = bodies
        self.numbers = iter(range(10**9))
        self.deleted = 0
        self.receives = 0
        self.deletes = 0
        self.refuse_deletes = 0
        """So many calls of delete from now on delete nothing."""

    def receive(self, region: str, queue_url: str) -> list[QueueMessage] | NotLookedUp:
        self.receives += 1
        taken = [body for _, body in zip(range(aws_queue.MAX_MESSAGES), self.bodies, strict=False)]
        if taken and self.repeats:
            taken += self.random.choices(taken, k=self.repeats)
        self.random.shuffle(taken)
        return [
            QueueMessage(f"m{number}", body, f"r{number}", 1) for number, body in zip(self.numbers, taken, strict=False)
        ]

    def delete(self, region: str, queue_url: str, messages: Sequence[QueueMessage]) -> list[str] | NotLookedUp:
        self.deletes += 1
        if self.refuse_deletes:
            self.refuse_deletes -= 1
            return [message.id for message in messages]
        self.deleted += len(messages)
        return []

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(aws_queue, "receive", self.receive)
        monkeypatch.setattr(aws_queue, "delete", self.delete)
