"""Text for human eyes: one safe line of a stranger's words, wrapped paragraphs, times and counts in words.

Pure, but for the time zone, which a command sets once. What is shown comes partly from mails anybody can send, so
nothing reaches a terminal that was not made harmless here, even where the parsers have cleaned it before. Writes only
ASCII of its own, for terminals that know no more.
"""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from parsers.text import printable_line, shortened
from parsers.times import MONTHS, WEEKDAYS
from triage.errors import UsageError
from triage.rows import EvidenceRow, VerdictRecord

LONGEST_TEXT = 300
"""Characters of one value that are shown: enough for every refusal a human reads to its end."""

ACTOR_WORDS = {
    "mailbox-owner": "you, the owner of the mailbox",
    "aws-admin": "whoever runs your AWS account",
    "dns-admin": "whoever runs the DNS of your domain",
    "recipient": "the recipient",
    "recipient-admin": "the people who run the recipient's mail server",
    "sender": "you, the sender: another address, or another content",
    "nobody": "nobody: wait",
}
"""Ends the sentence "the next move is up to ..."."""

SIDE_WORDS = {
    "own": "yours: it was stopped before the recipient's server was asked (own)",
    "remote": "theirs: it left you, and the other side refused it (remote)",
    "unknown": "not clear (unknown)",
}

PATH_WORDS = {
    "gmail": "Gmail's own servers",
    "gmail-alias": 'the relay behind a Gmail "Send mail as" alias',
    "ses-smtp": "Amazon SES, by SMTP",
    "ses-api": "Amazon SES, by its API",
}

_ZONE: ContextVar[tzinfo | None] = ContextVar("zone", default=UTC)
"""In which zone times are told; None: in that of this computer. UTC until a command says otherwise."""

_UTC_IN_TEXT = re.compile(rf"\b(\d{{1,2}}) ({'|'.join(MONTHS)})( \d{{4}})? (\d\d):(\d\d) UTC\b")
_UTC_IN_STEP = re.compile(r"\b(\d{4}-\d\d-\d\d \d\d:\d\d) UTC\b")
_COMMAND = re.compile(r"`[^`]*`")
_KEPT_SPACE = "\x00"  # stands in no text that `shown` has seen
_SPAN = re.compile(r"([0-9]{1,6})([hdw])")
_SPAN_HOURS = {"h": 1, "d": 24, "w": 24 * 7}


def shown(text: object, limit: int = LONGEST_TEXT) -> str:
    """One line of printable text, at most `limit` characters; control and invisible characters become spaces."""
    return shortened(printable_line(str(text)[: 8 * limit]), limit)


def wrapped(text: str, width: int, indent: str = "", hang: str | None = None) -> list[str]:
    """Lines of at most `width` columns; `hang` indents all but the first.

    Addresses, codes and commands between backticks are never broken, so that they can be copied, and may be longer.
    """
    lines = textwrap.wrap(
        _COMMAND.sub(lambda found: found[0].replace(" ", _KEPT_SPACE), text),
        width=max(width, len(indent) + 20),
        initial_indent=indent,
        subsequent_indent=indent if hang is None else hang,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_KEPT_SPACE, " ") for line in lines] or [indent.rstrip()]


def parse_span(text: str) -> timedelta:
    """A length of time such as 12h, 7d or 2w. Raises UsageError for anything else, and for nothing at all."""
    found = _SPAN.fullmatch(text.strip().lower())
    hours = int(found[1]) * _SPAN_HOURS[found[2]] if found else 0
    if not 0 < hours <= 24 * 366 * 20:
        raise UsageError(f"{shown(text, 40)!r} is no length of time", "Write hours, days or weeks: 12h, 7d, 2w.")
    return timedelta(hours=hours)


