"""Fill the fix steps of a cause with names that are known to be true.

What a step prints as an address, server, port, region, account or user of ours comes from the settings, from Gmail's
list of aliases or from AWS (`Names`); where nobody knows, a placeholder stands. Mails are written by strangers: out of
one come only the recipient, the code and the time, as such, and none of them into a command that changes something.
Only writes sentences: executes nothing, asks nobody, reads nothing but the catalogue. The steps are plain text; whoever
puts them into HTML escapes them there.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NamedTuple

from parsers.ses_hosts import REGION, relay_host, ses_region_of_host
from parsers.text import printable, shortened
from remediation import load_causes

Given = Mapping[str, Any]
"""A verdict record; any key may be missing or None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Names known from settings, from Gmail's list of aliases or from AWS; never from a mail. None: not known."""

    mailbox: str | None = None
    """The Gmail address of the account."""
    alias: str | None = None
    """The address the mail was sent from."""
    domain: str | None = None
    """The domain of ours it was sent from."""
    smtp_host: str | None = None
    """The relay behind the alias."""
    smtp_port: str | None = None
    region: str | None = None
    """The AWS region of SES."""
    iam_user: str | None = None
    access_key_id: str | None = None
    ses_message_id: str | None = None
    """As an event of our own SES tells it."""


NO_NAMES = Names()

MAX_VALUE = 200
"""Characters a value may bring into a step."""

# The steps of a cause tell the owner to act, which a forged bounce must not achieve.
_FORGED = (
    "Do nothing: this mail is not what it claims to be, or is not about a mail of yours. Change no setting and no "
    "password because of it, and follow no link in it.",
)
_DELAYED = "Not failed yet: this is only a notice of delay, the mail is still being tried. Act when a failure follows."

_UNNAMED = (
    "The report does not say which server said this: your mail server's own relay (smarthost), if it has one, or the "
    "recipient's server. Look for the recipient's address in the log of the mail server that wrote the report: the "
    "line names the host. If it is your relay, its settings or your account there are to be mended, and the steps "
    "below, which are about a recipient's server, do not apply."
)

_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(?::\d\d(?:\.\d{1,9})?)?(?:Z|\+00:00)")
# Letters of every script are allowed (RFC 6531). Two legal characters are not: a backtick would end the command it
# stands in, a slash could make a link; an address with one is shown as quoted text.
_ADDRESS = re.compile(r"(?!-)[\w.!#$%&'*+=?^{|}~-]+@\w[\w-]*(?:\.[\w-]+)+")
_HOST = re.compile(r"\w[\w-]*(?:\.[\w-]+)+|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}")
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+=,-]*")
_REGION = re.compile(REGION)
_CODE = re.compile(r"[245]\d\d(?: [245]\.\d{1,3}\.\d{1,3})?|[245]\.\d{1,3}\.\d{1,3}")
_READS = re.compile(r"(?:aws [a-z0-9-]+ (?:get|list|describe)-|dig |nc -vz |openssl s_client )")
"""Commands that only look. Every other command changes something, or may."""
_NO_LINK = "(link left out)"
_LINK = re.compile(r"\S{0,300}:/\S*|\b(?:mailto:|www\.)\S*|\b[\w-]{1,63}(?:\.[\w-]{1,63}){1,9}/\S*", re.IGNORECASE)


def suggest(record: Given, names: Names = NO_NAMES) -> list[str]:
    """Return what to do about one verdict, in the order to try it.

    `record` has the keys of a verdict record (DESIGN section 4); any may be missing or None, `original` too. It decides
    which steps are given; the names in them are those of `names`.

    No cause gives no steps; a cause this catalogue does not have (written by another version) is treated as `unknown`.
    A bounce shown to be forged gives one step: to do nothing.
    """
    cause = record.get("cause")
    if not cause:
        return []
    if record.get("genuine") == "fail":
        return list(_FORGED)
    holds: dict[str, bool] = {}
    seen: dict[str, str] = {}
    steps = [_DELAYED] if record.get("kind") == "delayed" else []
    known = load_causes().get(cause)
    if known is not None and known.side == "remote" and record.get("side") == "unknown":
        steps.append(_UNNAMED)
    for when, wanted, frame, blanks in _templates(cause if cause in load_causes() else "unknown"):
        if when is not None:
            if when not in holds:
                holds[when] = bool(CONDITIONS[when](record, names))
            if holds[when] is not wanted:
                continue
        steps.append(frame % tuple([seen.get(blank[2]) or _fill(blank, record, names, seen) for blank in blanks]))
    return steps


StandsIn = Literal["sentence", "reading", "changing"]
"""Where a blank stands: in a sentence, in a command that only looks, in another command or a record to copy."""


class Blank(NamedTuple):
    """A place in a template where a value goes."""

    name: str
    place: StandsIn
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
        place: StandsIn = "sentence" if number % 2 == 0 else "reading" if _READS.match(span) else "changing"
        if number:
            frame.append("`")
        for odd, part in enumerate(re.split(r"\{(\w+)\}", span)):
            if odd % 2 == 0:
                frame.append(part.replace("%", "%%"))
            elif part in VALUES:
                frame.append("%s")
                blanks.append(Blank(part, place, f"{place} {part}"))
            else:
                raise ValueError(f"unknown blank {part!r} in the step {text!r}")
    return Template(word, word == when, "".join(frame), tuple(blanks))


