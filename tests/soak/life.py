"""A mailbox over some weeks: what arrives, what its owner does, what breaks, and the runs between.

Time is simulated: Gmail and the true world have one clock, this computer another that may be wrong. Runs are real, over
the Gmail double; some happen in a process of their own that is killed (SIGKILL) at a request or a transaction.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from google.auth import _exponential_backoff

from remediation.rotation import Rotation
from tests.doubles.gmail import GmailDouble
from tests.doubles.gmail.account import Clock, StoredMessage
from tests.doubles.gmail.quota import PER_MINUTE
from tests.soak import mails
from tests.soak.mails import Arrived
from tests.worlds.forked import Forked
from tests.worlds.made_mails import OWNER
from triage import run as worker
from triage import store
from triage.config import Settings, load_settings
from triage.errors import TriageError
from triage.gmail.client import connect

BEGIN = datetime(2026, 10, 29, 6, 0, tzinfo=UTC)
"""Three days before clocks are put back in San Diego, where the owner lives (1 November 2026, 09:00 UTC)."""
DOMAINS = ("client.example", "sails.example", "harbour.example")
TIMEOUT_SECONDS = 0.4

METHODS = (
    *("messages.list", "messages.get", "messages.modify", "messages.insert", "threads.get", "labels.list"),
    *("labels.create", "sendAs.list", "getProfile", "batch", "token", "*"),
)
HOW: tuple[dict[str, Any], ...] = (
    *({"status": status} for status in (500, 502, 503, 429, 403, 404)),
    *({"connection": how} for how in ("drop", "reset", "truncate", "omit", "hang")),
    *({"connection": how, "when": "after"} for how in ("drop", "reset")),
    {"status": 502, "body": b"<html>Bad Gateway</html>"},
    {"status": 200, "body": b'{"half": '},
)

KILLED = """
import sys
from datetime import datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from google.auth import _exponential_backoff
from tests.worlds.killed import die_at_transaction
from triage import run
from triage.config import load_settings
from triage.errors import TriageError
from triage.gmail.client import connect
from triage.store import actions, alerts, events, incidents, later, mails

config, url, now, fatal = sys.argv[1:]
_exponential_backoff.time = SimpleNamespace(sleep=lambda seconds: None)
run.connect = partial(connect, sleep=lambda seconds: None, timeout_seconds=0.4)
die_at_transaction(fatal, mails, actions, alerts, events, incidents, later)
settings = load_settings(Path(config), {"TRIAGE_GMAIL_URL": url})
try:
    run.run(settings, lambda: datetime.fromisoformat(now))
except TriageError as error:
    sys.exit(error.exit_code)
"""


class World(Clock):
    """The true time, which Gmail's is; a wait costs nothing but that time."""

    def __init__(self) -> None:
        super().__init__(ahead=BEGIN.timestamp(), is_told=True)

    def now(self) -> float:
        return self.ahead

    def moment(self) -> datetime:
        return datetime.fromtimestamp(int(self.ahead), UTC)


