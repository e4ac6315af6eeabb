"""Writing again to whom a failure hit: drafts, or mails through SES when somebody says so.

In: an incident, a cause. Out: a plan, and what came of each item. Sends only when told to.
May import: `triage.store`, `triage.gmail`, `triage.letters`.
"""

from __future__ import annotations

from triage.resend.again import ItemResult
from triage.resend.items import Item, in_doubt_words, plan_items
from triage.resend.mail import SentMail, field_text, joined, new_field, read_sent

__all__ = [
    "Item",
    "ItemResult",
    "SentMail",
    "again",
    "field_text",
    "in_doubt_words",
    "joined",
    "new_field",
    "plan_items",
    "read_sent",
]
