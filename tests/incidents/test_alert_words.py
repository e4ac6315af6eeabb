"""What an alert says, and what it never repeats out of a bounce."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from sqlite_utils import Database

from remediation import load_causes
from tests.doubles.http_sink import HttpSink
from tests.incidents.made import NOW, ago, put, record, refused, ses_refused
from tests.incidents.told import say
from triage import store
from triage.config import Settings
from triage.gmail.client import Gmail
from triage.incidents import alerts
from triage.incidents.words import MOST_TOLD, IncidentFacts, alert_body, alert_title, clicks, incident_lines
from triage.model import Evidence

EVIL = "https://evil.example/login"


def test_it_says_what_broke_since_when_who_is_hit_and_what_to_click(
    db: Database, sink: HttpSink, by_push: Settings, gmail: Gmail
) -> None:
    [verdict_id] = put(db, 1, record(), at=ago(hours=5), seen_at=NOW)
    words = "key AKIA...7Q was made inactive on 12 May 14:02 UTC; first failure 12 May 16:40 UTC"
    store.record_evidence(db, verdict_id, [Evidence("own-side", found=True, detail=words, result="proven")], NOW)
    say(db, by_push, gmail)
    ((title, text),) = sink.told
    assert title == "Broken: mail from admin@queenofsandiego.com does not leave"
    assert text.splitlines() == [
        "Key AKIA...7Q was made inactive on 12 May 14:02 UTC. Since Tue 24 Nov 2026 04:30 UTC.",
        "1 person not reached: pat@client.example. All of it: `triage incidents show 1`",
        "https://mail.google.com/mail/?authuser=jadasailing@gmail.com#settings/accounts",
    ]


@pytest.mark.parametrize("occasion", ["opened", "reminder", "closed"])
@pytest.mark.parametrize("cause", sorted(set(load_causes()) - {"alias-recipient-suppressed"}))  # opens no incident
def test_a_push_service_cuts_nothing_off(cause: str, occasion: str, db: Database, plain: Settings) -> None:
    many = [record(cause=cause, recipient=f"p{n}@a-long-name.example", message_id=f"m{n}") for n in range(25)]
    put(db, 1, *many, at=ago(hours=5))
    words = "key AKIA...7Q was made inactive on 12 May 14:02 UTC; first failure 12 May 16:40 UTC " + "and more " * 40
    store.record_evidence(db, 1, [Evidence("own-side", found=True, detail=words, result="proven")], NOW)
    store.close_by_hand(db, 1, "see " + "this " * 60, ago(minutes=1))
    (incident,) = store.read_incidents(db)
    facts = replace(alerts.facts_of(db, plain, incident), more=12)
    first, second, *link = alert_body(incident, occasion, facts, NOW).splitlines()
    assert len(f"{first} {second}") <= MOST_TOLD
    assert len(link) <= 1
    assert "25 people not reached" in second
    assert "`triage " in second


def test_the_whole_of_an_incident_is_told_by_show(db: Database, plain: Settings) -> None:
    [verdict_id] = put(db, 1, record(), at=ago(hours=5), seen_at=NOW)
    words = "key AKIA...7Q was made inactive on 12 May 14:02 UTC; first failure 12 May 16:40 UTC"
    store.record_evidence(db, verdict_id, [Evidence("own-side", found=True, detail=words, result="proven")], NOW)
    (incident,) = store.read_incidents(db)
    lines = list(incident_lines(incident, alerts.facts_of(db, plain, incident), NOW))
    assert lines[0] == f"K{words[1:]}."
    text = "\n".join(lines)
    for said in (
        "What broke: The SMTP login was refused (alias-credentials-rejected).",
        "Since when: Tue 24 Nov 2026 04:30 UTC (5 hours ago)",
        "Who is hit: 1 person, 1 mail.\n- pat@client.example: Friday sail",
        'What to click: https://mail.google.com/mail/#settings/accounts - under "Send mail as" beside',
        "you, the owner of the mailbox",
        "1. Make a new login",
    ):
        assert said in text
    store.close_by_hand(db, 1, "the new login works", NOW)
    (closed,) = store.read_incidents(db)
    after = "\n".join(incident_lines(closed, alerts.facts_of(db, plain, closed), NOW))
    assert "the new login works" in after
    assert "Make a new login" not in after
    assert "What to click" not in after


HOSTILE: dict[str, Any] = {
    "recipient": f"{EVIL}@client.example",
    "subject": f"Verify now {EVIL} or www.evil.example\r\nBcc: x@evil.example",
    "diagnostic": f"535 Confirm your password within 24 hours: {EVIL}\x1b[2J",
    "remote_host": "evil.example/login",
    "evidence": EVIL,
    "from": f"admin@queenofsandiego.com {EVIL}",
}


@pytest.mark.parametrize("occasion", ["opened", "reminder", "closed"])
@pytest.mark.parametrize("verdict", [record(**HOSTILE), refused(**HOSTILE), ses_refused(**HOSTILE)])
def test_no_link_out_of_a_bounce_is_ever_repeated(
    verdict: dict[str, Any], occasion: str, db: Database, plain: Settings
) -> None:
    put(db, 1, verdict, at=ago(hours=5))
    store.close_by_hand(db, 1, f"see {EVIL}", ago(minutes=1))
    (incident,) = store.read_incidents(db)
    facts = alerts.facts_of(db, plain, incident)
    text = f"{alert_title(incident, occasion, NOW)}\n{alert_body(incident, occasion, facts, NOW)}"
    links = set(re.findall(r"(?:https?:|www\.|mailto:)\S*", text))
    own = {link for cause in load_causes().values() for link in cause.links}
    steps = " ".join(step.text for cause in load_causes().values() for step in cause.steps)
    own |= {link.rstrip(".,)") for link in re.findall(r"https?:\S+", steps)}
    page = clicks(incident)
    assert {link.rstrip(".,)") for link in links} <= own | ({page.partition(" ")[0]} if page else set())
    assert "evil.example/" not in text
    assert text.replace("\n", "").isprintable()
    assert "\n" not in alert_title(incident, occasion, NOW)


def test_the_people_named_are_few_and_the_rest_is_counted(db: Database, plain: Settings) -> None:
    put(db, 1, *(record(recipient=f"p{n}@client.example", message_id=f"m{n}") for n in range(25)), at=ago(hours=1))
    (incident,) = store.read_incidents(db)
    text = "\n".join(incident_lines(incident, alerts.facts_of(db, plain, incident), NOW))
    assert "Who is hit: 25 people, 25 mails." in text
    assert text.count("@client.example: ") == 10
    assert "- and 15 more" in text


def test_the_page_to_click_is_made_only_of_what_is_one(db: Database) -> None:
    put(db, 1, ses_refused(ses_region="us-west-2"))
    put(db, 2, ses_refused(cause="ses-sandbox", ses_region="x.evil.example/#", diagnostic=None))
    by_cause = {incident.cause: clicks(incident) for incident in store.read_incidents(db)}
    assert by_cause == {
        "ses-identity-not-verified": "https://us-west-2.console.aws.amazon.com/ses/home?region=us-west-2#/identities",
        "ses-sandbox": None,
    }


def test_an_unknown_cause_of_another_version_has_words_too(db: Database) -> None:
    put(db, 1, record(cause="alias-from-the-future"), at=ago(hours=1))
    (incident,) = store.read_incidents(db)
    assert "alias-from-the-future" in alert_body(incident, "opened", IncidentFacts(), NOW)