def span_words(span: timedelta) -> str:
    """A length of time in the largest unit that keeps it readable: `3 days`, `5 hours`, `less than a minute`."""
    seconds = span.total_seconds()
    for size, unit in ((86400 * 7, "week"), (86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size and (unit != "week" or (seconds >= 21 * 86400 and seconds % size < 86400)):
            return counted(int(seconds // size), unit)
    return "less than a minute"


def span_seconds(seconds: float) -> str:
    """A short delay: `2 s`, `5 min`, `3 h`; longer ones as `span_words`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else span_words(timedelta(seconds=seconds))


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """`1 mail`, `2 mails`, `1,000 mails`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def tell_times_in(zone: tzinfo | None) -> None:
    """Tell times in this zone from now on; None: in that of this computer, summer time included."""
    _ZONE.set(zone)


def local_time(at: datetime) -> datetime:
    """A moment in the zone times are told in."""
    return at.astimezone(_ZONE.get())


def day_begins(day: date) -> datetime:
    """The moment in UTC at which a day begins in the zone times are told in."""
    return datetime.combine(day, time(), _ZONE.get()).astimezone(UTC)


def local_day(hour: str) -> str:
    """The day an hour (`2026-11-23T07`, UTC) lies on in the zone times are told in: `2026-11-22`."""
    return local_time(datetime.fromisoformat(f"{hour}:00:00+00:00")).date().isoformat()


def when_words(at: datetime | str | None) -> str:
    """A moment as `Mon 23 Nov 2026 14:05 UTC`; `an unknown time` for None."""
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    if moment is None:
        return "an unknown time"
    moment = local_time(moment)
    day, month = WEEKDAYS[moment.weekday()], MONTHS[moment.month - 1]
    return f"{day} {moment.day} {month} {moment.year} {moment:%H:%M %Z}"


def day_words(at: datetime | str, now: datetime) -> str:
    """The day of a moment as one says it: `today`, `yesterday`, `Tuesday`, `17 Nov`, `17 Nov 2025`."""
    moment = local_time(datetime.fromisoformat(at) if isinstance(at, str) else at)
    today = local_time(now)
    days = (today.date() - moment.date()).days
    if days in (0, 1):
        return ("today", "yesterday")[days]
    if 1 < days < 7:
        return f"{moment:%A}"
    year = "" if moment.year == today.year else f" {moment.year}"
    return f"{moment.day} {MONTHS[moment.month - 1]}{year}"


def retimed(text: str, now: datetime) -> str:
    """A stored sentence of ours with its moments (`22 Nov 06:02 UTC`) told in the zone times are told in.

    Where the year is left out it is the one that lies nearest before `now`.
    """

    def told(found: re.Match[str]) -> str:
        day, month, year, hour, minute = found.groups()
        try:
            moment = datetime(
                int(year or now.year), MONTHS.index(month) + 1, int(day), int(hour), int(minute), tzinfo=UTC
            )
            if not year and moment > now + timedelta(days=1):
                moment = moment.replace(year=moment.year - 1)
        except ValueError:
            return found[0]
        moment = local_time(moment)
        return f"{moment.day} {MONTHS[moment.month - 1]}{f' {moment.year}' if year else ''} {moment:%H:%M %Z}"

    return _UTC_IN_TEXT.sub(told, text)


def step_words(step: str, limit: int) -> str:
    """A step of a fix as `shown`, with the time a mail was sent told in the zone times are told in.

    Stored, and in JSON, a step keeps the time in UTC.
    """

    def told(found: re.Match[str]) -> str:
        try:
            return f"{local_time(datetime.fromisoformat(f'{found[1]}+00:00')):%Y-%m-%d %H:%M %Z}"
        except (ValueError, OverflowError):  # a mail may say that it was sent on 31 February, or in the year 1
            return found[0]

    return _UTC_IN_STEP.sub(told, shown(step, limit))


def found_out(rows: Iterable[EvidenceRow]) -> str | None:
    """What is proven or likely about our own side, by the evidence for a verdict, as a sentence; None: nothing is.

    Its words are ours but for names out of AWS; show it as a stranger's all the same.
    """
    beginnings: Mapping[str | None, str] = {"proven": "", "likely": "most likely: "}
    for row in rows:
        if row["kind"] == "own-side" and row["detail"] and row["result"] in beginnings:
            words = beginnings[row["result"]] + row["detail"]
            return words[:1].upper() + words[1:].rstrip(".") + "."
    return None


def listed(items: Iterable[str], most: int = 5) -> str:
    """`a, b and 3 more`."""
    every = list(items)
    if len(every) > most:
        return f"{', '.join(every[:most])} and {len(every) - most:,} more"
    return " and ".join(filter(None, (", ".join(every[:-1]), every[-1]))) if every else "nobody"


# Wide enough for every category, cause and actor there is.
_COLUMNS = (("VERDICT", 18), ("CAUSE", 29), ("ACTOR", 15), ("RECIPIENT", 30))
_ONE_LINE_WIDTH = 120
_LEAST_OF_A_PATH = 12


def table_head(width: int | None) -> str:
    """The head of the table of verdicts; empty where each verdict takes two lines. `width` None: no terminal."""
    if width is not None and width < _ONE_LINE_WIDTH:
        return ""
    return "  ".join([*(title.ljust(size) for title, size in _COLUMNS), "MAIL"]) + "\n"


def table_row(record: VerdictRecord, width: int | None) -> str:
    """A verdict record as one line, two on a narrow terminal; what is unknown is `-`."""
    verdict = record["category"] or record["kind"]
    recipient, source = shown(record["recipient"] or "-", 254), shown(record["source"])
    why = f": {shown(record['why'])}" if record.get("why") else ""
    # A forged bounce moves nobody, whatever it says.
    actor = record["actor"] if record["actor"] and verdict != "unverified" else "-"
    cells = (verdict, record["cause"] or "-", actor, recipient)
    if width is None or width >= _ONE_LINE_WIDTH:
        first = "  ".join(cell.ljust(size) for cell, (_, size) in zip(cells, _COLUMNS, strict=True))
        room = None if width is None else max(width - len(first) - 2, _LEAST_OF_A_PATH)
        return shown_to(f"{first}  {_end_of(source, room)}{why}", width)
    where = _end_of(source, width - len(f"  {recipient}  in ") if record["recipient"] else width // 2)
    who = f"  {recipient}  in {where}" if record["recipient"] else f"  {where}{why}"
    first = f"{verdict}  {record['cause']}  (move: {actor})" if record["cause"] else verdict
    return shown_to(first, width) + shown_to(who, width)


def _end_of(path: str, room: int | None) -> str:
    """A path, of a long one its end: that is what tells it from its neighbours."""
    if room is None or len(path) <= room or room < _LEAST_OF_A_PATH:
        return path
    return f"...{path[3 - room :]}"


def table_totals(mails: int, counts: Mapping[tuple[str, str | None, str | None], int], unreadable: int) -> str:
    """The line under the table; `counts` by (kind, category, cause)."""
    words = Counter[str]()
    for (kind, category, _), number in counts.items():
        words[category or kind] += number
    line = f"{counted(mails, 'mail')}: " + ", ".join(f"{number:,} {word}" for word, number in words.most_common())
    return line + (f", {unreadable:,} unreadable" if unreadable else "") + "\n"


def cause_lines(counts: Mapping[tuple[str, str | None, str | None], int]) -> list[str]:
    """What the failures of a table came from, the most frequent first; `counts` by (kind, category, cause)."""
    causes = Counter[str]()
    for (_, category, cause), number in counts.items():
        if cause:
            causes[f"{cause}{' (unverified)' if category == 'unverified' else ''}"] += number
    if not causes:
        return ["No failure among them."]
    width = len(f"{max(causes.values()):,}")
    return ["By cause:", *(f"  {number:{width},}  {name}" for name, number in causes.most_common())]


def shown_to(line: str, width: int | None) -> str:
    """The line with its end, cut to the width of the terminal."""
    return (line if width is None or len(line) <= width else line[: max(width - 3, 10)] + "...") + "\n"


_MAIL_ADDRESS = re.compile(r"[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9.-]{1,190}")


def gmail_page(place: str, mailbox: str | None = None) -> str:
    """The web address of a place in Gmail, such as `settings/accounts` or `all/18c...`, in the account `mailbox`."""
    account = f"?authuser={mailbox.replace('+', '%2B')}" if mailbox and _MAIL_ADDRESS.fullmatch(mailbox) else ""
    return f"https://mail.google.com/mail/{account}#{place}"
