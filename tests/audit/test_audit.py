"""The audit against the doubles: a healthy domain is all ok, and each single fault gives exactly its finding."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.client import BaseClient

from remediation.audit.catalogue import CHECKS
from remediation.audit.facts import OpenTrouble
from remediation.aws import secrets as aws_secrets
from remediation.aws.client import NotLookedUp
from remediation.aws.policies import actions, audit_policy
from remediation.credentials import derive_smtp_password
from tests.audit.faults import ALSO, FAULTS, IDENTITY_ARN, SCOPE, own_key, policy_of
from tests.audit.world import look, states, the, wrong
from tests.doubles.aws import REGION
from tests.doubles.healthy import ALIASES, DOMAIN, FLEET, MAIL_FROM, SECRET, SES_HOST, SET, World
from tests.doubles.loopback import Loopback, Reply, Request

RECIPIENT_CHECKS = {check for check in CHECKS if check.startswith("recipient-")}
MAIL_FROM_OK = {"MailFromDomain": MAIL_FROM, "MailFromDomainStatus": "SUCCESS"}


def test_a_healthy_domain_is_all_ok(world: World) -> None:
    result = look(world)
    assert wrong(result) == []
    only_when_wrong = {"aws-credentials", "ses-region", "ses-account", "route53", "gmail-aliases"}
    only_when_asked = {"suppressed-address", "smtp-login", "recommendations", "address-identity"}
    assert {finding.check for finding in result.findings} == set(
        CHECKS
    ) - RECIPIENT_CHECKS - only_when_wrong - only_when_asked
    assert result.not_asked == ("Whether the SMTP login works: `triage audit --probe` logs in once, without sending.",)
    for finding in result.findings:
        assert finding.asked
        assert finding.answered
        assert finding.by_hand
        assert finding.fix == ()


def test_with_everything_asked_for_a_healthy_domain_is_all_ok(world: World) -> None:
    world.account["VdmAttributes"] = {"VdmEnabled": "ENABLED"}
    world.aws.ses.add_identity(f"admin@{DOMAIN}", ConfigurationSetName=SET, MailFromAttributes=dict(MAIL_FROM_OK))
    password = derive_smtp_password(world.user.secret, REGION)
    world.client("secretsmanager").put_secret_value(
        SecretId=SECRET, SecretString=f'{{"username": "{world.user.key_id}", "password": "{password}"}}'
    )
    result = look(world, probe=True, addresses=("pat@client.example",))
    assert wrong(result) == []
    assert {"suppressed-address", "smtp-login", "recommendations", "address-identity"} <= {
        f.check for f in result.findings
    }


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_gives_exactly_its_finding(world: World, fault: str) -> None:
    break_it, expected = FAULTS[fault]
    changes = break_it(world)
    result = look(world, **(changes if isinstance(changes, dict) and changes.keys() <= SCOPE else {}))
    both = {expected} | ALSO.get(fault, set())
    assert set(wrong(result)) == both
    for finding in result.findings:
        if finding.state != "ok":
            assert finding.fix, f"{finding.check} says no way out"
            assert finding.by_hand or finding.check == "gmail-aliases"


# -- what could not be looked up ------------------------------------------------------------------------------------

XML = "<ErrorResponse><Error><Code>{}</Code><Message>no</Message></Error></ErrorResponse>"


@pytest.fixture(scope="module")
def refusing() -> Iterator[Loopback]:
    """An AWS endpoint that denies everything, in the forms of the older and the newer services."""

    def answer(request: Request) -> Reply:
        kind = request.headers.get("Content-Type") or ""
        if "json" in kind:
            return Reply(400, b'{"__type": "AccessDeniedException", "message": "no"}', {"Content-Type": kind})
        return Reply(403, XML.format("AccessDenied").encode(), {"Content-Type": "text/xml"})

    with Loopback(answer) as server:
        yield server


@pytest.mark.parametrize(
    ("variable", "finding"),
    [
        ("ROUTE_53", "route53"),
        ("IAM", "smtp-user"),
        ("SECRETS_MANAGER", "secret"),
        ("CLOUDWATCH", "bounce-rate"),
        ("SNS", "event-topic"),
        ("SESV2", "ses-account"),
        ("STS", "aws-credentials"),
    ],
)
@pytest.mark.parametrize("how", ["denied", "unreachable"])
def test_a_service_that_does_not_answer_is_never_a_fault(
    world: World, monkeypatch: pytest.MonkeyPatch, refusing: Loopback, variable: str, finding: str, how: str
) -> None:
    monkeypatch.setenv(f"AWS_ENDPOINT_URL_{variable}", refusing.url if how == "denied" else "http://127.0.0.1:1")
    result = look(world)
    assert states(result) == {"ok", "unknown"}
    if variable == "SESV2":
        assert (finding if how == "denied" else "ses-region") in {check for check, _ in wrong(result)}
    else:
        assert wrong(result) == [(finding, "unknown")]
    told = next(found for found in result.findings if found.state == "unknown")
    assert told.answered.startswith("not looked up: ")


@pytest.mark.parametrize("how", ["servfail", "refused"])
def test_no_name_that_goes_wrong_in_dns_is_a_fault(world: World, how: Any) -> None:
    look(world)
    asked = sorted({name for name, _ in world.dns.log})
    assert len(asked) >= 12
    unknown = 0
    for name in asked[:: 1 if how == "servfail" else 4]:
        world.dns.troubles.clear()
        world.dns.fail(name, how)
        found = look(world, smtp_user=None, secret_id=None)
        assert states(found) <= {"ok", "unknown"}, name
        unknown += "unknown" in states(found)
    assert unknown > (5 if how == "servfail" else 1)


def test_without_aws_public_dns_and_aliases_are_still_judged(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    world.dns.set(f"_dmarc.{DOMAIN}", "TXT")
    result = look(world)
    assert wrong(result) == [("dmarc-record", "fail"), ("aws-credentials", "unknown")]
    told = the(result, "aws-credentials")
    assert told.answered == "not looked up: no AWS credentials"
    assert {"ses-identity", "dkim-records", "sandbox", "key-age", "suppression-list"} <= set(told.leaves_open)
    checked = {finding.check for finding in result.findings}
    assert {"spf-lookups", "domain-mx", "alias-end", "alias-security", "smtp-endpoint"} <= checked
    assert not checked & set(told.leaves_open)
    assert result.calls["STS"] == 1
    assert "SES" not in result.calls


def test_a_network_without_a_way_out_is_no_fault(world: World) -> None:
    world.dns.records.clear()
    world.dns.knows_root = False
    assert states(look(world)) == {"ok", "unknown"}


def test_a_secret_that_may_not_be_read_leaves_the_login_open(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    read = aws_secrets.find

    def denied(what: str, service: str, region: str, operation: str, *rest: Any, **more: Any) -> Any:
        if operation == "GetSecretValue":
            return NotLookedUp(what, "this AWS identity may not call secretsmanager:GetSecretValue", "denied")
        return read(what, service, region, operation, *rest, **more)

    monkeypatch.setattr(aws_secrets, "find", denied)
    assert wrong(look(world, probe=True)) == [("smtp-login", "unknown")]


def test_where_the_names_may_not_be_listed_a_subdomain_is_still_covered(world: World) -> None:
    world.dns.set(FLEET, "MX", "10 mx.example.org.")
    world.dns.set(FLEET, "TXT", '"v=spf1 -all"')
    world.aws.ses.fail("ListEmailIdentities", times=None, status=403, code="AccessDeniedException")
    assert wrong(look(world, domains=(FLEET,), aliases=())) == [("address-identity", "unknown")]


def test_the_way_out_of_a_policy_that_forgot_the_configuration_set_is_one_that_works(world: World) -> None:
    policy_of({"Resource": IDENTITY_ARN})(world)
    told = the(look(world), "sending-right")
    assert told.answered == f"not allowed on configuration-set/{SET}"
    [printed] = re.findall(r"--policy-document '(.*?)'", told.fix[0])
    world.client("iam").put_user_policy(UserName=world.user.name, PolicyName="ses-smtp-send", PolicyDocument=printed)
    assert wrong(look(world)) == []


def test_a_key_that_lets_sns_use_it_is_in_order_and_one_nobody_may_read_is_not_known(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_key("kms:GenerateDataKey*", "kms:Decrypt")(world)
    assert wrong(look(world)) == []
    assert the(look(world), "event-queue").answered.endswith("encrypted with alias/events, which SNS may use")
    world.set_queue_key("alias/aws/sqs")
    assert "the key AWS manages" in the(look(world), "event-queue").answered
    world.set_queue_key("12345678-1234-1234-1234-123456789012")
    assert "there is no such key" in the(look(world), "event-queue").answered
    world.set_queue_key("alias/events")
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:1")
    assert wrong(look(world)) == [("event-queue", "unknown")]


SENDER = ALIASES[0].address
TROUBLES = {
    "ses-sending-paused": (None, REGION, "sending-paused", REGION),
    "ses-sandbox": (SENDER, REGION, "sandbox", REGION),
    "ses-daily-quota": (SENDER, REGION, "quota", REGION),
    "ses-access-denied": (SENDER, REGION, "sending-right", None),
    "ses-identity-not-verified": (SENDER, REGION, "ses-identity", None),
    "dmarc-rejected": (SENDER, "client.example", "dmarc-alignment", None),
    "spf-rejected": (SENDER, "client.example", "spf-record", DOMAIN),
    "alias-credentials-rejected": (SENDER, SES_HOST, "alias-relay", SENDER),
}


@pytest.mark.parametrize("cause", TROUBLES)
def test_an_open_incident_makes_the_check_of_its_thing_fail(world: World, cause: str) -> None:
    sender, place, check, subject = TROUBLES[cause]
    result = look(world, troubles=(OpenTrouble(7, cause, sender, place, "it broke, since today"),))
    failed = [finding for finding in result.findings if finding.state == "fail"]
    assert {finding.check for finding in failed} == {check}
    assert subject is None or {finding.subject for finding in failed} == {subject}
    assert all("an incident is open: it broke, since today" in finding.answered for finding in failed)
    assert all("`triage incidents show 7`" in finding.fix[0] for finding in failed)
    assert result.has_failed


def test_an_incident_stands_for_a_check_that_was_not_made_and_another_domain_s_is_nothing(world: World) -> None:
    denied = OpenTrouble(7, "ses-access-denied", SENDER, REGION, "it broke")
    alone = look(world, smtp_user=None, troubles=(denied,))
    assert [(f.check, f.subject) for f in alone.findings if f.state == "fail"] == [("sending-right", DOMAIN)]
    strange = (
        OpenTrouble(8, "dmarc-rejected", "x@other.example", "client.example", "it broke"),
        OpenTrouble(9, "ses-sending-paused", None, "eu-west-1", "it broke"),
        OpenTrouble(10, "alias-credentials-rejected", "x@other.example", SES_HOST, "it broke"),
        OpenTrouble(11, "dmarc-rejected", None, "client.example", "it broke"),
        OpenTrouble(12, "sender-blocklisted", SENDER, "client.example", "it broke"),
    )
    assert wrong(look(world, troubles=strange)) == []


def test_without_a_default_set_the_identity_is_enough_and_without_aliases_the_domain_is_asked(world: World) -> None:
    world.identity.pop("ConfigurationSetName")
    policy_of({"Resource": IDENTITY_ARN})(world)
    assert the(look(world), "sending-right").state == "ok"
    alone = the(look(world, aliases=()), "sending-right")
    assert (alone.state, alone.subject) == ("ok", f"{world.user.name} as {DOMAIN} in {REGION}")


def test_the_policy_for_the_audit_allows_all_it_asks_and_nothing_that_writes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: set[str] = set()
    real = BaseClient._make_api_call

    def recorded(self: Any, operation: str, parameters: Any) -> Any:
        service = self.meta.service_model.service_name
        called.add(f"{'ses' if service == 'sesv2' else service}:{operation}")
        return real(self, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", recorded)
    world.account["VdmAttributes"] = {"VdmEnabled": "ENABLED"}
    world.identity["FeedbackForwardingStatus"] = False
    world.aws.ses.region(REGION).destinations[SET] = []
    look(world, addresses=("pat@client.example",))
    assert len(called) > 15
    allowed = set(actions(audit_policy(queue="ses-events", smtp_user=world.user.name, secret=SECRET)))
    assert called - {"sts:GetCallerIdentity"} <= allowed
    assert all(
        action.partition(":")[2].startswith(("Get", "List", "Describe", "BatchGet", "Simulate")) for action in allowed
    )
