"""The audit as a page, as a person sees it: rendered by headless Chromium on a phone and on a desk (`make browser`)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from remediation.audit import Audit
from remediation.audit.catalogue import CHECKS
from tests import browser
from tests.audit.test_audit_commands import DAY, DOMAIN, HOSTILE, REGION, finding
from triage.owner.audit_report import audit_html

SHOTS = Path(__file__).parents[2] / ".browser"
STATES = ("fail", "warn", "unknown", "ok")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        browser.find() is None, reason="there is no Chromium here: `make browser` installs it on Debian"
    ),
]

# In how many lines each badge stands.
BADGES = "[...document.querySelectorAll('b.s')].map(one => one.getClientRects().length)"


def told() -> str:
    """An audit with every check there is, in all states, with long words, records and commands."""
    long = "v=DKIM1;p=" + "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC" * 8
    answers = ("in order", long, HOSTILE, "this.is.a.very.long.name.of.some.host.in.a.zone." * 4)
    found = tuple(
        finding(
            *(name, DOMAIN if number % 3 else long[:120], STATES[number % 4], answers[number % 4], long),
            fix=[f"Add this record: `{long}`", "Then run `triage audit`."],
            by_hand=f"dig +short TXT {long}",
        )
        for number, name in enumerate(CHECKS)
    )
    audit = Audit(DAY, (DOMAIN, "another-long-domain-name-of-ours.example"), (REGION,), found, {"DNS": 9}, 0.5, (long,))
    return "\n".join(audit_html(audit, []))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_nothing_is_wider_than_the_screen_and_no_badge_is_broken(
    page: browser.Browser, width: int, scheme: Literal["light", "dark"]
) -> None:
    page.show(told(), width=width, scheme=scheme)
    page.screenshot(SHOTS / f"audit-{width}-{scheme}.png")
    seen, badges = page.evaluate(browser.WIDEST), page.evaluate(BADGES)
    assert (seen["page"], seen["wide"]) == (width, [])
    assert len(badges) > len(CHECKS)
    assert set(badges) == {1}
    assert page.requests == []
