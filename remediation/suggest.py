"""Fill the fix steps of a cause with the names of one verdict.

Only writes sentences: it executes nothing, asks nobody, and reads nothing but the catalogue. What a bounce says is
written by strangers: no value brings a control character, a link or an unquoted command into a step. The steps are
plain text; whoever puts them into HTML escapes them there.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

from parsers.ses_hosts import REGION, relay_host, ses_region_of_host
from parsers.text import printable, shortened
from remediation import load_causes

Given = Mapping[str, Any]
"""A verdict record, or what else is known of a failure: names, each perhaps missing or None."""

MAX_VALUE = 200
"""Characters a value may bring into a step."""

# The steps of a cause tell the owner to act, which a forged bounce must not achieve.
_FORGED = (
    "Do nothing: this mail is not what it claims to be, or is not about a mail of yours. Change no setting and no "
    "password because of it, and follow no link in it.",
)
_DELAYED = "Not failed yet: this is only a notice of delay, the mail is still being tried. Act when a failure follows."

_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(?::\d\d(?:\.\d{1,9})?)?(?:Z|\+00:00)")
# Letters of every script are allowed (RFC 6531). Two legal characters are not: a backtick would end the command it
# stands in, a slash could make a link; an address with one is shown as quoted text.
_ADDRESS = re.compile(r"(?!-)[\w.!#$%&'*+=?^{|}~-]+@\w[\w-]*(?:\.[\w-]+)+")
_HOST = re.compile(r"\w[\w-]*(?:\.[\w-]+)+|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}")
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+=,-]*")
_REGION = re.compile(REGION)
_WORDS = re.compile(r"[\w.]+(?: [\w.]+)*")
_NO_LINK = "(link left out)"
_LINK = re.compile(r"\S*:/\S*|\b(?:mailto:|www\.)\S*|\b[\w-]{1,63}(?:\.[\w-]{1,63}){1,9}/\S*", re.IGNORECASE)
_REGION_IN_TEXT = re.compile(r"\bin region ([A-Za-z]{2}-[A-Za-z-]{3,20}-\d)\b|\barn:aws[a-z-]*:ses:([a-z0-9-]{5,25}):")
_IAM_USER_IN_TEXT = re.compile(r"\barn:aws[a-z-]*:iam::\d+:user/(?:[\w.-]+/)*([\w+=,.@-]{1,64})")
_SET_IN_TEXT = re.compile(
    r"configuration-set/([\w-]{1,64})|configuration set <?['\"]?([\w-]{1,64})['\">]* (?:does not|doesn't) exist",
    re.IGNORECASE,
)
# Four numbers, or groups of hexadecimal with at least three colons (a time of day has two), standing apart. The bracket
# or blank before it is part of the pattern and not looked back at, which makes the search twice as fast.
_IP_IN_TEXT = re.compile(
    r"[\[( =](\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]{1,4}:(?:[0-9A-Fa-f]{0,4}:){2,6}[0-9A-Fa-f]{1,4})(?![\w:-]|\.\w)"
)


def suggest(record: Given, facts: Given | None = None) -> list[str]:
    """Return what to do about one verdict, in the order to try it, with the real names filled in.

    `record` has the keys of a verdict record (DESIGN section 4); any may be missing or None, `original` too. `facts`
    are things known from elsewhere that make the steps more concrete: `alias`, `smtp_host`, `smtp_port`, `smtp_user`,
    `mailbox` (the Gmail address), `region`, `iam_user`, `access_key_id`, `configuration_set`. They win over what the
    bounce says, but for `region`: another region than the mail's own would be wrong.

    No cause gives no steps; a cause this catalogue does not have (written by another version) is treated as `unknown`.
    A bounce shown to be forged gives one step: to do nothing.
    """
    cause = record.get("cause")
    if not cause:
        return []
    if record.get("genuine") == "fail":
        return list(_FORGED)
    facts = facts or {}
    holds: dict[str, bool] = {}
    seen: dict[str, str] = {}
    steps = [_DELAYED] if record.get("kind") == "delayed" else []
    for when, wanted, frame, blanks in _templates(cause if cause in load_causes() else "unknown"):
        if when is not None:
            if when not in holds:
                holds[when] = bool(CONDITIONS[when](record, facts))
            if holds[when] is not wanted:
                continue
        steps.append(frame % tuple([seen.get(blank[2]) or _fill(blank, record, facts, seen) for blank in blanks]))
    return steps


class Blank(NamedTuple):
    """A place in a template where a value goes."""

    name: str
    in_command: bool
    seen_as: str
    """The same in one word, under which the filled text is kept while the steps of one verdict are written."""


class Template(NamedTuple):
    """One step, cut into its fixed words and its blanks once, so that filling it costs next to nothing."""

    when: str | None
    wanted: bool
    """False where the step is given when `when` does not hold."""
    frame: str
    """The fixed words, with `%s` for each blank."""
    blanks: tuple[Blank, ...]


@cache
def _templates(cause: str) -> tuple[Template, ...]:
    return tuple(cut(step.text, step.when) for step in load_causes()[cause].steps)


def cut(text: str, when: str | None = None) -> Template:
    """Cut a step into a Template. Raises ValueError for a blank or a condition that is not known here."""
    word = when.removeprefix("not ") if when else None
    if word is not None and word not in CONDITIONS:
        raise ValueError(f"unknown condition {when!r} in the step {text!r}")
    frame: list[str] = []
    blanks: list[Blank] = []
    for number, span in enumerate(text.split("`")):
        in_command = number % 2 == 1
        if number:
            frame.append("`")
        for odd, part in enumerate(re.split(r"\{(\w+)\}", span)):
            if odd % 2 == 0:
                frame.append(part.replace("%", "%%"))
            elif part in VALUES:
                frame.append("%s")
                blanks.append(Blank(part, in_command, "`" + part if in_command else part))
            else:
                raise ValueError(f"unknown blank {part!r} in the step {text!r}")
    return Template(word, word == when, "".join(frame), tuple(blanks))


def _fill(blank: Blank, record: Given, facts: Given, seen: dict[str, str]) -> str:
    """Word one value, and keep the words in `seen`; they are never empty.

    A value that looks like what it should be stands as it is; any other is quoted as text, and kept out of commands.
    """
    name, in_command, seen_as = blank
    pattern, unknown, in_shell, find = VALUES[name]
    found = find(record, facts)
    text = str(found) if found is not None else ""
    looks = pattern.fullmatch(text) if pattern and len(text) <= MAX_VALUE else None
    if looks is None:
        text = (in_command and in_shell) or (_quoted(text) if pattern is not _TIME else "") or unknown
    elif in_command:
        text = shlex.quote(text)
    elif pattern is _TIME:
        text = f"{looks[1]} {looks[2]} UTC"
    seen[seen_as] = text
    return text


def _quoted(text: str) -> str:
    text = clean(text)
    return '"' + text.replace('"', "'") + '"' if text else ""


def clean(value: object) -> str:
    """Make a stranger's words harmless in a line of text: printable, one line, no link, no backtick, not too long."""
    text = str(value)[: 2 * MAX_VALUE]  # what is cut away later need not be looked at: keeps the work below cheap
    text = printable(text).replace("`", "'")
    lower = text.lower()
    has_bare_link = "www." in lower or "mailto:" in lower
    if (has_bare_link or "/" in text) and not _ADDRESS.fullmatch(text):
        words = text.split()
        text = " ".join([_LINK.sub(_NO_LINK, word) if has_bare_link or "/" in word else word for word in words])
    elif "  " in text or text[:1] == " " or text[-1:] == " ":
        text = " ".join(text.split())
    return shortened(text, MAX_VALUE)


