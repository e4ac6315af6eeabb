"""What each source says of a failure, as candidates of one judgement, and the verdict made to follow it.

The candidates are kept, so that what was learnt once counts at every later judgement, in whatever order it came. The
judgement itself is in `triage.judging`; called inside the transaction that writes the evidence.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from parsers.facts import Bounce
from parsers.mime import bare_address
from parsers.ses_ids import ses_ids
from parsers.times import moment_from, utc_text
from remediation.aws import Suppressed
from remediation.aws.ses import MessageEvent
from triage import store
from triage.display import when_words
from triage.judging import Candidate, HowItStands, Judgement, ReadingRow, classify, inferred, judge_all, merged, said_by
from triage.model import FAILURE_KINDS, SOURCE, Evidence
from triage.rows import EventRow, StoredVerdict, VerdictRecord, VerdictRow
from triage.ses.events import as_mail, read_again
from triage.ses.evidence import moment_words

if TYPE_CHECKING:
    from sqlite_utils import Database

APART = timedelta(minutes=5)
"""How far the clocks of those who tell of one failure may be apart."""
_INSIGHTS = {"BOUNCE": "Bounce", "REJECT": "Reject", "COMPLAINT": "Complaint", "DELIVERY_DELAY": "DeliveryDelay"}


def of_events(events: Iterable[EventRow], kind: str) -> Iterator[Candidate]:
    """What SES's events say of a failure of this kind (failed, delayed, feedback)."""
    for event in events:
        if event["notification"] is None or event["kind"] not in FAILURE_KINDS:
            continue
        place = f"{event['kind']} {event['event_id']}"
        source = f"{SOURCE}{event['ses_message_id']}"
        record = _read(source, zlib.decompress(event["notification"]), kind, event["recipient"])
        if record is not None:
            words = event["words"] or event["kind"]
            yield Candidate("ses-event", place, record["cause"], event["at"], words, said_by(record))


def of_insights(events: Sequence[MessageEvent], row: VerdictRow, region: str) -> Iterator[Candidate]:
    """What SES kept of a message says of its failure, as an event would have said it; the last one counts."""
    for event in sorted(events, key=lambda one: one.at, reverse=True):
        name = _INSIGHTS.get(event.type)
        record = (
            _read(f"{SOURCE}insights", as_mail(_notification(event, name, row)), row["kind"], None) if name else None
        )
        if record is not None:
            words = "/".join(filter(None, (event.bounce_type, event.bounce_subtype))) or event.type
            words += f": {event.diagnostic}" if event.diagnostic else ""
            yield Candidate("message-insights", region, record["cause"], utc_text(event.at), words, said_by(record))
            return


def of_suppression(
    entry: Suppressed, record: VerdictRecord, row: VerdictRow, region: str, *, is_all: bool
) -> Iterator[Candidate]:
    """What an entry says that was there before the mail: SES does not send to such an address.

    It decides only where it `is_all` that SES will ever tell of this mail; where events come they say it themselves.
    """
    sent_at = moment_from(row["sent_at"])
    went_there = row["ses_message_id"] is not None and row["ses_region"] == region
    if sent_at is None or row["kind"] != "failed" or not went_there or entry.message_id == row["ses_message_id"]:
        return
    earlier = [found.sent_at for found in ses_ids(entry.message_id or "") if found.sent_at]
    since = min([entry.since, *earlier])
    if since < sent_at - APART:
        words = f"on the list since {moment_words(since, sent_at)} ({entry.reason}), before the mail was sent"
        said = inferred(record, "ses-suppressed", words) if is_all else {}
        yield Candidate("suppression-list", region, "ses-suppressed", utc_text(since), words, said)


def of_keys(pieces: Iterable[Evidence]) -> Iterator[Candidate]:
    """What the keys behind an alias say: they bear a refused login out, and decide nothing by themselves."""
    for piece in pieces:
        if piece.kind == "own-side" and piece.detail:
            bears_out = piece.result in ("proven", "likely")
            cause = "alias-credentials-rejected" if bears_out else None
            yield Candidate("access-keys", None, cause, None, f"{piece.result}: {piece.detail}"[:900])


def of_later_mail(events: Iterable[EventRow], row: VerdictRow) -> Iterator[Candidate]:
    """What SES did with this very mail that it cannot have done where the failure is as told."""
    failed_at = moment_from(row["received_at"])
    is_own = row["category"] == "smtp-credentials"
    kinds = ("Send", "Delivery") if is_own else ("Delivery",) if row["kind"] == "failed" else ()
    for event in events:
        at = moment_from(event["at"])
        if event["kind"] in kinds and (is_own or at > failed_at + APART):
            done = "took" if event["kind"] == "Send" else "delivered"
            words = f"that SES {done} this very mail on {moment_words(at, failed_at)}"
            yield Candidate("later-sends", event["kind"], None, event["at"], words, denies=True)
            return


