"""Dates and limits that Google and AWS set, where more than one module goes by them."""

from __future__ import annotations

from datetime import UTC, datetime

ALIASES_END = datetime(2027, 1, 1, tzinfo=UTC)
"""From then on Google takes outside servers out of "Send mail as" of personal accounts; it named the month only."""
ALIASES_END_LINK = "https://support.google.com/mail/answer/17101213"

# https://docs.aws.amazon.com/ses/latest/dg/reputationdashboard-bounce.html, ...-complaint.html
BOUNCE_LIMITS = (0.05, 0.10)
"""Shares of mail sent from which AWS reviews an account, and may pause it."""
COMPLAINT_LIMITS = (0.001, 0.005)
"""The same for complaints."""
