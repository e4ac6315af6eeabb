"""The parts of docs/audit.md that the program itself knows: a real audit of the doubles, and the table of checks.

python -m tests.audit.example        # writes them anew; tests/audit checks that nobody has to
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from remediation.audit.catalogue import CHECKS
from remediation.audit.facts import Finding
from remediation.audit.whole import audit
from tests.doubles.aws import AwsDouble
from tests.doubles.healthy import DKIM, DOMAIN, NOW, World, make_healthy
from tests.doubles.relay import RelayDouble
from tests.doubles.zone import ZoneDouble
from triage.owner.audit_report import audit_text

PAGE = Path(__file__).parents[2] / "docs" / "audit.md"
MARKED = re.compile(r"(<!-- made: ([a-z-]+) -->\n)(.*?)(<!-- made end -->)", re.DOTALL)
WIDTH = 96


def example(aws: AwsDouble, dns: ZoneDouble, relay: RelayDouble) -> str:
    """What `triage audit` says of a domain with a few things wrong, with what differs from run to run made the same."""
    world = make_healthy(aws, dns, relay)
    world.set_cname(next(iter(DKIM)), None)
    world.set_key(age=timedelta(days=200))
    world.dns.set(f"_dmarc.{DOMAIN}", "TXT", f'"v=DMARC1; p=none; rua=mailto:dmarc@{DOMAIN}"')
    world.dns.fail("_spf.example.org", "servfail")
    made = audit(world.scope(mailbox="jadasailing@gmail.com"), NOW, pace=0)
    same = replace(made, seconds=0.9, findings=tuple(_same(finding, world) for finding in made.findings))
    text = "\n".join(audit_text(same, None, WIDTH))
    return f"```text\n$ triage audit\n{text}\n```\n"


def _same(finding: Finding, world: World) -> Finding:
    """A finding without what AWS and the computer choose anew each time: ids, ports, dates of versions."""

    def plain(text: str) -> str:
        text = text.replace(world.zone_id, "Z0123456789EXAMPLE")
        text = text.replace(f"localhost:{world.relay.starttls.port}", "localhost:587")
        text = re.sub(r"A[A-Z]IA…[A-Z0-9]{2}", "AKIA…LE", text)
        return re.sub(r"current version of [0-9: -]*", "current version of 2026-11-04 09:00 ", text)

    return replace(
        finding,
        **{name: plain(getattr(finding, name)) for name in ("subject", "asked", "answered", "by_hand")},
        fix=tuple(map(plain, finding.fix)),
    )


def checks() -> str:
    """Every check by name."""
    rows = [f"| `{name}` | {check.title} | {check.severity} | {check.meaning} |" for name, check in CHECKS.items()]
    return "\n".join(["| check | what | severity | why it matters |", "|---|---|---|---|", *rows, ""])


def filled(page: str, example_text: str) -> str:
    """The page with both parts made anew."""
    parts = {"example": example_text, "checks": checks()}
    return MARKED.sub(lambda found: f"{found[1]}{parts[found[2]]}{found[4]}", page)


def main() -> None:
    """Write the page."""
    aws = AwsDouble()
    os.environ.update(aws.env)
    with tempfile.TemporaryDirectory() as folder, ZoneDouble() as dns, RelayDouble(Path(folder)) as relay:
        text = filled(PAGE.read_text(encoding="utf-8"), example(aws, dns, relay))
    aws.stop()
    PAGE.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{PAGE.name} is up to date\n")


if __name__ == "__main__":
    main()
