"""The report in the inbox: a proper mail, once a week whatever happens in between."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.doubles.gmail import GmailDouble
from tests.report.made import EVERYTHING, NOW, TEXTS
from tests.worlds import forked
from tests.worlds.forked import Forked
from tests.worlds.made_mails import opened
from triage import store
from triage.errors import TryLater
from triage.gmail.client import Gmail, connect
from triage.letters.once import Inserted, NotYet
from triage.report.mail import compose, deliver_report, report_message_id, subject, week


@pytest.fixture
def double(tmp_path: Path) -> Iterator[GmailDouble]:
    with GmailDouble() as gmail:
        gmail.write_credentials(tmp_path)
        yield gmail


@pytest.fixture
def gmail(double: GmailDouble, tmp_path: Path) -> Iterator[Gmail]:
    with closing(connect(tmp_path / "token.json", url=double.url, sleep=lambda _: None)) as client:
        yield client


def mails(double: GmailDouble) -> list[EmailMessage]:
    return [opened(message.raw) for message in double.messages.values()]


def test_the_mail_says_it_in_text_and_in_html() -> None:
    raw = compose(EVERYTHING, "jadasailing@gmail.com", "triage.x@bounce-triage.invalid")
    mail = opened(raw)
    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    text, page = (part.get_content() for part in mail.iter_parts())
    assert text.startswith("1 thing on your side needs repair; 4 people were not reached because of it.")
    assert len(text.splitlines()) <= 60
    assert page.startswith("<!DOCTYPE html>")
    assert mail["From"].addresses[0].domain.endswith(".invalid")  # so Gmail does not file it under Sent
    assert mail["Subject"] == "Bounce report, Mon 23 Nov: 1 thing to repair on your side, 8 people not reached"
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998  # RFC 5322 2.1.1
    assert b"\n" not in raw.replace(b"\r\n", b"")


@pytest.mark.parametrize(
    ("name", "words"),
    [("quiet", "all quiet"), ("one-refusal", "nothing to repair on your side, 1 person not reached")],
)
def test_the_subject_gives_the_answer(name: str, words: str) -> None:
    assert subject(TEXTS[name]) == f"Bounce report, Mon 23 Nov: {words}"


def test_a_week_is_that_of_iso_8601() -> None:
    assert week(datetime(2026, 11, 22, 23, 59, tzinfo=UTC)) == "2026-W47"
    assert week(datetime(2026, 11, 23, 0, 0, tzinfo=UTC)) == "2026-W48"
    assert week(datetime(2027, 1, 3, 12, 0, tzinfo=UTC)) == "2026-W53"
    one, other = (report_message_id("a@example.com", NOW + timedelta(days=days)) for days in (0, 7))
    assert one != other
    assert report_message_id("A@example.com", NOW + timedelta(days=6)) == one


def test_it_goes_into_the_inbox_once_a_week(gmail: Gmail, double: GmailDouble, db: object) -> None:
    assert deliver_report(gmail, db, EVERYTHING) == Inserted(next(iter(double.messages)), is_new=True)
    (message,) = double.messages.values()
    assert set(message.labels) == {"INBOX", "UNREAD"}
    again = deliver_report(gmail, db, EVERYTHING)
    assert isinstance(again, Inserted)
    assert not again.is_new
    assert len(double.messages) == 1


def test_the_next_week_brings_the_next_report(gmail: Gmail, double: GmailDouble, db: object) -> None:
    from dataclasses import replace

    deliver_report(gmail, db, EVERYTHING)
    later = replace(EVERYTHING, until=(NOW + timedelta(days=7)).strftime("%Y-%m-%dT%H:%M:%SZ"))
    deliver_report(gmail, db, later)
    assert len({mail["Message-ID"] for mail in mails(double)}) == 2


def test_a_lost_database_does_not_bring_it_twice(gmail: Gmail, double: GmailDouble, db: object, tmp_path: Path) -> None:
    deliver_report(gmail, db, EVERYTHING)
    with closing(store.open_store(tmp_path / "other.db")) as other:
        assert deliver_report(gmail, other, EVERYTHING) == Inserted(next(iter(double.messages)), is_new=False)
        assert store.read_insert(other, f"report 2026-W48 {double.address}")["done_at"]
    assert len(double.messages) == 1


def test_what_the_owner_threw_away_stays_away(gmail: Gmail, double: GmailDouble, db: object) -> None:
    deliver_report(gmail, db, EVERYTHING)
    double.messages.clear()
    deliver_report(gmail, db, EVERYTHING)
    assert len(double.messages) == 0


@pytest.mark.parametrize("lag", [0.0, 60.0])
def test_a_lost_answer_is_looked_up_and_never_repeated(
    gmail: Gmail, double: GmailDouble, db: object, lag: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    double.account.search_lag = lag
    double.fail("messages.insert", connection="drop", when="after")
    assert isinstance(deliver_report(gmail, db, EVERYTHING), NotYet)
    again = deliver_report(gmail, db, EVERYTHING)
    assert isinstance(again, NotYet if lag else Inserted)
    double.clock.advance(120)
    assert isinstance(deliver_report(gmail, db, EVERYTHING), Inserted)
    assert len(double.messages) == 1


def test_a_refusal_leaves_the_way_free(gmail: Gmail, double: GmailDouble, db: object) -> None:
    double.fail("messages.insert", status=400)
    with pytest.raises(TryLater, match=r"did not take the report: .*HTTP 400"):
        deliver_report(gmail, db, EVERYTHING)
    double.fail("messages.insert", status=429, times=None)
    with pytest.raises(TryLater):
        deliver_report(gmail, db, EVERYTHING)
    double.clear_faults()
    assert isinstance(deliver_report(gmail, db, EVERYTHING), Inserted)


KILLED = """
import sys
from contextlib import closing
from pathlib import Path
from tests.report.made import EVERYTHING
from triage.gmail import connect
from triage.report import deliver_report
from triage.store import open_store
folder, url = Path(sys.argv[1]), sys.argv[2]
with closing(open_store(folder / "triage.db")) as db, closing(connect(folder / "token.json", url=url)) as gmail:
    deliver_report(gmail, db, EVERYTHING)
