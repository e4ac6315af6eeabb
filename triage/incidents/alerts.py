"""Tells a human about incidents by a way that does not use the broken mail path: Apprise, and the inbox itself.

Once when an incident opens, again while it waits for somebody on our side, once when it is over; and a dead sign-in, by
the ways that do not need it. Planned in the store first, told after, recorded then: a killed run repeats at most a
message it cannot look for, and never one in the inbox. Sends no mail: the inbox message is inserted. Whatever goes
wrong here is a reason, and never stops a run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, NamedTuple, cast

from parsers.times import moment_from
from triage import store
from triage.config import Settings
from triage.display import found_out
from triage.errors import CredentialsDead, what_failed
from triage.fixes import OwnAccount, fix_of
from triage.incidents.channels import Channel, channels_of, push
from triage.incidents.words import MOST_PEOPLE_TOLD, IncidentFacts, alert_body, alert_title
from triage.letters import IN_INBOX, NOTE_DOMAIN, Place, insert_once, letter_bytes, letter_id
from triage.model import Alert, Clock, Incident
from triage.names import account_if_told, known_names
from triage.rows import AlertRow, StoredVerdict

if TYPE_CHECKING:
    from sqlite_utils import Database

    from triage.gmail import Gmail
    from triage.rotation import Watch


ALERT_SENDER = f"Bounce triage <alert@{NOTE_DOMAIN}>"

NEWS_DAYS = 14
"""An incident whose last bounce is older when it is first seen (an old archive, a first run) is no news."""
RESTLESS_DAYS = 7
"""So long after the last bounce reminders become weekly: nobody seems to use that way any more."""
MOST_AT_ONCE = 5
"""Openings of other sides told one by one in one run and channel; the last one says how many more there are."""
HELD_BACK = "held back: too many of other sides"
MOST_OPENINGS = 3
"""Openings of one incident told in a day: a way that works every other minute is told of often enough."""


class Due(NamedTuple):
    """What is to be told of an incident."""

    incident: Incident
    occasion: str
    number: int


@dataclass(frozen=True, slots=True)
class Telling:
    """What came of it."""

    delivered: int = 0
    problems: tuple[str, ...] = ()
    """Why something could not be told; tried again next run."""
    held: int = 0
    """Openings of other sides' incidents that are told to nobody, because there were too many."""


