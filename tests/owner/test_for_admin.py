"""The ready message to the recipient's administrator: the facts they need, and nothing where they can do nothing."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from parsers import parse
from parsers.mime import open_headers
from parsers.trail import Hop
from remediation import load_causes
from tests.worlds.made_mails import NOW
from triage import store
from triage.errors import UsageError
from triage.judging.verdict import classify
from triage.model import StoredMail
from triage.owner.explain_lookup import admin_lines
from triage.owner.for_admin import admin_message, authentication, sending_host, why_no_message

ROOT = Path(__file__).parents[2]
STORY = ROOT / "examples" / "mailbox"


def record(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "failed",
        "category": "exchange-rejection",
        "side": "remote",
        "cause": "spam-rejected",
        "recipient": "pat@client.example",
        "original_recipient": None,
        "reply_code": "550",
        "status": "5.7.1",
        "diagnostic": "550 5.7.1 Message rejected as spam by Content Filtering.",
        "remote_host": "mx.client.example",
        "received_at": "2026-11-24T09:30:05Z",
        "original": {
            "from": "admin@queenofsandiego.com",
            "message_id": "m1@mail.gmail.com",
            "sent_at": "2026-11-24T01:30:00-08:00",
            "ses_message_id": None,
            "ses_region": None,
            "path": "gmail",
        },
    } | changes


def message(changed: dict[str, Any] | None = None, headers: str = "", hops: list[Hop] | None = None) -> str:
    one = record(**(changed or {}))
    lines = admin_message(one, load_causes().get(one["cause"]), open_headers(headers) if headers else None, hops or [])
    return "\n".join(lines)


def test_it_says_code_time_and_words() -> None:
    text = message()
    assert text.startswith("To: postmaster@client.example")
    for fact in (
        "Subject: Mail from admin@queenofsandiego.com to pat@client.example was",
        "Sent            2026-11-24 09:30:00 UTC",
        "Refused         about 2026-11-24 09:30:05 UTC",
        "Your server     mx.client.example",
        "Code            550 5.7.1",
        "Message rejected as spam by Content",
    ):
        assert fact in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cause": "mailbox-full"}, "Could you tell the person"),
        ({"cause": "recipient-unknown"}, "whether the address is right"),
        ({"cause": "spam-rejected"}, "which rule refused it"),
        ({"cause": "dmarc-rejected"}, "It may be ours to mend"),
        ({"cause": "mailbox-full", "kind": "delayed"}, "why your server puts it off"),
    ],
)
def test_it_asks_what_this_reader_can_answer(changes: dict[str, Any], words: str) -> None:
    assert words in " ".join(message(changes).split())


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (
            "Authentication-Results: mx.client.example; spf=pass smtp.mailfrom=x; dkim=pass header.i=@q; dmarc=fail",
            "SPF pass, DKIM pass, DMARC fail (stamped by mx.client.example)",
        ),
        ("Authentication-Results: spf=pass (sender IP is 1.2.3.4); dkim=none", "SPF pass, DKIM none"),
        (
            "ARC-Authentication-Results: i=1; mx.microsoft.com 1; spf=none; dmarc=none",
            "SPF none, DMARC none (stamped by mx.microsoft.com 1)",
        ),
        ("Received-SPF: SoftFail (mx.client.example: ...)", "SPF softfail"),
        ("Authentication-Results: mx.example; none\nReceived-SPF: pass", "SPF pass"),
        ("Subject: spf=pass", None),
    ],
)
def test_the_results_are_those_the_returned_headers_carry(headers: str, expected: str | None) -> None:
    assert authentication(open_headers(headers)) == ([("Authentication", expected)] if expected else [])


def hop(number: int, source: str | None, by: str | None) -> Hop:
    return Hop(number, source, by, "ESMTPS", datetime(2026, 11, 24, tzinfo=UTC), None)


@pytest.mark.parametrize(
    ("original", "headers", "hops", "expected"),
    [
        ({}, "X-SES-Outgoing: 2026.11.24-54.240.27.41", [], "Amazon SES, 54.240.27.41"),
        ({"path": "ses-smtp", "ses_region": "us-west-2"}, "", [], "Amazon SES, us-west-2"),
        ({"path": "gmail"}, "", [hop(1, "laptop", "a.example"), hop(2, "b.example", "c.example")], "c.example"),
        ({"path": "gmail"}, "", [hop(1, "a.example", None), hop(2, "laptop", "2002")], "a.example"),
        ({}, "", [], None),
    ],
)
def test_our_server_is_the_one_that_knocked(
    original: dict[str, Any], headers: str, hops: list[Hop], expected: str | None
) -> None:
    assert sending_host(original, open_headers(headers) if headers else None, hops) == expected


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"side": "own"}, "never left your side"),
        ({"category": "unverified"}, "forged"),
        ({"kind": "auto-reply"}, "no refusal"),
        ({"recipient": None}, "whom"),
        ({}, None),
    ],
)
def test_where_they_can_do_nothing_there_is_no_message(changes: dict[str, Any], words: str | None) -> None:
    why = why_no_message(record(**changes))
    assert (why is None) if words is None else (why is not None and words in why)


def test_hostile_words_stay_in_their_line() -> None:
    bad = "x\r\nBcc: all@client.example\n\x1b[31m" + "y" * 5000
    text = message({"diagnostic": bad, "remote_host": bad, "recipient": f"{bad}@client.example"})
    assert all(line.isprintable() for line in text.splitlines())
    assert not any(line.startswith("Bcc:") for line in text.splitlines())
    assert len(text) < 6000


def test_by_file_and_by_number(tmp_path: Path) -> None:
    import io

    raw = (STORY / "3-exchange-address-not-found.eml").read_bytes()
    path = tmp_path / "triage.db"
    by_file = admin_lines(str(STORY / "3-exchange-address-not-found.eml"), io.BytesIO(), path, 80)
    assert any("54.240.27.41" in line for line in by_file)
    with closing(store.open_store(path)) as db:
        at = NOW - timedelta(days=1)
        records = [verdict.as_dict() for verdict in classify(parse(raw), "gmail:1")]
        store.store_judged(db, StoredMail("gmail:1", "1", "1", None, at, raw), records, [], at)
    by_number = admin_lines("1", io.BytesIO(), path, 80)
    assert [line for line in by_number if "Refused  " not in line] == by_file
    with pytest.raises(UsageError, match="no such mail"):
        admin_lines("77", io.BytesIO(), path, 80)


def test_the_command_refuses_where_it_is_our_own_side() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "triage", "explain", "--for-admin", str(STORY / "1-alias-login-refused.eml")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "The mail never left your side" in done.stderr
