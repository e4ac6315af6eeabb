"""kill -9 around every step of writing a note, then another run: there is exactly one, and it is on record.

The worker is a real process; the Gmail double kills it before or after a request is carried out, or it kills itself
at a transaction that records a note or the try to insert one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.faults import When
from tests.doubles.gmail import GmailDouble
from tests.worlds import killed
from tests.worlds.forked import Forked
from tests.worlds.made_mails import NOW, OWNER, alias_notice, minutes_ago, refusal, sent
from triage import store
from triage.config import Settings, load_settings

WORKER = """
import sys
from datetime import datetime
from pathlib import Path
from tests.worlds.killed import die_at_transaction
from triage import run
from triage.config import load_settings
from triage.store import actions

config, url, now, fatal = sys.argv[1:]
transactions = die_at_transaction(fatal, actions)
settings = load_settings(Path(config), {"TRIAGE_GMAIL_URL": url, "TRIAGE_ALERT_INBOX": "no"})
run.run(settings, lambda: datetime.fromisoformat(now))
print(transactions())
"""

NOTES = 2
TRANSACTIONS = 1 + 3 * NOTES + 1  # the run begins; the try, the insert, the note that is done; the run ends
# The requests a run makes for its notes, by method and which one of that method: the first listings are of the
# bounces and of the mails they return, the first two sendAs.list belong to proof and evidence.
REQUESTS = [
    *[("messages.list", nth) for nth in (5, 6)],
    ("getProfile", 1),
    ("sendAs.list", 3),
    *[("messages.insert", nth) for nth in (1, 2)],
]


def world(gmail: GmailDouble, folder: Path) -> Settings:
    """One conversation with an alias failure and a refusal: two notes are due."""
    gmail.write_credentials(folder)
    (folder / "triage.toml").write_text("overlap_hours = 0\n")
    first = gmail.seed(sent("mail-1@example.org"), labels=["SENT"], received_at=minutes_ago(60))
    gmail.seed(sent("mail-2@example.org"), labels=["SENT"], received_at=minutes_ago(60))
    gmail.add_send_as(OWNER, host="email-smtp.us-east-1.amazonaws.com")
    thread_id = gmail.messages[first].thread_id
    for number, mail in enumerate((alias_notice(1), refusal(2))):
        gmail.seed(mail, thread_id=thread_id, received_at=minutes_ago(30 - number))
    return load_settings(folder / "triage.toml", {"TRIAGE_GMAIL_URL": gmail.url, "TRIAGE_ALERT_INBOX": "no"})


def start(gmail: GmailDouble, folder: Path, fatal: str = "none") -> Forked:
    return Forked(WORKER, str(folder / "triage.toml"), gmail.url, NOW.isoformat(), fatal)


def end_state(gmail: GmailDouble, settings: Settings) -> dict[str, Any]:
    """Every note in Gmail, byte by byte, and what the database says of it; Gmail's ids become m0, m1, ..."""
    db = store.open_readonly(settings.database)
    assert db is not None
    actions = list(db.query("SELECT kind, target, payload, state, error, gmail_id FROM actions ORDER BY kind, payload"))
    db.close()
    notes = [
        (message.id, message.thread_id, sorted(message.labels), message.raw.decode())
        for message in gmail.messages.values()
        if b"X-Triage" in message.raw
    ]
    text = json.dumps({"actions": actions, "notes": notes})
    for number, message_id in enumerate(gmail.messages):
        text = text.replace(message_id, f"m{number}")
    state: dict[str, Any] = json.loads(text)
    for note in state["notes"]:  # which depends on the ids that were replaced
        assert note[3].count("bounce-triage.invalid") == 2
        note[3] = "".join(line for line in note[3].splitlines(True) if not line.startswith("Message-ID:"))
    for action in state["actions"]:
        action["payload"] = json.loads(action["payload"])
        action["payload"].pop("message_id", None)
    state["actions"].sort(key=json.dumps)
    return state


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The end state of a run nobody disturbed, after proving that the requests listed above are those it makes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with GmailDouble() as gmail:
        settings = world(gmail, folder)
        done = start(gmail, folder).finish()
        assert (done.returncode, done.stdout.strip(), done.stderr) == (0, str(TRANSACTIONS), "")
        for method in dict(REQUESTS):
            assert gmail.quota.calls[method] == max(nth for name, nth in REQUESTS if name == method), method
        state = end_state(gmail, settings)
    assert len(state["notes"]) == NOTES
    assert {(action["kind"], action["state"]) for action in state["actions"]} == {("label", "done"), ("note", "done")}
    return state


def killed_then_finished(gmail: GmailDouble, settings: Settings, process: Forked) -> dict[str, Any]:
    """The end state after the kill and the runs that follow it."""
    killed.finish(process, gmail, settings, NOW)
    return end_state(gmail, settings)


@pytest.mark.parametrize("fatal", [*(f"{nth} open" for nth in range(1, TRANSACTIONS + 1)), f"{TRANSACTIONS} done"])
def test_killed_while_recording(fatal: str, undisturbed: dict[str, Any], tmp_path: Path) -> None:
    with GmailDouble() as gmail:
        settings = world(gmail, tmp_path)
        assert killed_then_finished(gmail, settings, start(gmail, tmp_path, fatal)) == undisturbed


# After one request is before the next; only an insert leaves something behind.
KILLS = [(method, nth, "before", 0.0) for method, nth in REQUESTS]
KILLS += [("messages.insert", nth, "after", 0.0) for nth in (1, 2)]
# Where the search does not show yet what was inserted a moment ago.
KILLS += [("messages.insert", nth, "after", 3600.0) for nth in (1, 2)]


@pytest.mark.parametrize(("method", "nth", "when", "lag"), KILLS)
def test_killed_at_a_request(
    method: str, nth: int, when: When, lag: float, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    with GmailDouble() as gmail:
        settings = world(gmail, tmp_path)
        gmail.clock.advance(7200)
        gmail.account.search_lag = lag
        process = start(gmail, tmp_path)
        gmail.kill_at(lambda: process.pid, method, nth, when)
        assert killed_then_finished(gmail, settings, process) == undisturbed
