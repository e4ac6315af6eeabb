"""`triage alerts test`, and the doctor's look at the same ways: each is really tried, and none shows its secret."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.doubles.gmail import GmailDouble
from tests.doubles.http_sink import HttpSink
from tests.incidents.made import ago, put, record
from tests.incidents.told import inbox, say, titles
from triage import store
from triage.cli import program as cli
from triage.config import load_settings
from triage.incidents import trial
from triage.owner import doctor_alerts

DEAD = "json://127.0.0.1:9/s3cr3t"
Triage = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def triage(tmp_path: Path, double: GmailDouble, capsys: pytest.CaptureFixture[str]) -> Triage:
    def run(config: str) -> tuple[int, list[str]]:
        double.write_credentials(tmp_path)
        (tmp_path / "triage.toml").write_text(f'gmail_url = "{double.url}"\n{config}')
        (tmp_path / "triage.toml").chmod(0o600)
        code = cli.main(["alerts", "test", "--config", str(tmp_path / "triage.toml")])
        out, err = capsys.readouterr()
        assert "s3cr3t" not in out + err
        assert err == ""
        return code, out.splitlines()

    return run


def test_every_way_gets_a_test(triage: Triage, sink: HttpSink, double: GmailDouble) -> None:
    code, lines = triage(f'alerts = ["{sink.apprise}"]\nping_url = "{sink.url}/ping/s3cr3t"\n')
    assert code == 0
    assert [line.partition(":")[0].partition("-")[0] for line in lines] == ["inbox", "json", "ping URL"]
    assert "DEAD" not in "".join(lines)
    assert titles(sink) == [trial.TITLE]
    assert sink.pings == ["/ping/s3cr3t/log"], "neither a start nor an end of the job"
    (letter,) = inbox(double)
    assert (letter["Subject"], letter["To"]) == (trial.TITLE, "jadasailing@gmail.com")


def test_one_dead_way_ends_it_with_1_and_says_which(triage: Triage, sink: HttpSink, double: GmailDouble) -> None:
    code, lines = triage(f'alerts = ["{sink.apprise}", "{DEAD}"]\nping_url = "{DEAD.replace("json", "http")}"\n')
    assert code == 1
    assert [": DEAD, " in line for line in lines] == [False, False, True, True]
    assert lines[2].endswith("no connection. Mend address 2 of `alerts` in triage.toml.")
    assert lines[3] == "ping URL: DEAD, no connection. Mend `ping_url` in triage.toml."
    assert titles(sink) == [trial.TITLE], "the others are tried all the same"


def test_a_dead_sign_in_is_a_dead_inbox(triage: Triage, tmp_path: Path, double: GmailDouble) -> None:
    code, lines = triage('token = "nowhere.json"\n')
    assert (code, len(lines)) == (1, 1)
    assert lines[0].startswith("inbox: DEAD, ")
    assert lines[0].endswith("See: triage doctor")


def test_where_nobody_would_be_told_it_says_so(triage: Triage, double: GmailDouble) -> None:
    nobody = "Nobody would be told: set `alerts` or `alert_inbox` in triage.toml."
    assert triage("alert_inbox = false\n") == (1, [nobody])


# The doctor

Look = Callable[..., list[tuple[str, str, str, str | None]]]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    def check(config: str, at: datetime | None = None) -> list[tuple[str, str, str, str | None]]:
        (tmp_path / "triage.toml").write_text(config)
        (tmp_path / "triage.toml").chmod(0o600)
        settings = load_settings(tmp_path / "triage.toml", {})
        return list(doctor_alerts.check_alerts(settings, at or datetime.now(UTC)))

    return check


def test_the_doctor_says_that_nobody_would_be_told(look: Look) -> None:
    ((name, state, words, todo),) = look("alert_inbox = false\n")
    assert (name, state) == ("alerts", "warn")
    assert words.startswith("nobody would be told: ")
    assert "triage alerts test" in str(todo)


def test_the_doctor_tries_each_way_and_names_the_dead_ones(look: Look, sink: HttpSink, tmp_path: Path) -> None:
    found = look(f'alerts = ["{sink.apprise}", "{DEAD}"]\nping_url = "{sink.url}/ping/s3cr3t"\n')
    assert [(name, state) for name, state, _, _ in found] == [
        *(("alerts", "ok"), ("alerts", "ok"), ("alerts", "fail"), ("ping URL", "ok")),
    ]
    assert found[2][3] == "Mend address 2 of `alerts` in triage.toml, then: triage alerts test"
    assert "s3cr3t" not in str(found)
    assert titles(sink) == [trial.TITLE]
    assert not (tmp_path / "triage.db").exists(), "looking makes nothing"
    sink.status = 404
    assert look(f'ping_url = "{sink.url}/ping/s3cr3t"\n')[-1][1:3] == (
        "fail",
        "the watcher is not reached: it answered with error 404",
    )


def test_the_doctor_sends_one_test_a_day(look: Look, sink: HttpSink, tmp_path: Path) -> None:
    store.open_store(tmp_path / "triage.db").close()
    now, config = datetime(2026, 11, 24, 9, tzinfo=UTC), f'alert_inbox = false\nalerts = ["{sink.apprise}"]\n'
    for hours, number in ((0, 1), (1, 1), (23, 1), (25, 2)):
        ((_, state, _, _),) = look(config, now + timedelta(hours=hours))
        assert (state, len(sink.told)) == ("ok", number), hours


def test_what_failed_in_a_run_is_tried_at_once(look: Look, sink: HttpSink, tmp_path: Path) -> None:
    config = f'alert_inbox = false\nalerts = ["{sink.apprise}"]\n'
    with closing(store.open_store(tmp_path / "triage.db")) as db:
        put(db, 1, record(), at=ago(hours=1))
        (tmp_path / "triage.toml").write_text(config)
        (tmp_path / "triage.toml").chmod(0o600)
        sink.status = 500
        say(db, load_settings(tmp_path / "triage.toml", {}))
    ((_, state, words, _),) = look(config)
    assert state == "fail"
    assert "answered with error 500; 1 alert waits for it" in words
    sink.status = 200
    ((_, state, words, _),) = look(config)
    assert (state, words.endswith("just now; 1 alert waits for it")) == ("ok", True)
