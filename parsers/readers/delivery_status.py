"""Reads RFC 3464 and RFC 6533 delivery reports, as forgiving as the mails demand.

An empty `message/delivery-status` part is legal here and yields no failures: Gmail's alias notice has one. Knows no
vendor's notices; what it cannot find in the report it looks up in the human text beside it.
"""

from __future__ import annotations

import re

from parsers.facts import Failure, FailureKind, Reading
from parsers.mime import Headers, Mail, Part, address, open_headers
from parsers.platform import platform_of, reporter_of
from parsers.returned import returned_headers
from parsers.signs import REPORT_TYPES
from parsers.smtp_reply import (
    as_said,
    better_status,
    innermost_reply,
    is_status,
    join_lines,
    read_reply,
    refused_command,
    statuses,
    without_repeated_status,
)
from parsers.text import one_line
from parsers.words import (
    ADDRESS,
    find_addresses,
    host_in,
    recipient_reason,
    split_original,
    spoken_to,
    told_failures,
    told_speaker,
)

MAX_REPORTS = 8
MAX_REPORTED = 1000
MAX_BLOCKS = 2 * MAX_REPORTED
"""Pieces between blank lines that are looked at in all reports of a mail."""
MICROSOFT = ("exchange", "exchange-online", "outlook")
MAX_PROSE = 4000

_BLANK_LINES = re.compile(r"\n[ \t]*\n")
# QUIRK(many): a long Diagnostic-Code goes on in the next line without the white space RFC 5322 asks for.
_UNFOLDED = re.compile(r"\n(?![A-Za-z][A-Za-z-]{2,40}[ \t]*:|[ \t\n])")
_NAMES_RECIPIENT = re.compile(r"(?:^|\n)(?:final|original)-recipient[ \t]*:")
_SEVERAL = re.compile(r"\n(?=final-recipient[ \t]*:)", re.IGNORECASE)
_TYPE = re.compile(r"[ \t]*[\w-]+[ \t]*")
_GENERATED_FROM = re.compile(
    rf"^[ \t]*({ADDRESS})[ \t]*\n[ \t]*\((?:ultimately )?generated from ({ADDRESS})\)", re.MULTILINE
)
_COMMENT = re.compile(r"\([^()]*\)")
_BARE_NAME = re.compile(r"\+?[\w][\w.+=/-]{0,63}")
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?|\[?[0-9A-Fa-f:]*:[0-9A-Fa-f:.]+\]?")
_STATUS_WITH_REPLY = re.compile(r"\([45]\d\d (?=[^()A-Za-z]{0,40}[A-Za-z])([^()]{1,2000})\)")
_DELETED = re.compile(r"^disposition:[^\n]{0,40}automatic-action/[^\n]{0,80};[ \t]*(?:deleted|denied)", re.I | re.M)
_REJECTED = re.compile(r"automatically rejected|(?:was|is) (?:refused|rejected) by the recipient", re.I)
_ONLY_CODE = re.compile(r"[45][0-5]\d")
_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_UNITEXT = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")

_KINDS: dict[str, FailureKind] = {
    "failed": "failed",
    "failure": "failed",
    "delayed": "delayed",
    "deferred": "delayed",
    "delivered": "delivered",
    "relayed": "delivered",
    "expanded": "delivered",
}
_PER_RECIPIENT = ("final-recipient", "original-recipient", "action", "x-actual-recipient")


def read_delivery_status(mail: Mail) -> Reading | None:
    """Read the report parts of a mail; None where there is none, or none that names a recipient."""
    reports = [part for part in mail.parts if part.media_type in REPORT_TYPES] or _refusals(mail)
    if not reports:
        return None
    text = "\n\n".join([part.text() for part in reports[:MAX_REPORTS]])
    failures, reporter = read_fields(text, human_text(mail), mail)
    return Reading("delivery-status", failures, reporter) if failures else None


def _refusals(mail: Mail) -> list[Part]:
    """The fields of a Sieve filter's `reject`, which RFC 5429 2.2 lets be written as a notice of deletion (RFC 8098).

    A receipt that says "deleted" without having been read looks alike; only the refusal says so in words.
    """
    return [
        part
        for part in mail.parts[:9]
        if part.media_type == "message/disposition-notification"
        and _DELETED.search(part.text()[:4096]) is not None
        and _REJECTED.search(human_text(mail)[:1000]) is not None
    ]


