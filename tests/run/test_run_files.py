"""A run over files: judged and stored like mail from Gmail, which it does not touch."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.doubles.gmail import GmailDouble
from tests.worlds.made_mails import alias_notice, newsletter, put_into_sent, refusal
from tests.worlds.run_world import Query, clock, seed, trip_over
from triage import run as worker
from triage import store
from triage.config import Settings
from triage.errors import UsageError
from triage.model import RunSummary


def test_files_are_judged_and_stored_and_touch_no_gmail(
    gmail: GmailDouble, settings: Settings, query: Query, tmp_path: Path
) -> None:
    box = tmp_path / "box"
    box.mkdir()
    (box / "a.eml").write_bytes(refusal(1, genuine="unknown"))
    (box / "b.eml").write_bytes(newsletter(2))
    (box / "c.eml").write_bytes(refusal(1, genuine="unknown"))
    os.symlink("nowhere", box / "d.eml")
    summary = worker.run_local(settings, clock, [box])
    assert (summary.new, summary.judged, summary.not_bounces, summary.failed, summary.actions) == (3, 1, 1, 1, 0)
    assert summary.failures == ((f"{box}/d.eml", "No such file or directory"),)
    assert gmail.quota.http_requests == 0
    mails = query("SELECT source, received_at, raw IS NOT NULL AS has_raw FROM mails")
    assert mails == [
        {"source": f"{box}/a.eml", "received_at": "2026-11-24T09:00:01Z", "has_raw": 1},
        {"source": f"{box}/b.eml", "received_at": None, "has_raw": 0},
    ]
    assert query("SELECT * FROM actions") == query("SELECT * FROM state") == []
    (box / "d.eml").unlink()
    assert worker.run_local(settings, clock, [box]) == RunSummary()


def test_a_file_is_judged_and_told_of_and_opens_no_incident(settings: Settings, tmp_path: Path, query: Query) -> None:
    """Whatever is stamped on it: anybody can write a file."""
    (tmp_path / "a.eml").write_bytes(alias_notice(1))
    summary = worker.run_local(settings, clock, [tmp_path / "a.eml"])
    assert (summary.judged, summary.opened) == (1, 0)
    assert query("SELECT category, proof FROM verdicts") == [{"category": "smtp-credentials", "proof": "given"}]


def test_a_dry_run_over_files_writes_nothing(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(refusal(1))
    (tmp_path / "b.eml").write_bytes(newsletter(2))
    plan = worker.dry_run_local(settings, [tmp_path / "a.eml", tmp_path / "b.eml"])
    assert (plan.summary.judged, plan.summary.not_bounces) == (1, 1)
    assert [outcome.mail.source for outcome in plan.outcomes] == [str(tmp_path / "a.eml")]
    assert plan.outcomes[0].mail.raw is None, "a dry run over a large mbox must not hold it in memory"
    assert not settings.database.exists()


def test_any_file_name_can_be_recorded(settings: Settings, tmp_path: Path, query: Query) -> None:
    name = os.fsencode(tmp_path) + b"/\xff.eml"
    with open(name, "wb") as file:
        file.write(refusal(1))
    assert worker.run_local(settings, clock, [os.fsdecode(name)]).judged == 1
    assert query("SELECT source FROM runs") == [{"source": f"{tmp_path}/?.eml"}]


def test_a_wrong_path_stops_before_anything_is_made(settings: Settings) -> None:
    with pytest.raises(UsageError):
        worker.run_local(settings, clock, ["nowhere"])
    assert not settings.database.exists()


def test_a_file_our_code_trips_over_is_judged_by_the_next_run(
    gmail: GmailDouble, settings: Settings, tmp_path: Path, query: Query
) -> None:
    (tmp_path / "a.eml").write_bytes(refusal(1, genuine="unknown"))
    with pytest.MonkeyPatch.context() as patch:
        trip_over(patch, b"")
        assert worker.run_local(settings, clock, [tmp_path / "a.eml"]).failed == 1
    assert worker.run(settings, clock).judged == 1
    assert query("SELECT state, gmail_id FROM mails") == [{"state": "judged", "gmail_id": None}]
    assert gmail.quota.calls["messages.list"] == 1


# One mail is one mail, wherever it was read


def as_in_an_mbox(mail: bytes) -> bytes:
    """What Google Takeout makes of a mail: headers of its own, other line ends, `>From `."""
    text = mail.replace(b"\r\n", b"\n").replace(b"\nFrom ", b"\n>From ")
    return b"From 1849@xxx Tue Nov 24 09:00:00 +0000 2026\nX-GM-THRID: 1849\nX-Gmail-Labels: Inbox\n" + text + b"\n\n"


def test_what_gmail_gave_is_not_counted_again_from_a_file(
    gmail: GmailDouble, settings: Settings, tmp_path: Path, query: Query
) -> None:
    seed(gmail, refusal(1), refusal(2))
    worker.run(settings, clock)
    (tmp_path / "takeout.mbox").write_bytes(as_in_an_mbox(refusal(1)) + as_in_an_mbox(refusal(3)))
    assert worker.run_local(settings, clock, [tmp_path / "takeout.mbox"]).judged == 1
    assert query("SELECT count(*) AS n FROM mails") == query("SELECT count(*) AS n FROM verdicts") == [{"n": 3}]


def test_a_mail_from_a_file_becomes_that_of_gmail_when_it_is_read_there(
    gmail: GmailDouble, settings: Settings, tmp_path: Path, query: Query
) -> None:
    (tmp_path / "takeout.mbox").write_bytes(as_in_an_mbox(alias_notice(1)) + as_in_an_mbox(newsletter(2)))
    worker.run_local(settings, clock, [tmp_path / "takeout.mbox"])
    (before,) = query("SELECT id, proof FROM verdicts WHERE kind = 'failed'")
    assert before["proof"] == "given"
    gmail.add_send_as("admin@queenofsandiego.com", host="email-smtp.us-east-1.amazonaws.com")
    put_into_sent(gmail)
    (gmail_id,) = seed(gmail, alias_notice(1))
    summary = worker.run(settings, clock)
    assert (summary.new, summary.judged, summary.opened, summary.actions) == (1, 1, 1, 1)
    assert query("SELECT count(*) AS n FROM mails") == [{"n": 2}]
    (verdict,) = query(
        "SELECT v.id, v.proof, v.source, m.gmail_id FROM verdicts v JOIN mails m ON m.id = v.mail_id"
        " WHERE v.kind = 'failed'"
    )
    assert verdict == {"id": before["id"], "proof": "alias", "source": f"gmail:{gmail_id}", "gmail_id": gmail_id}
    assert worker.run_local(settings, clock, [tmp_path / "takeout.mbox"]) == RunSummary(), "and so it stays"
    assert worker.run(settings, clock).new == 0


def delivered(mail: bytes, number: int) -> bytes:
    """With what the receiving Gmail puts on top: nobody who writes a mail chooses these lines."""
    return b"Received: by 2002:a05:0:0 with SMTP id x%d; Tue, 24 Nov 2026 01:00:00 -0800\r\n" % number + mail


FORGED = {
    "a copy of all of it": lambda mail: mail,
    "from somebody else": lambda mail: b"From: Mallory <mallory@evil.example>\r\n" + mail,
    "as no report": lambda mail: mail.replace(b"multipart/report", b"multipart/mixed"),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_copy_somebody_writes_of_a_mail_neither_replaces_nor_hides_it(
    gmail: GmailDouble, settings: Settings, tmp_path: Path, query: Query, name: str
) -> None:
    """Who made a bounce, or got it forwarded, knows its Message-ID and every byte he wrote himself."""
    real, forged = delivered(refusal(1), 1), delivered(FORGED[name](refusal(1)), 2)
    (tmp_path / "takeout.mbox").write_bytes(as_in_an_mbox(real))
    seed(gmail, forged)
    worker.run(settings, clock)
    assert worker.run_local(settings, clock, [tmp_path / "takeout.mbox"]).judged == 1, "it is not hidden"
    other = replace(settings, database=tmp_path / "other.db")
    assert worker.run_local(other, clock, [tmp_path / "takeout.mbox"]).judged == 1
    worker.run(other, clock)
    for database in (settings.database, other.database):
        with closing(store.open_store(database)) as db:
            sql = "SELECT v.proof FROM verdicts v JOIN mails m ON m.id = v.mail_id WHERE m.gmail_id IS NULL"
            kept = list(db.query(sql))
            assert kept == [{"proof": "given"}], "it is not replaced"
    assert worker.run(settings, clock).new == 0


def test_the_same_id_with_other_content_is_another_mail(settings: Settings, tmp_path: Path, query: Query) -> None:
    one, other = refusal(1), refusal(1).replace(b"pat@", b"kim@")
    assert one != other
    (tmp_path / "a.eml").write_bytes(one)
    (tmp_path / "b.eml").write_bytes(other)
    assert worker.run_local(settings, clock, [tmp_path]).judged == 2
    assert query("SELECT count(*) AS n FROM mails") == [{"n": 2}]