def judge_anew(
    db: Database,
    verdict_id: int,
    before: Mapping[str, Any] | None,
    found: Iterable[Candidate],
    at: datetime,
) -> None:
    """Judge a verdict by all that is known of it by now, and let it say what is believed.

    Part of the caller's transaction. `before`: the row it had, where a mail took it over in this transaction; `found`:
    what the sources say that were asked now.
    """
    verdict = store.verdicts_numbered(db, [verdict_id])[verdict_id]
    candidates = {one.key: one for one in (*_known(db, verdict), *found)}
    if not any(one.said for one in candidates.values()):
        return
    judgement = judge_all(candidates.values())
    if len(candidates) > 1:
        store.keep_readings(db, verdict_id, _readings(candidates.values(), judgement))
    if judgement.contradiction:
        store.write_piece(db, verdict_id, Evidence("judgement", found=True, detail=judgement.contradiction), at)
    new = merged(verdict, judgement.believed)
    if before is not None and before["proof"] == "ses" and _is_borne_out(new, candidates.values()):
        store.keep_proof(db, verdict_id, "ses", before["proof_why"])
        verdict["proof"] = "ses"
    is_new = any(_names(old) != _names(new) for old in filter(None, (before, verdict)))
    if is_new or said_by(new) != said_by(verdict):
        old = _old(before, verdict, new)
        store.change_verdict(db, verdict, old, new, judgement.why, at)
        if old["cause"] != new["cause"]:
            words = f"until {when_words(utc_text(at))} it was {old['cause']} ({old['category']}); {judgement.why}"
            store.write_piece(db, verdict_id, Evidence("judgement", "before", found=True, detail=words), at)
    elif before is not None:
        store.settle_incident(db, verdict_id, new, verdict["proof"], at)


def judged_again(
    db: Database, old: StoredVerdict, new: VerdictRecord
) -> tuple[VerdictRecord, list[tuple[ReadingRow, HowItStands]]]:
    """A new reading of a stored mail, weighed against all else that is known: the record, and the readings to keep."""
    fresh: list[Candidate] = [] if new["source"].startswith(SOURCE) else [_of_mail(new, old["received_at"])]
    fresh += of_events(store.failures_tied(db, old["id"]), new["kind"])
    kept = [_candidate(row) for row in store.readings_of(db, old["id"])]
    candidates = {one.key: one for one in (*kept, *fresh)}
    if len(candidates) < 2 or not any(one.said for one in candidates.values()):
        return new, []
    judgement = judge_all(candidates.values())
    return merged(new, judgement.believed), _readings(candidates.values(), judgement)


def _known(db: Database, verdict: StoredVerdict) -> Iterator[Candidate]:
    """What was said before; what the mail says is in its verdict until something else is believed."""
    has_mail = not verdict["source"].startswith(SOURCE)
    for row in store.readings_of(db, verdict["id"]):
        yield _candidate(row)
        has_mail = has_mail and row["source"] != "mail"
    if has_mail:
        yield _of_mail(verdict, verdict["received_at"])


def _of_mail(record: VerdictRecord, at: str | None) -> Candidate:
    words = record["diagnostic"] or record["status"] or ""
    return Candidate("mail", None, record["cause"], at, words[:300], said_by(record))


def _readings(candidates: Iterable[Candidate], judgement: Judgement) -> list[tuple[ReadingRow, HowItStands]]:
    """What is kept of each, with how it stands."""
    return [(_row(one), judgement.standings[one.key]) for one in candidates]


def _row(one: Candidate) -> ReadingRow:
    return {
        "source": one.source,
        "place": one.place,
        "cause": one.cause,
        "at": one.at,
        "words": one.words,
        "said": dict(one.said),
        "denies": int(one.denies),
    }


def _candidate(row: ReadingRow) -> Candidate:
    denies = bool(row["denies"])
    return Candidate(row["source"], row["place"], row["cause"], row["at"], row["words"], row["said"], denies)


def _names(record: Mapping[str, Any]) -> tuple[str | None, str | None]:
    return record["category"], record["cause"]


def _old(before: Mapping[str, Any] | None, verdict: StoredVerdict, new: VerdictRecord) -> Mapping[str, Any]:
    """What the verdict was until now: what stood there before the mail came, else what the mail says."""
    return before if before is not None and _names(before) != _names(new) else verdict


def _is_borne_out(record: VerdictRecord, candidates: Iterable[Candidate]) -> bool:
    """Whether SES's own event proves a verdict: of our own side, it must name the same cause."""
    if record["category"] in ("smtp-credentials", "gmail-refused", "unverified") or record["genuine"] == "fail":
        return False
    events = [one for one in candidates if one.source == "ses-event"]
    return any(record["side"] != "own" or one.cause == record["cause"] for one in events)


def _read(source: str, raw: bytes, kind: str, recipient: str | None) -> VerdictRecord | None:
    found = read_again(source, raw)
    if not isinstance(found, Bounce):
        return None
    for verdict in classify(found, source):
        record = verdict.as_dict()
        same = recipient is None or bare_address(record["recipient"] or "").lower() == recipient
        if record["kind"] == kind and same:
            return record
    return None


def _notification(event: MessageEvent, name: str, row: VerdictRow) -> dict[str, Any]:
    """What insights tell of a message in the shape of an SES event."""
    person = {"emailAddress": event.recipient, "diagnosticCode": event.diagnostic}
    sent = {"messageId": row["ses_message_id"], "timestamp": row["sent_at"], "destination": [event.recipient]}
    details: dict[str, dict[str, Any]] = {
        "Bounce": {
            "bounceType": (event.bounce_type or "Undetermined").title(),
            "bounceSubType": event.bounce_subtype or "Undetermined",
            "bouncedRecipients": [person],
            "reportingMTA": "dns; smtp-out.amazonses.com",
        },
        "DeliveryDelay": {"delayType": event.bounce_subtype or "Undetermined", "delayedRecipients": [person]},
        "Complaint": {"complainedRecipients": [person]},
        "Reject": {"reason": event.diagnostic},
    }
    return {"eventType": name, "mail": sent, f"{name[0].lower()}{name[1:]}": details[name]}
