"""Everything known about one mail as lines for a human: what happened, whose move, why we say so, the facts.

Pure: facts and records in, lines out. Judges nothing; a verdict that looks wrong here is wrong in the rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from parsers.facts import Bounce, Failure, NotABounce, Original
from parsers.trail import Hop
from remediation import Cause
from triage.display import (
    ACTOR_WORDS,
    PATH_WORDS,
    SIDE_WORDS,
    counted,
    found_out,
    retimed,
    shown,
    span_seconds,
    step_words,
    when_words,
    wrapped,
)
from triage.judging import PROOFS
from triage.rows import EvidenceRow, MailRow, StoredVerdict, VerdictRecord
from triage.ses import evidence_lines

_LABEL_WIDTH = 13
EVIDENCE_WIDTH = 18
MOST_ALSO = 3
"""Rows that are named of those that fit as well."""
MOST_DOUBTS = 5
"""Differences of the second reader that are quoted."""

Also = Mapping[tuple[str | None, str | None], Sequence[tuple[str, str]]]
"""As `judging.also_matched` gives it."""


def explain_mail(
    found: Bounce | NotABounce | None,
    records: Sequence[VerdictRecord | StoredVerdict],
    hops: Sequence[Hop],
    causes: Mapping[str, Cause],
    *,
    is_returned: bool = True,
    stored: MailRow | None = None,
    evidence: Mapping[int, Sequence[EvidenceRow]] | None = None,
    also: Also | None = None,
    doubts: Sequence[str] = (),
    width: int = 100,
    is_copy: bool = False,
) -> list[str]:
    """Lines about one mail, at most `width` columns (long addresses and codes are not broken).

    `found` are the facts, None when the bytes are no longer at hand; `records` the verdicts; `hops` the trail of the
    returned mail, or with `is_returned` false of the bounce itself; `stored` the row of `mails` for a mail out of the
    database, with what became of it; `evidence` the rows of `evidence` by verdict, for such a mail; `also` the rules
    that fit beside those that decided; `doubts` what a second reader sees otherwise. With `is_copy` it is a
    text that somebody copied, and nothing is shown of the mail around it.
    """
    lines = [f"{shown(_source(records, stored))}: {_headline(found, records)}"]
    if stored is not None:
        lines += _section("In the database", _stored(stored, width))
    for record in records:
        if record["kind"] in ("auto-reply", "not-a-bounce"):
            lines += _section("Why it is no bounce", _no_bounce(record, width, is_copy))
        else:
            others = (also or {}).get((record["recipient"], record["rule"]), ())
            rows = (evidence or {}).get(cast(int, record.get("id", 0)), ())  # a mail from a file has no number
            lines += _verdict(record, causes.get(record["cause"] or ""), others, width, found_out(rows))
            if rows:
                lines += _section("What SES and AWS know", _evidence(rows, width))
    if is_copy:
        return lines
    if isinstance(found, Bounce):
        lines += _section("The bounce", _bounce(found, width))
        if found.left_out:
            left_out = counted(found.left_out, "more recipient")
            lines += wrapped(f"Left out: at least {left_out} that it names.", width, "  ")
        for failure in found.failures:
            lines += _section(
                f"What it reports about {shown(failure.recipient or 'nobody by name')}",
                _failure(failure, found.reported_by, width),
            )
        lines += _section("The mail that came back", _original(found.original, records, width))
        lines += _section(f"The way {'that mail' if is_returned else 'the bounce itself'} took", _trail(hops, width))
    elif isinstance(found, NotABounce):
        pairs = (("From", found.sender), ("Subject", found.subject), ("Message-ID", found.message_id))
        lines += _section("The mail", _pairs(pairs, width))
    elif found is None:
        lines += _section(
            "The bounce", wrapped("Its bytes are not in the database, so its facts cannot be shown.", width, "  ")
        )
    if doubts:
        lines += _section("A second opinion", _second_opinion(doubts, width))
    return lines


def _headline(found: Bounce | NotABounce | None, records: Sequence[VerdictRecord | StoredVerdict]) -> str:
    if not records:
        return "not judged yet" if found is None else "no verdict"
    kinds = [record["kind"] for record in records]
    if kinds[0] == "auto-reply":
        return "an automatic reply, no bounce"
    if kinds[0] == "not-a-bounce":
        return "no bounce"
    words = {"failed": "not delivered", "delayed": "delayed", "delivered": "delivered", "feedback": "reported as spam"}
    counts = [f"{kinds.count(kind)} {word}" for kind, word in words.items() if kind in kinds]
    more = f", and at least {found.left_out:,} more left out" if isinstance(found, Bounce) and found.left_out else ""
    return f"a report about {len(kinds)} recipient{'s' if len(kinds) > 1 else ''}: {', '.join(counts)}{more}"


def _source(records: Sequence[VerdictRecord | StoredVerdict], stored: MailRow | None) -> str:
    return str(stored["source"] if stored else records[0]["source"] if records else "This mail")


def _stored(stored: MailRow, width: int) -> list[str]:
    became = {
        "judged": "judged",
        "failed": "could not be read yet; the next run asks for it again",
        "kept": "could not be read, and is kept for study",
        "gone": "no longer in Gmail when it was asked for",
    }
    return _pairs(
        (
            ("Received", when_words(stored["received_at"])),
            ("First seen", when_words(stored["seen_at"])),
            ("State", became.get(stored["state"], stored["state"])),
            ("Error", stored["error"]),
            ("Gmail id", stored["gmail_id"]),
            ("Thread", stored["thread_id"]),
        ),
        width,
        skip_unknown=True,
    )


def _outlook(record: VerdictRecord) -> str | None:
    """Whether this very mail may still arrive, and a new one; None: not known."""
    if record["permanent"] is None:
        return None
    if record["permanent"]:
        return "yes, it is not tried again"
    return "not this mail; a new one may get through" if record["kind"] == "failed" else "no, it may still arrive"


def _verdict(
    record: VerdictRecord, cause: Cause | None, others: Sequence[tuple[str, str]], width: int, found: str | None
) -> list[str]:
    title = cause.title if cause else "A cause this version does not know" if record["cause"] else "Nothing failed"
    title = f"{title} ({record['cause'] or record['kind']})"
    who = [
        *_pairs((("Recipient", record["recipient"]),), width),
        *_pairs((("Written to", record["original_recipient"]),), width, skip_unknown=True),
        *_pairs((("Category", record["category"] or "none"),), width),
    ]
    is_real = record["category"] != "unverified"
    if not is_real:
        warning = "This mail is not what it claims to be, or not about a mail of yours. Leave it alone."
        happened = [
            *wrapped(warning, width, "  "),
            *wrapped(f"It claims: {title}", width, "  "),
            *who,
        ]
    else:
        happened = [
            *(wrapped(retimed(shown(found, 900), datetime.now(UTC)), width, "  ") if found else ()),
            *wrapped(title, width, "  "),
            *(wrapped(cause.meaning, width, "  ") if cause else ()),
            *who,
            *_pairs(
                (
                    ("Side", SIDE_WORDS.get(record["side"] or "", record["side"])),
                    ("Next move", ACTOR_WORDS.get(record["actor"] or "", record["actor"])),
                    ("For good", _outlook(record)),
                ),
                width,
            ),
        ]
    evidence = f'"{shown(record["evidence"])}"' if record["evidence"] else None
    why = _pairs(
        (("Rule", record["rule"] or "none decided"), ("Evidence", evidence), ("Reason", record["reason"])), width
    )
    why += _pairs(
        (("Also matched", _also_words(others)), ("Your mail?", _proof_words(record))), width, skip_unknown=True
    )
    if cause and cause.decide and is_real:
        why += wrapped(f"Not certain: {cause.decide}", width, "  ")
    lines = _section("What happened", happened)
    if record["fix"]:
        lines += _section("What to do", list(_steps(record["fix"], width)))
    if is_real:
        lines += [f"  More: {shown(link)}" for link in record["links"]]
    return lines + _section("Why we say so", why)


def _proof_words(record: VerdictRecord) -> str | None:
    """Whether a stored verdict is known to be about a mail of ours, and how; None: it was never stored."""
    proof, why = record.get("proof"), record.get("proof_why")
    return f"{'yes' if proof in PROOFS else 'not known'}: {why}" if why else None


def _also_words(others: Sequence[tuple[str, str]]) -> str | None:
    named = [f"{rule} ({cause})" for rule, cause in others[:MOST_ALSO]]
    more = len(others) - len(named)
    return ", ".join(named) + (f", +{more} more" if more else "") if named else None


def _evidence(rows: Sequence[EvidenceRow], width: int) -> list[str]:
    """The chain of evidence, the most trusted piece first; several of one kind share its title."""
    lines: list[str] = []
    last = ""
    for title, words in evidence_lines(rows):
        label = "" if title == last else title
        lines += wrapped(shown(words, 1500), width, f"  {label:<{EVIDENCE_WIDTH}}", " " * (EVIDENCE_WIDTH + 2))
        last = title
    return lines


def _no_bounce(record: VerdictRecord, width: int, is_copy: bool) -> list[str]:
    what_next = "If it does report one, teach it to triage: `triage help docs/CONTRIBUTING.md`."
    if is_copy:
        what_next = "Copy the line with the three-digit code (such as 550), or the whole notice."
    why = record.get("why") or "nothing in it reports a failed delivery"
    return [
        *wrapped(f"{shown(why)[:1].upper()}{shown(why)[1:]}.", width, "  "),
        *wrapped(what_next, width, "  "),
    ]


def _second_opinion(doubts: Sequence[str], width: int) -> list[str]:
    """What flufl.bounce says otherwise; it knows no reasons and decides nothing."""
    lines = wrapped("flufl.bounce, another reader of bounces, differs (this decides nothing):", width, "  ")
    for doubt in doubts[:MOST_DOUBTS]:
        lines += wrapped(f"- {shown(doubt, 600)}", width, "  ", "    ")
    if len(doubts) > MOST_DOUBTS:
        lines.append(f"  - and {len(doubts) - MOST_DOUBTS:,} more")
    return lines


def _steps(steps: Sequence[str], width: int) -> Iterator[str]:
    for number, step in enumerate(steps, 1):
        yield from wrapped(f"{number}. {step_words(step, 1500)}", width, "  ", "     ")


def _bounce(bounce: Bounce, width: int) -> list[str]:
    return _pairs(
        (
            ("Written by", bounce.reported_by),
            ("Format", bounce.reader + (f", notice {bounce.notice}" if bounce.notice else "")),
            ("From", bounce.sender),
            ("Subject", bounce.subject),
            ("Date", when_words(bounce.reported_at) if bounce.reported_at else None),
            ("Message-ID", bounce.message_id),
            ("Genuine", f"{bounce.genuine.result}: {bounce.genuine.why}"),
        ),
        width,
    )


def _failure(failure: Failure, reporter: str | None, width: int) -> list[str]:
    refused_by = failure.platform
    if failure.at_relay:
        refused_by = "the relay behind the alias" if reporter == "gmail" else "the relay of the own mail server"
    said = (("Inner reply", failure.inner), ("Around it", failure.prose and shown(failure.prose)))
    return [
        *_pairs(
            (
                ("Outcome", failure.kind),
                ("Status", failure.status),
                ("Reply code", failure.reply_code),
                ("Refused by", failure.remote_host),
                ("Platform", refused_by),
                ("Its words", failure.diagnostic),
            ),
            width,
        ),
        *_pairs(said, width, skip_unknown=True),
    ]


def _original(original: Original, records: Sequence[VerdictRecord | StoredVerdict], width: int) -> list[str]:
    ses_id = original.ses_message_id
    if ses_id:
        ses_id += f" ({original.ses_region or 'region not known'}; found in: {original.ses_id_source})"
    elif any(record["category"] == "smtp-credentials" for record in records):
        ses_id = "none: it was stopped before any relay took it, so there is no such id"
    return _pairs(
        (
            ("From", original.sender),
            ("Subject", original.subject),
            ("Sent", when_words(original.sent_at) if original.sent_at else None),
            ("Left through", PATH_WORDS.get(original.path or "")),
            ("Message-ID", original.message_id),
            ("Gmail's id", original.gmail_message_id),
            ("SES id", ses_id),
        ),
        width,
    )


def _trail(hops: Sequence[Hop], width: int) -> list[str]:
    if not hops:
        return wrapped("No Received headers came back with it.", width, "  ")
    lines: list[str] = []
    previous: datetime | None = None
    for hop in hops:
        delay = "" if hop.delay is None else f", {span_seconds(hop.delay)} later"
        # Clocks of servers differ; a step back in time is their clocks, not the mail.
        delay = ", before the hop above it (clocks differ)" if hop.delay is not None and hop.delay < 0 else delay
        way = f"{shown(hop.from_host or 'unknown', 100)} -> {shown(hop.by_host or 'unknown', 100)}"
        with_ = f" with {shown(hop.protocol, 20)}" if hop.protocol else ""
        at = f" at {when_words(hop.at)}" if hop.at and hop.at != previous else ""
        lines += wrapped(f"{hop.number}. {way}{with_}{at}{delay}", width, "  ", "     ")
        previous = hop.at
    return lines


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return ["", title, *lines]


def _pairs(pairs: Sequence[tuple[str, Any]], width: int, *, skip_unknown: bool = False) -> list[str]:
    """Lines `Label        value`, values wrapped beside their label; what is not known says so, or is skipped."""
    lines: list[str] = []
    for label, value in pairs:
        if value is None and skip_unknown:
            continue
        text = "not known" if value is None else shown(value, 1000)
        lines += wrapped(text, width, f"  {label:<{_LABEL_WIDTH}}", " " * (_LABEL_WIDTH + 2))
    return lines
