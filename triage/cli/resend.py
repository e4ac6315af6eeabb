"""The command `triage resend`. Prints, and decides nothing. Heavy imports are inside the command.

Sends mail to others only with --send and a sentence typed by hand.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from triage.cli.manners.completion import complete_cause
from triage.cli.manners.output import answers, write_csv
from triage.cli.manners.records import ResendRecord
from triage.cli.manners.since import Since, since_option
from triage.cli.shared import (
    need_database,
    now,
    options,
    read_settings,
    say,
    warn,
    width_of_screen,
    write_record,
    write_records,
)
from triage.errors import ConfigError, OutOfTime, TryLater, UsageError

if TYPE_CHECKING:
    from sqlite_utils import Database

    from remediation.aws import Allowance
    from triage.config import Settings
    from triage.gmail import Gmail
    from triage.resend import Item, ItemResult
    from triage.rows import HitRow

RESEND_SPAN = timedelta(days=7)
SOFT_END = 0.9
"""Of the time: no further mail is begun, so that none is broken off in the middle of SES's answer, and in doubt."""
LONG_AGO = timedelta(days=3650)


@click.command()
@click.argument("incident", required=False, type=click.IntRange(1))
@click.option(
    "--cause",
    shell_complete=complete_cause,
    help="Those hit by this cause, such as mailbox-full, instead of all our own side kept back.",
)
@since_option("How far back to look, by default 7d")
@click.option("--dry-run", is_flag=True, help="Show who was hit and what would be done; write nothing anywhere.")
@click.option("--send", "sends", is_flag=True, help="Send them through the Amazon SES API, after you typed a sentence.")
@click.option("--region", help="The region of SES to send through, instead of that in the settings.")
@click.option("--was-sent", type=click.IntRange(1), metavar="N", help="Settle a mail in doubt: it had been sent.")
@click.option("--was-not-sent", type=click.IntRange(1), metavar="N", help="Settle a mail in doubt: it had not.")
@answers("json", "jsonl", "csv")
@options
@click.pass_obj
def resend(
    asked: Any,
    incident: int | None,
    cause: str | None,
    since: Since | None,
    dry_run: bool,
    sends: bool,
    region: str | None,
    was_sent: int | None,
    was_not_sent: int | None,
    form: str,
) -> int:
    """Give mails once more to the people they did not reach.

    Without --send each mail is put back as a draft in its own conversation: read it, press Send. Nothing is sent.
    INCIDENT is a number of `triage incidents`. Left out is whom the mail reached since, and whom you wrote to again.

    Exit code 1: at least one mail could not be given once more, or is in doubt.
    """
    from triage.gmail import connect
    from triage.store import open_durable, open_readonly

    if incident and cause:
        raise UsageError("INCIDENT and --cause are two ways to say who was hit.", "Leave one of them out.")
    if region and not sends:
        raise UsageError("--region is for --send.", "Leave it out: drafts go through Gmail.")
    settings = read_settings(asked)
    need_database(settings)
    opened = open_readonly(settings.database) if dry_run else open_durable(settings.database)
    assert opened is not None
    with closing(opened) as db:
        if (was_sent or was_not_sent) and not dry_run:
            return _settle(db, was_sent, was_not_sent)
        found = _hit(
            db, incident, cause, since.moment(now()) if since else now() - (LONG_AGO if incident else RESEND_SPAN)
        )
        with closing(connect(settings.token, url=settings.gmail_url)) as gmail:
            return _resend(db, gmail, settings, found, region, dry_run=dry_run, sends=sends, form=form)


def _hit(db: Database, incident: int | None, cause: str | None, since: datetime) -> list[HitRow]:
    from remediation import load_causes
    from triage import store

    if incident:
        known = store.read_incident(db, incident)
        if known is None:
            raise UsageError(f"There is no incident {incident}.", "`triage incidents` lists them.")
        return store.hit_by_incident(db, incident, max(since, known.first_at))
    if cause:
        if cause not in load_causes():
            raise UsageError(f"There is no cause {cause!r}.", "`triage report` names the causes, docs/causes.md all.")
        return store.hit_by_cause(db, cause, since)
    return store.hit_by_us(db, since)


def _resend(
    db: Database,
    gmail: Gmail,
    settings: Settings,
    found: list[HitRow],
    region: str | None,
    *,
    dry_run: bool,
    sends: bool,
    form: str,
) -> int:
    from triage import store
    from triage.job import limited
    from triage.resend import again as work
    from triage.resend import in_doubt_words, plan_items

    at = now()
    if not dry_run:
        store.settle_resends_by_events(db, at)
    with limited(settings.run_minutes, "Writing again"):
        items = plan_items(db, gmail, found, at, way="ses" if sends else "draft")
    ready = [item for item in items if item.is_ready]
    if dry_run:
        would = "would be sent through SES" if sends else "would be put back as a draft in its conversation"
        return _tell(items, {id(item): would for item in ready}, form=form)
    outcomes: list[ItemResult] = []
    stopped = None
    if sends:
        with limited(settings.run_minutes, "Writing again"):
            problems = work.file_copies(db, gmail, at)
        for problem in problems:
            warn(problem)
        if ready:  # while a sentence is typed no time runs
            region = region or _region(settings, found)
            allowed = _asked_to_send(ready, region)
            stopped = _in_time(settings, work.send(db, gmail, ready, region, allowed, now, time.sleep), outcomes)
    else:
        stopped = _in_time(settings, work.put_back(db, gmail, items, now), outcomes)
    told = {id(one.item): one.words for one in outcomes}
    by_place = {(one.item.recipient, one.item.original_id): one.words for one in outcomes}
    told |= {id(item): words for item in ready if (words := by_place.get((item.recipient, item.original_id)))}
    code = _tell(items, told, form=form)
    shown_already = {(item.recipient.lower(), item.original_id) for item in items}
    for row in store.resends_in_doubt(db):
        if (row["recipient"], row["original_id"]) not in shown_already:
            warn(f"{row['recipient']}: {in_doubt_words(row)}")
    if stopped:
        raise stopped
    return 1 if code or any(not one.was_done for one in outcomes) else 0