def read_fields(text: str, prose: str, mail: Mail) -> tuple[tuple[Failure, ...], str | None]:
    """The failures in the fields of a report, and who wrote it; `prose` is what stands beside them for a human."""
    per_message, blocks = _blocks(text)
    reporting_mta = _typed(per_message.raw("reporting-mta")) if per_message else None
    headers = (mail.headers, per_message) if per_message is not None else (mail.headers,)
    reporter = reporter_of(reporting_mta, mail.sender, *headers, words=prose[:4000].lower())
    # Exchange names no remote server where it refused itself; others may only not know whom they talked to.
    refuser = reporting_mta if reporter in MICROSOFT and _is_host(reporting_mta) else None
    only = len(blocks) == 1
    forwarded = _forwarded(prose)
    found = [(block.raw("remote-mta"), _failure(block, prose, refuser, only, forwarded, mail)) for block in blocks]
    failures = [f._replace(at_relay=told_speaker(f, reporter, mta, prose, only)) for mta, f in found if f is not None]
    return tuple(refused_by_reporter(f, reporter, refuser) for f in failures), reporter


def refused_by_reporter(failure: Failure, reporter: str | None, reporting_host: str | None) -> Failure:
    """Name Microsoft's reporters as the refusing platform, where no other host is named: they refused."""
    if reporter not in MICROSOFT or failure.platform not in (None, "exchange") or failure.kind == "delivered":
        return failure
    if failure.remote_host not in (None, reporting_host and reporting_host.lower()):
        return failure
    return failure._replace(platform=reporter)


def human_text(mail: Mail) -> str:
    """What the report says to a human, the returned mail cut off; "" where it says nothing."""
    for part in mail.texts():
        text = part.text()
        if text.strip():
            return split_original(text)[0][:16384]
    return ""


def _blocks(text: str) -> tuple[Headers | None, list[Headers]]:
    """Split a report in its per-message fields and one block for each recipient."""
    per_message: Headers | None = None
    recipients: list[str] = []
    for chunk in _BLANK_LINES.split(text.strip("\n"), MAX_BLOCKS):
        block = _UNFOLDED.sub("\n ", chunk.strip("\n"))
        lower = block.lower()
        if not lower or lower.isspace():
            continue
        if "l-recipient" in lower and _NAMES_RECIPIENT.search(lower) is not None:
            # QUIRK(AOL): several recipients without a blank line between them.
            recipients += _SEVERAL.split(block) if lower.count("final-recipient:") > 1 else [block]
        elif recipients:
            # QUIRK: a blank line inside the fields of one recipient; they still belong together.
            recipients[-1] += "\n" + block
        elif per_message is None:
            per_message = open_headers(block)
        if len(recipients) > MAX_REPORTED:
            break
    if not recipients and per_message is not None and any(name in per_message for name in _PER_RECIPIENT):
        recipients.append(text)
    if per_message is None and recipients:
        per_message = open_headers(recipients[0])
    return per_message, [open_headers(block) for block in recipients]


def _forwarded(prose: str) -> dict[str, list[tuple[str, str]]]:
    """What became of addresses that are passed on: the address written to, lower case -> what failed, and its reply.

    QUIRK(exim): its Final-Recipient is the address before aliasing, contrary to RFC 3464 2.3.2; only its words name the
    one that failed, and in another order.
    """
    forwarded: dict[str, list[tuple[str, str]]] = {}
    if "generated from" in prose:
        for failed, written_to in _GENERATED_FROM.findall(prose):
            forwarded.setdefault(written_to.lower(), []).append(
                (failed, _reply_begins(recipient_reason(prose, failed)))
            )
    return forwarded


def _reply_begins(text: str | None) -> str:
    """How the reply in a text begins, as far as every program quotes it; "" without one."""
    reply = read_reply(text) if text else None
    return "".join(reply.text.split())[:80] if reply is not None else ""


def _taken(candidates: list[tuple[str, str]], diagnostic: str | None) -> str:
    """The address that got this reply, which is then told no other; the first one where the reply does not tell."""
    begins = _reply_begins(diagnostic)
    at = next((n for n, (_, said) in enumerate(candidates) if begins and said == begins), 0)
    return candidates.pop(at)[0]


