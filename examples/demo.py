"""The main job end to end, on loopback: `make demo`.

Starts stand-ins for Gmail and AWS, fills the mailbox with examples/mailbox and AWS with what belongs to it, drives the
real command line against them and shows what came of it. Needs no account, asks nothing, and leaves nothing behind
but the report in .demo/, to be looked at.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import time
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from examples.outbox_step import outbox_lines
from tests.doubles.aws import AwsDouble, SmtpUser
from tests.doubles.gmail import GmailDouble
from tests.doubles.ses_api import new_message_id
from tests.doubles.ses_events import ses_event
from tests.worlds import forked
from tests.worlds.made_mails import put_original_into_sent
from triage.letters.note import NOTE_DOMAIN

ROOT = Path(__file__).parents[1]
MAILS = tuple(sorted((ROOT / "examples" / "mailbox").glob("*.eml")))
SHOWN = ROOT / ".demo"
"""Where the report stays for the reader; git ignores it."""
STORY = 3
"""The first so many mails are the story: three bounces in one conversation."""
ALIAS, RELAY = "admin@queenofsandiego.com", "email-smtp.us-east-1.amazonaws.com"
FIRST_FAILURE = datetime(2026, 11, 17, 16, 40, tzinfo=UTC)
FIRST_MESSAGE_ID = "<CAHq3Kx=q7TnB2mVd0RkYwz5LcUe8f1oJp4sXg6iAvNtE9hMbQw@mail.gmail.com>"
THIRD_ID = "010101a1efaea11d-933fac44-7e22-275c-e0d0-89b5b9df51e0-000000"
THIRD_PERSON = "priya@meridian-travel.example"
VERDICTS = "SELECT recipient, category, cause, ses_message_id FROM verdicts WHERE cause IS NOT NULL"
EVIDENCE = "SELECT verdict_id AS id, kind, detail FROM evidence WHERE found IS NOT NULL"
SHOWN_KINDS = {
    **dict.fromkeys((1, 2), ("ses-id", "ses-event", "own-side")),
    3: ("ses-event", "suppression-list"),
}
"""Shown only in part: why the first two never reached SES, and what ties the third to it."""
WIDTH = 100
INDENT = "   "


def main() -> int:
    """Run the demo; returns the exit code: 0, or that of the first command that fails."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace", line_buffering=True)
    started = time.monotonic()
    _close(
        "The main job of this project, end to end. All of it happens on this machine: stand-ins for Gmail and AWS on"
        " loopback, the real command line, a temporary folder. No account, no internet; only the report stays, in"
        " .demo/."
    )
    with tempfile.TemporaryDirectory(prefix="triage-demo-") as folder, GmailDouble() as gmail, _aws() as aws:
        try:
            _show(gmail, aws, Path(folder))
        except subprocess.CalledProcessError as error:
            print(f"\nThe demo stopped: `triage` ended with exit code {error.returncode}.", file=sys.stderr)
            return error.returncode
        finally:
            forked.stop()
    print()
    _say(f"That took {time.monotonic() - started:.1f} seconds, and the temporary folder is gone again. Go on with:")
    for command, what in (
        ("explain examples/mailbox/1-alias-login-refused.eml", "one bounce, and why"),
        ("classify examples/mailbox", "verdicts on files only"),
        ("--help", "every command"),
    ):
        print(f"{INDENT}.venv/bin/triage {command:<52}{what}")
    print(f"{INDENT}README.md                                                            a real mailbox")
    return 0


