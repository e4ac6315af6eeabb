"""Whatever is known of our own side stands in every text of ours: no placeholder, and no words for "we do not know"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from remediation import load_causes
from remediation import suggest as filling
from remediation.suggest import VALUES, Names, suggest
from tests.incidents.made import ALIAS, NOW, RELAY, ago
from tests.worlds.known import ACCOUNT, KEY, MAILBOX, REGION, USER, fail, learn_everything, settings_known
from triage import store
from triage.config import Settings
from triage.incidents import incident_lines
from triage.incidents.alerts import facts_of
from triage.incidents.words import alert_body, alert_title
from triage.letters.note import note_text
from triage.names import known_names
from triage.owner.explain_lookup import explain_file, explain_stored, explain_text
from triage.report import read_report, report_html, report_json, report_markdown, report_text

OWN = [cause.id for cause in load_causes().values() if cause.side == "own"]
OF_ONE_MAIL = {
    *("alias-recipient-suppressed", "gmail-outbound-blocked", "ses-content-rejected", "ses-suppressed"),
    *("ses-suppressed-for-tenant", "ses-temporary-failure", "ses-unsubscribed", "ses-validation-failed"),
}
"""Causes about a single mail, or that pass by themselves: they open no incident."""
BOUNCES = Path(__file__).parents[1] / "bounces"
WIDE = 100_000
"""Columns: nothing is broken over two lines, so that what is looked for is found."""

NOBODY_TELLS = {
    "SMTP_USER": "Gmail never says which user name an alias has: sendAs.smtpMsa.username is write-only",
    "ACCOUNT_ID": "an event is kept without the number of the account",
    "SET_NAME": "an event is kept without the configuration set",
    "CONFIGURATION_SET": "the same",
    "MAIL_FROM_DOMAIN": "the step tells how it is looked up",
    "CONTACT_LIST": "the step tells how it is looked up",
    "RECIPIENT": "a command that changes something never takes an address out of a mail",
}
"""What stays in capitals in these fixes, to be filled in by whoever types the command, and why."""

_SHOUTED = {"USE_DEFAULT_VALUE"}
"""Words of AWS's own."""


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A blank that nothing fills is marked with its name: the words that stand there else also stand elsewhere."""
    open_blanks = {
        name: value._replace(unknown=f"GAP-{name}", in_shell=f"GAP-{name}") for name, value in VALUES.items()
    }
    monkeypatch.setattr(filling, "VALUES", open_blanks)


def gaps(text: str) -> set[str]:
    """The blanks that nothing filled, and words in capitals that stand for something, but those nobody can fill."""
    text = text.replace("delete-suppressed-destination --email-address GAP-recipient", "RECIPIENT")
    found = {*re.findall(r"GAP-\w+", text), *re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", text)}
    return found - {*NOBODY_TELLS, *_SHOUTED}


def everything_said(db: Database, settings: Settings, verdict_id: int) -> Iterator[tuple[str, str]]:
    """(where, text) of all that is told about a verdict."""
    report = read_report(db, settings, since=ago(days=7), now=NOW)
    for full in (False, True):
        yield f"report, {full=}", report_text(report, WIDE, full=full)
        yield f"report in Markdown, {full=}", report_markdown(report, full=full)
        yield f"report in HTML, {full=}", report_html(report, full=full)
    yield "report in JSON", report_json(report)
    yield "explain", "\n".join(explain_stored(str(verdict_id), settings, WIDE))
    records = [store.verdicts_numbered(db, [verdict_id])[verdict_id]]
    yield "note", note_text(records, NOW, names=known_names(db, settings, records[0]))
    for incident in store.read_incidents(db):
        facts = facts_of(db, settings, incident)
        yield "incidents show", "\n".join(incident_lines(incident, facts, NOW))
        for occasion in ("opened", "reminder"):
            yield (
                f"alert, {occasion}",
                f"{alert_title(incident, occasion, NOW)}\n{alert_body(incident, occasion, facts, NOW)}",
            )


@pytest.mark.usefixtures("marked")
@pytest.mark.parametrize("cause", OWN)
def test_where_everything_is_known_nothing_is_left_open(db: Database, plain: Settings, cause: str) -> None:
    settings = settings_known(plain)
    learn_everything(db)
    verdict_id = fail(db, 1, cause)
    said = dict(everything_said(db, settings, verdict_id))
    assert {"explain", "note"} <= set(said)
    assert ("incidents show" in said) == (cause not in OF_ONE_MAIL)
    assert {where: found for where, text in said.items() if (found := gaps(text))} == {}


def test_each_gap_that_nobody_can_fill_is_in_a_fix() -> None:
    record = {"remote_host": RELAY, "platform": "amazon-ses", "recipient": "pat@client.example"}
    fixes = " ".join(
        step
        for host in (RELAY, "smtp.office365.com")
        for id_ in OWN
        for step in suggest(record | {"cause": id_, "remote_host": host})
    )
    assert {word for word in (*NOBODY_TELLS, *_SHOUTED) if re.search(rf"\b{word}\b", fixes)} == {
        *NOBODY_TELLS,
        *_SHOUTED,
    }


@pytest.mark.usefixtures("marked")
def test_the_gaps_are_seen_where_nothing_is_known(db: Database, plain: Settings) -> None:
    verdict_id = fail(db, 1, "alias-credentials-rejected")
    said = dict(everything_said(db, plain, verdict_id))
    assert {"GAP-mailbox", "GAP-region", "GAP-iam_user"} <= gaps(said["explain"])
    assert gaps(said["incidents show"])
    assert gaps(said["report, full=True"])


def test_a_renewal_tells_the_user_and_the_key_where_the_settings_do_not(db: Database, plain: Settings) -> None:
    learn_everything(db)
    db.execute("UPDATE events SET caller = NULL")
    verdict_id = fail(db, 1, "alias-credentials-rejected")
    record = store.verdicts_numbered(db, [verdict_id])[verdict_id]
    names = known_names(db, plain, record)
    assert (names.iam_user, names.access_key_id) == (USER, KEY)


def test_a_user_that_is_known_is_not_looked_for() -> None:
    record: dict[str, Any] = {"cause": "alias-credentials-rejected", "remote_host": RELAY}
    assert "if you do not know the IAM user" in " ".join(suggest(record))
    known = " ".join(suggest(record, Names(iam_user=USER)))
    assert f"--user-name {USER}" in known
    assert "get-access-key-last-used" not in known


@pytest.mark.parametrize("way", ["file", "text"])
def test_what_the_database_knows_stands_in_the_explanation_of_a_file_or_a_text(
    db: Database, plain: Settings, way: str
) -> None:
    def told() -> str:
        if way == "text":
            return "\n".join(explain_text("535 Authentication Credentials Invalid", plain, WIDE, "relay"))
        return "\n".join(explain_file(str(BOUNCES / "gmail-alias-ses-535.eml"), BytesIO(), plain, WIDE))

    assert "the account this bounce arrived in" in told()
    store.names.keep_account(db, ACCOUNT)
    assert f"In Gmail on a computer ({MAILBOX})" in told()
    assert f'"edit info" beside {ALIAS}' in told()
    assert REGION in told()


@pytest.mark.parametrize("content", [None, b"no database at all" * 100])
def test_a_file_is_explained_without_a_database_that_can_be_read(plain: Settings, content: bytes | None) -> None:
    if content is not None:
        plain.database.write_bytes(content)
    assert explain_file(str(BOUNCES / "gmail-alias-ses-535.eml"), BytesIO(), plain, 100)
    assert plain.database.exists() == (content is not None)