class Life:
    """One mailbox, one database, one seed."""

    def __init__(self, gmail: GmailDouble, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.gmail, self.world = gmail, World()
        gmail.account.clock = self.world
        gmail.quota.is_enforced = True
        gmail.write_credentials(folder)
        gmail.add_send_as(OWNER, host="email-smtp.us-east-1.amazonaws.com", port=587)
        self._config = folder / "triage.toml"
        self._config.write_text("notes_per_day = 1000\nalerts_per_day = 1000\n")
        self.settings: Settings = load_settings(self._config, {"TRIAGE_GMAIL_URL": gmail.url})
        self.error_of_clock = timedelta(0)
        self.arrived: list[Arrived] = []
        self.written: Counter[str] = Counter()
        """How often each message of ours was put into the mailbox, by its Message-ID."""
        self.theirs: dict[str, bytes] = {}
        """The messages that are not ours and that nobody deleted."""
        self.got_through: list[datetime] = []
        """When mail of the owner left through the alias and did not come back, or a renewal was confirmed."""
        self.codes: Counter[int] = Counter()
        self.seconds: list[float] = []
        self.cost: list[int] = []
        """Requests of each run in which nothing was new and nothing broke."""
        self._number = 0
        self._rotation: Rotation | None = None
        self._watch_inserts()

    # -- time ---------------------------------------------------------------------------------------------------

    def clock(self) -> datetime:
        """What this computer believes."""
        return self.world.moment() + self.error_of_clock

    def pass_time(self) -> None:
        """A quarter of an hour mostly; now and then the computer is off for hours or days."""
        minutes = self.random.choices((15, 60, 600, 3000), (70, 15, 10, 5))[0]
        self.world.advance(minutes * 60 * self.random.uniform(0.95, 1.05))
        if self.random.random() < 0.08:
            hours = self.random.choice((-72, -1, 1, 30, 24 * 9))  # an hour is what a clock is off that has no zone
            self.error_of_clock = timedelta(hours=hours)
        elif self.random.random() < 0.4:
            self.error_of_clock = timedelta(0)

    # -- what happens -------------------------------------------------------------------------------------------

    def let_mail_arrive(self) -> None:
        """None to three bounces or look-alikes; what they return lies in Sent, but for some."""
        for _ in range(self.random.choices((0, 1, 2, 3), (40, 30, 20, 10))[0]):
            self._arrive(self.random.choices(("refusal", "delay", "alias", "stranger", "none"), (5, 2, 2, 1, 2))[0])

    def _arrive(self, sort: str) -> None:
        self._number += 1
        number, at = self._number, self.world.moment()
        original_id = f"mail-{number}@example.org"
        count = self.random.choice((1, 1, 2, 3)) if sort in ("refusal", "stranger") else 1
        domain = self.random.choice(DOMAINS)
        people = tuple(f"person-{number}-{one}@{domain}" for one in range(count))
        if sort == "alias":
            people = ("pat@client.example",)
        thread_id = None
        if sort not in ("stranger", "none"):
            sent_id = self._seed(mails.sent(original_id, people, at), at, ["SENT"])
            thread_id = self.gmail.messages[sent_id].thread_id
        raw = {
            "alias": lambda: mails.alias_notice(number, original_id, at),
            "delay": lambda: mails.delay(number, people[0], original_id, at),
            "none": lambda: mails.newsletter(number, at),
        }.get(sort, lambda: mails.refusal(number, people, original_id, at))()
        backdated = at - timedelta(hours=self.random.choice((0, 0, 0, 0, 30)))
        gmail_id = self._seed(raw, backdated, ["INBOX", "UNREAD"], thread_id)
        people = () if sort == "none" else people
        self.arrived.append(Arrived(gmail_id, people, sort not in ("stranger", "none"), sort == "alias", backdated))

    def _seed(self, raw: bytes, at: datetime, labels: list[str], thread_id: str | None = None) -> str:
        gmail_id = self.gmail.seed(raw, labels, thread_id, at)
        self.theirs[gmail_id] = raw
        return gmail_id

    def let_owner_act(self) -> None:
        """Delete, move, rename, take a label off, throw a note away, send a mail that gets through."""
        acts: list[Callable[[], None]] = [self._delete, self._move, self._rename, self._take_off, self._throw_away]
        acts += [self._drop_label, self._renew]
        for act in self.random.sample(acts, self.random.choices((0, 1, 2), (60, 30, 10))[0]):
            act()

    def _still_there(self) -> list[Arrived]:
        return [one for one in self.arrived if not one.is_gone]

    def _delete(self) -> None:
        if not (there := self._still_there()):
            return
        one = self.random.choice(there[-6:])
        one.is_gone = True
        self.gmail.account.delete(self.gmail.messages[one.gmail_id])
        del self.theirs[one.gmail_id]

    def _move(self) -> None:
        if there := self._still_there():
            message = self.gmail.messages[self.random.choice(there[-6:]).gmail_id]
            label = self.random.choice(("TRASH", "SPAM", "STARRED"))
            self.gmail.account.change_labels(message, [label], ["INBOX"])

    def _labels(self) -> list[dict[str, Any]]:
        labels = self.gmail.account.labels.values()
        return [label for label in labels if label["type"] == "user" and label["name"].startswith("Bounce/")]

    def _rename(self) -> None:
        if labels := self._labels():
            self.random.choice(labels)["name"] = f"My bounces {len(self.gmail.account.labels)}"

    def _drop_label(self) -> None:
        if labels := self._labels():
            gone = self.random.choice(labels)["id"]
            self.gmail.account.delete_label(gone)
            for one in self.arrived:
                one.taken_off.discard(gone)

    def _take_off(self) -> None:
        done = {
            row["gmail_id"]
            for row in self.ask(
                "SELECT m.gmail_id FROM mails m WHERE EXISTS (SELECT 1 FROM actions a WHERE a.mail_id = m.id"
                " AND a.kind = 'label') AND NOT EXISTS (SELECT 1 FROM actions a WHERE a.mail_id = m.id"
                " AND a.kind = 'label' AND a.state = 'planned')"
            )
        }
        there = [one for one in self._still_there() if one.gmail_id in done]
        if there:
            one = self.random.choice(there)
            message = self.gmail.messages[one.gmail_id]
            ours = {label["id"] for label in self._labels()} & set(message.labels)
            self.gmail.account.change_labels(message, (), ours)
            one.taken_off |= ours

    def _throw_away(self) -> None:
        notes = [
            row["gmail_id"] for row in self.ask("SELECT gmail_id FROM actions WHERE kind = 'note' AND state = 'done'")
        ]
        there = [gmail_id for gmail_id in notes if gmail_id in self.gmail.messages]
        if there:
            self.gmail.account.delete(self.gmail.messages[self.random.choice(there)])

    def _renew(self) -> None:
        """The owner renews the SMTP login: both keys for a while, then Gmail has the new one."""
        now = self.world.moment()
        if self._rotation is None:
            self._rotation = Rotation(
                id=f"rotation-{now:%s}", state="waiting", iam_user="ses-smtp-admin", secret_id="login",
                region="us-east-1", host="email-smtp.us-east-1.amazonaws.com", port=587, security="starttls",
                alias=OWNER, old_key_id="AKIAOLD", old_version_id="v1", new_key_id="AKIANEW", version_id="v2",
                keys_before=("AKIAOLD",), started_at=now, asked_at=now, offered_at=now,
            )  # fmt: skip
        elif self._rotation.state == "waiting":
            self._rotation = replace(self._rotation, state="grace", confirmed_at=now, inactive_at=now)
            self.got_through.append(now)
        else:
            self._rotation = replace(self._rotation, state="done", ended_at=now)
        with closing(store.open_store(self.settings.database)) as db:
            store.keep_rotation(db, self._rotation)
        if self._rotation.is_over:
            self._rotation = None

    def let_things_break(self) -> None:
        """Up to three faults of Gmail, a search that lags, a minute whose quota somebody else has used up."""
        account = self.gmail.account
        account.search_lag = self.random.choice((0, 0, 0, 30, 240, 1700))
        account.parts_at_once = self.random.choice((None, None, None, 3))
        if self.random.random() < 0.1:
            self.gmail.quota._spent.append((self.world.now(), PER_MINUTE))
        if self.random.random() < 0.5:
            return
        for _ in range(self.random.choice((1, 1, 2, 3))):
            how = self.random.choice(HOW)
            times = 1 if how.get("connection") == "hang" else self.random.choice((1, 1, 2, 5, None))
            self.gmail.fail(self.random.choice(METHODS), self.random.choice((1, 1, 2, 3, 6)), times=times, **how)

    def mend(self) -> None:
        """Nothing is broken any more, and this computer's clock is right."""
        self.gmail.clear_faults()
        self.gmail.account.search_lag, self.gmail.account.parts_at_once = 0, None
        self.error_of_clock = timedelta(0)

    # -- runs ---------------------------------------------------------------------------------------------------

    def run(self) -> bool:
        """A run in this process. Says whether it came to its end; what is no documented failure is raised."""
        self.gmail.quota.reset()
        before = time.perf_counter()
        try:
            with self._waits_simulated():
                summary = worker.run(self.settings, self.clock)
        except TriageError as error:
            if error.exit_code != 75:
                raise AssertionError("Gmail's trouble passes, and the run must say so") from error
            self.codes[error.exit_code] += 1
            return False
        finally:
            self.seconds.append(time.perf_counter() - before)
        self.codes[0] += 1
        if not (summary.new or summary.actions or summary.notes or summary.alerts or summary.failed):
            self.cost.append(self.gmail.quota.http_requests)
        return True

    @contextmanager
    def _waits_simulated(self) -> Iterator[None]:
        """Waits of ours and of Google's library take simulated time only."""
        with pytest.MonkeyPatch.context() as patch:
            sleep = self.world.advance
            patient = partial(connect, sleep=sleep, now=self.world.moment, timeout_seconds=TIMEOUT_SECONDS)
            patch.setattr(worker, "connect", patient)
            patch.setattr(_exponential_backoff, "time", SimpleNamespace(sleep=sleep))
            yield

    def run_and_kill(self) -> None:
        """A run in a process of its own, killed at a request or a transaction, where it comes that far."""
        fatal = "none"
        if self.random.random() < 0.4:
            fatal = f"{self.random.randint(1, 40)} {self.random.choice(('open', 'done'))}"
        process = Forked(KILLED, str(self._config), self.gmail.url, self.clock().isoformat(), fatal)
        if fatal == "none":
            nth, when = self.random.randint(1, 30), self.random.choice(("before", "after"))
            self.gmail.kill_at(lambda: process.pid, "*", nth, when)  # type: ignore[arg-type]
        done = process.finish()
        assert done.returncode in (-9, 0, 75), (done.returncode, done.stdout, done.stderr)
        assert not done.stderr, done.stderr
        self.codes[done.returncode] += 1

    def ask(self, sql: str) -> list[dict[str, Any]]:
        """What the database says."""
        db = store.open_readonly(self.settings.database)
        if db is None:
            return []
        with closing(db):
            return list(db.query(sql))

    def happened(self) -> dict[str, int]:
        """How much of everything there was, to see that the promises were put to the test."""
        (row,) = self.ask(
            "SELECT (SELECT count(*) FROM verdicts WHERE recipient IS NOT NULL) AS verdicts,"
            " (SELECT count(*) FROM actions WHERE kind = 'label' AND state = 'done') AS labels,"
            " (SELECT count(*) FROM actions WHERE kind = 'note' AND state = 'done') AS notes,"
            " (SELECT count(*) FROM alerts WHERE state = 'done') AS alerts,"
            " (SELECT count(*) FROM incidents WHERE state = 'closed') AS \"incidents closed\","
            ' (SELECT sum(put_off) FROM actions) AS "put off",'
            " (SELECT count(*) FROM actions WHERE state = 'dropped') AS dropped"
        )
        return {name: int(number or 0) for name, number in row.items()}

    def _watch_inserts(self) -> None:
        add = self.gmail.account.add

        def added(raw: bytes, labels: Iterable[str], **more: Any) -> StoredMessage:
            message = add(raw, labels, **more)
            if b"X-Triage" in raw:
                self.written[message.message_id or ""] += 1
            return message

        self.gmail.account.add = added  # type: ignore[method-assign]