def _show(gmail: GmailDouble, aws: AwsDouble, folder: Path) -> None:
    story, shift = _seed(gmail)
    user = _seed_aws(aws, shift)
    gmail.write_credentials(folder)
    assert aws.queue is not None
    (folder / "triage.toml").write_text(
        f'gmail_url = "{gmail.url}"\nalert_inbox = true\nregions = ["us-east-1", "us-west-2"]\n'
        f'queue_url = "{aws.queue.url}"\nsmtp_user = "{user.name}"\n',
        encoding="utf-8",
    )

    def triage(*arguments: str) -> str:
        return _triage(folder, aws, *arguments)

    _step("1. The mailbox of jadasailing@gmail.com, as Gmail shows it")
    _say(
        "Three bounces in one conversation (┃), and some company. Two of the three say that a login of ours is dead,"
        " one that a customer's address is wrong. At first sight they look alike:"
    )
    for message in gmail.messages.values():
        if "SENT" not in message.labels:
            print(f"{INDENT}{'┃' if message.thread_id == story else ' '} {_inbox_line(message.raw)}")

    _step("2. Read it", "triage run")
    _say("What cron will call. It reads, judges, stores, labels. It never sends, deletes or marks anything as read.")
    triage("run")

    _step("3. The verdicts", f'sqlite3 triage.db "{VERDICTS}"')
    _say("Who refused and why, one row for each person not reached:")
    _print_table(("RECIPIENT", "CATEGORY", "CAUSE", "SES ID BEGINS"), _query(folder / "triage.db", VERDICTS))
    _close(
        "The first two have no SES id because they never reached SES: that is the finding. The third left through SES,"
        " and its id says by which region and when. The last is a forgery: recorded, and never acted on."
    )

    _step("4. The evidence", f'sqlite3 triage.db "{EVIDENCE}"')
    _say(
        "The first two (1, 2) never reached SES, and IAM and CloudTrail say why. The third (3) did: SES's event and its"
        " suppression list both confirm it."
    )
    for verdict_id, kind, detail in _query(folder / "triage.db", EVIDENCE):
        if kind in SHOWN_KINDS.get(verdict_id, ()) and "is not on it" not in detail:
            _print_paragraph(f"{verdict_id}  {kind:<17} {detail}", " " * 21)

    _step("5. The labels, read back from the mailbox", f"GET {gmail.url}/gmail/v1/users/me/threads/{story}")
    _say("The conversation now says both: something on our side is broken, and one address is wrong.")
    for name in _labels_by_api(gmail.url, folder, story):
        print(INDENT + name)

    _step("6. One repair heals many bounces: the incident", "triage incidents")
    _say("The two failures of the alias have one remedy: they are one incident. A wrong address is nobody's outage.")
    triage("incidents")

    _step("7. The alert, as it lies in the inbox")
    _say("Told once, by a way that does not use the broken one: put into the inbox by Gmail's API, never sent.")
    _print_alert(gmail, lines=14)

    _step("8. What a human reads", "triage report")
    _say("Our own side first, because one repair heals it for everybody; then who was not reached.")
    triage("report")

    _step("9. Once more, as cron does every quarter of an hour", "triage run")
    gmail.reset_counters()
    if not triage("run"):
        print(f"{INDENT}(no output)\n")
    requests = f"{gmail.quota.http_requests} request{'' if gmail.quota.http_requests == 1 else 's'}"
    _close(
        f"Nothing new, so nothing said, and no mail judged, labelled or told of twice. It cost {requests} to Gmail and"
        f" {gmail.quota.units_new} of the 6,000 quota units of a minute."
    )

    _step("10. The owner enters the new password in Gmail; the next mail gets through", "triage run")
    _say("Nobody has to tell us: SES publishes that it took a mail from Gmail's hands, and the incident is over.")
    _let_a_mail_through(aws)
    triage("run")
    print()
    _print_alert(gmail, lines=7)

    _step("11. The conversation, as Gmail shows it to the owner now")
    _say("Each bounce is where it was, still unread (*). The labels say whose trouble it is, the notes what to do.")
    _print_thread(gmail, story)

    _step("12. The report once more, true after the repair; now as a page too", "triage report")
    triage("report")
    print(f"\n{INDENT}$ triage report --output report.html")
    triage("report", "--output", "report.html")
    SHOWN.mkdir(exist_ok=True)
    shutil.copyfile(folder / "report.html", SHOWN / "report.html")
    _close(f"Open it in a browser; it is one file and asks nothing of the internet: {SHOWN.name}/report.html")

    _step("13. When the alias ends: a draft with the label `Send via SES` leaves by itself", "triage outbox")
    for line in outbox_lines(gmail, aws, folder, lambda *words: _triage(folder, aws, *words, shows=False)):
        _print_paragraph(line, "  ")