# ---- where each value comes from ----


def _original(record: Given, key: str) -> Any:
    original = record.get("original")
    return original.get(key) if original else None


def _domain(address: Any) -> str | None:
    """The domain of an address that looks like one."""
    return address.rpartition("@")[2] if isinstance(address, str) and _ADDRESS.fullmatch(address) else None


def _alias(record: Given, facts: Given) -> Any:
    return facts.get("alias") or _original(record, "from")


def _smtp_host(record: Given, facts: Given) -> Any:
    """The relay behind the alias: the sendAs entry knows; else, for an alias failure, the host that refused is it."""
    known = facts.get("smtp_host")
    if known:
        return known
    host = record.get("remote_host")
    return host if host and (str(record.get("cause")).startswith("alias-") or ses_region_of_host(str(host))) else None


def _region(record: Given, facts: Given) -> str | None:
    """The region this very mail went through; the configured one only where the mail does not tell."""
    known = _original(record, "ses_region")
    if known:
        return str(known)
    of_relay = ses_region_of_host(str(_smtp_host(record, facts) or ""))
    if of_relay:
        return of_relay
    named = _in_diagnostic(_REGION_IN_TEXT, record)
    return named.lower() if named else facts.get("region")


def _ses_smtp_host(record: Given, facts: Given) -> Any:
    host = _smtp_host(record, facts)
    if host and ses_region_of_host(str(host)):
        return host
    region = _region(record, facts)
    return relay_host(region) if region else None


def _diagnostic(record: Given) -> str:
    return str(record.get("diagnostic") or "")[:2000]


def _in_diagnostic(pattern: re.Pattern[str], record: Given) -> str | None:
    """The first thing in the refuser's answer that the pattern captures."""
    found = pattern.search(_diagnostic(record))
    return next((group for group in found.groups() if group), None) if found else None


def _access_key(record: Given, facts: Given) -> Any:
    user = facts.get("smtp_user")
    # The SES user name is the id of an IAM access key.
    return facts.get("access_key_id") or (user if user and re.fullmatch(r"A[KS]IA[A-Z0-9]{12,}", str(user)) else None)


def _code(record: Given, facts: Given) -> str | None:
    return " ".join(str(part) for part in (record.get("reply_code"), record.get("status")) if part) or None


class Value(NamedTuple):
    """A value a step may name."""

    pattern: re.Pattern[str] | None
    """What a value must look like to stand as it is, also in a command. None = it is always quoted as text."""
    unknown: str
    """What stands in a sentence while it is not known; the sentence must still read as one."""
    in_shell: str
    """What stands in a command while it is not known, for the reader to replace."""
    find: Callable[[Given, Given], Any]