"""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("method", ["getProfile", "messages.list", "messages.insert"])
def test_killed_at_any_request_it_comes_once(
    gmail: Gmail, double: GmailDouble, tmp_path: Path, method: str, when: str
) -> None:
    process = Forked(KILLED, str(tmp_path), double.url)
    double.kill_at(lambda: process.pid, method, when=when)  # type: ignore[arg-type]
    assert process.finish().returncode == -9
    from dataclasses import replace

    with closing(store.open_store(tmp_path / "triage.db")) as db:
        later = replace(EVERYTHING, until=(NOW + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ"))
        assert isinstance(deliver_report(gmail, db, later), Inserted)
    assert len(double.messages) == 1


# -- the command ----------------------------------------------------------------------------------------------------


def triage(folder: Path, double: GmailDouble, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "triage.toml").write_text(f'gmail_url = "{double.url}"\n')
    return forked.triage("report", "--config", str(folder / "triage.toml"), *arguments)


def test_it_says_what_it_did_and_puts_the_report_in_once(double: GmailDouble, tmp_path: Path, db: object) -> None:
    said = []
    for _ in range(2):
        done = triage(tmp_path, double, "--deliver", "inbox")
        assert (done.returncode, done.stderr) == (0, "")
        said.append(done.stdout)
    assert said[0].endswith("is in your inbox now.\n")
    assert said[1].endswith("was put into your inbox before; nothing was done.\n")
    (mail,) = mails(double)
    assert mail["Subject"].endswith("the mailbox is not being read")


def test_a_report_that_was_not_possible_is_made_up_for_the_next_time(
    double: GmailDouble, tmp_path: Path, db: object
) -> None:
    (tmp_path / "token.json").rename(tmp_path / "away.json")
    assert triage(tmp_path, double, "--deliver", "inbox").returncode == 77
    (tmp_path / "away.json").rename(tmp_path / "token.json")
    assert triage(tmp_path, double, "--deliver", "inbox").returncode == 0
    assert len(mails(double)) == 1
    double.reset_counters()
    (tmp_path / "token.json").unlink()
    assert triage(tmp_path, double, "--deliver", "inbox").returncode == 0, "it is there, so nobody is asked"
    assert double.quota.http_requests == 0


def test_an_outcome_nobody_knows_is_told_and_ends_with_75(double: GmailDouble, tmp_path: Path, db: object) -> None:
    double.fail("messages.insert", connection="drop", when="after")
    done = triage(tmp_path, double, "--deliver", "inbox")
    assert done.returncode == 75
    assert done.stderr.startswith("triage: The report was not put into the inbox")


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("r.html", "<!DOCTYPE html>"),
        ("r.md", "# The mailbox"),
        ("r.json", "{"),
        ("r.txt", "The mailbox has not"),
    ],
)
def test_a_file_gets_the_format_of_its_name(
    double: GmailDouble, tmp_path: Path, db: object, name: str, begins: str
) -> None:
    done = triage(tmp_path, double, "--output", str(tmp_path / name))
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / name).read_text().startswith(begins)
    assert (tmp_path / name).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("form", ["text", "markdown", "html", "json"])
def test_every_format_comes_on_standard_output(double: GmailDouble, tmp_path: Path, db: object, form: str) -> None:
    done = triage(tmp_path, double, "--format", form)
    assert done.returncode == 0
    assert (json.loads(done.stdout)["totals"] == {}) if form == "json" else "has not been read yet" in done.stdout


def test_a_browser_shows_html_only_and_a_folder_is_no_file(double: GmailDouble, tmp_path: Path, db: object) -> None:
    assert triage(tmp_path, double, "--open", "--format", "json").returncode == 2
    assert triage(tmp_path, double, "--output", str(tmp_path / "nowhere" / "r.html")).returncode == 2


def test_the_page_is_opened(tmp_path: Path, db: object, monkeypatch: pytest.MonkeyPatch) -> None:
    import webbrowser

    from triage.cli import program as cli

    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: bool(opened.append(url)) or True)
    monkeypatch.setenv("TRIAGE_DATABASE", str(tmp_path / "triage.db"))
    monkeypatch.chdir(tmp_path)
    assert cli.main(["report", "--open", "--output", "r.html"]) == 0
    assert opened == [(tmp_path / "r.html").as_uri()]
