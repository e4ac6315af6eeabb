"""A ready message to the people who run the recipient's mail server: what was refused, when, and what they can look up.

Pure: a verdict record and the headers of the returned mail in, lines out. It is for a human to send by another way (a
telephone, another address): nothing here sends it. Says only what the bounce and the returned headers say, and that the
stamps in them are those of whoever wrote them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from parsers.mime import Headers
from parsers.trail import Hop
from remediation import Cause
from triage.display import shown, wrapped
from triage.rows import VerdictRecord

_LABEL_WIDTH = 16

_STAMPS = (
    "authentication-results",
    "authentication-results-original",
    "x-ms-exchange-authentication-results",
    "arc-authentication-results",
)
# Sisimai's words for an address that may be wrong; whatever else is refused, a rule refused it.
_ABOUT_ADDRESS = frozenset({"userunknown", "hasmoved", "hostunknown", "suspend", "notaccept"})
_RESULT = re.compile(r"\b(spf|dkim|dmarc)\s*=\s*([a-z]{3,12})\b", re.IGNORECASE)
_SPF = re.compile(r"\s*([A-Za-z]{3,10})\b")
_SES_OUT = re.compile(r"\d{4}\.\d\d\.\d\d-([0-9a-fA-F.:]{3,45})")


def why_no_message(record: VerdictRecord) -> str | None:
    """Why nobody at the other side could do anything about this verdict; None: a message makes sense."""
    if record["kind"] not in ("failed", "delayed"):
        return "It is no refusal."
    if record["category"] == "unverified":
        return "It is forged, or not about a mail of yours."
    if record["side"] == "own":
        return "The mail never left your side: the recipient's server was not asked."
    if record["recipient"] is None:
        return "The bounce does not say whom it is about."
    return None


def admin_message(
    record: VerdictRecord, cause: Cause | None, headers: Headers | None, hops: Sequence[Hop], width: int = 76
) -> list[str]:
    """The message as lines: to whom, a subject, the text with the facts. `headers`, `hops`: of the returned mail."""
    recipient = shown(record["original_recipient"] or record["recipient"], 254)
    domain = shown(record["recipient"], 254).rpartition("@")[2] or "their domain"
    original: Mapping[str, Any] = record["original"] or {}
    sender = shown(original.get("from") or "our address", 254)
    codes = " ".join(filter(None, (record["reply_code"], record["status"]))) or "without a code"
    what = "has been put off by" if record["kind"] == "delayed" else "was refused by"
    lines = [
        *wrapped(f"To: postmaster@{domain} (or the IT department of {domain}, by telephone)", width),
        *wrapped(f"Subject: Mail from {sender} to {recipient} {what} your server: {codes}", width, "", "  "),
        *("", "Hello,", ""),
        *wrapped(
            f"a mail from {sender} to {recipient} {what} your mail server. With the facts below you can find it in your"
            " logs (all times are UTC):",
            width,
        ),
        "",
    ]
    for label, value in _facts(record, headers, hops):
        lines += wrapped(shown(value, 700), width, f"  {label:<{_LABEL_WIDTH}}", " " * (_LABEL_WIDTH + 2))
    lines += ["", *wrapped(_question(record, cause), width), "", "Thank you."]
    return lines


def _facts(record: VerdictRecord, headers: Headers | None, hops: Sequence[Hop]) -> list[tuple[str, str]]:
    original: Mapping[str, Any] = record["original"] or {}
    ses = original.get("ses_message_id")
    region = f" in {original['ses_region']}" if original.get("ses_region") else ""
    facts = [
        ("Sent", _utc(original.get("sent_at"))),
        ("Refused", _utc(record.get("received_at"), about=True)),
        ("From", original.get("from")),
        ("To", record["original_recipient"] or record["recipient"]),
        ("Delivered to", record["recipient"] if record["original_recipient"] else None),
        ("Message-ID", original.get("message_id")),
        ("Your server", record["remote_host"]),
        ("Its answer", record["diagnostic"]),
        ("Code", " ".join(filter(None, (record["reply_code"], record["status"]))) or None),
        ("Our server", sending_host(original, headers, hops)),
        ("Amazon SES id", f"{ses}{region}" if ses else None),
        *authentication(headers),
    ]
    return [(label, value) for label, value in facts if value]


def sending_host(original: Mapping[str, Any], headers: Headers | None, hops: Sequence[Hop]) -> str | None:
    """The server that knocked at theirs: SES stamps its address into the mail, others stand in the trail."""
    out = _SES_OUT.search((headers.raw("x-ses-outgoing") if headers else None) or "")
    if out:
        return f"Amazon SES, {out[1]}"
    if str(original.get("path") or "").startswith("ses"):
        return f"Amazon SES{', ' + original['ses_region'] if original.get('ses_region') else ''}"
    named = [host for hop in reversed(hops) for host in (hop.by_host, hop.from_host) if host and "." in host]
    return named[0] if named else None


def authentication(headers: Headers | None) -> list[tuple[str, str]]:
    """(label, words) of what was stamped about SPF, DKIM and DMARC, and by whom; nothing where nothing was."""
    if headers is None:
        return []
    for name in _STAMPS:
        for stamp in headers.all(name):
            found: dict[str, str] = {}
            for method, result in _RESULT.findall(stamp):
                found.setdefault(method.upper(), result.lower())
            if found:
                words = ", ".join(f"{method} {found[method]}" for method in ("SPF", "DKIM", "DMARC") if method in found)
                by = re.sub(r"^i=\d+\s*;\s*", "", stamp).partition(";")[0].strip()
                who = f" (stamped by {shown(by, 100)})" if by and "=" not in by else ""
                return [("Authentication", words + who)]
    spf = _SPF.match(headers.raw("received-spf") or "")
    return [("Authentication", f"SPF {spf[1].lower()}")] if spf else []


def _question(record: VerdictRecord, cause: Cause | None) -> str:
    if record["kind"] == "delayed":
        return "Could you see why your server puts it off? It is still being tried."
    if cause is not None and cause.actor == "recipient":
        return "Could you tell the person, who may not know, or make room for the mail?"
    if cause is not None and cause.actor in ("dns-admin", "aws-admin", "mailbox-owner"):
        return (
            "It may be ours to mend. Could you tell us what your server saw: the results of SPF, DKIM and DMARC, the"
            " address that connected, and the rule or list that decided?"
        )
    if cause is not None and cause.reason in _ABOUT_ADDRESS:
        return "Could you tell us whether the address is right, and which one is meant if it is not?"
    return (
        "Could you see which rule refused it, and let mail from us pass if it was a mistake? If it is meant so, a line"
        " with the reason is enough: then we know what to change."
    )


def _utc(at: object, *, about: bool = False) -> str | None:
    """A time as logs are searched: 2026-11-24 09:30:05 UTC."""
    if not isinstance(at, str):
        return None
    moment = datetime.fromisoformat(at).astimezone(UTC)
    return f"{'about ' if about else ''}{moment:%Y-%m-%d %H:%M:%S} UTC"