class Teller:
    """Tells what is to be told, in one run. A way that fails once is left alone until the next run.

    The ways that need no Gmail are asked first and alone (`push`), so that they tell while Gmail is away.
    """

    def __init__(self, db: Database, settings: Settings, clock: Clock) -> None:
        self._db, self._settings, self._clock = db, settings, clock
        self._channels = channels_of(settings)
        self._account: OwnAccount | None = None
        self._problems: dict[str, str] = {}
        self._delivered = 0
        self._held = 0

    @property
    def came_of_it(self) -> Telling:
        """What was told so far."""
        return Telling(self._delivered, tuple(self._problems.values()), self._held)

    def push(self, gmail: Gmail | None) -> None:
        """Tell by the ways that need no Gmail; `gmail` is asked for names only, None: what it said last will do."""
        self._safely(lambda: drop_of_others(self._db, self._channels))
        self._tell([channel for channel in self._channels if channel.address is not None], gmail)

    def put_into_inbox(self, gmail: Gmail | None) -> None:
        """Tell by the inbox; `gmail` None: it is written down, and told by a later run."""
        self._tell([channel for channel in self._channels if channel.address is None], gmail)

    def push_dead_sign_in(self, dead: CredentialsDead) -> None:
        """Tell that nothing can be read before somebody signs in again: once a day, however many runs find it."""
        self._safely(lambda: self._plan_dead_sign_in(dead))
        self.push(None)

    def sign_in_works(self) -> None:
        """Let nobody be told of a dead sign-in any more."""
        old = [row["id"] for row in store.planned_alerts(self._db) if row["occasion"] == "sign-in"]
        if old:
            store.drop_alerts(self._db, old, "the sign-in works again")

    def _tell(self, channels: Sequence[Channel], gmail: Gmail | None) -> None:
        if channels:
            self._safely(lambda: self._plan_and_deliver(channels, gmail))

    def _plan_and_deliver(self, channels: Sequence[Channel], gmail: Gmail | None) -> None:
        at = self._clock()
        self._held += plan_due_alerts(self._db, self._settings, at, partial(self._names, gmail), channels)
        self._deliver(channels, gmail)

    def _names(self, gmail: Gmail | None) -> OwnAccount | None:
        self._account = self._account or account_if_told(self._db, gmail)
        return self._account

    def _plan_dead_sign_in(self, dead: CredentialsDead) -> None:
        at, owner = self._clock(), store.names.read_owner(self._db)[0]
        title = f"The mailbox{f' {owner}' if owner else ''} is not read: sign in again"
        body = f"{dead.what}\n{dead.todo}\n\nUntil then no bounce is read, and the inbox is told nothing.\n"
        found = [
            Alert(None, 0, "sign-in", 0, channel.name, title, body, letter_id(f"sign-in\n{at.isoformat()}"))
            for channel in self._channels
            if channel.address is not None
        ]
        store.plan_news(self._db, found, at)

    def _safely(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            self._problems["alerts"] = f"alerts: {what_failed(error)}"

    def _deliver(self, channels: Sequence[Channel], gmail: Gmail | None) -> None:
        by_name = {channel.name: channel for channel in channels}
        for alert in store.planned_alerts(self._db):
            channel = by_name.get(alert["channel"])
            if channel is None or channel.name in self._problems or (channel.address is None and gmail is None):
                continue
            try:
                why = _tell_one(self._db, channel, alert, gmail, self._clock)
            except Exception as error:
                why = what_failed(error)
            if why is None:
                store.finish_alert(self._db, alert["id"], self._clock())
                self._delivered += 1
            else:
                store.fail_alert(self._db, alert["id"], why)
                self._problems[channel.name] = f"alert by {channel.name}: {why}"


def drop_of_others(db: Database, channels: Sequence[Channel]) -> None:
    """Let what is to be told by a way that is no longer in the settings not be told."""
    names = {channel.name for channel in channels}
    gone = [row["id"] for row in store.planned_alerts(db) if row["channel"] not in names]
    if gone:
        store.drop_alerts(db, gone, "this channel is no longer in the settings")


def plan_due_alerts(
    db: Database,
    settings: Settings,
    at: datetime,
    account_of: Callable[[], OwnAccount | None] = lambda: None,
    channels: Sequence[Channel] | None = None,
) -> int:
    """Write down what is to be told now; returns how many openings are held back, each counted by channel.

    `account_of` is asked for the relay of an alias, once, and only then; `channels` None: all of the settings.
    """
    channels = channels_of(settings) if channels is None else channels
    due: dict[Channel, list[Due]] = {channel: [] for channel in channels}
    for incident in store.read_incidents(db, closed_since=at - timedelta(days=NEWS_DAYS)):
        known = store.alerts_of(db, incident.id)
        for channel in channels:
            mine = [row for row in known if row["channel"] == channel.name]
            if found := due_now(incident, mine, at, timedelta(hours=settings.reminder_hours)):
                due[channel].append(Due(incident, *found))
    account = cache(account_of)

    @cache
    def facts(incident: Incident) -> IncidentFacts:
        return facts_of(db, settings, incident, account() if incident.kind == "alias" else None)

    alerts: list[Alert] = []
    for channel, found_due in due.items():
        left = settings.alerts_per_day - store.told_of_others(db, channel.name, at - timedelta(days=1), at)
        told, held = _chosen(found_due, max(left, 0))
        alerts += [_alert(one, channel, facts(one.incident), at) for one in told]
        if told and held:
            alerts[-1] = _alert(told[-1], channel, replace(facts(told[-1].incident), more=len(held)), at)
        alerts += [_alert(one, channel, IncidentFacts(), at, HELD_BACK) for one in held]
    if alerts:
        store.plan_alerts(db, alerts, at)
    return sum(alert.dropped_why is not None for alert in alerts)


def _chosen(due: Sequence[Due], left: int) -> tuple[list[Due], list[Due]]:
    """(what is told, which openings are held back): all of our own side, and first; of others what the limits let.

    What else is due of others has its turn in a later run.
    """
    own = [one for one in due if one.incident.side == "own"]
    others = [one for one in due if one.incident.side != "own"]
    opened = sorted((one for one in others if one.occasion == "opened"), key=lambda one: _weight(one.incident))
    own.sort(key=lambda one: (one.occasion != "opened", _weight(one.incident)))
    room = min(left, max(MOST_AT_ONCE - sum(one.occasion == "opened" for one in own), 0))
    later = [one for one in others if one.occasion != "opened"][: left - len(opened[:room])]
    return [*own, *later, *opened[:room]], opened[room:]


def _alert(due: Due, channel: Channel, facts: IncidentFacts, at: datetime, dropped_why: str | None = None) -> Alert:
    incident, occasion, number = due
    return Alert(
        incident_id=incident.id,
        opening=incident.openings,
        occasion=occasion,
        number=number,
        channel=channel.name,
        title=alert_title(incident, occasion, at),
        body=alert_body(incident, occasion, facts, at),
        message_id=_message_id(incident, occasion, number),
        dropped_why=dropped_why,
    )


def plan_rotation(db: Database, settings: Settings, found: Watch, at: datetime) -> None:
    """Write down what `rotation_watch.watch` wants told: the same words once a day, however many runs find them."""
    rotation = found.rotation
    if rotation is None:
        return
    whose = f" of {rotation.alias}" if rotation.alias else ""
    store.plan_news(
        db,
        [
            Alert(
                incident_id=None,
                opening=0,
                occasion="rotation",
                number=0,
                channel=channel.name,
                title=f"The SMTP login{whose} is being renewed",
                body=f"{text}\n\nWhere it stands, and what is next: triage credentials rotate status\n",
                message_id=letter_id(f"rotation {rotation.id}\n{at.isoformat()}\n{text}"),
            )
            for text in found.alerts
            for channel in channels_of(settings)
        ],
        at,
    )


def due_now(incident: Incident, known: Sequence[AlertRow], at: datetime, every: timedelta) -> tuple[str, int] | None:
    """(occasion, number) of what is to be told on a channel that was told `known` so far; None: nothing."""
    of_this_time = [row for row in known if row["opening"] == incident.openings]
    occasions = {row["occasion"] for row in of_this_time if row["state"] != "dropped"}
    if incident.state == "closed":
        return ("closed", 0) if occasions and "closed" not in occasions else None
    if not any(row["occasion"] == "opened" for row in of_this_time):
        day_before = at - timedelta(days=1)
        opened = [moment_from(row["planned_at"]) for row in known if row["occasion"] == "opened"]
        recent = [moment for moment in opened if day_before < moment <= at]
        is_news = at - incident.last_at <= timedelta(days=NEWS_DAYS)
        return ("opened", 0) if is_news and len(recent) < MOST_OPENINGS else None
    if not incident.is_ours_to_mend or any(row["state"] == "planned" for row in of_this_time):
        return None
    if at - incident.last_at > timedelta(days=RESTLESS_DAYS):
        every = max(every, timedelta(days=7))
    # What was told at a time still to come was told by a clock that was wrong, nobody knows when: it holds nothing up.
    told_at = [moment_from(row["planned_at"]) for row in of_this_time]
    last = max((moment for moment in told_at if moment <= at), default=None)
    number = 1 + sum(row["occasion"] == "reminder" for row in of_this_time)
    return ("reminder", number) if last is None or at - last >= every else None


def facts_of(db: Database, settings: Settings, incident: Incident, account: OwnAccount | None = None) -> IncidentFacts:
    """What an alert and `triage incidents show` tell beside the incident itself; `account` None: as Gmail said last."""
    record = newest_record(db, incident) or _of_no_bounce(incident)
    names = known_names(db, settings, record, account)
    return IncidentFacts(
        missed=store.missed_in(db, incident, MOST_PEOPLE_TOLD),
        steps=fix_of(record, names),
        own=tuple(filter(None, (names.smtp_host, names.domain))),
        found=found_out(store.evidence_for(db, incident)) or store.stop_of(db, incident),
        mailbox=names.mailbox,
    )


def _of_no_bounce(incident: Incident) -> StoredVerdict:
    """What there is to fill a fix with where no mail came back: the cause, and the region SES named."""
    return cast(StoredVerdict, {"id": 0, "cause": incident.cause, "original": {"ses_region": incident.place}})


def newest_record(db: Database, incident: Incident) -> StoredVerdict | None:
    """The verdict record of the newest bounce; None: it has none any more."""
    found = store.verdict_of(db, incident.id)
    records = store.verdicts_of(db, found[0]) if found else []
    return next((record for record in records if found and record["id"] == found[1]), None)


def _tell_one(db: Database, channel: Channel, alert: AlertRow, gmail: Gmail | None, clock: Clock) -> str | None:
    """Tell one alert; returns why it could not be told, None when it was."""
    store.start_alert(db, alert["id"], clock())
    if channel.address is not None:
        return push(channel.address, alert["title"], alert["body"], alert["occasion"])
    assert gmail is not None
    own_id, mail = alert["message_id"], partial(_inbox_mail, gmail, alert)
    return insert_once(gmail, db, f"alert {own_id}", own_id, mail, label_ids=IN_INBOX, now=clock()).why


def _inbox_mail(gmail: Gmail, alert: AlertRow) -> bytes:
    """An alert as a mail to the owner of the mailbox."""
    place, at = Place(alert["message_id"], alert["title"]), moment_from(alert["planned_at"])
    return letter_bytes("alert", ALERT_SENDER, place, at, alert["body"], to=gmail.profile_address())


def _weight(incident: Incident) -> tuple[bool, int, int]:
    """What is told first where not everything is."""
    return incident.side != "own", -len(incident.people), incident.id


def _message_id(incident: Incident, occasion: str, number: int) -> str:
    """The same for the same news, also after the database was lost."""
    return letter_id(f"{incident.key}\n{incident.first_at.isoformat()}\n{occasion}\n{number}")