VALUES: Mapping[str, Value] = {
    "recipient": Value(_ADDRESS, "the recipient", "RECIPIENT", lambda r, f: r.get("recipient")),
    "recipient_domain": Value(
        _HOST, "the recipient's domain", "RECIPIENT_DOMAIN", lambda r, f: _domain(r.get("recipient"))
    ),
    "alias": Value(_ADDRESS, "your sender address", "YOUR_ADDRESS", _alias),
    "alias_domain": Value(_HOST, "your domain", "YOUR_DOMAIN", lambda r, f: _domain(_alias(r, f))),
    "mailbox": Value(_ADDRESS, "the account this bounce arrived in", "MAILBOX", lambda r, f: f.get("mailbox")),
    "remote_host": Value(_HOST, "not named", "RECIPIENTS_MAIL_SERVER", lambda r, f: r.get("remote_host")),
    "smtp_host": Value(_HOST, "its provider's outgoing mail server", "SMTP_SERVER", _smtp_host),
    "smtp_port": Value(_WORD, "587", "587", lambda r, f: f.get("smtp_port")),
    "smtp_user": Value(_WORD, "the stored user name", "SMTP_USER", lambda r, f: f.get("smtp_user")),
    "ses_smtp_host": Value(
        _HOST, "email-smtp.REGION.amazonaws.com (REGION is your SES region)", "SMTP_SERVER", _ses_smtp_host
    ),
    "region": Value(_REGION, "your SES region", "REGION", _region),
    "iam_user": Value(
        _WORD, "the IAM user", "IAM_USER", lambda r, f: f.get("iam_user") or _in_diagnostic(_IAM_USER_IN_TEXT, r)
    ),
    "access_key_id": Value(_WORD, "the access key it logs in with", "ACCESS_KEY_ID", _access_key),
    "configuration_set": Value(
        _WORD,
        "the configuration set",
        "CONFIGURATION_SET",
        lambda r, f: f.get("configuration_set") or _in_diagnostic(_SET_IN_TEXT, r),
    ),
    "code": Value(_WORDS, "not given", "CODE", _code),
    "diagnostic": Value(None, "(nothing was passed on)", "ANSWER", lambda r, f: r.get("diagnostic")),
    "sending_ip": Value(_HOST, "the sending address", "IP_ADDRESS", lambda r, f: _in_diagnostic(_IP_IN_TEXT, r)),
    "ses_message_id": Value(_WORD, "not known", "SES_MESSAGE_ID", lambda r, f: _original(r, "ses_message_id")),
    "subject": Value(None, "the mail", "SUBJECT", lambda r, f: _original(r, "subject")),
    "sent_at": Value(_TIME, "not known", "TIME", lambda r, f: _original(r, "sent_at")),
}


# ---- when a step is given ----


def _is_ses_relay(record: Given, facts: Given) -> bool:
    host = _smtp_host(record, facts)
    if host:
        return ses_region_of_host(str(host)) is not None
    # Gmail's alias notice often names no host; these are SES's words alone.
    return record.get("platform") == "amazon-ses" or "authentication credentials invalid" in _diagnostic(record).lower()


def _is_own_server(record: Given, facts: Given) -> bool:
    """Whether a mail server of the owner's wrote the report, and not Gmail about an alias."""
    return record.get("reported_by") not in (None, "gmail")


def _is_through_ses(record: Given, facts: Given) -> bool:
    path = _original(record, "path")
    return path != "gmail" and (
        path in ("ses-smtp", "ses-api")
        or _original(record, "ses_message_id") is not None
        or record.get("reported_by") == "amazon-ses"
        or _is_ses_relay(record, facts)
    )


def _is_relay_of(*suffixes: str) -> Callable[[Given, Given], bool]:
    return lambda record, facts: str(_smtp_host(record, facts) or "").lower().endswith(suffixes)


CONDITIONS: Mapping[str, Callable[[Given, Given], bool]] = {
    "ses": _is_through_ses,
    "ses-id": lambda r, f: _original(r, "ses_message_id") is not None,
    "gmail": lambda r, f: _original(r, "path") == "gmail",
    "relay-known": lambda r, f: _smtp_host(r, f) is not None,
    "ses-relay": _is_ses_relay,
    "own-server": _is_own_server,
    "alias-at-ses": lambda r, f: _is_ses_relay(r, f) and not _is_own_server(r, f),
    "alias-elsewhere": lambda r, f: not _is_ses_relay(r, f) and not _is_own_server(r, f),
    "alias-relay-known": lambda r, f: _smtp_host(r, f) is not None and not _is_own_server(r, f),
    "google-relay": _is_relay_of(".gmail.com", ".google.com"),
    "microsoft-relay": _is_relay_of(".office365.com", ".outlook.com"),
    "exchange": lambda r, f: r.get("platform") in ("exchange-online", "exchange", "outlook"),
    "google": lambda r, f: r.get("platform") == "google",
    "ip-named": lambda r, f: _in_diagnostic(_IP_IN_TEXT, r) is not None,
}
