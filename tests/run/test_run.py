"""A run against the Gmail double: what it stores, what it labels, what it costs, and what it never does."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from parsers import parse
from parsers.facts import Bounce
from remediation import load_causes
from tests.doubles.gmail import GmailDouble
from tests.worlds.made_mails import alias_notice, minutes_ago, newsletter, refusal, sent
from tests.worlds.made_verdicts import record
from tests.worlds.run_world import QUIET, Query, Work, clock, seed, user_labels
from triage import run as worker
from triage import store
from triage.config import Settings, load_settings
from triage.gmail.sent import MOST_IDS
from triage.letters import LABELS
from triage.model import Judged, Proof, StoredMail
from triage.plan import actions_of

# The whole road


def test_a_thread_with_two_causes_gets_two_labels(gmail: GmailDouble, work: Work, query: Query) -> None:
    first = next(iter(gmail.messages))
    thread = gmail.messages[first].thread_id
    seed(gmail, alias_notice(1), alias_notice(2), refusal(3), thread_id=thread)
    (news,) = seed(gmail, newsletter(4), minutes=1)
    summary = work()
    assert user_labels(gmail, first) == {"Bounce/Fix your alias", "Bounce/Remote rejection"}
    assert user_labels(gmail, news) == set()
    assert (summary.new, summary.judged, summary.not_bounces, summary.failed, summary.actions) == (4, 3, 1, 0, 3)
    assert summary.failures == ()
    verdicts = query("SELECT kind, category, side, thread_id FROM verdicts v JOIN mails m ON m.id = mail_id")
    assert [(row["kind"], row["category"], row["side"]) for row in verdicts] == [
        ("failed", "smtp-credentials", "own"),
        ("failed", "smtp-credentials", "own"),
        ("failed", "remote-rejection", "remote"),
        ("not-a-bounce", None, None),
    ]
    assert {row["thread_id"] for row in verdicts[:3]} == {thread}
    (run,) = query("SELECT * FROM runs")
    assert {key: run[key] for key in summary.counts()} == summary.counts()
    assert (run["source"], run["finished_at"], run["error"]) == ("gmail", "2026-11-24T09:30:00Z", None)


def test_the_mails_are_stored_whole_with_when_they_came(gmail: GmailDouble, work: Work, settings: Settings) -> None:
    (message_id,) = seed(gmail, refusal(1))
    work()
    db = store.open_readonly(settings.database)
    assert db is not None
    (mail,) = store.find_mails(db, message_id)
    assert (mail["source"], mail["message_id"]) == (f"gmail:{message_id}", "bounce-1@mx.example.com")
    assert (mail["received_at"], mail["seen_at"]) == ("2026-11-24T09:00:00Z", "2026-11-24T09:30:00Z")
    assert store.read_raw(db, mail["id"]) == refusal(1)
    assert store.read_cursor(db) == minutes_ago(30), "when the newest mail arrived, by Gmail's clock"
    db.close()


def test_spam_is_read_too(gmail: GmailDouble, work: Work) -> None:
    gmail.seed(refusal(1), labels=["SPAM"], received_at=minutes_ago(5))
    assert work().judged == 1


def test_a_run_says_nothing_itself(gmail: GmailDouble, work: Work, capfd: pytest.CaptureFixture[str]) -> None:
    seed(gmail, refusal(1))
    work()
    assert capfd.readouterr() == ("", "")


def test_nothing_but_labels_changes_in_the_mailbox(gmail: GmailDouble, work: Work) -> None:
    (message_id,) = seed(gmail, refusal(1))
    work()
    assert gmail.messages[message_id].raw == refusal(1)
    assert {"INBOX", "UNREAD"} < gmail.labels_of(message_id)
    reading = {"messages.list", "batch", "messages.get", "labels.list"}
    assert set(gmail.quota.calls) - reading == {"labels.create", "messages.modify"}


def test_progress_is_told_mail_by_mail(gmail: GmailDouble, work: Work) -> None:
    seed(gmail, refusal(1), refusal(2))
    told: list[tuple[int, int | None]] = []
    work(progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]


# What it costs


def test_a_quiet_run_costs_one_listing(gmail: GmailDouble, work: Work) -> None:
    seed(gmail, refusal(1), newsletter(2))
    work()
    gmail.reset_counters()
    assert work() == QUIET
    assert gmail.quota.http_requests <= 2
    assert gmail.quota.units_new <= 6


def test_a_quiet_run_imports_no_boto3(settings: Settings, tmp_path: Path) -> None:
    code = (
        "import sys, datetime; from pathlib import Path; from triage import run, config\n"
        "run.run(config.load_settings(Path(sys.argv[1]), {'TRIAGE_GMAIL_URL': sys.argv[2]}),"
        " lambda: datetime.datetime.now(datetime.UTC))\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules} & {'boto3', 'botocore', 'googleapiclient'}))"
    )
    command = [sys.executable, "-c", code, tmp_path / "triage.toml", str(settings.gmail_url)]
    done = subprocess.run(command, cwd=Path(store.__file__).parents[2], capture_output=True, text=True, check=True)
    assert done.stdout == "googleapiclient\n"


def test_a_hundred_bounces_are_fetched_in_few_requests(gmail: GmailDouble, work: Work) -> None:
    seed(gmail, *(refusal(number) for number in range(100)), minutes=200)
    summary = work()
    assert summary.judged == 100
    assert gmail.quota.calls["messages.get"] == 100
    assert summary.requests - gmail.quota.calls["messages.modify"] - gmail.quota.calls["labels.create"] - 2 <= 25


def test_a_bounce_with_its_label_costs_thirty_units(gmail: GmailDouble, work: Work) -> None:
    seed(gmail, refusal(1))
    work()  # makes the label
    per_run = QUIET.units_new + 5 + 1  # listing the mails, which of them are large, the labels
    for number in (2, 3, 4):
        gmail.reset_counters()
        seed(gmail, refusal(number, original_id=f"mail-{number}@example.org"), minutes=5)
        work()
        assert gmail.quota.units_new - per_run <= 30


# Who is believed


@pytest.mark.parametrize(
    ("genuine", "original_id", "proof"),
    [
        ("pass", "mail-1@example.org", "sent"),
        ("unknown", "mail-1@example.org", "sent"),
        ("fail", "mail-1@example.org", None),
        ("pass", "nobody-sent-this@example.org", None),
        ("unknown", "nobody-sent-this@example.org", None),
    ],
)
def test_only_what_answers_a_mail_in_sent_is_acted_on(
    gmail: GmailDouble, work: Work, query: Query, genuine: str, original_id: str, proof: str | None
) -> None:
    """A signature alone proves nothing: everybody can sign."""
    (message_id,) = seed(gmail, refusal(1, genuine=genuine, original_id=original_id))
    assert work().judged == 1
    assert user_labels(gmail, message_id) == ({"Bounce/Remote rejection"} if proof else set())
    assert query("SELECT proof, proof_open FROM verdicts") == [{"proof": proof, "proof_open": 0}]


def test_a_mail_to_somebody_else_is_no_proof(gmail: GmailDouble, work: Work, query: Query) -> None:
    (message_id,) = seed(gmail, refusal(1, recipient="stranger@evil.example"))
    work()
    assert user_labels(gmail, message_id) == set()
    assert query("SELECT proof_why FROM verdicts") == [{"proof_why": "Sent holds no such mail to this recipient"}]


def test_a_copy_that_is_not_in_sent_proves_nothing(gmail: GmailDouble, work: Work) -> None:
    gmail.seed(sent("elsewhere@example.org"), labels=["INBOX"], received_at=minutes_ago(60))
    (message_id,) = seed(gmail, refusal(1, original_id="elsewhere@example.org"))
    work()
    assert user_labels(gmail, message_id) == set()


def test_a_bounce_that_claims_another_sender_or_time_proves_nothing(gmail: GmailDouble, work: Work) -> None:
    claims = (b"From: admin@queenofsandiego.com\r\nTo: pat", b"From: jadasailing@gmail.com\r\nTo: pat")
    times = (b"Date: Tue, 24 Nov 2026 08:59", b"Date: Sat, 24 Nov 2029 08:59")
    seed(gmail, refusal(1).replace(*claims), refusal(2).replace(*times))
    assert work().actions == 0


def test_the_original_is_found_by_what_the_bounce_refers_to(gmail: GmailDouble, work: Work) -> None:
    gmail.seed(sent("real@example.org"), labels=["SENT"], received_at=minutes_ago(60))
    bounce = refusal(1, genuine="unknown", original_id="ses@example.com", references="References: <real@example.org>\n")
    (message_id,) = seed(gmail, bounce)
    work()
    assert user_labels(gmail, message_id) == {"Bounce/Remote rejection"}


@pytest.mark.parametrize("forged", ['x"OR"y@example.org', "{x}@example.org", "x@y)OR(in:sent", "x:y@example.org"])
def test_a_strangers_message_id_never_becomes_a_search_of_its_own(gmail: GmailDouble, work: Work, forged: str) -> None:
    (message_id,) = seed(gmail, refusal(1, genuine="unknown", original_id=forged))
    assert work().failed == 0
    assert gmail.quota.calls["messages.list"] == 2, "what is new, and which of it is large"
    assert user_labels(gmail, message_id) == set()


def test_lookups_in_sent_are_few(gmail: GmailDouble, work: Work) -> None:
    many = "".join(f" <ref-{number}@example.org>" for number in range(50))
    seed(gmail, refusal(1, original_id="no@example.org", references=f"References:{many}\n"))
    work()
    assert gmail.quota.calls["messages.list"] <= 3 + MOST_IDS


def test_a_search_that_gmail_does_not_answer_is_asked_again(gmail: GmailDouble, work: Work, query: Query) -> None:
    """And stops nothing: the mail is judged, and acted on once it is proven."""
    (message_id,) = seed(gmail, refusal(1))
    gmail.fail("messages.list", nth=3, times=None, status=503)
    assert work().judged == 1
    assert query("SELECT proof, proof_open FROM verdicts") == [{"proof": None, "proof_open": 1}]
    assert user_labels(gmail, message_id) == set()
    gmail.clear_faults()
    work()
    assert query("SELECT proof, proof_open FROM verdicts") == [{"proof": "sent", "proof_open": 0}]
    assert user_labels(gmail, message_id) == {"Bounce/Remote rejection"}


# The plan


def judged(*categories: str | None, thread_id: str | None = "t") -> Judged:
    records = [record(category=category, cause=f"cause-{category}") for category in categories]
    bounce = parse(refusal(1))
    assert isinstance(bounce, Bounce)
    return Judged(StoredMail("gmail:1", "1", thread_id), bounce, tuple(records))


def plain_actions(one: Judged, *proofs: str | None) -> list[str]:
    kinds: list[Any] = list(proofs) or ["sent"] * len(one.records)
    settings = load_settings(None, {"TRIAGE_NOTES": "false"})
    return [action.payload["label"] for action in actions_of(one, [Proof(kind, "") for kind in kinds], settings)]


@pytest.mark.parametrize("category", list(LABELS))
def test_each_category_has_its_label(category: str) -> None:
    assert plain_actions(judged(category)) == [f"Bounce/{LABELS[category]}"]


def test_every_category_a_cause_can_name_has_a_label() -> None:
    named = {cause.category for cause in load_causes().values()} - {None, "unverified"}
    assert named <= set(LABELS)


def test_what_leads_to_no_action() -> None:
    assert plain_actions(judged(None)) == []
    assert plain_actions(judged("unverified")) == []
    assert plain_actions(judged("remote-rejection"), None) == []
    assert plain_actions(judged("remote-rejection"), "given") == []
    assert plain_actions(judged("remote-rejection", thread_id=None)) == []


def test_one_mail_with_several_recipients_gets_each_label_once() -> None:
    one = judged("delayed", "remote-rejection", "delayed", "unknown")
    assert plain_actions(one, "sent", "sent", "sent", None) == ["Bounce/Delayed", "Bounce/Remote rejection"]


def test_the_label_prefix_is_the_users(gmail: GmailDouble, settings: Settings) -> None:
    (message_id,) = seed(gmail, refusal(1))
    worker.run(replace(settings, label_prefix="Mail/Zurück"), clock)
    assert user_labels(gmail, message_id) == {"Mail/Zurück/Remote rejection"}


def test_the_database_is_closed_after_a_run(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Database] = []
    real = store.open_store

    def remember(path: Path) -> Database:
        opened.append(real(path))
        return opened[-1]

    monkeypatch.setattr(store, "open_store", remember)
    work()
    with pytest.raises(Exception, match="closed"):
        opened[0].execute("SELECT 1")
