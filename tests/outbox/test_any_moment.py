"""Anything at the worst moment: the program is killed, answers are lost, two computers look, the owner edits, takes the
label off, sets it, discards, sends by hand. No mail is lost, none doubled, none leaves without its label.

Seeded: OUTBOX_RUNS=10000 runs more, OUTBOX_SEED=123 runs one again.
"""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from remediation.aws import Allowance
from tests.doubles.gmail.account import Account, StoredMessage
from tests.outbox.direct import DirectGmail
from tests.outbox.world import GMAIL, LABEL, a_setting
from tests.worlds.made_mails import NOW
from triage import store
from triage.errors import TryLater
from triage.outbox import Desk, WayOut, poll
from triage.outbox.relay import SendAnswer

RUNS = int(os.environ.get("OUTBOX_RUNS", "300"))
ONE = os.environ.get("OUTBOX_SEED")
SEEDS = [int(ONE)] if ONE else list(range(RUNS))
CHUNK = 50


class Killed(BaseException):
    """kill -9: nothing of the program runs any more; what was committed stays."""


@dataclass
class Computer:
    """One that looks into the mailbox, with a database of its own."""

    db: Any
    gmail: DirectGmail
    is_looking: bool = False


@dataclass
class Chaos:
    """One run."""

    seed: int
    folder: Path
    template: Path
    account: Account = field(default_factory=lambda: Account(GMAIL))
    at: datetime = NOW
    left: list[bytes] = field(default_factory=list)
    """The bodies SES took."""
    wishes: Counter[str] = field(default_factory=Counter)
    """How often the owner asked for it, by draft."""
    by_hand: list[bytes] = field(default_factory=list)
    discarded: list[bytes] = field(default_factory=list)
    replaced: list[bytes] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)
    without_label: list[bytes] = field(default_factory=list)
    labelled_then: set[str] = field(default_factory=set)
    """The labelled conversations when the program looked last."""
    stack: list[Computer] = field(default_factory=list)
    """Who looks at this moment; the last one works, the others stand still."""
    rate: float = 0.08

    def __post_init__(self) -> None:
        self.rand = random.Random(self.seed)
        self.computers = []
        for number in range(self.rand.choice([1, 2])):
            path = self.folder / f"{self.seed}-{number}.db"
            shutil.copy(self.template, path)
            db = store.open_store(path)
            db.execute("PRAGMA synchronous = OFF")
            computer = Computer(db, DirectGmail(self.account, lambda name, when: None))
            computer.gmail.step = self._stepper(computer)
            self.computers.append(computer)
        self.label = self.account.add_label(name=LABEL)["id"]
        self._begin()

    # -- the owner ----------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        for number in range(self.rand.choice([1, 1, 2])):
            asks = f"asks-{number}@client.example"
            head = f"From: pat@client.example\r\nTo: admin@queenofsandiego.com\r\nSubject: S{number}\r\n"
            raw = f"{head}Message-ID: <{asks}>\r\n\r\n?\r\n"
            if self.rand.random() < 0.6:
                self.account.add(raw.encode(), ["INBOX"])
            head = (
                f"From: {GMAIL}\r\nTo: pat@client.example\r\nSubject: Re: S{number}\r\nIn-Reply-To: <{asks}>\r\n"
                f"Message-ID: <draft-{number}@mail.gmail.com>\r\n\r\nversion 0 of {number}\r\n"
            )
            message = self.account.add(head.encode(), ["DRAFT"])
            draft_id = f"r{number}"
            self.account.drafts[draft_id] = message.id
            self._set_label(draft_id)

    def _set_label(self, draft_id: str) -> None:
        message = self._of(draft_id)
        if message is None or "TRASH" in message.labels:
            return
        thread = self.account.thread(message.thread_id)
        chosen = message if self.rand.random() < 0.7 else thread[0]
        if not any(self.label in one.labels for one in thread):
            self.wishes[draft_id] += 1
        self.account.change_labels(chosen, [self.label], ())

    def _of(self, draft_id: str) -> StoredMessage | None:
        return self.account.messages.get(self.account.drafts.get(draft_id, ""))

    def owner_acts(self) -> None:
        draft_id = self.rand.choice(sorted(self.account.drafts) or ["r0"])
        message = self._of(draft_id)
        if message is None:
            return
        act = self.rand.choice(["edit", "edit in an open window", "unlabel", "label", "discard", "send", "restore"])
        is_hidden = "TRASH" in message.labels
        if act == "send" and body(message.raw) in self.left:
            return  # out of Trash once more, and sent by hand: that is her own will
        if is_hidden and act in ("edit", "send", "discard", "label"):
            return  # what lies in Trash cannot be edited, labelled or sent
        self.trace.append(f"owner: {act} {draft_id}")
        match act:
            case "edit" | "edit in an open window":
                self._edit(draft_id, message)
            case "unlabel":
                for one in self.account.thread(message.thread_id):
                    self.account.change_labels(one, (), [self.label])
            case "label":
                self._set_label(draft_id)
            case "discard":
                self.discarded.append(body(message.raw))
                self.account.delete(message)
            case "send":
                self.by_hand.append(body(message.raw))
                self.account.delete(message)
                self.account.add(message.raw, ["SENT"], thread_id=message.thread_id)
            case "restore" if is_hidden:
                self.account.change_labels(message, (), ["TRASH"])

    def _edit(self, draft_id: str, before: StoredMessage) -> None:
        keeps = [one for one in before.labels if one != "TRASH" and (one != self.label or self.rand.random() < 0.5)]
        head, _, old = before.raw.partition(b"\r\n\r\n")
        self.replaced.append(old)
        del self.account.messages[before.id]
        number = int(old.split()[1]) + 1
        new = f"version {number} of {old.split()[3].decode()}\r\n".encode()
        after = self.account.add(head + b"\r\n\r\n" + new, keeps, thread_id=before.thread_id)
        self.account.drafts[draft_id] = after.id

    # -- what goes wrong ----------------------------------------------------------------------------------------

    def _stepper(self, computer: Computer) -> Callable[[str, str], None]:
        def step(name: str, when: str) -> None:
            if when == "after" and name in ("messages.get", "threads.get"):
                labelled = [one for one in self.account.messages.values() if self.label in one.labels]
                self.labelled_then = {one.thread_id for one in labelled}
            if self.rand.random() >= self.rate:
                return
            what = self.rand.choice(["kill", "lose", "owner", "owner", "other", "other"])
            self.trace.append(f"{when} {name}: {what}")
            if what == "kill":
                raise Killed
            if what == "lose":
                raise TryLater("no answer", "-")
            # Between the last look at the label and the sending lies what no program can see.
            if what == "owner" and not (name == "send" and when == "before"):
                self.owner_acts()
            if what == "other":
                for other in self.computers:
                    if not other.is_looking:
                        self.look(other)

        return step

    def send(self, raw: bytes, sender: str, people: Any) -> SendAnswer:
        computer = self.stack[-1]
        try:
            computer.gmail.step("send", "before")
        except TryLater:
            return SendAnswer(self.rand.choice(["unknown", "later", "refused"]), "no answer")  # type: ignore[arg-type]
        self.trace.append(f"LEFT {body(raw)!r}")
        threads = {one.thread_id for one in self.account.messages.values() if body(one.raw) == body(raw)}
        if threads and not threads & self.labelled_then:
            self.without_label.append(body(raw))
        self.left.append(body(raw))
        seen_id = f"ses-{len(self.left)}@email.amazonses.com"
        try:
            computer.gmail.step("send", "after")
        except TryLater:
            return SendAnswer("unknown", "no answer")
        return SendAnswer("sent", "sent", seen_id, "1")

    # -- the program --------------------------------------------------------------------------------------------

    def look(self, computer: Computer) -> None:
        way = WayOut(
            name="SES",
            room=lambda: Allowance(None, 1.0),
            may_send_as=lambda _: None,
            keeps_back=lambda _: None,
            send=self.send,
        )
        computer.is_looking = True
        self.stack.append(computer)
        try:
            desk = Desk(a_setting(self.folder), computer.db, computer.gmail, way, lambda: self.at, lambda _: None)  # type: ignore[arg-type]
            with suppress(Killed, TryLater):
                for _ in poll(desk):
                    pass
        finally:
            self.stack.pop()
            computer.is_looking = False

    def run(self) -> None:
        for _ in range(6):
            self.at += timedelta(seconds=self.rand.choice([30, 61, 61, 700]))
            for computer in self.rand.sample(self.computers, len(self.computers)):
                self.look(computer)
            if self.rand.random() < 0.15:
                self.owner_acts()
        self.rate = 0.0
        for _ in range(6):
            for computer in self.computers:
                self.at += timedelta(seconds=700)
                self.look(computer)

    # -- what must hold -----------------------------------------------------------------------------------------

    def problems(self) -> Iterator[str]:
        for text, number in Counter([*self.left, *self.by_hand]).items():
            # Taken out of Trash and labelled once more it is sent again by a computer that does not know it left.
            if number > 1 and (len(self.computers) == 1 or number > max(self.wishes.values())):
                yield f"{text!r} left {number} times"
        yield from (f"{text!r} left without its label" for text in self.without_label)
        for draft_id, wishes in self.wishes.items():
            number = sum(text.endswith(f"of {draft_id[1:]}\r\n".encode()) for text in self.left)
            if number > wishes:
                yield f"draft {draft_id} left {number} times and was labelled {wishes} times"
        rows = [row for one in self.computers for row in store.drafts_under_way(one.db)]
        in_doubt = [body(row["raw"] or b"") for row in rows if row["state"] == "sending"]
        yield from (f"row {row['id']} is still {row['state']}" for row in rows if row["state"] != "sending")
        yield from self._copies(in_doubt)
        for message in self.account.messages.values():
            if {"DRAFT", "TRASH"} <= set(message.labels) and body(message.raw) not in [*self.left, *in_doubt]:
                yield f"{body(message.raw)!r} lies in Trash and was not sent"
            is_back = "DRAFT" in message.labels and "TRASH" not in message.labels and body(message.raw) in self.left
            if is_back and "owner: restore" not in " ".join(self.trace):
                yield f"{body(message.raw)!r} left and is a draft again"
        marks = [one["name"] for one in self.account.labels.values() if "/sending" in one["name"]]
        if len(marks) > len(in_doubt):
            yield f"marks left behind: {marks}"
        written = {body(message.raw) for message in self.account.messages.values() if "DRAFT" in message.labels}
        for draft_id in self.wishes:
            ends = f"of {draft_id[1:]}\r\n".encode()
            kept = [*written, *self.left, *self.by_hand, *self.discarded, *in_doubt]
            if not any(text.endswith(ends) for text in kept):
                yield f"draft {draft_id} is nowhere"

    def _copies(self, in_doubt: list[bytes]) -> Iterator[str]:
        copies = Counter(body(one.raw) for one in self.account.messages.values() if "SENT" in one.labels)
        for text, number in Counter(self.left).items():
            if copies[text] != number and text not in in_doubt:
                yield f"{text!r} left and has {copies[text]} copies in Sent"
        for text in copies:
            if text not in self.left and text not in self.by_hand:
                yield f"{text!r} has a copy in Sent and never left"


def body(raw: bytes) -> bytes:
    return raw.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("first", SEEDS[::CHUNK])
def test_no_mail_is_lost_doubled_or_sent_without_its_label(first: int, tmp_path: Path) -> None:
    template = tmp_path / "template.db"
    store.open_store(template).close()
    ends: Counter[str] = Counter()
    for seed in [first] if ONE else range(first, min(first + CHUNK, RUNS)):
        chaos = Chaos(seed, tmp_path, template)
        try:
            chaos.run()
            problems = list(chaos.problems())
            assert problems == [], f"OUTBOX_SEED={seed}\n" + "\n".join(chaos.trace)
            ends.update(["left"] * len(chaos.left), events=len(chaos.trace))
        finally:
            for computer in chaos.computers:
                with closing(computer.db):
                    pass
    assert ONE or (ends["left"] > 10 and ends["events"] > 100), "nothing happened"