def _failure(
    block: Headers,
    prose: str,
    reporting_mta: str | None,
    only: bool,
    forwarded: dict[str, list[tuple[str, str]]],
    mail: Mail,
) -> Failure | None:
    final = _address(block.raw("final-recipient"))
    original = _address(block.raw("original-recipient"))
    recipient = final or original or _address(block.raw("x-actual-recipient"))
    if recipient is None and only:
        # QUIRK(old sendmail): `Final-Recipient: RFC822; @host`; the words beside it say who is meant.
        told = told_failures(prose)
        recipient = told[0].recipient if len(told) == 1 else None
    recipient = recipient or _without_domain(block, mail)
    if recipient is None:
        return None
    status = _status(block.raw("status"))
    kind = _kind(block.raw("action"), status)
    diagnostic = _diagnostic(block) or _explained_status(block.raw("status"))
    if candidates := forwarded.get(recipient.lower()):
        recipient, original = _taken(candidates, diagnostic), recipient
    reason = host = None
    command = "LOCAL" if (block.raw("diagnostic-code") or "")[:7].lower() == "x-unix;" else None
    if kind != "delivered" and (diagnostic is None or not (only or read_reply(diagnostic))):
        # The report gives no reply of a server; the words written for a human often quote it.
        reason = recipient_reason(prose, recipient)
        reply = read_reply(reason) if reason else None
        if reason is not None and reply is not None and reply.code is not None:
            host, reason = host_in(reason), reply.text
    if "<<< " in prose and (spoken := spoken_to(prose, recipient)) is not None:
        host, command = host or spoken.host, command or spoken.command
        said = spoken.words or ""
        if (
            diagnostic
            and said.startswith(diagnostic[:60].rstrip())
            and set(statuses(said)) <= set(statuses(diagnostic))
        ):
            # QUIRK(sendmail): Diagnostic-Code holds the first line of the reply, the transcript all of them.
            diagnostic = max(diagnostic, said, key=len)
    if kind == "delayed" and "Envelope expired" in (diagnostic or reason or ""):
        kind = "failed"  # QUIRK(opensmtpd): says "delayed" of the end of the queue lifetime, too
    failure = Failure(
        kind,
        recipient,
        original_recipient=original if original and original.lower() != recipient.lower() else None,
        status=status,
        reply_code=_code_as_status(block.raw("status"), diagnostic or reason),
        command=command or (None if only or kind == "delivered" else _command_in_words(prose, recipient)),
        remote_host=_remote_host(block.raw("remote-mta")) or host,
    )
    return with_words(failure, diagnostic or reason, prose if only else reason, reporting_mta)


def _command_in_words(prose: str, recipient: str) -> str | None:
    """The refused command of one of several recipients: Postfix and Exim write it into the words for a human only."""
    if " command)" not in prose and "after " not in prose:
        return None
    words = recipient_reason(prose, recipient)
    return refused_command(words) if words else None


def _without_domain(block: Headers, mail: Mail) -> str | None:
    """Who is reported by a bare name or a number: the addressee of that name, else the name as it stands.

    QUIRK(local delivery, gateways to phones and fax): `Final-Recipient: rfc822; pat`. No domain is invented.
    """
    if block.raw("action") is None and block.raw("status") is None:
        return None
    value = _typed(block.raw("final-recipient")) or _typed(block.raw("original-recipient")) or ""
    name = _BARE_NAME.fullmatch(value.strip("<>\"' "))
    if name is None:
        return None
    returned = returned_headers(mail)
    written_to = find_addresses(", ".join(returned.all("to") + returned.all("cc"))[:8192]) if returned else []
    local = name[0].lower() + "@"
    return next((one for one in written_to if one.lower().startswith(local)), name[0])