def _in_time(settings: Settings, results: Iterator[ItemResult], outcomes: list[ItemResult]) -> OutOfTime | None:
    """Let the work be done and gather its results, until the time is over, which is mostly between two of them."""
    from triage.job import limited

    try:
        with limited(settings.run_minutes, "Writing again") as limit:
            for one in limit.for_a_share(results, SOFT_END):
                outcomes.append(one)
    except OutOfTime as over:
        return over
    return None


def _asked_to_send(ready: Sequence[Item], region: str) -> Allowance:
    """What SES allows, after the sentence was typed."""
    from remediation.aws import Halted, NotLookedUp, allowance

    allowed = allowance(region)
    if isinstance(allowed, Halted):
        raise ConfigError(f"{allowed.why}.", "`triage audit` tells what to do about it.")
    if isinstance(allowed, NotLookedUp):
        todo = (
            "Try again in a while."
            if allowed.will_pass
            else "`triage doctor --iam-policy resend` prints what must be allowed."
        )
        raise (TryLater if allowed.will_pass else ConfigError)(f"What SES allows is not known: {allowed.why}", todo)
    for item in ready:
        for line in _line(item, "is ready"):
            click.echo(line, err=True)  # what the question is about stands where the question does
    if allowed.left is not None and allowed.left < len(ready):
        warn(f"SES takes {allowed.left:,} more mails within 24 hours: the rest is left for tomorrow.")
    sentence = f"send {len(ready)}"
    senders = sorted({item.sender or "its own address" for item in ready})
    typed = click.prompt(
        f"Type `{sentence}` to send {len(ready)} mail{'s' if len(ready) > 1 else ''} from {', '.join(senders)}"
        f" through Amazon SES in {region}, each to one person",
        default="",
        show_default=False,
        err=True,
    )
    if typed.strip() != sentence:
        raise UsageError("Nothing was sent: that was not the sentence.", "Run it again, or without --send for drafts.")
    return allowed


def _region(settings: Settings, found: Sequence[HitRow]) -> str:
    seen = next((row["ses_region"] for row in found if row["ses_region"]), None)
    region = settings.smtp_region or (settings.regions[0] if settings.regions else None) or seen
    if region is None:
        raise UsageError("Which region of SES?", "Give --region us-east-1, or set `smtp_region`.")
    return region


def _settle(db: Database, was_sent: int | None, was_not_sent: int | None) -> int:
    from triage import store

    if was_sent and was_not_sent:
        raise UsageError("--was-sent and --was-not-sent cannot both be true.", "Give one of them.")
    number = was_sent or was_not_sent or 0
    if not store.settle_resend(db, number, was_sent=bool(was_sent), at=now()):
        raise UsageError(
            f"There is no mail {number} in doubt.", "`triage resend --dry-run` shows them with their number."
        )
    say([f"Mail {number}: {'taken as sent' if was_sent else 'taken as not sent; `triage resend` offers it again'}."])
    return 0


def _tell(items: Sequence[Item], words: dict[int, str], *, form: str) -> int:
    """Say what is the matter with each item; returns 1 where one is in doubt."""
    if form != "text":
        rows: list[ResendRecord] = [
            {
                "recipient": item.recipient,
                "verdict_id": item.verdict_id,
                "cause": item.cause,
                "subject": item.subject,
                "sent_at": item.sent_at,
                "original_id": item.original_id,
                "is_ready": item.is_ready,
                "is_in_doubt": item.is_in_doubt,
                "outcome": words.get(id(item), item.why_not),
            }
            for item in items
        ]
        if form == "csv":
            write_csv(list(ResendRecord.__annotations__), [list(row.values()) for row in rows])
        elif form == "jsonl":
            write_records(rows)
        else:
            write_record(rows)
    elif not items:
        say(["Nobody was hit, or nobody is left who was not reached since."])
    else:
        _say_all(_line(item, words.get(id(item), item.why_not or "nothing was done")) for item in items)
    return 1 if any(item.is_in_doubt for item in items) else 0


def _line(item: Item, words: str) -> list[str]:
    from triage.display import shown, when_words, wrapped
    from triage.no_links import unlinked

    width = width_of_screen()
    subject = f'"{unlinked(shown(item.subject, 80))}"' if item.subject else "a mail without a known subject"
    return [
        *wrapped(f"{unlinked(shown(item.recipient, 254))} (#{item.verdict_id})", width),
        *wrapped(f"{subject}, sent {when_words(item.sent_at)}. {item.title} ({item.cause}).", width, "   "),
        *wrapped(f"-> {words}", width, "   ", "      "),
    ]


def _say_all(blocks: Iterable[list[str]]) -> None:
    for block in blocks:
        say(block)
