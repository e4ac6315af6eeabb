"""The commands as a user meets them, as processes of their own: exit codes and streams are the real ones."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from email.message import EmailMessage

from tests.cli.home import ALIAS, BOUNCES, EXCHANGE, Home, assert_two_lines
from tests.worlds.schemas import by_schema


def newsletter() -> bytes:
    message = EmailMessage()
    message["From"] = "news@shop.example"
    message["To"] = "jadasailing@gmail.com"
    message["Subject"] = "Autumn sails, 20 % off"
    message["List-Unsubscribe"] = "<https://shop.example/u>"
    message.set_content("New sails have arrived.")
    return message.as_bytes()


# classify


def test_jsonl_is_one_record_a_line_in_the_order_of_the_contract(home: Home) -> None:
    mails = home.copy(ALIAS, EXCHANGE)
    (mails / "news.eml").write_bytes(newsletter())
    done = home.triage("classify", "mails", "--jsonl")
    assert (done.returncode, done.stderr) == (0, "")
    exchange, alias, news = map(json.loads, done.stdout.splitlines())
    contract = (
        "source kind recipient original_recipient category cause side actor permanent reason status reply_code"
        " diagnostic platform remote_host reported_by original genuine rule evidence fix links"
    )
    assert list(alias) == contract.split()
    assert list(news) == [*contract.split(), "why"]
    original = "message_id gmail_message_id ses_message_id ses_region ses_id_source sent_at from subject path"
    assert list(alias["original"]) == original.split()
    assert (alias["source"], alias["category"], alias["side"]) == (f"mails/{ALIAS}", "smtp-credentials", "own")
    assert (exchange["category"], exchange["side"]) == ("exchange-rejection", "remote")
    assert exchange["original"]["ses_message_id"].endswith("-000000")
    assert (news["kind"], news["recipient"], news["category"]) == ("not-a-bounce", None, None)
    assert news["why"]


def test_the_table_has_a_line_for_each_and_totals(home: Home) -> None:
    home.copy(ALIAS, EXCHANGE)
    lines = home.triage("classify", "mails").stdout.splitlines()
    assert lines[0].split() == ["VERDICT", "CAUSE", "ACTOR", "RECIPIENT", "MAIL"]
    assert lines[1].split()[:3] == ["exchange-rejection", "recipient-unknown", "sender"]
    assert lines[2].split()[:3] == ["smtp-credentials", "alias-credentials-rejected", "mailbox-owner"]
    assert lines[3] == "2 mails: 1 exchange-rejection, 1 smtp-credentials"


def test_standard_input_and_several_paths(home: Home) -> None:
    home.copy(ALIAS)
    done = home.triage("classify", "-", f"mails/{ALIAS}", "--jsonl", stdin=(BOUNCES / EXCHANGE).read_bytes())
    assert [json.loads(line)["source"] for line in done.stdout.splitlines()] == ["-", f"mails/{ALIAS}"]


def test_what_cannot_be_read_is_told_and_the_rest_is_judged(home: Home) -> None:
    mails = home.copy(ALIAS)
    os.mkfifo(mails / "aaa.eml")
    done = home.triage("classify", "mails", "--jsonl")
    assert done.returncode == 1
    assert done.stdout.count("\n") == 1
    assert done.stderr == "mails/aaa.eml: not a regular file\n"


def test_json_is_utf8_whatever_the_terminal_is(home: Home) -> None:
    message = newsletter().replace(b"Autumn", "Törn ⛵".encode())
    for encoding in ("ascii", "latin-1", "utf-8"):
        done = home.started("classify", "-", "--jsonl", stdin=message, PYTHONIOENCODING=encoding)
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["kind"] == "not-a-bounce"


def test_file_names_of_any_bytes(home: Home) -> None:
    mails = home.copy(ALIAS)
    (mails / ALIAS).rename(os.fsdecode(os.fsencode(mails) + b"/b\xff\x1b[31m.eml"))
    for option in ([], ["--jsonl"]):
        done = home.triage("classify", "mails", *option)
        assert (done.returncode, done.stderr) == (0, "")
        assert "\x1b" not in done.stdout
    assert json.loads(done.stdout)["source"].startswith("mails/b")


def test_a_reader_that_has_seen_enough_is_no_error(home: Home) -> None:
    notice = (BOUNCES / ALIAS).read_bytes()
    (home.folder / "big.mbox").write_bytes((b"From x Mon Nov 23 14:05:00 2026\n" + notice + b"\n") * 300)
    for option in ("", "--jsonl", "--jsonl --jobs 2"):
        command = f"{sys.executable} -m triage classify big.mbox {option} | head -n 1"
        done = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {command}"],
            cwd=home.folder,
            env=home.env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stderr == ""
        assert done.stdout.count("\n") == 1
        assert done.returncode == 141


# run


def test_a_run_tells_its_totals_and_a_second_one_is_quiet(home: Home) -> None:
    home.copy(ALIAS, EXCHANGE)
    first = home.started("run", "--database", "triage.db", "--mailbox", "mails")
    assert (first.returncode, first.stdout, first.stderr) == (
        0,
        "2 new mails: 2 verdicts, 0 no bounce.\n",
        "",
    )
    second = home.started("run", "--database", "triage.db", "--mailbox", "mails")
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    said = home.triage("run", "--database", "triage.db", "--mailbox", "mails", "--verbose")
    assert said.stdout == "Nothing new. 0 new mails: 0 verdicts, 0 no bounce.\n"
    assert home.on_terminal("run", "--database", "triage.db", "--mailbox", "mails") == (0, said.stdout)


def test_a_dry_run_says_what_would_be_and_leaves_nothing_behind(home: Home) -> None:
    home.copy(ALIAS)
    before = set(home.folder.rglob("*"))
    done = home.triage("run", "--dry-run", "--mailbox", "mails")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Would record  smtp-credentials" in done.stdout
    assert done.stdout.splitlines()[-1] == "Nothing was written. It would be: 1 new mail: 1 verdict, 0 no bounce."
    assert set(home.folder.rglob("*")) == before


def test_a_run_with_unreadable_mails_says_which_and_ends_with_1(home: Home) -> None:
    mails = home.copy(ALIAS)
    os.mkfifo(mails / "aaa.eml")
    done = home.triage("run", "--database", "triage.db", "--mailbox", "mails")
    assert done.returncode == 1
    assert done.stderr == "mails/aaa.eml: not a regular file\n"
    assert "1 not readable" in done.stdout


# explain and report


def test_explain_an_alias_notice(home: Home) -> None:
    done = home.triage("explain", str(BOUNCES / ALIAS))
    assert (done.returncode, done.stderr) == (0, "")
    for words in (
        "What happened",
        "alias-credentials-rejected",
        "Next move    you, the owner of the mailbox",
        "What to do",
        "January 2027",
        "Rule         relay-ses-credentials",
        "Evidence",
        "Genuine      pass: ",
        "SES id       none",
        "The way that mail took",
    ):
        assert words in done.stdout, words


def test_explain_a_refusal_behind_ses(home: Home) -> None:
    text = " ".join(home.triage("explain", str(BOUNCES / EXCHANGE)).stdout.split())
    assert "(us-west-2; found in: returned Message-ID)" in text
    assert "The way that mail took" in text or "The way the bounce itself took" in text
    assert "mx.google.com" in text


def test_explain_a_newsletter(home: Home) -> None:
    done = home.triage("explain", "-", stdin=newsletter())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("-: no bounce\n")
    assert "Why it is no bounce" in done.stdout


def test_explain_one_mail_of_an_mbox(home: Home) -> None:
    mails = [newsletter(), (BOUNCES / ALIAS).read_bytes()]
    mbox = b"".join(b"From x Mon Nov 23 14:05:00 2026\n" + mail + b"\n" for mail in mails)
    (home.folder / "two.mbox").write_bytes(mbox)
    assert "alias-credentials-rejected" in home.triage("explain", "two.mbox#2").stdout
    assert "no bounce" in home.triage("explain", "two.mbox#1").stdout
    assert "two.mbox#1" in assert_two_lines(home.triage("explain", "two.mbox"), 2)[1]
    assert_two_lines(home.triage("explain", "two.mbox#3"), 2)
    assert_two_lines(home.triage("explain", str(home.folder)), 2)


def test_explain_from_the_database_by_number_and_by_message_id(judged: Home) -> None:
    with sqlite3.connect(judged.folder / "triage.db") as db:
        rows = db.execute("SELECT id, message_id, source FROM verdicts ORDER BY id").fetchall()
    db.close()
    assert len(rows) == 2
    for number, message_id, source in rows:
        for ident in (str(number), message_id, f"<{message_id}>"):
            done = judged.triage("explain", ident)
            assert (done.returncode, done.stderr) == (0, "")
            assert done.stdout.startswith(f"{source}: a report about 1 recipient")
            assert "In the database" in done.stdout
            assert "The bounce\n" in done.stdout


def test_the_report_names_trouble_and_people(judged: Home) -> None:
    done = judged.triage("report", "--since", "900w", "--full")
    assert (done.returncode, done.stderr) == (0, "")
    text = " ".join(done.stdout.split())
    assert "ON YOUR SIDE 1 thing on your side needs repair; 1 person was not reached because of it." in text
    assert "1. The SMTP login was refused (alias-credentials-rejected)" in text
    assert "Mails from admin@queenofsandiego.com" in text
    assert "WHO WAS NOT REACHED: 2 people" in text
    assert "WHAT THE OTHER SIDE REFUSED 1. The address does not exist (recipient-unknown)" in text
    assert "LAST RUNS" in text
    assert judged.triage("report", "--since", "1h", "--full").stdout.splitlines()[1] == "  Nothing came in."
    short = judged.triage("report", "--since", "900w").stdout.splitlines()
    assert short[0] == "1 thing on your side needs repair; 1 person was not reached because of it."
    assert len(short) <= 40


def test_the_report_as_json(judged: Home) -> None:
    data = by_schema("report", judged.triage("report", "--since", "900w", "--json").stdout)
    assert [one["cause"] for one in data["own"]] == ["alias-credentials-rejected"]
    assert len(data["missed"]) == 2
    assert data["runs"][0]["source"] == "mails"
