"""One habit for machine output: the same options, whole files only their owner can read, one `--since`."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import pytest

from docs.schemas import ANSWERS, FOLDER, schema_files
from tests.cli.home import ALIAS, BOUNCES, EXCHANGE, ROOT, Home, assert_two_lines
from tests.cli.test_cli import newsletter
from tests.worlds.schemas import by_schema, validator
from triage.cli.manners.help import every_command
from triage.cli.manners.output import ENDINGS, write_csv
from triage.cli.manners.since import Since
from triage.cli.program import cli
from triage.display import tell_times_in
from triage.errors import UsageError

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)  # a Tuesday
SAN_DIEGO = ZoneInfo("America/Los_Angeles")


@pytest.fixture
def in_san_diego() -> object:
    tell_times_in(SAN_DIEGO)
    yield SAN_DIEGO
    tell_times_in(UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("12h", NOW - timedelta(hours=12)),
        ("7d", NOW - timedelta(days=7)),
        (" 2W ", NOW - timedelta(weeks=2)),
        ("today", datetime(2026, 11, 24, 8, tzinfo=UTC)),
        ("Yesterday", datetime(2026, 11, 23, 8, tzinfo=UTC)),
        ("monday", datetime(2026, 11, 23, 8, tzinfo=UTC)),
        ("mon", datetime(2026, 11, 23, 8, tzinfo=UTC)),
        ("tuesday", datetime(2026, 11, 17, 8, tzinfo=UTC)),  # not today
        ("sun", datetime(2026, 11, 22, 8, tzinfo=UTC)),
        ("2026-11-20", datetime(2026, 11, 20, 8, tzinfo=UTC)),
        ("2026-10-20", datetime(2026, 10, 20, 7, tzinfo=UTC)),  # summer time
    ],
)
def test_since_means_a_day_in_the_zone_of_the_owner(in_san_diego: object, text: str, moment: datetime) -> None:
    assert Since(text).moment(NOW) == moment


@pytest.mark.parametrize(
    "text", ["", "mond", "last week", "20.11.2026", "2026-13-01", "0001-01-01", "9999-12-31", "1999-01-01", "7", "-3d"]
)
def test_since_says_what_it_takes(in_san_diego: object, text: str) -> None:
    with pytest.raises(UsageError) as refusal:
        Since(text).moment(NOW)
    assert "yesterday, monday, 2026-11-20" in refusal.value.todo


def test_every_since_is_the_same_option() -> None:
    found = {
        name: param
        for name, command in every_command("triage", cli)
        for param in command.params
        if param.name == "since"
    }
    assert set(found) == {"triage report", "triage run", "triage resend", "triage rebuild"}
    assert {type(param.type) for param in found.values()} == {type(found["triage run"].type)}


def test_whoever_has_json_writes_files_too() -> None:
    with_json = {
        name
        for name, command in every_command("triage", cli)
        if any("--json" in param.opts for param in command.params)
    }
    with_output = {
        name
        for name, command in every_command("triage", cli)
        if any("--output" in param.opts for param in command.params)
    }
    # What a run answers is for monitors, who hear of it where it failed, too: it has --log-file.
    assert with_json - {"triage run"} == with_output
    assert len(with_json) > 12


@pytest.mark.parametrize("ending", [".txt", ".md", ".html", ".json", ".csv"])
def test_a_report_is_written_in_the_form_its_name_ends_in(judged: Home, ending: str) -> None:
    path = judged.folder / f"r{ending}"
    path.write_text("old")
    path.chmod(0o644)
    done = judged.triage("report", "--since", "900w", "--output", path.name)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", f"Written: {path}\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    starts = {".txt": "1 thing", ".md": "# ", ".html": "<!doctype html>", ".json": "{", ".csv": "recipient,"}
    assert path.read_text().lower().startswith(starts[ending].lower())
    assert [name for name in os.listdir(judged.folder) if name.startswith(".")] == [], "no half file"


def test_csv_lists_the_people_and_is_no_formula(judged: Home, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    rows = list(csv.DictReader(io.StringIO(judged.triage("report", "--since", "900w", "--csv").stdout)))
    assert len(rows) == 2
    assert {row["cause"] for row in rows} == {"alias-credentials-rejected", "recipient-unknown"}
    write_csv(["a"], [["=HYPERLINK(1)"], ["\t=1"], ["@x"], [None], [True], ["a,\u202eb"], ["\uff1d1"]])
    out = capsysbinary.readouterr().out.decode()
    assert out == "a\r\n'=HYPERLINK(1)\r\n'=1\r\n'@x\r\n\"\"\r\nyes\r\n\"a, b\"\r\n'\uff1d1\r\n"


def test_a_file_is_left_alone_where_the_command_fails(home: Home) -> None:
    (home.folder / "r.json").write_text("old")
    assert home.triage("report", "--output", "r.json").returncode == 78
    assert (home.folder / "r.json").read_text() == "old"
    assert os.listdir(home.folder) == ["r.json"]


def test_a_link_stays_one_and_a_device_is_refused(judged: Home) -> None:
    (judged.folder / "link.txt").symlink_to("real.txt")
    assert judged.triage("incidents", "--output", "link.txt").returncode == 0
    assert (judged.folder / "link.txt").is_symlink()
    assert (judged.folder / "real.txt").is_file()
    assert_two_lines(judged.triage("incidents", "--output", "/dev/null"), 2)


@pytest.mark.parametrize("command", ["incidents", "classify mails", "check-address a@b.example"])
def test_many_records_are_one_a_line_on_request(judged: Home, command: str) -> None:
    alike = [judged.triage(*command.split(), f"--{form}").stdout for form in ("json", "jsonl")]
    as_list, as_lines = json.loads(alike[0]), [json.loads(line) for line in alike[1].splitlines()]
    assert as_list == as_lines
    assert as_list or command == "incidents"  # files make none


def test_classify_hides_what_is_no_bounce_and_counts_it(home: Home) -> None:
    mails = home.copy(ALIAS, EXCHANGE)
    (mails / "news.eml").write_bytes(newsletter())
    lines = home.triage("classify", "mails", "--bounces-only").stdout.splitlines()
    assert len(lines) == 4
    assert "1 not-a-bounce" in lines[-1]
    assert len(by_schema("classify", home.triage("classify", "mails", "--bounces-only", "--json").stdout)) == 2
    assert len(by_schema("classify", home.triage("classify", "mails", "--json").stdout)) == 3
    (mails / ALIAS).unlink()
    (mails / EXCHANGE).unlink()
    assert json.loads(home.triage("classify", "mails", "--bounces-only", "--json").stdout) == []


def test_classify_ends_with_the_causes_for_whoever_reads_along(home: Home) -> None:
    home.copy(ALIAS, EXCHANGE)
    summary = ["By cause:", "  1  alias-credentials-rejected", "  1  recipient-unknown"]
    asked = home.triage("classify", "mails", "--jsonl", "--summary").stderr.splitlines()
    assert sorted(asked) == sorted(summary)
    assert home.triage("classify", "mails", "--jsonl").stderr == ""
    code, terminal, out = home.with_terminal_for_errors("classify", "mails")
    assert code == 0
    assert all(line in terminal for line in summary)  # a slow computer shows a bar before it
    assert len(out.splitlines()) == 4


def test_of_a_long_path_the_end_is_shown(home: Home) -> None:
    deep = home.folder / ("a" * 60) / ("b" * 60)
    deep.mkdir(parents=True)
    (deep / "the-one.eml").write_bytes((BOUNCES / ALIAS).read_bytes())
    for columns in (80, 130):
        text = home.on_terminal("classify", str(deep), columns=columns)[1]
        assert "the-one.eml" in text
        assert "..." in text
    assert str(deep / "the-one.eml") in home.triage("classify", str(deep)).stdout


def test_every_command_with_json_has_a_schema() -> None:
    with_json = {
        name.removeprefix("triage ")
        for name, command in every_command("triage", cli)
        if any("--json" in param.opts for param in command.params)
    }
    assert with_json - {"run"} == set(ANSWERS)
    kept = {f"{FOLDER}/{path.name}" for path in (ROOT / FOLDER).iterdir()}
    assert kept == set(schema_files())
    for name, made in schema_files().items():
        assert (ROOT / name).read_text(encoding="utf-8") == made(), f"run `make docs`: {name}"


def test_a_schema_refuses_what_is_something_else(home: Home) -> None:
    home.copy(ALIAS)
    (record,) = by_schema("classify", home.triage("classify", "mails", "--json").stdout)
    for wrong in ({**record, "side": "ours"}, {**record, "more": 1}, {key: record[key] for key in list(record)[1:]}):
        assert not validator("classify").is_valid([wrong])


def test_what_is_kept_and_what_was_given_up_keep_to_their_schemas(judged: Home) -> None:
    assert judged.triage("backup").returncode == 0
    assert len(by_schema("restore", judged.triage("restore", "--list", "--json").stdout)) == 1
    assert by_schema("retry", judged.triage("retry", "--dry-run", "--json").stdout) == []
    assert by_schema("undo", judged.triage("undo", "notes", "--dry-run", "--json").stdout) == []
    with sqlite3.connect(judged.folder / "triage.db") as db:
        db.execute(
            "INSERT INTO actions (mail_id, kind, target, payload, state, planned_at, done_at)"
            " SELECT id, 'label', 't1', '{\"label\": \"Bounce/Delayed\"}', 'done', seen_at, seen_at FROM mails LIMIT 1"
        )
    db.close()
    (one,) = by_schema("undo", judged.triage("undo", "labels", "--dry-run", "--json").stdout)
    assert (one["thread_id"], one["done"]) == ("t1", False)


def test_every_ending_has_a_form_somebody_writes() -> None:
    helps = " ".join(
        param.help or ""
        for _, command in every_command("triage", cli)
        for param in command.params
        if isinstance(param, click.Option)
    )
    assert all(ending in helps for ending in ENDINGS if ending != ".htm")
    assert Path("x.HTML").suffix.lower() in ENDINGS