@contextmanager
def _aws() -> Iterator[AwsDouble]:
    """The stand-ins for AWS, which otherwise tell of each request."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    double = AwsDouble()
    try:
        double.reset()
        yield double
    finally:
        double.stop()


def _seed(gmail: GmailDouble) -> tuple[str, timedelta]:
    """Fill the mailbox; whatever the calendar says, the newest mail just came.

    Returns the id of the story's thread, and by how much later everything is than the examples say.
    """
    gmail.add_send_as(ALIAS, display_name="Queen of San Diego", host=RELAY)
    mails = [path.read_bytes() for path in MAILS]
    dates = [parsedate_to_datetime(str(message_from_bytes(raw)["Date"])) for raw in mails]
    shift = datetime.now(UTC) - timedelta(minutes=20) - max(dates)
    story = gmail.seed(_first_mail(), ("SENT",), received_at=min(dates) + shift - timedelta(days=1))
    for raw in mails[:2] + mails[3:5]:  # the third was sent by the API of SES, which tells of it in an event
        put_original_into_sent(gmail, raw)
    for number, (raw, date) in enumerate(zip(mails, dates, strict=True)):
        folder = "SPAM" if b"dmarc=fail" in raw else "INBOX"
        thread_id = story if number < STORY else None
        gmail.seed(raw, (folder, "UNREAD"), thread_id=thread_id, received_at=date + shift)
    return story, shift


def _seed_aws(aws: AwsDouble, shift: timedelta) -> SmtpUser:
    """A rotation nobody carried over to Gmail, and what SES knows of the third mail. Returns the IAM user."""
    rotated_at = FIRST_FAILURE + shift - timedelta(hours=2, minutes=38)
    user = aws.make_smtp_user()
    aws.deactivate_key(user)
    new = aws.add_key(user.name)
    aws.trail.note("created", user.name, new.key_id, rotated_at - timedelta(minutes=3))
    aws.trail.note("made inactive", user.name, user.key_id, rotated_at)
    aws.make_event_queue()
    sent_at = datetime(2026, 11, 18, 17, 22, 41, tzinfo=UTC)  # the id says so
    words = {"status": "5.1.10", "diagnostic": "smtp; 550 5.1.10 RESOLVER.ADR.RecipientNotFound"}
    for kind in ("Send", "Bounce"):
        aws.publish(ses_event(kind, [THIRD_PERSON], at=sent_at, message_id=THIRD_ID, region="us-west-2", **words))
    aws.ses.suppress(THIRD_PERSON, "us-west-2", message_id=THIRD_ID, at=sent_at)
    return user


def _let_a_mail_through(aws: AwsDouble) -> None:
    """SES takes a mail that Gmail hands over at the alias's relay, and says so."""
    taken_at = datetime.now(UTC)
    for kind in ("Send", "Delivery"):
        message_id = new_message_id("us-east-1", int(taken_at.timestamp() * 1000))
        event = ses_event(kind, ["dana@harborview-events.example"], at=taken_at, message_id=message_id)
        event["mail"]["headers"].append({"name": "X-Gm-Message-State", "value": "AOJu0Yz"})
        aws.publish(event)


def _print_paragraph(text: str, hang: str) -> None:
    lines = textwrap.wrap(text, _width() - len(INDENT), subsequent_indent=hang, break_on_hyphens=False)
    print(textwrap.indent("\n".join(lines), INDENT))


def _print_alert(gmail: GmailDouble, lines: int) -> None:
    """The newest message of ours in the inbox: who, what, and the beginning of its text."""
    mails = [message_from_bytes(message.raw, policy=policy.default) for message in gmail.messages.values()]
    mail = [mail for mail in mails if mail["X-Triage"] == "alert"][-1]
    body = mail.get_body(("plain",))
    assert body is not None
    told = [f"From: {mail['From']}", f"Subject: {mail['Subject']}", ""]
    for line in body.get_content().splitlines():
        told += textwrap.wrap(line, _width() - len(INDENT) - 2, break_on_hyphens=False) or [""]
    for line in told[: 3 + lines]:
        print(f"{INDENT}| {line}".rstrip())
    if len(told) > 3 + lines:
        print(f"{INDENT}| ...")


