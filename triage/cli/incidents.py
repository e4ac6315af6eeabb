"""The commands `triage incidents ...` and `triage alerts ...`: what is broken, and whether somebody would be told.

Prints, and decides nothing. `incidents close` writes into the database; `alerts test` sends what it is asked to.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from triage.cli.manners.help import Family
from triage.cli.manners.output import answers, write_csv
from triage.cli.manners.records import IncidentRecord
from triage.cli.many import on_each_mailbox
from triage.cli.shared import (
    no_database,
    now,
    on_database,
    options,
    read_settings,
    say,
    width_of_screen,
    write_record,
    write_records,
)
from triage.errors import UsageError

if TYPE_CHECKING:
    from sqlite_utils import Database

    from triage.config import Settings
    from triage.model import Incident

MOST_CLOSED = 20
"""Closed incidents that are listed; --all lists every one."""


@click.group(cls=Family, invoke_without_command=True)
@click.option("--all", "wants_all", is_flag=True, help="Also those that closed long ago.")
@answers("json", "jsonl", "csv")
@on_database
@options
@click.pass_context
def incidents(ctx: click.Context, wants_all: bool, form: str) -> int:
    """List what is broken, since when, and whom it hit: many bounces with one remedy are one incident."""
    if ctx.invoked_subcommand is not None:
        return 0
    return _list(ctx.obj, wants_all=wants_all, form=form)


@on_each_mailbox
def _list(asked: Any, wants_all: bool, form: str) -> int:
    from triage import store

    settings = read_settings(asked)
    with closing(_open(settings)) as db:
        found = store.read_incidents(db)
        told = found if wants_all or form != "text" else _recent(found)
        records = [_record(db, incident) for incident in told] if form != "text" else []
        if form == "json":
            write_record(records)
        elif form == "jsonl":
            write_records(records)
        elif form == "csv":
            names = [name for name in IncidentRecord.__annotations__ if name not in ("people", "alerts")]
            rows = [[*(record[name] for name in names), ", ".join(record["people"])] for record in records]  # type: ignore[literal-required]
            write_csv([*names, "people"], rows)
        else:
            _say_all(_table(db, told, len(found) - len(told)))
    return 0


@incidents.command()
@click.argument("number", metavar="ID", type=click.IntRange(1))
@answers("json")
@on_database
@options
@click.pass_obj
def show(asked: Any, number: int, form: str) -> int:
    """Tell everything about one incident: whom it hit, what is known, what to do, what was told."""
    from triage import store

    settings = read_settings(asked)
    with closing(_open(settings)) as db:
        incident = store.read_incident(db, number)
        if incident is None:
            raise _unknown(number)
        if form == "json":
            write_record(_record(db, incident))
        else:
            _say_all(_whole(db, settings, incident))
    return 0


@incidents.command()
@click.argument("number", metavar="ID", type=click.IntRange(1))
@click.option("--why", required=True, metavar="TEXT", help="What shows that it is over; kept with the incident.")
@options
@click.pass_obj
def close(asked: Any, number: int, why: str) -> int:
    """Close an incident by hand. The next bounce of its kind opens it again."""
    from triage import store
    from triage.display import shown
    from triage.incidents import duration_words

    if not why.strip():
        raise UsageError("--why is empty.", "Say in a few words what shows that it is over.")
    settings = read_settings(asked)
    _open(settings).close()
    with closing(store.open_store(settings.database)) as db:
        before = store.read_incident(db, number)
        if before is None:
            raise _unknown(number)
        if before.state == "closed":
            say([f"Incident {number} is closed already: {shown(before.closed_why or '')}."])
            return 0
        after = store.close_by_hand(db, number, why.strip(), now())
    assert after is not None
    say([f"Incident {number} is closed: {duration_words(after)}. The next bounce of its kind opens it again."])
    return 0


@click.group(cls=Family)
def alerts() -> None:
    """The ways to tell you that something is broken."""


@alerts.command("test")
@options
@click.pass_obj
def try_alerts(asked: Any) -> int:
    """Send a test by every way you would be told: the inbox, the addresses in `alerts`, the watcher at `ping_url`.

    Prints a line for each, and ends with 1 where one of them is dead. The addresses are secrets and are not shown.
    """
    return _try_all(asked)


@on_each_mailbox
def _try_all(asked: Any) -> int:
    from triage import store
    from triage.incidents import channels_of, trial

    settings, dead = read_settings(asked), 0

    def told(name: str, why: str | None, done: str, todo: str) -> None:
        nonlocal dead
        dead += why is not None
        say([f"{name}: {done}" if why is None else f"{name}: DEAD, {why.rstrip('.')}. {todo}"])

    channels = channels_of(settings)
    with closing(store.open_store(settings.database)) as db:
        number = 0
        for channel in channels:
            if channel.address is None:
                told("inbox", _try_inbox(settings, db), "the test is there, unread.", "See: triage doctor")
                continue
            number += 1
            todo = f"Mend address {number} of `alerts` in triage.toml."
            told(channel.name, trial.try_push(channel, now(), db), "it took the test. See that it arrived.", todo)
    if settings.ping_url is not None:
        why = trial.try_watcher(settings.ping_url)
        told("ping URL", why, "the watcher took a line for its log.", "Mend `ping_url` in triage.toml.")
    if not channels:
        say(["Nobody would be told: set `alerts` or `alert_inbox` in triage.toml."])
    return 1 if dead or not channels else 0


def _try_inbox(settings: Settings, db: Database) -> str | None:
    from triage.errors import TriageError
    from triage.gmail import connect
    from triage.incidents import trial

    try:
        with closing(connect(settings.token, url=settings.gmail_url)) as gmail:
            return trial.try_inbox(gmail, db, now())
    except TriageError as error:
        return error.what


def _open(settings: Settings) -> Database:
    from triage.store import open_readonly

    db = open_readonly(settings.database)
    if db is None:
        raise no_database(settings.database)
    return db


def _unknown(number: int) -> UsageError:
    return UsageError(f"There is no incident {number}.", "See `triage incidents --all`.")


def _recent(found: list[Incident]) -> list[Incident]:
    is_open = [incident for incident in found if incident.state == "open"]
    return is_open + [incident for incident in found if incident.state == "closed"][:MOST_CLOSED]


def _say_all(lines: Iterator[str]) -> None:
    """Lines for the terminal; values were made harmless where they were put in."""
    for line in lines:
        click.echo(line)


def _table(db: Database, found: list[Incident], left_out: int) -> Iterator[str]:
    from triage import store
    from triage.display import counted, found_out, listed, retimed, shown, when_words, wrapped
    from triage.incidents import clicks, duration_words, what_fails

    width = width_of_screen()
    if not found:
        yield "No incident: no bounce shows anything that one repair would heal."
    for incident in found:
        what = what_fails(incident)
        state = "OPEN  " if incident.state == "open" else "closed"
        yield from wrapped(f"{incident.id:>4}  {state}  {shown(what[0].upper() + what[1:])}", width, "", " " * 14)
        found_first = found_out(store.evidence_for(db, incident)) or store.stop_of(db, incident)
        more = [retimed(shown(found_first), now())] if found_first else []
        more.append(f"{incident.title} ({incident.cause})")
        if incident.state == "open":
            last = f"last bounce {when_words(incident.last_at)}" if incident.bounces else "no mail came back yet"
            more.append(f"since {when_words(incident.first_at)}, {last}")
        else:
            more.append(f"{duration_words(incident)}; over since {when_words(incident.closed_at)}")
        if incident.bounces:
            who = listed((shown(person, 254) for person in incident.people), most=3)
            more.append(f"{counted(incident.bounces, 'bounce')}; hit: {who}")
        if incident.state == "open" and (page := clicks(incident)):
            more.append(f"click: {page}")
        for line in more:
            yield from wrapped(line, width, " " * 14)
    if left_out:
        yield f"{counted(left_out, 'older incident')} left out: `triage incidents --all`."
    if found:
        yield "`triage incidents show ID` tells everything about one."


def _whole(db: Database, settings: Settings, incident: Incident) -> Iterator[str]:
    from triage import store
    from triage.display import shown, when_words, wrapped
    from triage.incidents import duration_words, facts_of, incident_lines
    from triage.ses import evidence_lines

    width = width_of_screen()
    state = "open" if incident.state == "open" else "closed"
    yield from wrapped(f"Incident {incident.id}, {state}: {duration_words(incident)}.", width)
    if incident.closed_at:
        why = f"Over since {when_words(incident.closed_at)}: {shown(incident.closed_why or '')}."
        yield from wrapped(why, width, "  ")
    yield ""
    for line in incident_lines(incident, facts_of(db, settings, incident), now()):
        yield from (
            wrapped(line, width, "  ", "     " if line[:1] == "-" or line[:1].isdigit() else "  ") if line else [""]
        )
    pieces = evidence_lines(store.evidence_for(db, incident))
    if pieces:
        yield ""
        yield "Evidence, from the newest bounce"
        for name, words in pieces:
            yield from wrapped(f"{name}: {words}", width, "  ", "     ")
    earlier = store.openings_of(db, incident)[1:]
    if earlier:
        yield ""
        yield "Open before"
        for one in earlier:
            until = when_words(one.closed_at) if one.closed_at else "not known"
            yield f"  {when_words(one.first_at)} to {until}"
    told = store.alerts_of(db, incident.id)
    if told:
        yield ""
        yield "Alerts"
        for row in told:
            what = row["occasion"] if row["occasion"] != "reminder" else f"reminder {row['number']}"
            done = (
                when_words(row["done_at"]) if row["done_at"] else f"{row['state']}: {shown(row['error'] or 'not yet')}"
            )
            yield from wrapped(f"{what} by {row['channel']}: {done}", width, "  ", "     ")


def _record(db: Database, incident: Incident) -> IncidentRecord:
    """An incident as it is written in JSON."""
    from parsers.times import utc_text
    from triage import store

    def seconds(span: Any) -> int | None:
        return None if span is None else int(span.total_seconds())

    return {
        "id": incident.id,
        "key": incident.key,
        "kind": incident.kind,
        "side": incident.side,
        "state": incident.state,
        "cause": incident.cause,
        "title": incident.title,
        "sender": incident.sender,
        "place": incident.place,
        "first_at": utc_text(incident.first_at),
        "last_at": utc_text(incident.last_at),
        "detected_at": utc_text(incident.detected_at),
        "closed_at": utc_text(incident.closed_at),
        "closed_by": incident.closed_by,
        "closed_why": incident.closed_why,
        "seconds_to_detect": seconds(incident.time_to_detect),
        "seconds_to_repair": seconds(incident.time_to_repair),
        "openings": incident.openings,
        "bounces": incident.bounces,
        "people": list(incident.people),
        "alerts": [
            {
                "opening": row["opening"],
                "occasion": row["occasion"],
                "number": row["number"],
                "channel": row["channel"],
                "state": row["state"],
                "tries": row["tries"],
                "error": row["error"],
                "done_at": row["done_at"],
            }
            for row in store.alerts_of(db, incident.id)
        ],
    }
