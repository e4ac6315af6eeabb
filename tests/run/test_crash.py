"""kill -9 at every step of a run, then another run: the end state is that of a run nobody disturbed.

The steps are every request to Gmail, before and after it is carried out, and every transaction, before and after it is
committed. The worker is a real process; the Gmail double kills it, or it kills itself between two lines of its own.
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
from tests.worlds.made_mails import NOW, OWNER, alias_notice, delay, minutes_ago, newsletter, refusal, sent
from tests.worlds.stored import every_verdict
from triage import store
from triage.config import Settings, load_settings

# A run that kills itself at the nth transaction, "open" before it is committed or "done" after.
WORKER = """
import sys
from datetime import datetime
from pathlib import Path
from tests.worlds.killed import die_at_transaction
from triage import run
from triage.config import load_settings
from triage.store import actions, events, later, mails

config, url, now, fatal = sys.argv[1:]
transactions = die_at_transaction(fatal, mails, actions, events, later)
settings = load_settings(Path(config), {"TRIAGE_GMAIL_URL": url, "TRIAGE_ALERT_INBOX": "no"})
run.run(settings, lambda: datetime.fromisoformat(now))
print(transactions())
"""

# The run begins (1), the fetch (2), five mails (3-7), evidence for the three open verdicts (8-10), labels of four
# bounces (11-14), the cursor (15), the run ends (16).
TRANSACTIONS = 16
# Every request of the run below, by its method and which one of that method it is.
REQUESTS = [
    *[("messages.list", nth) for nth in (1, 2, 3, 4)],  # the bounces; the large ones; the two mails they return
    ("batch", 1),
    *[("messages.get", nth) for nth in range(1, 6)],
    *[("sendAs.list", nth) for nth in (1, 2)],  # is it an alias; what is its server
    ("labels.list", 1),
    *[("labels.create", nth) for nth in (1, 2, 3, 4)],  # Bounce, and three below it
    *[("messages.modify", nth) for nth in range(1, 5)],
]


def world(gmail: GmailDouble, folder: Path) -> Settings:
    """One thread with two causes, one with a delay that ended and an unproven bounce, and a mail that is no bounce."""
    gmail.write_credentials(folder)
    gmail.add_send_as(OWNER, host="email-smtp.us-east-1.amazonaws.com")
    # Without overlap a cursor that moves too early loses mails.
    (folder / "triage.toml").write_text("overlap_hours = 0\nnotes = false\n")  # notes: tests/letters/test_note_crash.py
    first = gmail.seed(sent("mail-2@example.org"), labels=["SENT"], received_at=minutes_ago(60))
    other = gmail.seed(sent("mail-1@example.org"), labels=["SENT"], received_at=minutes_ago(60))
    threads = [gmail.messages[message_id].thread_id for message_id in (first, other)]
    for number, (thread_id, mail) in enumerate(
        [
            (threads[0], alias_notice(1)),
            (threads[0], refusal(2, original_id="mail-2@example.org")),
            (threads[1], delay(3)),
            (threads[1], refusal(4, genuine="unknown")),
            (None, newsletter(5)),
        ]
    ):
        gmail.seed(mail, thread_id=thread_id, received_at=minutes_ago(30 - number))
    return load_settings(folder / "triage.toml", {"TRIAGE_GMAIL_URL": gmail.url, "TRIAGE_ALERT_INBOX": "no"})


def start(gmail: GmailDouble, folder: Path, fatal: str = "none") -> Forked:
    return Forked(WORKER, str(folder / "triage.toml"), gmail.url, NOW.isoformat(), fatal)


def end_state(gmail: GmailDouble, settings: Settings) -> dict[str, Any]:
    """All that a run leaves behind: mails, verdicts, actions, cursor, and labels in Gmail; ids become m0, m1, ..."""
    db = store.open_readonly(settings.database)
    assert db is not None
    mails = {row["id"]: row["gmail_id"] for row in db.query("SELECT id, gmail_id FROM mails")}
    verdicts = every_verdict(db)
    of_verdict = {verdict["id"]: (mails[verdict["mail_id"]], verdict["kind"]) for verdict in verdicts}
    state = {
        "mails": sorted(
            (
                {key: row[key] for key in row if key not in ("id", "raw")} | {"raw": store.read_raw(db, row["id"])}
                for row in db.query("SELECT * FROM mails")
            ),
            key=lambda row: row["gmail_id"],
        ),
        "verdicts": sorted(
            json.dumps(
                {key: value for key, value in verdict.items() if key not in ("id", "mail_id")}
                | {"superseded_by": of_verdict.get(verdict["superseded_by"])}
            )
            for verdict in verdicts
        ),
        "actions": sorted(
            (mails[row["mail_id"]], row["kind"], row["target"], row["payload"], row["state"])
            for row in db.query("SELECT * FROM actions")
        ),
        "evidence": sorted(
            json.dumps(
                {key: value for key, value in row.items() if key not in ("id", "tries")}
                | {"verdict_id": of_verdict[row["verdict_id"]]}
            )
            for row in db.query("SELECT * FROM evidence")
        ),
        "cursor": store.read_cursor(db),
        "last run": [(run["finished_at"] is not None, run["error"]) for run in store.last_runs(db)],
        "threads": {m.thread_id: sorted(gmail.label_names_of_thread(m.thread_id)) for m in gmail.messages.values()},
        "labels": sorted(gmail.label_names()),
        "messages": len(gmail.messages),
    }
    db.close()
    text = json.dumps(state, default=str, sort_keys=True)
    for number, message_id in enumerate(gmail.messages):  # a thread has the id of its first message
        text = text.replace(message_id, f"m{number}")
    named: dict[str, Any] = json.loads(text)
    return named


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The end state of a run nobody disturbed, after proving that the steps listed above are all there are."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with GmailDouble() as gmail:
        settings = world(gmail, folder)
        done = start(gmail, folder).finish()
        assert (done.returncode, done.stderr) == (0, "")
        assert int(done.stdout) == TRANSACTIONS
        calls = dict.fromkeys({method for method, _ in REQUESTS}, 0)
        for method, nth in REQUESTS:
            calls[method] = max(calls[method], nth)
        assert dict(gmail.quota.calls) == calls
        state = end_state(gmail, settings)
    assert len(state["verdicts"]) == 5
    assert sorted(len(names) for names in state["threads"].values()) == [2, 5, 5]
    assert state["cursor"] == "2026-11-24 09:04:00+00:00", "when the newest mail arrived"
    return state


def test_an_undisturbed_run_labels_what_it_should(undisturbed: dict[str, Any]) -> None:
    labels = {name for names in undisturbed["threads"].values() for name in names if "/" in name}
    assert labels == {"Bounce/Fix your alias", "Bounce/Remote rejection", "Bounce/Delayed"}
    assert any('"superseded_by": ["m' in verdict for verdict in undisturbed["verdicts"])


def killed_then_finished(gmail: GmailDouble, settings: Settings, process: Forked) -> dict[str, Any]:
    """The end state after the kill and the runs that follow it."""
    killed.finish(process, gmail, settings, NOW)
    return end_state(gmail, settings)


@pytest.mark.parametrize("moment", ["open", "done"])
@pytest.mark.parametrize("number", range(1, TRANSACTIONS + 1))
def test_killed_at_a_transaction(number: int, moment: str, undisturbed: dict[str, Any], tmp_path: Path) -> None:
    with GmailDouble() as gmail:
        settings = world(gmail, tmp_path)
        process = start(gmail, tmp_path, f"{number} {moment}")
        assert killed_then_finished(gmail, settings, process) == undisturbed


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("method", "nth"), REQUESTS)
def test_killed_at_a_request(method: str, nth: int, when: When, undisturbed: dict[str, Any], tmp_path: Path) -> None:
    with GmailDouble() as gmail:
        settings = world(gmail, tmp_path)
        process = start(gmail, tmp_path)
        gmail.kill_at(lambda: process.pid, method, nth, when)
        assert killed_then_finished(gmail, settings, process) == undisturbed
