"""Terminal escapes in a mail: no library we use prints them on its own, not even through its log."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ESCAPE = "\x1b]0;owned\x07\x1b[2J"
ROOT = Path(__file__).parents[2]

RECEIVED = [
    f"from {ESCAPE} by mx.example.org; {ESCAPE}",
    f"from a by b with {ESCAPE} id {ESCAPE}; nonsense",
    f"{ESCAPE}",
    f"from [{ESCAPE}] ({ESCAPE}) by {ESCAPE} for <{ESCAPE}>; Tue, 24 Nov 2026 09:00:00 +0000",
]


@pytest.mark.parametrize("verbose", [(), ("--verbose",)])
@pytest.mark.parametrize("received", RECEIVED)
def test_explain_prints_no_escape_of_a_mail(tmp_path: Path, received: str, verbose: tuple[str, ...]) -> None:
    mail = tmp_path / "hostile.eml"
    mail.write_text(
        "Return-Path: <>\nFrom: MAILER-DAEMON@example.org\nTo: jadasailing@gmail.com\n"
        f"Subject: Undelivered {ESCAPE}\nReceived: {received}\n"
        "MIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n"
        "--b\nContent-Type: text/plain; charset=x-\x1b[31m\n\nFailed.\n--b\nContent-Type: message/delivery-status\n\n"
        "Reporting-MTA: dns; mx.example.org\n\nFinal-Recipient: rfc822; pat@example.com\nAction: failed\n"
        f"Status: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 unknown {ESCAPE}\n--b\nContent-Type: message/rfc822\n\n"
        f"Received: {received}\nFrom: jadasailing@gmail.com\nSubject: =?utf-8?B?a?= {ESCAPE}\n"
        f'Content-Type: text/plain; name="{ESCAPE}"\n\nHello {ESCAPE}\n--b--\n',
        encoding="latin-1",
    )
    done = subprocess.run(
        [sys.executable, "-m", "triage", *verbose, "explain", str(mail)],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT), "TRIAGE_DATABASE": str(tmp_path / "t.db")},
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert b"pat@example.com" in done.stdout, done.stderr
    assert b"\x1b" not in done.stdout + done.stderr
    assert b"\x07" not in done.stdout + done.stderr
    assert done.stderr == b""
