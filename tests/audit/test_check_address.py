"""`triage check-address`: what is known of a recipient before a mail is sent, without asking his server."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation.audit.address import History, check_address, domain_of
from remediation.audit.spelling import BIG_DOMAINS, meant_instead
from remediation.aws.client import NotLookedUp
from remediation.aws.ses import Suppressed, address_insights
from tests.doubles.aws import REGION, AwsDouble
from tests.doubles.zone import ZoneDouble
from tests.worlds.made_dns import UNKNOWN, made_ask
from tests.worlds.schemas import by_schema
from triage.cli.program import main
from triage.model import StoredMail
from triage.store import open_store, store_judged

PAT = "pat@client.example"
MX: dict[str, Sequence[str]] = {"MX client.example": ["10 mx.client.example"]}
GOOD = MX | {"A mx.client.example": ["192.0.2.9"]}
TWO: dict[str, Sequence[str]] = GOOD | {"MX client.example": ["10 mx.client.example", "20 mx2.client.example"]}
AT = datetime(2026, 11, 20, 8, tzinfo=UTC)
ENTRY = Suppressed(PAT, "BOUNCE", AT, "0100019e1c2d3e4f-00000001-aaaa-4bbb-8ccc-0123456789ab-000000")


def found(
    address: str = PAT,
    table: dict[str, Sequence[str]] = GOOD,
    suppressed: dict[str, Suppressed | NotLookedUp | None] | None = None,
    history: History | None = None,
) -> dict[str, str]:
    return {f.check: f.state for f in check_address(address, made_ask(table), suppressed or {}, history)}


@pytest.mark.parametrize(
    ("address", "domain"),
    [
        ("pat@client.example", "client.example"),
        ("p.a+t=x'y@Client.EXAMPLE", "client.example"),
        ("pat@bücher.example", "xn--bcher-kva.example"),
        (" pat@client.example ", "client.example"),
    ],
)
def test_what_is_an_address(address: str, domain: str) -> None:
    assert domain_of(address) == domain


@pytest.mark.parametrize(
    "address",
    [
        *("", "pat", "@client.example", "pat@", "pat@client", "pat@@client.example", "pat @client.example"),
        *(".pat@client.example", "pat.@client.example", "p..t@client.example", "pat@client..example"),
        *("pat@-client.example", "pat@client.example-", "pat@192.0.2.1", "pat@[192.0.2.1]", "<pat@client.example>"),
        *("x" * 65 + "@client.example", "pat@" + "x" * 64 + ".example", "pat@client.example,sam@client.example"),
        *("pät@client.example", '"p t"@client.example', "pat@client_example.org", "pat@client.example\n.org"),
    ],
)
def test_what_is_none(address: str) -> None:
    assert domain_of(address) is None
    assert found(address) == {"recipient-syntax": "fail"}


@given(st.text(max_size=80))
def test_no_text_breaks_it(text: str) -> None:
    assert found(text)["recipient-syntax"] in ("ok", "fail")


@pytest.mark.parametrize(
    ("table", "state"),
    [
        (GOOD, "ok"),
        (MX | {"AAAA mx.client.example": ["2001:db8::9"]}, "ok"),
        (MX, "fail"),
        (MX | {"A mx.client.example": UNKNOWN}, "unknown"),
        (GOOD | {"CNAME mx.client.example": ["mx.other.example"]}, "warn"),
        (TWO, "warn"),
        (TWO | {"A mx2.client.example": ["192.0.2.10"]}, "ok"),
        ({"MX client.example": ["10 mx.client.example", "20 mx2.client.example"]}, "fail"),
        ({"MX client.example": ["10 192.0.2.1"]}, "fail"),
        ({"MX client.example": ["0 .", "10 mx.client.example"], "A mx.client.example": ["192.0.2.9"]}, "ok"),
        ({"MX client.example": ["0 ."]}, "fail"),
        ({"A client.example": ["192.0.2.1"]}, "warn"),
        ({"AAAA client.example": ["2001:db8::1"]}, "warn"),
        ({"TXT client.example": ["hello"]}, "fail"),
        ({}, "fail"),
        ({"MX client.example": UNKNOWN}, "unknown"),
        ({"A client.example": UNKNOWN}, "unknown"),
        ({"AAAA client.example": UNKNOWN}, "unknown"),
    ],
)
def test_the_domain_must_take_mail(table: dict[str, Sequence[str]], state: str) -> None:
    assert found(table=table)["recipient-domain"] == state


@pytest.mark.parametrize(
    ("entry", "state"),
    [(None, "ok"), (ENTRY, "fail"), (NotLookedUp("the list", "denied", "denied"), "unknown")],
)
def test_the_suppression_list(entry: Suppressed | NotLookedUp | None, state: str) -> None:
    assert found(suppressed={REGION: entry})["recipient-suppressed"] == state


def bounce(cause: str, side: str = "remote") -> dict[str, Any]:
    return {"id": 7, "received_at": "2026-11-10T08:00:00Z", "cause": cause, "side": side, "permanent": 1}


@pytest.mark.parametrize(
    ("history", "state", "words"),
    [
        (History([], None), "ok", "none"),
        (History([bounce("recipient-unknown")], None), "fail", "1, the last on 2026-11-10: recipient-unknown"),
        (History([bounce("mailbox-full")], None), "warn", "mailbox-full"),
        (History([bounce("recipient-unknown")], AT), "ok", "delivered since, on 2026-11-20"),
        (History([bounce("recipient-unknown")], datetime(2026, 11, 1, tzinfo=UTC)), "fail", "recipient-unknown"),
        (
            History([bounce("alias-credentials-rejected", "own")], None),
            "ok",
            "none; 1 failed on our own side, which says nothing about the address",
        ),
    ],
)
def test_what_is_on_record(history: History, state: str, words: str) -> None:
    told = [f for f in check_address(PAT, made_ask(GOOD), {}, history) if f.check == "recipient-history"]
    assert [finding.state for finding in told] == [state]
    assert words in told[0].answered


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        *(
            ("gmial.com", "gmail.com"),
            ("gmai.com", "gmail.com"),
            ("gmaill.com", "gmail.com"),
            ("gnail.com", "gmail.com"),
        ),
        *(
            ("gmail.con", "gmail.com"),
            ("gmail.co", "gmail.com"),
            ("gmail.cmo", "gmail.com"),
            ("agmail.com", "gmail.com"),
        ),
        *(("hotmial.com", "hotmail.com"), ("outlok.com", "outlook.com"), ("yaho.com", "yahoo.com")),
        *(("iclod.com", "icloud.com"), ("hotmail.co.uj", "hotmail.co.uk")),
        *(
            (name, None)
            for name in ("gmail.com", "ymail.com", "mail.com", "email.com", "client.example", "example.org")
        ),
        *((name, None) for name in ("gmailer.com", "gmx.org", "web.dk", "me.co", "aol.de", "g.com", "", "gmail")),
    ],
)
def test_a_slip_in_a_well_known_domain_is_asked_about(typed: str, meant: str | None) -> None:
    assert meant_instead(typed) == meant


def test_no_well_known_domain_is_held_for_a_slip_of_another_and_none_is_taken_that_got_mail() -> None:
    assert [name for name in BIG_DOMAINS if meant_instead(name)] == []
    table = {"MX gmial.com": ["10 mx.client.example"], "A mx.client.example": ["192.0.2.9"]}
    told = {f.check: f for f in check_address("pat@gmial.com", made_ask(table), {}, None)}
    assert told["recipient-spelling"].state == "warn"
    assert "Did you mean pat@gmail.com?" in told["recipient-spelling"].fix[0]
    assert found("pat@gmial.com", table, history=History([], AT))["recipient-spelling"] == "ok"


@given(st.text(max_size=20), st.sampled_from(sorted(BIG_DOMAINS)))
def test_a_slip_is_one_of_one_letter(text: str, big: str) -> None:
    meant = meant_instead(text)
    assert meant is None or abs(len(meant) - len(text)) <= 1
    assert meant_instead(f"{big}{text}xx") in (None, *BIG_DOMAINS)


OPINIONS: dict[str, tuple[dict[str, Any], str, str]] = {
    "good": ({"IsValid": "HIGH", "MailboxExists": "HIGH", "IsDisposable": "LOW"}, "ok", "valid: HIGH"),
    "no mailbox": ({"IsValid": "LOW", "MailboxExists": "LOW"}, "warn", "the mailbox hardly exists"),
    "throw-away": ({"IsValid": "MEDIUM", "IsDisposable": "HIGH"}, "warn", "throw-away"),
    "silent": ({}, "ok", "it does not say"),
}


@pytest.mark.parametrize("name", OPINIONS)
def test_what_ses_thinks_of_an_address(
    dns: ZoneDouble, aws: AwsDouble, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    said, state, words = OPINIONS[name]
    verdicts = {key: {"ConfidenceVerdict": value} for key, value in said.items()}
    valid = {"IsValid": verdicts.pop("IsValid")} if "IsValid" in verdicts else {}
    aws.ses.region(REGION).opinions[PAT] = {"MailboxValidation": {**valid, "Evaluations": verdicts}}
    main(["check-address", "--json", "--insights", PAT])
    rows = {row["check"]: row for row in by_schema("check-address", capsys.readouterr().out)[0]["findings"]}
    assert rows["recipient-insights"]["state"] == state
    assert words in rows["recipient-insights"]["evidence"]["answered"]
    assert REGION in rows["recipient-insights"]["evidence"]["answered"]


def test_ses_is_asked_for_its_opinion_only_on_request_and_may_decline(
    dns: ZoneDouble, aws: AwsDouble, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["check-address", PAT]) == 0
    assert aws.ses.calls["GetEmailAddressInsights"] == 0
    aws.ses.fail("GetEmailAddressInsights", status=403, code="AccessDeniedException")
    assert main(["check-address", "--insights", PAT]) == 0
    assert "may not call ses:GetEmailAddressInsights" in " ".join(capsys.readouterr().out.split())
    monkeypatch.setattr("botocore.xform_name", lambda name: "no_such_call")
    away = address_insights(REGION, PAT)
    assert isinstance(away, NotLookedUp)
    assert away.why.startswith("the AWS library here is too old for ses:GetEmailAddressInsights")


# -- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[ZoneDouble]:
    with ZoneDouble() as double:
        yield double


@pytest.fixture
def dns(server: ZoneDouble, aws: AwsDouble, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ZoneDouble:
    server.reset()
    server.set("client.example", "MX", "10 mx.client.example.")
    server.set("mx.client.example", "A", "192.0.2.9")
    server.set("closed.example", "MX", "0 .")
    for name in [name for name in os.environ if name.startswith("TRIAGE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TRIAGE_DNS", server.address)
    monkeypatch.setenv("TRIAGE_REGIONS", f"{REGION},us-west-2")
    monkeypatch.setenv("TRIAGE_DATABASE", str(tmp_path / "triage.db"))
    return server


def test_several_addresses_and_what_speaks_against_each(
    dns: ZoneDouble, aws: AwsDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.ses.suppress("sam@client.example", "us-west-2")
    code = main(["check-address", PAT, "sam@client.example", "kim@closed.example", "nobody", PAT])
    out = capsys.readouterr().out
    assert code == 1
    heads = [line for line in out.splitlines() if not line.startswith(" ")]
    assert heads == [
        f"{PAT}: nothing against it (whether the mailbox exists, only a mail can tell)",
        "sam@client.example: a mail would not arrive",
        "kim@closed.example: a mail would not arrive",
        "nobody: a mail would not arrive",
    ]
    assert "delete-suppressed-destination --email-address sam@client.example --region us-west-2" in out
    assert "on the list of us-west-2" in " ".join(out.split())


def test_our_own_history_counts(dns: ZoneDouble, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = {
        "kind": "failed",
        "recipient": "Pat@client.example",
        "cause": "recipient-unknown",
        "side": "remote",
        "permanent": True,
        "genuine": "pass",
        "source": "x",
        "original": None,
    }
    with closing(open_store(tmp_path / "triage.db")) as db:
        store_judged(db, StoredMail("x", received_at=AT, raw=b"x"), [record], [], AT)
        store_judged(
            db,
            StoredMail("y", received_at=AT, raw=b"y"),
            [{**record, "genuine": "fail", "recipient": "kim@client.example"}],
            [],
            AT,
        )
    assert main(["check-address", PAT]) == 1
    assert "recipient-history" in capsys.readouterr().out
    assert main(["check-address", "kim@client.example"]) == 0


def test_what_could_not_be_looked_up_does_not_speak_against_an_address(
    dns: ZoneDouble, aws: AwsDouble, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remediation.dns.lookup.LIFETIME_SECONDS", 0.5)
    dns.fail("client.example", "drop")
    aws.ses.fail("GetSuppressedDestination", times=None, status=403, code="AccessDeniedException")
    assert main(["check-address", "--json", PAT]) == 0
    (record,) = by_schema("check-address", capsys.readouterr().out)
    assert (record["address"], record["state"]) == (PAT, "unknown")
    assert [row["state"] for row in record["findings"]] == ["ok", "ok", "unknown", "unknown", "unknown"]


def test_a_command_to_copy_cannot_be_made_to_do_something_else() -> None:
    trap = "a$(touch x)'b@client.example".replace("(", "{").replace(")", "}").replace(" ", "")
    assert domain_of(trap) == "client.example"
    entry = Suppressed(trap, "BOUNCE", AT)
    told = [f for f in check_address(trap, made_ask(GOOD), {REGION: entry}, None) if f.check == "recipient-suppressed"]
    for command in (told[0].by_hand, *re.findall(r"`(aws [^`]*)`", " ".join(told[0].fix))):
        assert trap in shlex.split(command)
