"""Ties each verdict to what SES and AWS know of it, and writes down what was found and what could not be asked.

Works on what is stored, after the mails of a run: mail and event of one failure become one verdict with two pieces of
evidence, a failure known only from an event becomes a verdict of its own. AWS being away leaves "not looked up: why",
and the next run asks again. Changes nothing at AWS, judges no bounce anew, imports no boto3 where nothing is set.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any

from parsers.facts import Bounce
from parsers.ses import ses_ids
from remediation import aws_queue, aws_ses
from remediation.aws import NotLookedUp
from triage import store, store_events
from triage.alias_evidence import alias_evidence
from triage.asked import Asked
from triage.classify import classify
from triage.config import Settings
from triage.display import counted
from triage.errors import TriageError
from triage.events import FAILURE_KINDS, SOURCE, Drained, drain, read_again
from triage.evidence import Evidence, moment_words, not_looked_up
from triage.gmail import Gmail
from triage.judge import why_failed
from triage.store import Mail

if TYPE_CHECKING:
    from sqlite_utils import Database

Row = dict[str, Any]

LOOK_BACK = timedelta(days=14)
"""How old a bounce may be to be looked up still: SES and Gmail have told all they will by then."""

ALONE_AFTER = timedelta(minutes=15)
"""How long an event waits for the mail about the same failure before it becomes a verdict of its own."""

NEAR_MINUTES = 10
"""How far the times of a mail and an SES id may lie apart where nothing but recipient and subject ties them."""

MOST_ASKED = 100
"""Verdicts that are looked up in one run: SES answers about one question a second. The rest has its turn next run."""

MOST_UNASKED = 5000
"""The same where nothing is asked of AWS."""

PROBABLE = "probable: same recipient, subject and time as an SES event"


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
    return drain(db, settings.queue_url, _queue_region(settings), at)


def correlate(db: Database, settings: Settings, gmail: Gmail | None, at: datetime, drained: Drained) -> Correlated:
    """Collect the evidence for every verdict that lacks some, and turn events nobody else told of into verdicts.

    `drained` is what `take_events` said in this run. Raises what Gmail raises (TryLater, CredentialsDead).
    """
    asked = Asked()
    if drained.away:
        asked.problems[drained.away.what] = drained.away.why
    limit = MOST_ASKED if _asks_aws(settings) else MOST_UNASKED
    waiting = {row["id"]: row for row in store_events.verdicts_to_correlate(db, at - LOOK_BACK, limit)}
    for verdict_id in _named_by_events(db):
        if verdict_id not in waiting and (row := store_events.verdict_row(db, verdict_id)):
            waiting[verdict_id] = row
    made = 0
    for is_new, row in chain(((False, row) for row in waiting.values()), _verdicts_of_events(db, at)):
        try:
            _record(db, row, settings, gmail, asked, at, drained.away)
        except TriageError:
            raise
        except Exception as error:  # what our code trips over must not stop the run
            why = f"our own code failed: {why_failed(error)}"
            asked.problems[f"verdict {row['id']}"] = why
            store_events.record_evidence(db, row["id"], [not_looked_up("ses-id", None, why)], at)
        made += is_new
    problems = tuple(f"{what}: {why}" for what, why in asked.problems.items())
    return Correlated(drained.new, made, problems)


def _record(
    db: Database,
    row: Row,
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
        store_events.record_evidence(db, row["id"], pieces, at)
        return
    events, ses = _tied(db, row)
    known = {**row, **{key: row[key] or value for key, value in ses.items()}}
    looked_up = list(_looked_up(known, settings, asked))
    ses |= _from_suppression_list(known, looked_up)
    known |= {key: row[key] or value for key, value in ses.items()}
    pieces = [_id_piece(known), *_event_pieces(db, events, settings, away, row), *(piece for piece, _ in looked_up)]
    # A delay and a complaint about the same mail are failures, and verdicts, of their own.
    mine = [event["id"] for event in events if FAILURE_KINDS.get(event["kind"], row["kind"]) == row["kind"]]
    store_events.record_evidence(db, row["id"], pieces, at, event_ids=mine, ses=ses)


# Events


def _named_by_events(db: Database) -> set[int]:
    """The verdicts that events without one may be about."""
    found = set()
    for event in store_events.untied_failures(db):
        candidates = store_events.verdicts_for_event(db, event, NEAR_MINUTES)
        if candidates:
            found.add(int(candidates[0]["id"]))
    return found


def _verdicts_of_events(db: Database, at: datetime) -> Iterator[tuple[bool, Row]]:
    """Make a verdict of each event that waited long enough for a mail, and give its row, marked as new."""
    for event in store_events.untied_failures(db):
        if at - datetime.fromisoformat(event["at"]) < ALONE_AFTER:
            continue
        if event["kind"] == "DeliveryDelay" and store_events.is_delivered(db, event):
            store_events.drop_notification(db, event["id"])
            continue
        source = f"{SOURCE}{event['ses_message_id']}"
        raw = zlib.decompress(event["notification"])
        found = read_again(source, raw)
        if not isinstance(found, Bounce):
            store_events.drop_notification(db, event["id"])
            continue
        records = [verdict.record() for verdict in classify(found, source)]
        mail = Mail(source, received_at=datetime.fromisoformat(event["at"]), raw=raw)
        mail_id = store.store_judged(db, mail, records, (), at)
        for verdict in store.verdicts_of(db, mail_id):
            row = store_events.verdict_row(db, verdict["id"])
            assert row is not None
            yield True, row


def _tied(db: Database, row: Row) -> tuple[list[Row], Row]:
    """The events about this verdict in the order of trust, and what they add to its SES id."""
    addresses = _addresses(row)
    if row["ses_message_id"]:
        events = store_events.events_of_message(db, row["ses_message_id"], addresses)
        return events, _added(events, None)
    if client_ids := _client_ids(row):
        events = store_events.events_by_client_id(db, client_ids, addresses)
        if events:
            return events, _added(events, "SES event")
    return _probable(db, row, addresses)


def _probable(db: Database, row: Row, addresses: Sequence[str]) -> tuple[list[Row], Row]:
    """Events of the one mail that fits by time, recipient and subject; none where several fit."""
    if not (row["sent_at"] and row["subject"]):
        return [], {}
    sent_at, near = datetime.fromisoformat(row["sent_at"]), timedelta(minutes=NEAR_MINUTES)
    events = store_events.events_to_recipient(db, addresses, row["subject"], sent_at - near, sent_at + near)
    if len({event["ses_message_id"] for event in events}) != 1:
        return [], {}
    return events, _added(events, PROBABLE)


def _added(events: Sequence[Row], source: str | None) -> Row:
    if not events:
        return {}
    client_id = next((event["client_id"] for event in events if event["client_id"]), None)
    # Only an id that Gmail gave finds the copy in Sent.
    gmail_id = client_id if client_id and client_id.endswith("@mail.gmail.com") else None
    added: Row = {"gmail_message_id": gmail_id}
    if source:
        added |= {"ses_message_id": events[0]["ses_message_id"], "ses_region": events[0]["ses_region"]}
        added |= {"ses_id_source": source}
    return added


def _events_of_sender(db: Database, row: Row) -> list[Row]:
    """What SES published about a mail that Gmail says never got there: usually nothing, and that is a finding."""
    addresses, client_ids = _addresses(row), _client_ids(row)
    return store_events.events_by_client_id(db, client_ids, addresses) if client_ids else []


def _event_pieces(
    db: Database, events: Sequence[Row], settings: Settings, away: NotLookedUp | None, row: Row
) -> list[Evidence]:
    """The piece about events: what they say, that there are none, or that the queue could not be read."""
    if events:
        return [Evidence("ses-event", found=True, detail=event_words(events, _moment(row["sent_at"])))]
    if settings.queue_url is None:
        return []
    if away:
        return [not_looked_up("ses-event", None, away.why)]
    count = store_events.count_events(db)
    words = f"SES published nothing about it, and {counted(count, 'event')} about other mails"
    if count == 0:
        words = "no event has come from SES yet, which says nothing: look whether events are published at all"
    return [Evidence("ses-event", found=False, detail=words)]


def event_words(events: Iterable[Row], beside: datetime | None) -> str:
    """What happened to one mail, in order: `Send 12 May 16:40 UTC; Bounce 12 May 16:41 UTC, Permanent/General: ...`."""
    return "; ".join(
        f"{event['kind']} {moment_words(_moment(event['at']), beside)}"
        + (f", {event['words']}" if event["words"] else "")
        for event in events
    )


# What SES is asked


def _looked_up(row: Row, settings: Settings, asked: Asked) -> Iterator[tuple[Evidence, aws_ses.Suppressed | None]]:
    """Ask the suppression list of each region that may know the address, and insights about the message."""
    address = row["original_recipient"] or row["recipient"]
    if not _asks_aws(settings) or not address or (row["path"] == "gmail" and not row["ses_message_id"]):
        return
    for region in dict.fromkeys(filter(None, [row["ses_region"], *settings.regions])):
        yield _suppression(row, address, region, asked)
    if settings.vdm and row["ses_message_id"] and row["ses_region"]:
        yield _insights(row, asked), None


def _suppression(row: Row, address: str, region: str, asked: Asked) -> tuple[Evidence, aws_ses.Suppressed | None]:
    entry = asked.ask(("sesv2", region), "suppressed", address, lambda: aws_ses.suppressed_destination(region, address))
    if isinstance(entry, NotLookedUp):
        return not_looked_up("suppression-list", region, entry.why), None
    if entry is None:
        return Evidence("suppression-list", region, found=False, detail=f"{address} is not on it"), None
    cause = "put there by hand" if entry.message_id is None else f"because of another mail, {entry.message_id}"
    if entry.message_id is not None and entry.message_id == row["ses_message_id"]:
        cause = "because of this very mail"
    words = f"{address} is on it since {moment_words(entry.since, _moment(row['sent_at']))} ({entry.reason}), {cause}"
    return Evidence("suppression-list", region, found=True, detail=words), entry


def _from_suppression_list(row: Row, looked_up: Iterable[tuple[Evidence, aws_ses.Suppressed | None]]) -> Row:
    """The SES id a suppression entry names, where nothing better is known and the id's own time fits the mail's."""
    sent_at = _moment(row["sent_at"])
    if row["ses_message_id"] or sent_at is None:
        return {}
    for _, entry in looked_up:
        for found in ses_ids(entry.message_id) if entry and entry.message_id else ():
            if found.sent_at and abs(found.sent_at - sent_at) <= timedelta(minutes=NEAR_MINUTES):
                source = "suppression list entry"
                return {"ses_message_id": found.id, "ses_region": found.region, "ses_id_source": source}
    return {}


def _insights(row: Row, asked: Asked) -> Evidence:
    region, message_id = row["ses_region"], row["ses_message_id"]
    answer = asked.ask(("sesv2", region), "insights", message_id, lambda: aws_ses.message_insights(region, message_id))
    if isinstance(answer, NotLookedUp):
        return not_looked_up("message-insights", region, answer.why)
    if answer is None:
        return Evidence("message-insights", region, found=False, detail="SES kept nothing of this mail")
    addresses = _addresses(row)
    events = [event for event in answer.events if event.recipient.lower() in addresses]
    words = "; ".join(
        f"{event.type} {moment_words(event.at, _moment(row['sent_at']))}"
        + "".join(f", {part}" for part in (event.bounce_type, event.bounce_subtype, event.diagnostic) if part)
        for event in events
    )
    return Evidence("message-insights", region, found=bool(events), detail=words or "nothing about this recipient")


def _id_piece(row: Row) -> Evidence:
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


def _addresses(row: Row) -> list[str]:
    return list(dict.fromkeys(a.lower() for a in (row["recipient"], row["original_recipient"]) if a))


def _client_ids(row: Row) -> list[str]:
    return [message_id for message_id in (row["gmail_message_id"], row["message_id"]) if message_id]


def _moment(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None
