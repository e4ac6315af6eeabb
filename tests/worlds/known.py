"""A world in which all about our own side is known: settings, Gmail's aliases, events of SES, a renewal, keys."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlite_utils import Database

from remediation import load_causes
from tests.incidents.made import ALIAS, NOW, RELAY, ago, publish, put, record, taken
from triage import store
from triage.config import Settings
from triage.fixes import OwnAccount, OwnAddress
from triage.model import Evidence

MAILBOX, REGION, USER, KEY = "jadasailing@gmail.com", "us-east-1", "ses-smtp-user", "AKIAIOSFODNN7EXAMPLE"
ACCOUNT = OwnAccount(MAILBOX, (OwnAddress(MAILBOX), OwnAddress(ALIAS, RELAY, 587)))
FOUND = f"key {KEY[:4]}…{KEY[-2:]} was made inactive on 21 Nov 14:02 UTC"


def settings_known(plain: Settings) -> Settings:
    """Everything about the own side that the settings can tell."""
    return replace(
        plain,
        mailbox=MAILBOX,
        smtp_alias=ALIAS,
        smtp_host=RELAY,
        smtp_port=587,
        smtp_region=REGION,
        smtp_user=USER,
        smtp_secret="ses-smtp",
        regions=(REGION,),
        domains=(ALIAS.partition("@")[2],),
    )


def learn_everything(db: Database) -> None:
    """What a mailbox and AWS that answer every question leave in the database."""
    store.names.keep_account(db, ACCOUNT)
    publish(db, taken(ago(days=3), sender=ALIAS, to="early@client.example"))
    columns = dict.fromkeys(("secret_id", "old_version_id", "version_id", "old_key_id", "started_at", "asked_at"), "x")
    relay = {"region": REGION, "host": RELAY, "port": 587, "security": "starttls", "alias": ALIAS}
    keys = {"iam_user": USER, "new_key_id": KEY, "keys_before": "[]", "keeps": "new"}
    done = {"id": "r1", "state": "done", "attempt": 1, "confirmed_at": "2026-04-01T00:00:00Z"}
    db["rotations"].insert({**columns, **relay, **keys, **done})


def fail(db: Database, number: int, cause: str) -> int:
    """Let a mail of ours fail for a cause on our own side, an hour ago; returns the number of its verdict."""
    known = load_causes()[cause]
    path = "gmail" if known.category == "gmail-refused" else "gmail-alias"
    changes: dict[str, Any] = {
        "cause": cause,
        "category": known.category or "gmail-refused",
        "actor": known.actor,
        "reason": known.reason,
        "path": path,
        "reply_code": "535",
        "status": "5.7.8",
        "sent_at": "2026-11-24T08:20:00Z",
        "message_id": f"own-{number}@mail.gmail.com",
        "gmail_message_id": f"own-{number}@mail.gmail.com",
        "diagnostic": "535 Authentication Credentials Invalid" if cause.startswith("alias-") else "554 refused",
    }
    (verdict_id,) = put(db, number, record(**changes), at=ago(hours=1))
    if cause.startswith("alias-"):
        store.record_evidence(db, verdict_id, [Evidence("own-side", found=True, detail=FOUND, result="proven")], NOW)
    return verdict_id