def _fill(blank: Blank, record: Given, names: Names, seen: dict[str, str]) -> str:
    """Word one value, and keep the words in `seen`; they are never empty.

    A value that looks like what it should be stands as it is; any other is quoted as text, and kept out of commands.
    """
    name, place, seen_as = blank
    pattern, unknown, in_shell, known, told = VALUES[name]
    found = known(names) if known else told(record) if told and place != "changing" else None
    text = str(found) if found is not None else ""
    looks = pattern.fullmatch(text) if len(text) <= MAX_VALUE else None
    if looks is None:
        text = in_shell if place != "sentence" else (_quoted(text) if pattern is _ADDRESS else "") or unknown
    elif place != "sentence":
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


def _ses_smtp_host(names: Names) -> str | None:
    if names.smtp_host and ses_region_of_host(names.smtp_host):
        return names.smtp_host
    return relay_host(names.region) if names.region else None


def _diagnostic(record: Given) -> str:
    return str(record.get("diagnostic") or "")[:2000]


def _code(record: Given) -> str | None:
    return " ".join(str(part) for part in (record.get("reply_code"), record.get("status")) if part) or None


class Value(NamedTuple):
    """A value a step may name."""

    pattern: re.Pattern[str]
    """What a value must look like to stand as it is, also in a command."""
    unknown: str
    """What stands in a sentence while it is not known; the sentence must still read as one."""
    in_shell: str
    """What stands in a command while it is not known, for the reader to replace."""
    known: Callable[[Names], str | None] | None
    """Where it is taken from; None: it is told by the mail."""
    told: Callable[[Given], Any] | None = None
    """How it is taken out of the verdict: for what a mail may tell, and nothing else."""


UNKNOWN_MAILBOX = "the account this bounce arrived in"

VALUES: Mapping[str, Value] = {
    "recipient": Value(_ADDRESS, "the recipient", "RECIPIENT", None, lambda r: r.get("recipient")),
    "recipient_domain": Value(
        _HOST, "the recipient's domain", "RECIPIENT_DOMAIN", None, lambda r: _domain(r.get("recipient"))
    ),
    "code": Value(_CODE, "not given", "CODE", None, _code),
    "sent_at": Value(_TIME, "not known", "TIME", None, lambda r: _original(r, "sent_at")),
    "alias": Value(_ADDRESS, "your sender address", "YOUR_ADDRESS", lambda n: n.alias),
    "alias_domain": Value(_HOST, "your domain", "YOUR_DOMAIN", lambda n: n.domain or _domain(n.alias)),
    "mailbox": Value(_ADDRESS, UNKNOWN_MAILBOX, "MAILBOX", lambda n: n.mailbox),
    "smtp_host": Value(_HOST, "its provider's outgoing mail server", "SMTP_SERVER", lambda n: n.smtp_host),
    "smtp_port": Value(_WORD, "587", "587", lambda n: n.smtp_port),
    "ses_smtp_host": Value(
        _HOST, "email-smtp.REGION.amazonaws.com (REGION is your SES region)", "SMTP_SERVER", _ses_smtp_host
    ),
    "region": Value(_REGION, "your SES region", "REGION", lambda n: n.region),
    "iam_user": Value(_WORD, "the IAM user", "IAM_USER", lambda n: n.iam_user),
    "access_key_id": Value(_WORD, "the access key it logs in with", "ACCESS_KEY_ID", lambda n: n.access_key_id),
    "ses_message_id": Value(_WORD, "not known", "SES_MESSAGE_ID", lambda n: n.ses_message_id),
}


# ---- when a step is given ----


def _relay(record: Given, names: Names) -> str:
    """The relay behind the alias, to tell which sort it is: the known one, else the host that refused an alias."""
    host = str(record.get("remote_host") or "").lower()
    is_relay = str(record.get("cause")).startswith("alias-") or ses_region_of_host(host)
    return (names.smtp_host or (host if is_relay else "")).lower()


def _is_ses_relay(record: Given, names: Names) -> bool:
    if host := _relay(record, names):
        return ses_region_of_host(host) is not None
    # Gmail's alias notice often names no host; these are SES's words alone.
    return record.get("platform") == "amazon-ses" or "authentication credentials invalid" in _diagnostic(record).lower()


def _is_own_server(record: Given, names: Names) -> bool:
    """Whether a mail server of the owner's wrote the report, and not Gmail about an alias."""
    return record.get("reported_by") not in (None, "gmail")


def _is_through_ses(record: Given, names: Names) -> bool:
    path = _original(record, "path")
    return path != "gmail" and (
        path in ("ses-smtp", "ses-api")
        or _original(record, "ses_message_id") is not None
        or record.get("reported_by") == "amazon-ses"
        or _is_ses_relay(record, names)
    )


def _is_relay_of(*suffixes: str) -> Callable[[Given, Names], bool]:
    return lambda record, names: _relay(record, names).endswith(suffixes)


CONDITIONS: Mapping[str, Callable[[Given, Names], bool]] = {
    "ses": _is_through_ses,
    "ses-id": lambda r, n: _original(r, "ses_message_id") is not None,
    "gmail": lambda r, n: _original(r, "path") == "gmail",
    "ses-user-unknown": lambda r, n: n.iam_user is None and _is_ses_relay(r, n),
    "relay-known": lambda r, n: n.smtp_host is not None,
    "ses-relay": _is_ses_relay,
    "own-server": _is_own_server,
    "alias-at-ses": lambda r, n: _is_ses_relay(r, n) and not _is_own_server(r, n),
    "alias-elsewhere": lambda r, n: not _is_ses_relay(r, n) and not _is_own_server(r, n),
    "google-relay": _is_relay_of(".gmail.com", ".google.com"),
    "microsoft-relay": _is_relay_of(".office365.com", ".outlook.com"),
    "exchange": lambda r, n: r.get("platform") in ("exchange-online", "exchange", "outlook"),
    "google": lambda r, n: r.get("platform") == "google",
}
"""What the kind of the failure says, which chooses steps of ours and brings no word of a mail into them."""
