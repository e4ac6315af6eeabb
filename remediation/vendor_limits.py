"""Dates and limits that Google and AWS set, where more than one module goes by them."""

from __future__ import annotations

from datetime import UTC, datetime

ALIASES_END = datetime(2027, 1, 1, tzinfo=UTC)
"""From then on Google takes outside servers out of "Send mail as" of personal accounts; it named the month only."""
ALIASES_END_LINK = "https://support.google.com/mail/answer/17101213"
ALIASES_END_MONTH = "January 2027"
SUCCESSOR = "`triage outbox migrate` walks you over to its successor"
"""Wherever the end of aliases is told, this one sentence says what comes after: drafts that leave through SES."""
OTHER_WAYS = (
    "Google Workspace for the domain (a fee each month for each person; you go on writing as now); a mail program that"
    " reads Gmail by IMAP and sends through SES (free but for SES's own price; you leave Gmail's pages and apps)"
)
ALIASES_NEVER_DELETE = (
    "Edit the alias, never delete it: Google may refuse new aliases with an outside server since the second half of"
    " 2026, and so the same one again."
)
"""The same page: new configurations may be restricted from the third quarter of 2026."""

MICROSOFT_SUBMISSION = "smtp.office365.com"
MICROSOFT_AUTH_OFF = datetime(2026, 12, 31, tzinfo=UTC)
"""SMTP logins with a password are off by default from then on; no day was named but the end of the month.

Microsoft 365 Message Center MC786329, 27 January 2026; the last date is to be announced in the second half of 2027.
"""
MICROSOFT_AUTH_WORDS = (
    "Microsoft turns SMTP logins with a password off by default at the end of December 2026. An administrator may turn"
    " them on again until a last date that is still to come; look for another way to send from this address."
)

# https://docs.aws.amazon.com/ses/latest/dg/reputationdashboard-bounce.html, ...-complaint.html
BOUNCE_LIMITS = (0.05, 0.10)
"""Shares of mail sent from which AWS reviews an account, and may pause it."""
COMPLAINT_LIMITS = (0.001, 0.005)
"""The same for complaints."""
