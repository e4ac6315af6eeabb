"""No fix prints a word of a mail as a name of ours: these come from settings, Gmail or AWS, else a placeholder."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlite_utils import Database

import parsers
from parsers.facts import Bounce
from remediation import load_causes
from remediation.suggest import VALUES, Names, cut
from tests.incidents.made import ALIAS, NOW, ago, publish, put, record, ses_refused, taken
from tests.worlds.made_mails import alias_notice
from triage import store
from triage.config import Settings
from triage.fixes import OwnAccount, OwnAddress, ToldBySes, fix_of, names_of
from triage.incidents.alerts import facts_of
from triage.judging.verdict import classify
from triage.letters.note import note_text
from triage.names import known_names
from triage.owner.explain_lookup import explain_stored
from triage.report.build import read_report

ROOT = Path(__file__).parents[2]
CAUSES = load_causes()
EVIL = "smtp-relay.evil.example"
RELAY = "email-smtp.us-east-1.amazonaws.com"
ACCOUNT = OwnAccount("jadasailing@gmail.com", (OwnAddress("jadasailing@gmail.com"), OwnAddress(ALIAS, RELAY, 587)))
MARKER = "zqmarker"
OF_A_MAIL = (
    *("diagnostic", "remote_host", "status", "reply_code", "platform", "reported_by", "evidence", "rule", "source"),
    *("original_recipient", "reason"),
)
OF_THE_ORIGINAL = (
    *("message_id", "gmail_message_id", "ses_message_id", "ses_region", "ses_id_source", "sent_at", "from"),
    *("subject", "path"),
)


def steps_of(cause: str, names: Names | None = None, **values: Any) -> list[str]:
    original = {key: values.pop(key) for key in OF_THE_ORIGINAL if key in values}
    return fix_of(
        {"kind": "failed", "cause": cause, "recipient": "pat@client.example", "original": original} | values, names
    )


def commands(steps: list[str]) -> list[str]:
    return [command for step in steps for command in step.split("`")[1::2]]


def changes(command: str) -> bool:
    return re.match(r"(?:aws [a-z0-9-]+ (?:get|list|describe)-|dig |nc |openssl )", command) is None


# -- a notice that names the attacker's server ----------------------------------------------------------------------


def forged_notice() -> bytes:
    words = (
        f"535 5.7.8 Your relay has moved: SMTP Server {EVIL}, port 2526, user arn:aws:iam::1:user/evil, in region"
        f" eu-evil-1 https://{EVIL}/login"
    )
    notice = alias_notice(1).replace(b"535 Authentication Credentials Invalid", words.encode())
    return notice.replace(b"From: admin@queenofsandiego.com\r\nTo", f"From: admin@{EVIL}\r\nTo".encode())


@pytest.mark.parametrize("account", [None, ACCOUNT])
def test_a_forged_notice_cannot_name_the_server_to_enter(plain: Settings, account: OwnAccount | None) -> None:
    found = parsers.parse(forged_notice())
    assert isinstance(found, Bounce)
    (verdict,) = (one.as_dict() for one in classify(found, "gmail:1"))
    assert EVIL in (verdict["diagnostic"] or "") + str(verdict["original"])
    for host in (None, EVIL):
        text = "\n".join(fix_of(verdict | {"remote_host": host}, names_of(verdict, plain, account)))
        assert "evil" not in text
        assert "2526" not in text
        assert "SMTP Server: " in text


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("field", [*OF_A_MAIL, *OF_THE_ORIGINAL])
def test_no_field_of_a_mail_reaches_any_fix(cause: str, field: str) -> None:
    for value in (
        *(MARKER, f"{MARKER}.example", f"{MARKER}@evil.example", f"email-smtp.{MARKER}-west-1.amazonaws.com"),
        f"arn:aws:iam::123456789012:user/{MARKER} in region {MARKER}-west-1 configuration-set/{MARKER} [{MARKER}]",
    ):
        assert MARKER not in "\n".join(steps_of(cause, **{field: value}))
        assert MARKER not in "\n".join(steps_of(cause, Names(smtp_host=RELAY, region="us-east-1"), **{field: value}))


@given(
    st.sampled_from(sorted(CAUSES)),
    st.dictionaries(st.sampled_from([*OF_A_MAIL, *OF_THE_ORIGINAL]), st.text(max_size=60)),
    st.sampled_from(["{} ", " {}", "<{}>", "{}.example", "x@{}.example", "'{}'", "550 {}", "`{}`", "{}-west-1"]),
)
def test_no_planted_word_reaches_any_fix(cause: str, values: dict[str, str], form: str) -> None:
    planted = {field: text + form.format(MARKER) for field, text in values.items()}
    assert MARKER not in "\n".join(steps_of(cause, **planted))


@pytest.mark.parametrize("cause", CAUSES)
def test_what_changes_something_takes_nothing_from_a_mail_and_never_everything(cause: str) -> None:
    given_up = {"code": "599 5.9.99", "sent_at": "1999-09-09T09:09:09Z"}
    steps = steps_of(cause, recipient=f"{MARKER}@{MARKER}.example", reply_code="599", **given_up)
    for command in filter(changes, commands(steps)):
        assert not re.search(rf"{MARKER}|599|1999", command)
        assert "*" not in command
        assert not re.search(r'"Resource":\s*"\*', command)


def test_there_are_commands_that_change_something() -> None:
    """Of those that only look some name the recipient, so the test above tells the two apart."""
    looking, changing = set(), set()
    for cause in CAUSES:
        for command in commands(steps_of(cause, recipient=f"{MARKER}@client.example")):
            (changing if changes(command) else looking).add(command)
    assert any(MARKER in command for command in looking)
    for word in ("put-user-policy", "create-email-identity", "delete-suppressed-destination", "put-account-sending"):
        assert any(word in command for command in changing)


def test_a_mail_may_tell_four_things() -> None:
    told = {name for name, value in VALUES.items() if value.told is not None}
    assert told == {"recipient", "recipient_domain", "code", "sent_at"}
    assert all((value.known is None) == (name in told) for name, value in VALUES.items())
    blanks = [blank for cause in CAUSES.values() for step in cause.steps for blank in cut(step.text).blanks]
    assert not [blank for blank in blanks if blank.place == "changing" and blank.name in ("code", "sent_at")]


def test_one_place_fills_a_fix() -> None:
    """Whoever else called it could hand it a word of a mail."""
    callers = set()
    for path in [
        *(ROOT / "triage").rglob("*.py"),
        *(ROOT / "remediation").rglob("*.py"),
        *(ROOT / "docs").glob("*.py"),
    ]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            taken = {one.name for one in node.names} if isinstance(node, ast.ImportFrom) else set()
            if "suggest" in taken:
                callers.add(path.relative_to(ROOT).as_posix())
    assert callers == {"triage/fixes.py"}


# -- what a mail chooses among --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "alias", "domain"),
    [
        (ALIAS, ALIAS, "queenofsandiego.com"),
        (ALIAS.upper(), ALIAS, "queenofsandiego.com"),
        ("news@queenofsandiego.com", None, "queenofsandiego.com"),
        (f"admin@{EVIL}", None, None),
        ("admin@queenofsandiego.com.evil.example", None, None),
        (None, ALIAS, "queenofsandiego.com"),
    ],
)
def test_the_address_is_one_of_ours(plain: Settings, said: str | None, alias: str | None, domain: str | None) -> None:
    names = names_of(record(**{"from": said}), plain, ACCOUNT)
    assert (names.alias, names.domain) == (alias, domain)
    assert names.smtp_host == (RELAY if alias else None)


@pytest.mark.parametrize(
    ("changes", "region"),
    [
        ({"ses_region": "us-west-2"}, "us-west-2"),
        ({"ses_region": "eu-west-1"}, None),
        ({"diagnostic": "554 not verified in region EU-CENTRAL-1: x"}, "eu-central-1"),
        ({"diagnostic": "554 not verified in region AP-SOUTH-1: x"}, None),
        ({"diagnostic": "554 no"}, None),
        ({"remote_host": "email-smtp.us-west-2.amazonaws.com"}, "us-west-2"),
    ],
)
def test_the_region_is_one_of_ours(plain: Settings, changes: dict[str, Any], region: str | None) -> None:
    settings = replace(plain, regions=("us-west-2", "eu-central-1"))
    assert names_of(ses_refused(**({"path": "ses-api", "diagnostic": None} | changes)), settings).region == region
    told = ToldBySes(region="us-east-2")
    assert names_of(ses_refused(**changes), settings, None, told).region == "us-east-2"


def test_a_login_of_another_alias_is_not_taken(plain: Settings) -> None:
    settings = replace(plain, smtp_user="ses-smtp", smtp_host="smtp.example.org", smtp_alias="other@example.org")
    names = names_of(record(), settings, ACCOUNT)
    assert (names.iam_user, names.smtp_host) == (None, RELAY)
    names = names_of(record(), replace(settings, smtp_alias=ALIAS))
    assert (names.iam_user, names.smtp_host, names.alias) == ("ses-smtp", "smtp.example.org", ALIAS)


# -- known names are used, and what is learnt later is in what is open ------------------------------------------------


def told_everywhere(db: Database, settings: Settings, verdict_id: int) -> dict[str, str]:
    """What report, explanation and incident say of a verdict."""
    (incident,) = store.read_incidents(db)
    report = read_report(db, settings, since=ago(days=7), now=NOW)
    return {
        "report": "\n".join(step for trouble in report.own for step in trouble.fix),
        "explain": " ".join(" ".join(explain_stored(str(verdict_id), settings, 100)).split()),
        "incident": "\n".join(facts_of(db, settings, incident).steps),
    }


def note_of(db: Database, settings: Settings, verdict_id: int) -> str:
    """The note, which has room for what is to be clicked only."""
    records = [store.verdicts_numbered(db, [verdict_id])[verdict_id]]
    return " ".join(note_text(records, NOW, names=known_names(db, settings, records[0])).split())


def test_what_is_learnt_later_is_in_everything_that_is_open(db: Database, plain: Settings) -> None:
    (number,) = put(db, 1, record(), at=ago(hours=1))
    for text in told_everywhere(db, plain, number).values():
        assert "the account this bounce arrived in" in text
        assert "--user-name IAM_USER" in text
    store.names.keep_account(db, ACCOUNT)
    publish(db, taken(ago(hours=5), sender=ALIAS))
    for text in told_everywhere(db, plain, number).values():
        assert "aws iam list-access-keys --user-name ses-smtp-admin" in text
        assert "In Gmail on a computer (jadasailing@gmail.com)" in text
        assert f'"edit info" beside {ALIAS}' in text
        assert "SES console in us-east-1" in text
    assert f'"edit info" beside {ALIAS}' in note_of(db, plain, number)
    settings = replace(plain, smtp_user="ses-smtp-user")
    for text in told_everywhere(db, settings, number).values():
        assert "aws iam list-access-keys --user-name ses-smtp-user" in text


def test_what_is_stored_with_a_verdict_is_not_what_is_told(db: Database, plain: Settings) -> None:
    """An earlier version filled a fix with the words of the mail, and such rows are in databases."""
    (number,) = put(db, 1, record(), at=ago(hours=1))
    db.execute("UPDATE verdicts SET fix = ?", [f'["SMTP Server: {EVIL}"]'])
    db.conn.commit()
    for text in (*told_everywhere(db, plain, number).values(), note_of(db, plain, number)):
        assert EVIL not in text
        assert "SMTP Server" in text or "SES console" in text
