"""What becomes of a run where one call to Gmail goes wrong each time: tried on the double, and written down as a table.

    python -m tests.run.fault_table    writes the table of docs/reliability.md

A cell says with which code the run ends, and what a run a day later makes of it, when Gmail is well again.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from tests.doubles.gmail import GmailDouble
from tests.doubles.gmail.errors import ApiError, invalid
from tests.worlds.made_mails import NOW, alias_notice, put_into_sent, refusal
from tests.worlds.run_world import seed
from triage import run as worker
from triage import store
from triage.config import Settings, load_settings
from triage.errors import TriageError, TryLater
from triage.gmail.client import connect
from triage.letters import NotYet
from triage.report import deliver_report, read_report

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- tried: calls and faults -->\n", "<!-- end of what was tried -->"

FAULTS: dict[str, dict[str, Any]] = {
    "no answer": {"connection": "drop"},
    "503": {"status": 503},
    "429": {"status": 429},
    "403 quota": {"status": 403},
    "403 denied": {"error": ApiError(403, "Denied by a policy.", "forbidden")},
    "404": {"status": 404},
    "400": {"error": invalid("Invalid something.")},
    "HTML, 200": {"body": b"<html>Sign in to the network</html>", "status": 200},
}
"""What is answered instead, at every call of that name."""


@dataclass(frozen=True)
class Call:
    """A call to Gmail, by the name the double knows it by, and from which one of that name on it goes wrong."""

    method: str
    nth: int = 1
    is_report: bool = False
    """Made by `report --deliver inbox`, not by a run."""


CALLS: dict[str, Call] = {
    "renewing the sign-in": Call("token"),
    "the search for bounces": Call("messages.list"),
    "ten mails at once": Call("batch"),
    "each mail": Call("messages.get"),
    "the mail in Sent": Call("messages.list", 3),
    "a label": Call("messages.modify"),
    "a note": Call("messages.insert"),
    "the report: whose mailbox": Call("getProfile", is_report=True),
    "the report: is it there": Call("messages.list", is_report=True),
    "the report: into the inbox": Call("messages.insert", is_report=True),
}

Ask = Callable[[datetime], int]


@contextmanager
def world() -> Iterator[tuple[GmailDouble, Settings]]:
    """A mailbox with two bounces, each in a conversation of its own, that no run has seen."""
    with GmailDouble() as gmail, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        put_into_sent(gmail)
        gmail.write_credentials(folder)
        (folder / "triage.toml").write_text("alert_inbox = false\n")
        seed(gmail, alias_notice(1), refusal(2))
        yield gmail, load_settings(folder / "triage.toml", {"TRIAGE_GMAIL_URL": gmail.url})


def run_once(settings: Settings, at: datetime) -> int:
    """The exit code of a run."""
    try:
        return worker.run(settings, lambda: at).exit_code
    except TriageError as error:
        return error.exit_code


def deliver_once(settings: Settings, at: datetime) -> int:
    """The exit code of `report --deliver inbox`."""
    try:
        with (
            closing(store.open_store(settings.database)) as db,
            closing(worker.connect(settings.token, url=settings.gmail_url)) as gmail,
        ):
            done = deliver_report(gmail, db, read_report(db, settings, since=at - timedelta(days=7), now=at))
    except TriageError as error:
        return error.exit_code
    return TryLater.exit_code if isinstance(done, NotYet) else 0


def state_of(gmail: GmailDouble, settings: Settings) -> dict[str, int]:
    """What there is in the end: verdicts, labels set, notes and reports in the mailbox."""
    raws = [message.raw for message in gmail.messages.values()]
    with closing(store.open_store(settings.database)) as db:
        (verdicts,) = db.execute("SELECT count(*) FROM verdicts").fetchone()
    return {
        "verdict": verdicts,
        "label": sum(any(key.startswith("Label") for key in one.labels) for one in gmail.messages.values()),
        "note": sum(b'From: "Bounce triage' in raw for raw in raws),
        "report": sum(b"Subject: Bounce report" in raw for raw in raws),
    }


def outcome(call: Call, fault: dict[str, Any], healthy: dict[str, int]) -> str:
    """A cell: the exit code, and what is missing or double a day later; nothing more where all is as it should be."""
    with world() as (gmail, settings):
        if call.method == "token":
            token = json.loads(settings.token.read_text())
            settings.token.write_text(json.dumps(token | {"expiry": "2026-01-01T00:00:00Z"}))
        ask: Ask = partial(deliver_once if call.is_report else run_once, settings)
        gmail.fail(call.method, call.nth, times=None, **fault)
        code = ask(NOW)
        gmail.clear_faults()
        again = ask(NOW + (timedelta(hours=2) if call.is_report else timedelta(days=1)))
        found = state_of(gmail, settings)
    wanted = {**dict.fromkeys(healthy, 0), "report": 1} if call.is_report else {**healthy, "report": 0}
    wrong = [f"{found[key] - wanted[key]:+} {key}" for key in wanted if found[key] != wanted[key]]
    return ", ".join([str(code), *wrong, *([f"then {again}"] if again else [])])


def in_health() -> dict[str, int]:
    """What comes of a run where nothing goes wrong."""
    with world() as (gmail, settings):
        assert run_once(settings, NOW) == 0
        found = state_of(gmail, settings)
    assert found["verdict"] >= 2
    assert found["label"] >= 2
    assert found["note"] >= 2
    return found


def row(name: str, healthy: dict[str, int]) -> list[str]:
    """The cells of one call."""
    return [outcome(CALLS[name], fault, healthy) for fault in FAULTS.values()]


def line(name: str, cells: list[str]) -> str:
    """A row as it stands in the document."""
    return f"| {name} | {' | '.join(cells)} |"


def head() -> str:
    """The head of the table."""
    return f"| what was asked | {' | '.join(FAULTS)} |\n|---|{'---|' * len(FAULTS)}"


def written() -> list[str]:
    """The lines of the table as the document has it."""
    text = DOCUMENT.read_text(encoding="utf-8")
    return text.partition(BEGIN)[2].partition(END)[0].splitlines()


def main() -> None:
    """Try everything and write the table."""
    worker.connect = partial(connect, sleep=lambda _: None, timeout_seconds=2)  # type: ignore[assignment]
    healthy = in_health()
    lines = [head(), *(line(name, row(name, healthy)) for name in CALLS)]
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    DOCUMENT.write_text(f"{before}{BEGIN}{chr(10).join(lines)}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
