"""Ties each verdict to what SES and AWS know of it, and writes down what was found and what could not be asked.

Works on what is stored, after the mails of a run: mail and event of one failure become one verdict with two pieces of
evidence, a failure known only from an event becomes a verdict of its own. AWS being away leaves "not looked up: why",
and a later run asks again. What is known of a failure then is judged as a whole (`weighing`). Changes nothing at AWS,
imports no boto3 where nothing is set.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, cast

from parsers.facts import Bounce
from parsers.mime import bare_address
from parsers.ses_ids import ses_ids
from parsers.times import moment_from
from remediation.aws import NotLookedUp
from remediation.aws import queue as aws_queue
from remediation.aws import ses as aws_ses
from triage import store
from triage.config import Settings
from triage.display import counted
from triage.errors import TriageError, why_failed
from triage.gmail import Gmail
from triage.judging import BY_SES, Candidate, classify
from triage.model import FAILURE_KINDS, SOURCE, Evidence, StoredMail, not_looked_up
from triage.rows import EventRow, SesIds, VerdictRow
from triage.ses.alias import alias_evidence
from triage.ses.asked import Asked
from triage.ses.believed import trust_of
from triage.ses.events import Drained, drain, read_again
from triage.ses.evidence import DENIED_FOR, LOOK_BACK, moment_words, scheduled
from triage.ses.weighing import judge_anew, of_events, of_insights, of_keys, of_later_mail, of_suppression

if TYPE_CHECKING:
    from sqlite_utils import Database

ALONE_AFTER = timedelta(minutes=15)
"""How long an event waits for the mail about the same failure before it becomes a verdict of its own."""

NEAR_MINUTES = 10
"""How far the times of a mail and an SES id may lie apart where nothing but recipient and subject ties them."""

MOST_ASKED = 100
"""Verdicts that are looked up in one run: SES answers about one question a second. The rest has its turn next run."""

MOST_UNASKED = 5000
"""The same where nothing is asked of AWS."""

PROBABLE = "probable: same recipient, subject and time as an SES event"


class LookedUp(NamedTuple):
    """A piece of evidence, with what SES answered: the entry of a suppression list, or what it kept of a message."""

    piece: Evidence
    entry: aws_ses.Suppressed | None = None
    events: Sequence[aws_ses.MessageEvent] = ()


@dataclass(frozen=True, slots=True)
class Correlated:
    """What came of it."""

    events: int = 0
    """Events not known before."""
    from_events: int = 0
    """Verdicts made because no mail told of the failure."""
    not_looked_up: tuple[str, ...] = ()
    """What AWS did not answer and why, each once."""


def take_events(db: Database, settings: Settings, at: datetime) -> Drained:
    """Empty the queue into the database, where a queue is set."""
    if settings.queue_url is None:
        return Drained()
    return drain(db, settings.queue_url, _queue_region(settings), at, trust_of(settings))


def correlate(db: Database, settings: Settings, gmail: Gmail | None, at: datetime, drained: Drained) -> Correlated:
    """Collect the evidence for every verdict that lacks some, and turn events nobody else told of into verdicts.

    `drained` is what `take_events` said in this run. Raises what Gmail raises (TryLater, CredentialsDead).
    """
    asked = Asked.after(store.denials(db, at - DENIED_FOR), at)
    if drained.away:
        waits = f" ({counted(drained.waiting, 'message')} in the queue until then)" if drained.waiting else ""
        asked.problems[drained.away.what] = drained.away.why + waits
    for notice in drained.notices:
        asked.problems[f"the topic {notice.partition(': ')[0]}"] = notice.partition(": ")[2]
    if drained.refused:
        asked.problems["messages of the event queue"] = f"{drained.refused} not believed; `triage report` says why"
    limit = MOST_ASKED if _asks_aws(settings) else MOST_UNASKED
    waiting = {row["id"]: row for row in store.verdicts_to_correlate(db, at - LOOK_BACK, at, limit)}
    for verdict_id in _named_by_events(db):
        if verdict_id not in waiting and (row := store.verdict_row(db, verdict_id)):
            waiting[verdict_id] = row
    made = 0
    in_order = sorted(waiting.values(), key=lambda row: (row["received_at"], row["id"]))
    new_ones = _verdicts_of_events(db, at, settings.incidents_per_day)
    for is_new, row in chain(((False, row) for row in in_order), new_ones):
        try:
            _record(db, row, settings, gmail, asked, at, drained.away)
        except TriageError:
            raise
        except Exception as error:  # what our code trips over must not stop the run
            why = f"our own code failed: {why_failed(error)}"
            asked.problems[f"verdict {row['id']}"] = why
            piece = scheduled(not_looked_up("ses-id", None, why), datetime.fromisoformat(row["received_at"]), at)
            store.record_evidence(db, row["id"], [piece], at)
        made += is_new
    store.keep_denials(db, asked.new_denials)
    problems = tuple(f"{what}: {why}" for what, why in asked.problems.items())
    return Correlated(drained.new, made, problems)


def _record(
    db: Database,
    row: VerdictRow,
    settings: Settings,
    gmail: Gmail | None,
    asked: Asked,
    at: datetime,
    away: NotLookedUp | None,
) -> None:
    if row["category"] == "smtp-credentials":
        events = _events_of_sender(db, row)
        pieces = [Evidence("ses-id", found=False, detail="none: it was stopped before SES took it")]
        pieces += _event_pieces(db, events, settings, away, row)
        pieces += alias_evidence(db, row, events, settings, gmail, asked, at)
        candidates = [*of_keys(pieces), *of_later_mail(events, row)]
        _write(db, row, pieces, candidates, asked, at)
        return
    events, ses = _tied(db, row)
    known = _with_ids(row, ses)
    looked_up = list(_looked_up(db, known, settings, asked, at))
    ses |= _from_suppression_list(known, looked_up)
    known = _with_ids(row, ses)
    pieces = [_id_piece(known), *_event_pieces(db, events, settings, away, row), *(found.piece for found in looked_up)]
    # A delay and a complaint about the same mail are failures, and verdicts, of their own.
    mine = [event["id"] for event in events if FAILURE_KINDS.get(event["kind"], row["kind"]) == row["kind"]]
    candidates = [*of_events(events, row["kind"]), *of_later_mail(events, row), *_said(db, known, looked_up, settings)]
    _write(db, row, pieces, candidates, asked, at, mine, ses)


def _write(
    db: Database,
    row: VerdictRow,
    pieces: Iterable[Evidence],
    candidates: Sequence[Candidate],
    asked: Asked,
    at: datetime,
    event_ids: Sequence[int] = (),
    ses: SesIds | None = None,
) -> None:
    """Write what was found about a verdict, each piece with its next turn, and judge it by all that is known."""
    received_at = datetime.fromisoformat(row["received_at"])
    planned = [scheduled(piece, received_at, at, denied_at=asked.denied_at) for piece in pieces]
    store.record_evidence(
        db,
        row["id"],
        planned,
        at,
        event_ids=event_ids,
        ses=ses,
        then=lambda verdict_id, before: judge_anew(db, verdict_id, before, candidates, at),
    )


def _said(db: Database, row: VerdictRow, looked_up: Iterable[LookedUp], settings: Settings) -> Iterator[Candidate]:
    """What the answers of SES say of the cause."""
    is_all = settings.queue_url is None and not settings.vdm
    for found in looked_up:
        if found.entry is not None and found.piece.place is not None:
            record = store.verdicts_numbered(db, [row["id"]])[row["id"]]
            yield from of_suppression(found.entry, record, row, found.piece.place, is_all=is_all)
        if found.events and found.piece.place is not None:
            yield from of_insights(found.events, row, found.piece.place)


def _with_ids(row: VerdictRow, ses: SesIds) -> VerdictRow:
    """The verdict with those of these ids it has none of itself."""
    return cast(VerdictRow, {**row, **{name: value for name, value in ses.items() if not row.get(name)}})


# Events


def _named_by_events(db: Database) -> set[int]:
    """The verdicts that events without one may be about."""
    found = set()
    for event in store.untied_failures(db):
        candidates = store.verdicts_for_event(db, event, NEAR_MINUTES)
        found |= {int(row["id"]) for number, row in enumerate(candidates) if number == 0 or _names(event, row)}
    return found


def _names(event: EventRow, row: VerdictRow) -> bool:
    """Whether an event names the very mail of a verdict: several mails may tell of one failure."""
    return row["ses_message_id"] == event["ses_message_id"] or event["client_id"] in _client_ids(row)


def _verdicts_of_events(db: Database, at: datetime, most: int) -> Iterator[tuple[bool, VerdictRow]]:
    """Make a verdict of each event that waited long enough for a mail, and give its row, marked as new."""
    for event in store.untied_failures(db):
        if at - datetime.fromisoformat(event["at"]) < ALONE_AFTER:
            continue
        if event["kind"] == "DeliveryDelay" and store.is_delivered(db, event):
            store.drop_notification(db, event["id"])
            continue
        source = f"{SOURCE}{event['ses_message_id']}"
        assert event["notification"] is not None
        raw = zlib.decompress(event["notification"])
        found = read_again(source, raw)
        if not isinstance(found, Bounce):
            store.drop_notification(db, event["id"])
            continue
        records = [verdict.as_dict() for verdict in classify(found, source)]
        mail = StoredMail(source, received_at=datetime.fromisoformat(event["at"]), raw=raw)
        mail_id = store.store_judged(db, mail, records, (), at, [BY_SES] * len(records), most_incidents=most)
        for verdict in store.verdicts_of(db, mail_id):
            row = store.verdict_row(db, verdict["id"])
            assert row is not None
            yield True, row


def _tied(db: Database, row: VerdictRow) -> tuple[list[EventRow], SesIds]:
    """The events about this verdict in the order of trust, and what they add to its SES id."""
    addresses = _addresses(row)
    if row["ses_message_id"]:
        events = store.events_of_message(db, row["ses_message_id"], addresses)
        return events, _added(events, None)
    if client_ids := _client_ids(row):
        events = store.events_by_client_id(db, client_ids, addresses)
        if events:
            return events, _added(events, "SES event")
    return _probable(db, row, addresses)


def _probable(db: Database, row: VerdictRow, addresses: Sequence[str]) -> tuple[list[EventRow], SesIds]:
    """Events of the one mail that fits by time, recipient and subject; none where several fit."""
    if not (row["sent_at"] and row["subject"]):
        return [], {}
    sent_at, near = datetime.fromisoformat(row["sent_at"]), timedelta(minutes=NEAR_MINUTES)
    events = store.events_to_recipient(db, addresses, row["subject"], sent_at - near, sent_at + near)
    if len({event["ses_message_id"] for event in events}) != 1:
        return [], {}
    return events, _added(events, PROBABLE)


def _added(events: Sequence[EventRow], source: str | None) -> SesIds:
    if not events:
        return {}
    client_id = next((event["client_id"] for event in events if event["client_id"]), None)
    # Only an id that Gmail gave finds the copy in Sent.
    gmail_id = client_id if client_id and client_id.endswith("@mail.gmail.com") else None
    added: SesIds = {"gmail_message_id": gmail_id}
    if source:
        added |= {"ses_message_id": events[0]["ses_message_id"], "ses_region": events[0]["ses_region"]}
        added |= {"ses_id_source": source}
    return added


def _events_of_sender(db: Database, row: VerdictRow) -> list[EventRow]:
    """What SES published about a mail that Gmail says never got there: usually nothing, and that is a finding."""
    addresses, client_ids = _addresses(row), _client_ids(row)
    return store.events_by_client_id(db, client_ids, addresses) if client_ids else []


def _event_pieces(
    db: Database, events: Sequence[EventRow], settings: Settings, away: NotLookedUp | None, row: VerdictRow
) -> list[Evidence]:
    """The piece about events: what they say, that there are none, or that the queue could not be read."""
    if events:
        return [Evidence("ses-event", found=True, detail=event_words(events, moment_from(row["sent_at"])))]
    if settings.queue_url is None:
        return []
    if away:
        return [not_looked_up("ses-event", None, away.why)]  # the queue is read in each run, whatever it was told
    count = store.count_events(db)
    words = f"SES published nothing about it, and {counted(count, 'event')} about other mails"
    if count == 0:
        words = "no event has come from SES yet, which says nothing: look whether events are published at all"
    return [Evidence("ses-event", found=False, detail=words)]


def event_words(events: Iterable[EventRow], beside: datetime | None) -> str:
    """What happened to one mail, in order: `Send 12 May 16:40 UTC; Bounce 12 May 16:41 UTC, Permanent/General: ...`."""
    return "; ".join(
        f"{event['kind']} {moment_words(moment_from(event['at']), beside)}"
        + (f", {event['words']}" if event["words"] else "")
        for event in events
    )


# What SES is asked


def _looked_up(db: Database, row: VerdictRow, settings: Settings, asked: Asked, at: datetime) -> Iterator[LookedUp]:
    """Ask the suppression list of each region that may know the address, and insights about the message.

    Not again where the answer stands, or has its turn later.
    """
    address = bare_address(row["original_recipient"] or row["recipient"] or "")
    if not _asks_aws(settings) or not address or (row["path"] == "gmail" and not row["ses_message_id"]):
        return
    rests = {
        (piece["kind"], piece["place"])
        for piece in store.evidence_of(db, [row["id"]]).get(row["id"], ())
        if piece["ask_again_at"] is None or moment_from(piece["ask_again_at"]) > at
    }
    for region in dict.fromkeys(filter(None, [row["ses_region"], *settings.regions])):
        if ("suppression-list", region) not in rests:
            yield _suppression(row, address, region, asked)
    region = row["ses_region"] or ""
    if settings.vdm and row["ses_message_id"] and region and ("message-insights", region) not in rests:
        yield _insights(row, region, row["ses_message_id"], asked)


def _suppression(row: VerdictRow, address: str, region: str, asked: Asked) -> LookedUp:
    entry = asked.ask(("sesv2", region), "suppressed", address, lambda: aws_ses.suppressed_destination(region, address))
    if isinstance(entry, NotLookedUp):
        return LookedUp(not_looked_up("suppression-list", region, entry.why, is_denied=entry.kind == "denied"))
    if entry is None:
        return LookedUp(Evidence("suppression-list", region, found=False, detail=f"{address} is not on it"))
    cause = "put there by hand" if entry.message_id is None else f"because of another mail, {entry.message_id}"
    if entry.message_id is not None and entry.message_id == row["ses_message_id"]:
        cause = "because of this very mail"
    words = (
        f"{address} is on it since {moment_words(entry.since, moment_from(row['sent_at']))} ({entry.reason}), {cause}"
    )
    return LookedUp(Evidence("suppression-list", region, found=True, detail=words), entry)


def _from_suppression_list(row: VerdictRow, looked_up: Iterable[LookedUp]) -> SesIds:
    """The SES id a suppression entry names, where nothing better is known and the id's own time fits the mail's."""
    sent_at = moment_from(row["sent_at"])
    if row["ses_message_id"] or sent_at is None:
        return {}
    for entry in filter(None, (found.entry for found in looked_up)):
        for found in ses_ids(entry.message_id) if entry.message_id else ():
            if found.sent_at and abs(found.sent_at - sent_at) <= timedelta(minutes=NEAR_MINUTES):
                source = "suppression list entry"
                return {"ses_message_id": found.id, "ses_region": found.region, "ses_id_source": source}
    return {}


def _insights(row: VerdictRow, region: str, message_id: str, asked: Asked) -> LookedUp:
    answer = asked.ask(("sesv2", region), "insights", message_id, lambda: aws_ses.message_insights(region, message_id))
    if isinstance(answer, NotLookedUp):
        return LookedUp(not_looked_up("message-insights", region, answer.why, is_denied=answer.kind == "denied"))
    if answer is None:
        return LookedUp(Evidence("message-insights", region, found=False, detail="SES kept nothing of this mail"))
    addresses = _addresses(row)
    events = [event for event in answer.events if bare_address(event.recipient).lower() in addresses]
    words = "; ".join(
        f"{event.type} {moment_words(event.at, moment_from(row['sent_at']))}"
        + "".join(f", {part}" for part in (event.bounce_type, event.bounce_subtype, event.diagnostic) if part)
        for event in events
    )
    piece = Evidence("message-insights", region, found=bool(events), detail=words or "nothing about this recipient")
    return LookedUp(piece, events=events)


def _id_piece(row: VerdictRow) -> Evidence:
    if not row["ses_message_id"]:
        through_gmail = row["path"] == "gmail"
        words = "none: it left through Gmail's own servers" if through_gmail else "none found"
        return Evidence("ses-id", found=False, detail=words)
    where = f"{row['ses_message_id']} in {row['ses_region'] or 'an unknown region'}"
    return Evidence("ses-id", found=True, detail=f"{where}; found in: {row['ses_id_source'] or 'not recorded'}")


def _asks_aws(settings: Settings) -> bool:
    return bool(settings.regions or settings.queue_url)


def _queue_region(settings: Settings) -> str:
    """The region of the queue: by its address, else the first that is set; what is asked there needs some region."""
    named = aws_queue.queue_region(settings.queue_url or "")
    return named or next(iter(settings.regions), "us-east-1")


def _addresses(row: VerdictRow) -> list[str]:
    return list(dict.fromkeys(bare_address(a).lower() for a in (row["recipient"], row["original_recipient"]) if a))


def _client_ids(row: VerdictRow) -> list[str]:
    return [message_id for message_id in (row["gmail_message_id"], row["message_id"]) if message_id]
