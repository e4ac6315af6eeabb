"""Writes a selection of what the real servers send as pairs into tests/bounces; run by hand, when a server changes.

`python -m tests.real_mta.keep` runs both servers. A mail goes in as it arrived, with LF as line ends; the .json beside
it is what the code says today and must be read against scenarios.toml before it is committed. Overwrites earlier pairs.

The pairs real-opensmtpd-*, real-sendmail-*, real-courier-* and real-dragonfly-* come from the same table, but were
made by hand: Debian 12's OpenSMTPD 6.8, sendmail 8.17, Courier 1.0 and dma 0.13 in a scratch root, because these cannot
be moved out of their folders. No test runs them.

Made by hand as well, in a root and a network of their own: real-chasquid-* (Debian 12's 1.11; expiry by setting back
the times in its queue), real-nullmailer-* (2.2), real-haraka-* (npm, 3.3.4), real-dovecot-* (2.3.19 with Pigeonhole
behind Postfix), real-zonemta-* (npm, 3.10.3: its own bounce writer and SMTP client, without its database),
real-postfix-{session-transcript,mailbox-size-limit,german-template-delayed} and real-exim-list-two-fates.
The pairs real-*-relay-* are reports of the servers of tests/real_mta/relays.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from parsers import parse
from tests.golden import as_text
from tests.real_mta import install
from tests.whole.test_real_mta import collect
from triage.judging.verdict import classify

BOUNCES = Path(__file__).parents[1] / "bounces"

# Distinct in what the reader must understand, not only in the refusal.
KEPT = {
    "postfix": (
        "google-dmarc", "eop-access-denied", "banner-554", "greylisted", "connection-refused", "no-such-domain",
        "null-mx", "mail-loop", "no-smtputf8", "two-fates", "two-domains", "headers-only", "unknown-local-user",
        "command-refuses", "alias-refused-elsewhere", "relayed-without-dsn", "tls-not-offered", "far-unverified",
        "unresolvable-sender",
    ),
    "exim": (
        "google-dmarc", "banner-554", "shutting-down", "connection-refused", "no-such-domain", "size", "two-domains",
        "headers-only", "unknown-local-user", "command-fails", "alias-refused-elsewhere", "relayed-without-dsn",
        "far-relay-denied", "starttls-required",
    ),
}  # fmt: skip
WARNINGS = ("greylisted", "connection-refused")
"""Of these the warning before the failure is kept as well."""


def main() -> int:
    """Run both servers and write the pairs; NAME-delayed.eml is the warning before the failure."""
    if why := install.why_not():
        print(f"cannot run: {why}")
        return 1
    with tempfile.TemporaryDirectory(prefix="real-mta-") as folder:
        Path(folder).chmod(0o755)
        found = collect(Path(folder) / "worlds")
    for server, names in KEPT.items():
        for name in names:
            for data in found[server, name]:
                if name in WARNINGS or not _is_warning(data):
                    write(f"real-{server}-{name}", data)
    return 0


def write(name: str, data: bytes) -> None:
    """Write one pair."""
    data = data.replace(b"\r\n", b"\n")
    name += "-delayed" if _is_warning(data) else ""
    (BOUNCES / f"{name}.eml").write_bytes(data)
    records = [verdict.as_dict() for verdict in classify(parse(data), f"bounces/{name}.eml")]
    (BOUNCES / f"{name}.json").write_text(as_text(json.loads(json.dumps(records))), encoding="utf-8")
    print(name)


def _is_warning(data: bytes) -> bool:
    return classify(parse(data), "")[0].kind == "delayed"


if __name__ == "__main__":
    sys.exit(main())
