"""Any authenticated SMTP server as the way out: Microsoft 365, Fastmail, Postmark, Mailgun, Google's relay (RFC 6409).

Always encrypted, the certificate always checked. No word of the password reaches an answer: a server's words are told
only after every form of it was taken out. Such a server says beforehand neither quota nor whom it keeps back.
"""

from __future__ import annotations

import json
import re
import smtplib
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from remediation.aws import Allowance
from remediation.credentials import Login, Relay, connected, harmless
from remediation.deadline import patience
from triage.errors import ConfigError
from triage.outbox.relay import Hindrance, SendAnswer, WayOut
from triage.own_files import is_open_to_others, read_plain

_SECONDS = 60.0
"""RFC 5321 4.5.3.2 asks for minutes; before DATA the next look is the better patience, after it nothing is repeated."""
_BARE = re.compile(rb"(?<!\r)\n|\r(?!\n)")


def smtp_way_out(relay: Relay, login: Login) -> WayOut:
    """The way out through a server."""
    return WayOut(
        name=relay.host,
        room=lambda: Allowance(None, 1.0),
        may_send_as=_nothing_known,
        keeps_back=_nothing_known,
        send=lambda raw, sender, people: _submit(relay, login, raw, sender, people),
    )


def read_login(path: Path) -> Login:
    """The login in a file `{"username": ..., "password": ...}`. Raises ConfigError, also where others may read it."""
    try:
        text, found = read_plain(path)
        values = json.loads(text)
        login = Login(str(values["username"]), str(values["password"]))
    except (OSError, ValueError, LookupError, TypeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it does not hold username and password"
        raise ConfigError(f"{path}: {why}", 'Write {"username": "...", "password": "..."} into it.') from None
    if is_open_to_others(found):
        raise ConfigError(f"{path} can be read by others.", f"chmod 600 {path}")
    return login


def _nothing_known(_: str) -> Hindrance | None:
    return None


def _submit(relay: Relay, login: Login, raw: bytes, sender: str, recipients: Sequence[str]) -> SendAnswer:
    with ExitStack() as stack:
        try:
            smtp = stack.enter_context(connected(relay, relay.trust(), _SECONDS))
        except (OSError, smtplib.SMTPException) as error:
            return SendAnswer("later", f"{relay.host} cannot be reached ({type(error).__name__})")
        return _hand_over(smtp, relay, login, _BARE.sub(b"\r\n", raw), sender, recipients)


def _hand_over(
    smtp: smtplib.SMTP, relay: Relay, login: Login, raw: bytes, sender: str, recipients: Sequence[str]
) -> SendAnswer:
    """One mail to all or to nobody. Until DATA nothing has left; between DATA and its answer nobody knows."""
    try:
        smtp.login(login.username, login.password)
        smtp.ehlo_or_helo_if_needed()
        options = [] if raw.isascii() else ["BODY=8BITMIME"]
        if options and not smtp.has_extn("8bitmime"):
            return SendAnswer("refused", f"{relay.host} takes no mail of 8 bits")
        answers = [smtp.mail(sender, options), *(smtp.rcpt(address) for address in recipients)]
    except smtplib.SMTPResponseException as error:
        return _refusal(relay, login, error.smtp_code, error.smtp_error)
    except (OSError, smtplib.SMTPException) as error:
        return SendAnswer("later", f"{relay.host} broke off before it was handed over ({type(error).__name__})")
    for code, words in answers:
        if code not in (250, 251):
            return _refusal(relay, login, code, words)
    try:
        if smtp.sock is not None:
            smtp.sock.settimeout(patience(_SECONDS, len(raw)))  # all of it is sent in one go
        code, words = smtp.data(raw)
    except smtplib.SMTPDataError as error:
        return _refusal(relay, login, error.smtp_code, error.smtp_error)
    except (OSError, smtplib.SMTPException) as error:
        return SendAnswer("unknown", f"{relay.host} gave no answer to the mail ({type(error).__name__})")
    if code != 250:
        return _refusal(relay, login, code, words)
    return SendAnswer("sent", f"sent through {relay.host}", None, harmless(words, login) or None)


def _refusal(relay: Relay, login: Login, code: int, words: bytes | str) -> SendAnswer:
    return SendAnswer("later" if 400 <= code < 500 else "refused", f"{relay.host}: {code} {harmless(words, login)}")
