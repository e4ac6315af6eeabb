"""`triage audit` from the command line: settings, Gmail, formats, what is kept and what changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from remediation.audit.catalogue import finding
from remediation.audit.facts import Audit
from remediation.aws.policies import actions
from tests.audit import example as audit_example
from tests.audit.faults import own_key
from tests.aws.recorder import record_actions
from tests.doubles.aws import REGION, AwsDouble
from tests.doubles.gmail import GmailDouble
from tests.doubles.healthy import DOMAIN, SES_HOST, World, make_healthy
from tests.doubles.relay import RelayDouble
from tests.doubles.zone import ZoneDouble
from tests.worlds.schemas import by_schema
from triage.cli.program import main
from triage.model import SendingState
from triage.owner.audit_report import audit_html, audit_markdown, audit_text
from triage.store import audit_changes, audits_since, changes_of, keep_audit, last_figures, note_sending, open_store

ROOT = Path(__file__).parents[2]
DAY = datetime(2026, 5, 1, tzinfo=UTC)
Run = Callable[..., "tuple[int, str, str]"]


@pytest.fixture
def world(
    aws: AwsDouble, servers: tuple[ZoneDouble, RelayDouble], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[World]:
    """A healthy domain that the settings point to, in an empty folder."""
    dns, relay = servers
    relay.mode = "normal"
    made = make_healthy(aws, dns, relay)
    made.set_rates(0.004, 0.0002, datetime.now(UTC) - timedelta(hours=2))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in [name for name in os.environ if name.startswith("TRIAGE_")]:
        monkeypatch.delenv(name)
    (tmp_path / "triage.toml").write_text(
        f'regions = ["{REGION}"]\nqueue_url = "{made.queue_url}"\n'
        f'dns = "{dns.address}"\nsmtp_user = "{made.user.name}"\n'
        f'smtp_secret = "ses-smtp/{DOMAIN}"\nsmtp_host = "localhost"\nsmtp_port = {relay.starttls.port}\n'
        f'smtp_security = "starttls"\nsmtp_ca_file = "{relay.ca_file}"\n'
    )
    with GmailDouble("owner@example.org") as gmail:
        gmail.add_send_as(f"admin@{DOMAIN}", host=SES_HOST)
        gmail.write_credentials(tmp_path)
        monkeypatch.setenv("TRIAGE_GMAIL_URL", gmail.url)
        yield made


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run_it(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        told = capsys.readouterr()
        return code, told.out, told.err

    return run_it


def test_a_healthy_domain_as_text(world: World, run: Run) -> None:
    code, out, err = run("audit")
    assert (code, err) == (0, "")
    assert out.startswith(f"Audit of {DOMAIN} in {REGION}, ")
    assert "0 faults, 0 warnings, 0 not known" in out
    assert "TO REPAIR" not in out
    assert "\nIN ORDER\n" in out
    assert all(len(line) <= 100 for line in out.splitlines())


def test_a_fault_is_exit_code_1_with_the_record_to_publish(world: World, run: Run) -> None:
    world.dns.set(f"_dmarc.{DOMAIN}", "TXT")
    code, out, _ = run("audit")
    assert code == 1
    assert f'`_dmarc.{DOMAIN}. 300 IN TXT "v=DMARC1; p=none; rua=mailto:dmarc@{DOMAIN}"`' in out
    assert f"See for yourself: `dig +noall +answer TXT _dmarc.{DOMAIN}`" in out


def test_json_is_one_object_with_everything(world: World, run: Run) -> None:
    code, out, _ = run("audit", "--json", "--address", "pat@client.example")
    record = by_schema("audit", out)
    assert code == 0
    assert (record["domains"], record["regions"], record["changes"]) == ([DOMAIN], [REGION], None)
    assert sum(record["calls"].values()) > 20
    assert {row["state"] for row in record["findings"]} == {"ok"}
    assert any(row["subject"] == f"pat@client.example in {REGION}" for row in record["findings"])
    assert any(row["subject"] == f"admin@{DOMAIN}" for row in record["findings"])


def test_audit_and_check_address_ask_for_what_the_printed_policy_allows(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.account["VdmAttributes"] = {"VdmEnabled": "ENABLED"}
    own_key("kms:GenerateDataKey*", "kms:Decrypt")(world)
    called = record_actions(monkeypatch)
    run("audit", "--probe", DOMAIN)
    run("check-address", "--insights", "pat@client.example")
    world.identity["ConfigurationSetName"] = ""
    world.identity["FeedbackForwardingStatus"] = False
    run("audit", DOMAIN)
    asked = set(called)
    monkeypatch.setenv("TRIAGE_PROBE", "true")
    _, printed, _ = run("doctor", "--iam-policy", "audit")
    assert sorted(asked) == actions(json.loads(printed))


def test_an_open_incident_is_a_fault_of_the_audit(world: World, run: Run) -> None:
    assert run("audit", DOMAIN)[0] == 0
    at = datetime.now(UTC) - timedelta(hours=1)
    with closing(open_store(Path("triage.db"))) as db:
        note_sending(db, [SendingState(REGION, "account", is_enabled=False, at=at, words=None)], at)
    code, out, _ = run("audit", DOMAIN)
    assert code == 1
    assert "sending is enabled; but an incident is open: " in " ".join(out.split())
    assert "triage incidents show 1" in out


def test_no_domain_at_all_is_no_audit_without_faults(world: World, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    world.aws.ses.region(REGION).identities.clear()
    Path("token.json").unlink()
    code, out, err = run("audit")
    assert (code, out) == (2, "")
    assert "There is no domain to look at" in err
    assert "nobody is signed in to Gmail" in " ".join(err.split())
    assert "triage audit example.org" in err


def test_what_moved_since_the_last_audit(world: World, run: Run) -> None:
    assert "first audit on record" in run("audit", "--changes")[1]
    assert run("audit", "--changes")[1] == "CHANGED SINCE THE LAST AUDIT\n  Nothing.\n"
    world.dns.set(DOMAIN, "TXT", '"v=spf1 include:_spf.example.org ~all"')
    code, out, _ = run("audit", "--changes")
    assert code == 0
    assert "spf-record" in out
    assert "v=spf1 include:_spf.example.org ~all" in " ".join(out.split())
    world.dns.fail(DOMAIN, "servfail")
    assert "spf" not in run("audit", "--changes")[1]
    world.dns.troubles.clear()
    assert "spf" not in run("audit", "--changes")[1]


def test_the_growth_of_the_suppression_list_is_counted_from_the_last_audit(world: World, run: Run) -> None:
    run("audit")
    for number in range(12):
        world.aws.ses.suppress(f"p{number}@client.example")
    out = run("audit")[1]
    assert "12 addresses (12 by BOUNCE); 12 more than at the last audit" in out


def test_without_gmail_and_without_aws_dns_is_judged(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token.json").unlink()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    code, out, _ = run("audit", DOMAIN)
    assert code == 0
    assert "no AWS credentials" in out
    assert "nobody is signed in to Gmail" in " ".join(out.split())
    assert "spf-record" in out


def test_the_login_is_tried_only_when_asked_for(world: World, run: Run) -> None:
    world.relay.attempts.clear()
    assert "triage audit --probe" in run("audit")[1]
    assert world.relay.attempts == []
    code, out, _ = run("audit", "--probe")  # the secret of the healthy world holds no real password
    assert code == 1
    assert "smtp-login" in out
    assert world.relay.attempts == [(world.user.key_id, 535)]


@pytest.mark.parametrize("form", ["markdown", "html"])
def test_other_formats(world: World, run: Run, form: str) -> None:
    code, out, _ = run("audit", "--format", form)
    assert code == 0
    assert DOMAIN in out
    if form == "html":
        parser = HTMLParser()
        parser.feed(out)
        parser.close()
        assert "<script" not in out
        assert "http" not in out.partition("<body>")[0]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("audit", "not a domain"), 2, "is no domain"),
        (("audit", "--address", "nobody"), 2, "is no mail address"),
    ],
)
def test_what_makes_no_sense_is_refused(
    world: World, run: Run, arguments: tuple[str, ...], code: int, words: str
) -> None:
    got, out, err = run(*arguments)
    assert (got, out) == (code, "")
    assert words in err


def test_a_dns_server_that_is_none_is_a_matter_of_configuration(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIAGE_DNS", "dns.example.org")
    code, _, err = run("audit")
    assert code == 78
    assert "is not an address of a DNS server" in err


def test_the_unmodified_command_as_a_process(world: World, tmp_path: Path) -> None:
    world.account["ProductionAccessEnabled"] = False
    done = subprocess.run(
        [sys.executable, "-m", "triage", "audit", "--config", str(tmp_path / "triage.toml"), "--json"],
        cwd=ROOT,
        env={**os.environ, **world.aws.env, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (1, "")
    failed = [row["check"] for row in by_schema("audit", done.stdout)["findings"] if row["state"] == "fail"]
    assert failed == ["sandbox"]


# -- the store ------------------------------------------------------------------------------------------------------


def kept(path: Path, *audits: Audit) -> Any:
    db = open_store(path)
    for made in audits:
        keep_audit(db, made)
    return db


def made_audit(day: int, *states: tuple[str, str, str], domains: tuple[str, ...] = (DOMAIN,)) -> Audit:
    """An audit with findings (check, state, answer) about one domain."""
    findings = tuple(finding(check, DOMAIN, state, "asked", answered) for check, state, answered in states)  # type: ignore[arg-type]
    return Audit(DAY + timedelta(days=day), domains, (REGION,), findings, {"DNS": 3}, 0.5)


def test_an_audit_is_kept_whole(tmp_path: Path) -> None:
    told = finding(
        *("suppression-list", REGION, "warn", "asked", "answered \udcff"),
        fix=["one", "two"],
        by_hand="dig",
        leaves_open=["quota"],
        figures={"total": 3},
    )
    with closing(kept(tmp_path / "a.db", Audit(DAY, (DOMAIN,), (REGION,), (told,), {"SES": 2}, 1.25, ("x",)))) as db:
        [row] = audits_since(db, None)
        assert (row["at"], row["domains"], row["calls"], row["not_asked"]) == (
            "2026-05-01T00:00:00Z",
            [DOMAIN],
            {"SES": 2},
            ["x"],
        )
        [stored] = db.query("SELECT * FROM findings WHERE audit_id = ?", [row["id"]])
        lists = [json.loads(stored[name]) for name in ("fix", "leaves_open", "figures")]
        assert lists == [["one", "two"], ["quota"], {"total": 3}]
        assert stored["answered"] == "answered ?"
        assert last_figures(db) == {f"suppression-list {REGION}": {"total": 3}}
        assert audits_since(db, DAY + timedelta(days=1)) == []


def test_changes_before_an_incident_are_found_by_time(tmp_path: Path) -> None:
    audits = (
        made_audit(0, ("spf-record", "ok", "v=spf1 -all"), ("quota", "ok", "1 of 5")),
        made_audit(1, ("spf-record", "unknown", "SERVFAIL"), ("quota", "ok", "2 of 5")),
        made_audit(2, ("spf-record", "ok", "v=spf1 ~all"), ("quota", "ok", "3 of 5")),
        made_audit(3, ("spf-record", "ok", "v=spf1 ~all"), ("quota", "warn", "5 of 5"), ("sandbox", "fail", "x")),
        made_audit(4, ("spf-record", "ok", "v=spf1 ~all"), ("quota", "warn", "5 of 5"), ("sandbox", "fail", "x")),
    )
    with closing(kept(tmp_path / "a.db", *audits)) as db:
        every = audit_changes(db, DAY)
        assert [(c.at.day, c.check, c.before, c.after) for c in every] == [
            (3, "spf-record", "ok", "ok"),
            (4, "quota", "ok", "warn"),
            (4, "sandbox", None, "fail"),
        ]
        assert (every[0].since, every[0].answered_before) == (DAY, "v=spf1 -all")
        assert audit_changes(db, DAY + timedelta(days=1), DAY + timedelta(days=2)) == every[:1]
        assert audit_changes(db, DAY + timedelta(days=4)) == []
        assert audit_changes(db, DAY + timedelta(days=9)) == []
        assert changes_of(db, 1) is None
        assert changes_of(db, 3) == every[:1]
        assert changes_of(db, 5) == []


def test_another_domain_is_no_change(tmp_path: Path) -> None:
    audits = (
        made_audit(0, ("spf-record", "ok", "v=spf1 -all")),
        made_audit(1, ("sandbox", "fail", "x"), domains=("example.net",)),
        made_audit(2, ("quota", "fail", "x"), domains=("example.net", DOMAIN)),
    )
    with closing(kept(tmp_path / "a.db", *audits)) as db:
        assert [change.check for change in audit_changes(db, DAY)] == ["quota"]


# -- the formats ----------------------------------------------------------------------------------------------------

HOSTILE = "<script>alert(1)</script> | [x](http://evil.example) `rm` \x1b[31m\u202e"


@pytest.mark.parametrize("form", [audit_text, audit_markdown, audit_html])
def test_what_strangers_say_does_no_harm(form: Callable[..., list[str]]) -> None:
    told = finding("spf-record", HOSTILE, "fail", HOSTILE, HOSTILE, fix=["Do `this & that`."], by_hand="dig <x>")
    text = "\n".join(form(Audit(DAY, (DOMAIN,), (REGION,), (told,), {}, 0.5, ("Nothing.",)), []))
    assert "\x1b" not in text
    assert "\u202e" not in text
    if form is audit_html:
        assert "<script" not in text
        assert "<code>this &amp; that</code>" in text
    if form is audit_markdown:
        assert "[x](http" not in text
        assert "<script" not in text


def test_the_documentation_shows_what_the_program_says(aws: AwsDouble, servers: tuple[ZoneDouble, RelayDouble]) -> None:
    """When this fails: python -m tests.audit.example, and read what changed."""
    page = audit_example.PAGE.read_text(encoding="utf-8")
    assert page == audit_example.filled(page, audit_example.example(aws, *servers))
    assert "NOT KNOWN" in page