def _print_thread(gmail: GmailDouble, thread_id: str) -> None:
    """The messages of a thread, the oldest first: labels, sender, subject, and how each begins."""
    names = sorted(name for name in gmail.label_names_of_thread(thread_id) if name.startswith("Bounce"))
    in_thread = [message for message in gmail.messages.values() if message.thread_id == thread_id]
    in_thread.sort(key=lambda message: message.internal_ms)
    print(f"{INDENT}Sunset charter 28 November: final headcount")
    print(f"{INDENT}{'   '.join(f'[{name}]' for name in names)}")
    for message in in_thread:
        mail = message_from_bytes(message.raw, policy=policy.default)
        print(f"{INDENT}{'-' * (_width() - len(INDENT))}")
        unread = "*" if "UNREAD" in message.labels else " "
        sender = mail["From"].addresses[0]
        print(f"{INDENT}{unread} {sender.display_name or sender.addr_spec}")
        print(f"{INDENT}  {mail['Subject']}\n")
        is_note = sender.domain == NOTE_DOMAIN
        limit = 60 if is_note else 3
        part = mail.get_body(("plain",))
        text = part.get_content().splitlines() if part else []
        blank = [""] if is_note else []
        lines = [line for long in text for line in textwrap.wrap(long, _width() - 7, break_on_hyphens=False) or blank]
        for line in lines[:limit]:
            print(f"{INDENT}    {line}".rstrip())
        if len(lines) > limit:
            print(f"{INDENT}    ...")
    print(f"{INDENT}{'-' * (_width() - len(INDENT))}")


def _first_mail() -> bytes:
    """The mail the conversation of the story began with."""
    mail = EmailMessage()
    mail["From"] = f"Queen of San Diego <{ALIAS}>"
    mail["To"] = "Dana Whitfield <dana@harborview-events.example>"
    mail["Subject"] = "Sunset charter 28 November: final headcount"
    mail["Date"] = "Mon, 16 Nov 2026 15:20:00 -0800"
    mail["Message-ID"] = FIRST_MESSAGE_ID
    mail.set_content("Hi Dana,\n\nthe 28th is yours. More tomorrow.\n\nJada\n")
    return mail.as_bytes()


def _inbox_line(raw: bytes) -> str:
    mail = message_from_bytes(raw, policy=policy.default)
    sender = str(mail["From"]).partition("<")[0].strip(' "') or str(mail["From"])
    return f"{sender[:28]:<28}  {str(mail['Subject'])[: _width() - 35]}"


def _triage(folder: Path, aws: AwsDouble, *arguments: str, shows: bool = True) -> str:
    """Run the real command line in the temporary folder and show what it prints. Raises when it fails.

    Each is a process of its own, forked off one that has imported the program: most of the demo's time was imports.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith(("TRIAGE_", "AWS_"))}
    env |= {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "COLUMNS": str(_width() - len(INDENT))} | aws.env
    done = forked.triage(*arguments, cwd=folder, env=env)
    if shows or done.returncode:
        print(textwrap.indent(done.stdout + done.stderr, INDENT), end="")
    done.check_returncode()
    return done.stdout


def _query(database: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(f"{sql} ORDER BY id").fetchall()


def _print_table(head: Sequence[str], rows: Iterable[Sequence[str | None]]) -> None:
    shown = [head, *[[cell or "-" for cell in row] for row in rows]]
    widths = [max(len(row[column]) for row in shown) for column in range(len(head) - 1)]
    for *cells, last in shown:
        line = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        print(f"{INDENT}{line}  {last[:16]}")  # an SES id is long; its first 16 digits hold region and time
    print()


def _labels_by_api(url: str, folder: Path, thread_id: str) -> list[str]:
    """The user's labels on a thread, asked of the API as any other program would."""
    token = json.loads((folder / "token.json").read_text(encoding="utf-8"))["token"]

    def get(path: str) -> Any:
        request = urllib.request.Request(  # noqa: S310 - the double's own address
            f"{url}/gmail/v1/users/me/{path}", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return json.load(answer)

    names = {label["id"]: label["name"] for label in get("labels")["labels"] if label["type"] == "user"}
    messages = get(f"threads/{thread_id}?format=minimal")["messages"]
    carried = {label for message in messages for label in message.get("labelIds", ())}
    return sorted(names[label] for label in carried if label in names)


def _step(title: str, command: str | None = None) -> None:
    print(f"\n\x1b[1m{title}\x1b[0m" if _is_coloured() else f"\n{title}")
    if command:
        print(f"{INDENT}$ {command}")
    print()


def _say(text: str) -> None:
    _close(text)
    print()


def _close(text: str) -> None:
    """Say the last thing of a step: what follows brings its own blank line."""
    print(textwrap.fill(text, _width(), initial_indent=INDENT, subsequent_indent=INDENT))


def _width() -> int:
    return max(60, min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns))


def _is_coloured() -> bool:
    # https://no-color.org
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


if __name__ == "__main__":
    sys.exit(main())
