"""The addresses of pages of Gmail, which open the right account where several are signed in. Pure."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9.-]{1,190}")


def gmail_page(place: str, mailbox: str | None = None) -> str:
    """The address of a place in Gmail, such as `settings/accounts` or `all/18c...`, in the account `mailbox`."""
    account = f"?authuser={mailbox.replace('+', '%2B')}" if mailbox and _ADDRESS.fullmatch(mailbox) else ""
    return f"https://mail.google.com/mail/{account}#{place}"
