"""Times as the owner's clock shows them: on paper in her zone, days cut at her midnight; stored and in JSON in UTC."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

import parsers
from remediation import load_causes
from tests.report.made import NOW, RUN, report_of, row
from triage.cli.shared import read_settings
from triage.config import load_settings
from triage.display import day_words, local_day, retimed, step_words, tell_times_in, when_words
from triage.errors import ConfigError
from triage.incidents.words import IncidentFacts, incident_lines
from triage.judging.verdict import classify
from triage.letters.note import note_text
from triage.model import Incident
from triage.owner.explain import explain_mail
from triage.report.build import report_json
from triage.report.html import report_html
from triage.report.mail import subject, week
from triage.report.markdown import report_markdown
from triage.report.text import report_text

PACIFIC = ZoneInfo("America/Los_Angeles")


@pytest.fixture(autouse=True)
def utc_again() -> Iterator[None]:
    yield
    tell_times_in(UTC)


def test_a_moment_is_told_in_her_zone_summer_time_included() -> None:
    tell_times_in(PACIFIC)
    assert when_words("2026-11-24T02:30:00Z") == "Mon 23 Nov 2026 18:30 PST"
    assert when_words("2026-07-24T02:30:00Z") == "Thu 23 Jul 2026 19:30 PDT"
    assert local_day("2026-11-24T07") == "2026-11-23"
    assert local_day("2026-11-24T08") == "2026-11-24"


def test_a_stored_sentence_is_told_in_her_zone() -> None:
    tell_times_in(PACIFIC)
    words = "key AKIA…KV was made inactive on 1 Jan 06:02 UTC; first failure 31 Dec 2025 23:59 UTC"
    assert retimed(words, datetime(2026, 1, 2, tzinfo=UTC)) == (
        "key AKIA…KV was made inactive on 31 Dec 22:02 PST; first failure 31 Dec 2025 15:59 PST"
    )
    assert retimed("made on 30 Feb 06:02 UTC", NOW) == "made on 30 Feb 06:02 UTC"


SENT_STEP = "Then send the mail (time: 2026-11-18 01:12 UTC) to p1@client.example again."
HERS = "(time: 2026-11-17 17:12 PST)"
REFUSED_AGAIN = Path(__file__).parents[2] / "examples" / "mailbox" / "2-alias-login-refused-again.eml"


def test_the_time_a_step_names_is_told_in_her_zone_and_json_stays_utc() -> None:
    tell_times_in(PACIFIC)
    assert step_words(SENT_STEP, 300) == f"Then send the mail {HERS} to p1@client.example again."
    report = report_of([row(1, fix=[SENT_STEP])], runs=[RUN])
    pages = [form(report, full=full) for form in (report_text, report_markdown, report_html) for full in (False, True)]
    for page in pages:
        assert "01:12" not in page
        assert HERS in re.sub(r"\s+", " ", page)
    assert "2026-11-18 01:12 UTC" in report_json(report)


@pytest.mark.parametrize("moment", ["2026-02-31 10:00", "0001-01-01 00:00", "2026-11-18 25:00"])
def test_a_moment_that_never_was_stays_as_the_mail_says_it(moment: str) -> None:
    tell_times_in(PACIFIC)
    assert step_words(f"the mail (time: {moment} UTC)", 300) == f"the mail (time: {moment} UTC)"


def test_the_time_a_step_names_is_told_in_her_zone_in_note_explanation_and_incident() -> None:
    tell_times_in(PACIFIC)
    found = parsers.parse(REFUSED_AGAIN.read_bytes())
    records: list[Any] = [verdict.as_dict() | {"id": 2} for verdict in classify(found, "x")]
    assert "01:12 UTC" in str(records[0]["fix"])
    incident: Any = Incident(
        **dict[str, Any].fromkeys(field.name for field in fields(Incident))
        | {"id": 1, "key": "alias x", "kind": "alias", "state": "open", "cause": "alias-credentials-rejected"}
        | {"bounces": 1, "people": (), "openings": 1, "first_at": NOW, "last_at": NOW}
    )
    for text in (
        "\n".join(explain_mail(None, records, [], load_causes(), width=400)),
        "\n".join(incident_lines(incident, IncidentFacts(steps=records[0]["fix"]), NOW)),
        note_text([records[0] | {"cause": "complaint", "kind": "feedback"}], NOW),
    ):
        assert HERS in text
        assert "01:12" not in text


def test_yesterday_is_hers() -> None:
    at, now = "2026-11-23T02:00:00Z", datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
    assert day_words(at, now) == "today"
    tell_times_in(PACIFIC)
    assert day_words(at, now) == "yesterday"


def test_report_subject_and_week_follow_her_midnight_and_json_stays_utc() -> None:
    report = report_of([row(1)], runs=[RUN], now=datetime(2026, 11, 23, 3, 0, tzinfo=UTC))
    assert (subject(report)[:26], week(datetime(2026, 11, 23, 3, 0, tzinfo=UTC))) == (
        "Bounce report, Mon 23 Nov:",
        "2026-W48",
    )
    tell_times_in(PACIFIC)
    assert (subject(report)[:26], week(datetime(2026, 11, 23, 3, 0, tzinfo=UTC))) == (
        "Bounce report, Sun 22 Nov:",
        "2026-W47",
    )
    assert "up to Sun 22 Nov 2026 19:00 PST" in report_text(report)
    assert "Not delivered, by day (PST)" in report_text(report, full=True)
    assert '"until": "2026-11-23T03:00:00Z"' in report_json(report)


def test_the_setting_counts_and_without_it_the_computers_zone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIAGE_TIMEZONE", "America/Los_Angeles")
    read_settings(None)
    assert when_words(NOW).endswith("00:00 PST")
    monkeypatch.delenv("TRIAGE_TIMEZONE")
    read_settings(None)
    assert when_words(NOW).endswith(f"{NOW.astimezone():%H:%M %Z}")


@pytest.mark.parametrize("name", ["Mars/Olympus", "../../etc/passwd", "America"])
def test_a_zone_nobody_knows_is_refused_in_two_lines(tmp_path: Path, name: str) -> None:
    (tmp_path / "triage.toml").write_text(f'timezone = "{name}"\n')
    with pytest.raises(ConfigError, match="time zone") as refused:
        load_settings(tmp_path / "triage.toml", {})
    assert "America/Los_Angeles" in refused.value.todo