def with_words(
    failure: Failure, diagnostic: str | None, prose: str | None, reporting_mta: str | None = None
) -> Failure:
    """Complete a failure with what its words say: codes, inner reply, refused command, host and platform.

    `reporting_mta` is given where the reporting server is known to be the one that refused.
    """
    inner = None
    status, code, host = failure.status, failure.reply_code, failure.remote_host
    words = diagnostic or (prose if failure.kind != "delivered" else None)
    if words:
        reply = read_reply(words)
        deepest = innermost_reply(words) if diagnostic else None
        if deepest is not None:
            inner = deepest.text
            code = code or deepest.code
            status = better_status(deepest.status or (reply.status if reply else None), status)
        elif reply is not None:
            code = code or reply.code
            status = better_status(reply.status, status)
    if host is None:
        host = (host_in(diagnostic) if diagnostic else None) or (reporting_mta.lower() if reporting_mta else None)
    return Failure(
        failure.kind,
        failure.recipient,
        original_recipient=failure.original_recipient,
        status=status,
        reply_code=code,
        diagnostic=one_line(diagnostic) or None if diagnostic else None,
        inner=one_line(inner) if inner else None,
        command=failure.command
        or (refused_command(diagnostic) if diagnostic else None)
        or (refused_command(prose) if prose else None),
        prose=as_said(prose[:MAX_PROSE]).strip() or None if prose else None,
        remote_host=host,
        # The reporter's own prose says nothing about who refused.
        platform=failure.platform or platform_of(host, diagnostic),
        at_relay=failure.at_relay,
    )


def _kind(action: str | None, status: str | None) -> FailureKind:
    if action:
        known = _KINDS.get(action)
        if known is not None:
            return known
        word = _COMMENT.sub("", action).strip().lower().split(" ")[0].rstrip(";")
        if word in _KINDS:
            return _KINDS[word]
    if status and status[0] in "24":
        return "delivered" if status[0] == "2" else "delayed"
    return "failed"


def _status(value: str | None) -> str | None:
    """`5.0.0 (permanent failure)` is 5.0.0; what is no enhanced status code (RFC 3463) is none."""
    if not value:
        return None
    if is_status(value):
        return value
    for word in _COMMENT.sub(" ", value).replace(",", " ").split():
        if is_status(word):
            return word
    return None


def _code_as_status(value: str | None, words: str | None) -> str | None:
    """QUIRK(many): `Status: 550`, a reply code where RFC 3464 wants a status; a code in the words counts more."""
    found = _ONLY_CODE.fullmatch(value.strip()) if value else None
    reply = read_reply(words) if found is not None and words else None
    return found[0] if found is not None and (reply is None or reply.code is None) else None


def _diagnostic(block: Headers) -> str | None:
    for name in ("diagnostic-code", "x-postfix-diagnostic", "x-supplementary-info"):
        values = block.all(name)
        if values:
            text = " ".join(values)
            kind, semicolon, rest = text.partition(";")
            if semicolon and len(kind) < 24 and _TYPE.fullmatch(kind) is not None:
                text = rest
            text = without_repeated_status(join_lines(text.strip()))
            # QUIRK(sendmail): `X-Unix; 73` is the exit status of a local program, no words.
            if text and not text.isdigit():
                return text
    return None


def _explained_status(value: str | None) -> str | None:
    """QUIRK(haraka): `Status: 5.1.2 (550 Tried all MXs client.example)`, words of the reporter that no server said."""
    found = _STATUS_WITH_REPLY.search(value) if value and "(" in value else None
    return found[1].strip() if found is not None else None


def _typed(value: str | None) -> str | None:
    """The text of a `type; text` value (RFC 3464 2.1.2), comments kept."""
    if not value:
        return None
    kind, semicolon, text = value.partition(";")
    return (text if semicolon and " " not in kind.strip() else value).strip() or None


def _remote_host(value: str | None) -> str | None:
    text = _typed(value)
    if text is None:
        return None
    found = _HOST.match((_COMMENT.sub("", text) if "(" in text else text).strip().strip("[]<>"))
    host = found[0].strip("[].").lower() if found else None
    return host or None


def _is_host(text: str | None) -> bool:
    return text is not None and "." in text and _HOST.fullmatch(text) is not None


def _character(found: re.Match[str]) -> str:
    """The character of a number in hexadecimal; U+FFFD for a number of none, and for half of one (a surrogate)."""
    number = int(found[1], 16)
    return "\ufffd" if 0xD800 <= number < 0xE000 or number > 0x10FFFF else chr(number)


def _address(value: str | None) -> str | None:
    text = _typed(value)
    if text is None:
        return None
    kind = (value or "").partition(";")[0].strip().lower()
    if kind == "utf-8":
        text = _UNITEXT.sub(_character, text)  # RFC 6533 3
    elif "+" in text and kind == "rfc822":
        # RFC 3461 4.2: xtext writes "+" as +2B; a plain "+" in an address stays.
        text = _XTEXT.sub(lambda m: chr(int(m[1], 16)), text) if "+2B" in text or "+3D" in text else text
    return address(text)
