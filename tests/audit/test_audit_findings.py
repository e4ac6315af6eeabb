"""What the findings of the audit say: whose domain, which fix, how many calls; one question at a time."""

from __future__ import annotations

import dataclasses
import http.client
import time
from base64 import b64encode
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from remediation.audit.ask import Meter
from remediation.audit.facts import Alias, Finding
from remediation.audit.whole import audit
from remediation.aws import Turns
from remediation.aws.grants import admits_ses
from remediation.aws.route53 import zone_ids, zone_name
from remediation.credentials import derive_smtp_password
from tests.audit.faults import FAULTS, MESSAGE_ID
from tests.audit.world import look, the, wrong
from tests.doubles.aws import REGION, AwsDouble
from tests.doubles.healthy import ALIASES, DKIM, DOMAIN, FLEET, MAIL_FROM, NOW, SECRET, SES_HOST, SET, World
from tests.doubles.loopback import Loopback, Reply, Request

ELSEWHERE = "us-west-2"


# -- domains, regions, zones ----------------------------------------------------------------------------------------


def test_the_domains_come_from_the_aliases_when_none_is_named(world: World) -> None:
    result = look(world, domains=(), regions=())
    assert (result.domains, result.regions) == ((DOMAIN,), (REGION,))
    assert wrong(result) == []


def test_the_domains_come_from_ses_when_there_are_no_aliases(world: World) -> None:
    result = look(world, domains=(), aliases=())
    assert result.domains == (DOMAIN,)
    assert wrong(result) == []


def test_two_domains_and_two_regions(world: World) -> None:
    world.aws.ses.add_identity(DOMAIN, ELSEWHERE, ConfigurationSetName=SET)
    world.aws.ses.add_configuration_set(SET, ELSEWHERE)
    world.aws.ses.region(ELSEWHERE).account["SendingEnabled"] = False
    result = look(world, domains=(DOMAIN, "example.net"), regions=(REGION, ELSEWHERE))
    found = {(finding.check, finding.subject) for finding in result.findings if finding.state == "fail"}
    assert ("sending-paused", ELSEWHERE) in found
    assert ("ses-identity", "example.net") in found
    assert ("domain-mx", "example.net") in found
    assert ("mail-from-mx", MAIL_FROM) in found  # one MX cannot be that of two regions
    assert ("sending-paused", REGION) not in found
    assert ("ses-identity", DOMAIN) not in found


def test_a_domain_below_a_verified_one_is_covered_by_it(world: World) -> None:
    world.dns.set(FLEET, "MX", "10 mx.example.org.")
    world.dns.set(FLEET, "TXT", '"v=spf1 -all"')
    result = look(world, domains=(FLEET,), aliases=())
    assert wrong(result) == []
    assert the(result, "ses-identity").subject == f"{FLEET} in {REGION}"
    assert the(result, "dkim-records").subject == f"{DOMAIN} in {REGION}"
    assert the(result, "zone-in-use").subject == DOMAIN


def test_without_a_zone_in_route_53_two_ways_are_compared(world: World) -> None:
    world.aws.client("route53")
    for name, target in DKIM.items():
        world.set_route53("DELETE", name, "CNAME", target)
    world.client("route53").delete_hosted_zone(Id=world.zone_id)
    result = look(world)
    assert wrong(result) == []
    assert the(result, "dkim-records").asked.endswith("in SES and public DNS")
    assert "zone-in-use" not in {finding.check for finding in result.findings}


def test_of_two_zones_of_a_name_the_one_in_use_counts(world: World) -> None:
    world.client("route53").create_hosted_zone(Name=DOMAIN, CallerReference="2")
    result = look(world)
    assert wrong(result) == []


def test_name_servers_may_go_by_names_of_their_own(world: World) -> None:
    [first, *_] = world.dns.records[DOMAIN, "NS"]
    world.dns.set(DOMAIN, "NS", f"ns1.{DOMAIN}.", f"ns2.{DOMAIN}.")
    world.dns.set(first.rstrip("."), "A", "192.0.2.53")
    world.dns.set(f"ns1.{DOMAIN}", "A", "192.0.2.53")
    assert wrong(look(world)) == []
    world.dns.fail(f"ns1.{DOMAIN}", "servfail")
    assert wrong(look(world)) == [("zone-in-use", "unknown")]


@cache
def published(bits: int) -> str:
    """The p= of a new public key. One below 1024 bits is no longer made by the library: that one was made before."""
    if bits < 1024:
        return (
            "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAL/6B1WJkq9sdr90YAKvWw6PeUvTkoY0"
            "4Ti4YlmErtEqm64pHIuyM/xba7ttO0DaHPPk3868DL5Rm4zp+/LlMkkCAwEAAQ=="
        )
    public = generate_private_key(65537, bits).public_key()
    return b64encode(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def test_a_key_of_ones_own_is_looked_for_as_text(world: World) -> None:
    world.identity["DkimAttributes"].update(SigningAttributesOrigin="EXTERNAL", Tokens=["mine"])
    place = f"mine._domainkey.{DOMAIN}"
    world.dns.set(place, "TXT", f'"v=DKIM1; k=rsa; p={published(1024)}"')
    assert wrong(look(world)) == []
    world.dns.set(place, "TXT")
    assert wrong(look(world)) == [("dkim-records", "fail")]


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("MIGf", "no whole public key"),
        ("MIG#=!", "no base64"),
        ("", "no public key"),
        (published(512), "512 bits"),
    ],
)
def test_a_key_of_ones_own_must_be_one_that_receivers_take(world: World, key: str, words: str) -> None:
    world.identity["DkimAttributes"].update(SigningAttributesOrigin="EXTERNAL", Tokens=["mine"])
    world.dns.set(f"mine._domainkey.{DOMAIN}", "TXT", f'"v=DKIM1; p={key}"')
    found = the(look(world), "dkim-records")
    assert (found.state, words in found.answered) == ("fail", True), found.answered


def test_an_address_alone_is_no_verified_domain(world: World) -> None:
    region = world.aws.ses.region(REGION)
    region.identities.clear()
    world.aws.ses.add_identity(f"admin@{DOMAIN}")
    told = the(look(world), "ses-identity")
    assert told.state == "fail"
    assert f"only admin@{DOMAIN} by itself" in told.answered


# -- fixes and evidence ---------------------------------------------------------------------------------------------


def test_a_missing_record_comes_with_the_record_and_the_command(world: World) -> None:
    name = next(iter(DKIM))
    world.set_cname(name, None)
    told = the(look(world), "dkim-records")
    assert told.fix[0].endswith(f"`{name}. 300 IN CNAME {DKIM[name]}.`")
    assert f'--hosted-zone-id {world.zone_id} --change-batch \'{{"Changes": [{{"Action": "UPSERT"' in told.fix[1]
    assert told.by_hand == f"dig +noall +answer CNAME {name}"
    assert told.answered.endswith("(Route 53 has nothing)")


def test_route_53_right_and_the_world_wrong_is_told_apart(world: World) -> None:
    world.dns.set(next(iter(DKIM)), "CNAME")
    assert "Route 53 has it right" in the(look(world), "dkim-records").answered


def test_no_fix_replaces_the_other_texts_of_a_domain(world: World) -> None:
    world.dns.set(DOMAIN, "TXT", '"google-site-verification=abc"')
    told = the(look(world), "spf-record")
    assert "UPSERT" not in "".join(told.fix)


def test_a_suppressed_address_tells_why_and_whether_taking_it_off_is_safe(world: World) -> None:
    FAULTS["suppressed address"][0](world)
    world.aws.ses.suppress("sam@client.example", reason="COMPLAINT")
    result = look(world, addresses=("pat@client.example", "sam@client.example", "kim@client.example"))
    told = {finding.subject: finding for finding in result.findings if finding.check == "suppressed-address"}
    bounced = told[f"pat@client.example in {REGION}"]
    assert bounced.answered == f"BOUNCE since 2026-11-21 09:00 UTC, through message {MESSAGE_ID}"
    assert bounced.fix[0].startswith("Safe only when the address works again")
    assert f"delete-suppressed-destination --email-address pat@client.example --region {REGION}" in bounced.fix[1]
    assert told[f"sam@client.example in {REGION}"].fix[0].startswith("Not safe: this person reported")
    assert told[f"kim@client.example in {REGION}"].state == "ok"


def test_the_suppression_list_is_counted_by_reason_over_pages(world: World) -> None:
    for number in range(230):
        world.aws.ses.suppress(f"p{number}@client.example", reason="BOUNCE" if number % 10 else "COMPLAINT")
    told = the(look(world), "suppression-list")
    assert told.answered == "230 addresses (207 by BOUNCE, 23 by COMPLAINT)"
    assert told.figures == {"total": 230, "BOUNCE": 207, "COMPLAINT": 23}


def test_the_end_of_the_aliases_comes_with_a_plan_and_becomes_a_fault(world: World) -> None:
    told = the(look(world, mailbox="jadasailing@gmail.com"), "alias-end")
    assert told.answered == f"admin@{DOMAIN}, crew@{FLEET}: 37 days left"
    assert "triage outbox migrate" in told.fix[0]
    assert any("Google Workspace" in step and "IMAP" in step for step in told.fix)
    after = audit(world.scope(mailbox="jadasailing@gmail.com"), NOW.replace(year=2027, month=2), pace=0)
    assert ("alias-end", "fail") in wrong(after)


def test_feedback_off_and_nothing_published_is_a_fault(world: World) -> None:
    world.identity["FeedbackForwardingStatus"] = False
    assert wrong(look(world)) == []
    world.aws.ses.region(REGION).destinations[SET] = []
    assert set(wrong(look(world))) == {("feedback", "fail"), ("event-destination", "warn")}


def test_an_alias_that_is_not_ses_is_left_alone(world: World) -> None:
    world.dns.set("smtp.example.org", "A", "192.0.2.99")
    alias = Alias("me@example.org", "smtp.example.org", 587, "starttls", "accepted")
    result = look(world, aliases=(*ALIASES, alias))
    assert wrong(result) == []
    assert any(f.subject == "me@example.org" and "not SES" in f.answered for f in result.findings)


def test_without_a_named_server_those_of_the_aliases_are_looked_at(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remediation.audit.endpoint.socket.create_connection", _nobody)
    result = look(world, server=None)
    assert {f.subject for f in result.findings if f.check == "smtp-endpoint"} == {f"{SES_HOST}:587", f"{SES_HOST}:465"}
    assert wrong(result) == [("smtp-endpoint", "unknown")] * 2


def _nobody(*_: Any, **__: Any) -> None:
    raise ConnectionRefusedError(111, "Connection refused")


def test_tls_from_the_first_byte_is_understood(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    tls = world.relay.tls
    assert wrong(look(world, server=(tls.host, tls.port, "ssl"))) == []
    monkeypatch.setattr("remediation.audit.endpoint.SECONDS", 0.3)
    assert wrong(look(world, server=(tls.host, tls.port, "starttls"))) == [("smtp-endpoint", "unknown")]


def test_no_secret_stands_in_any_finding(world: World) -> None:
    password = derive_smtp_password(world.user.secret, REGION)
    world.client("secretsmanager").put_secret_value(
        SecretId=SECRET, SecretString=f'{{"username": "{world.user.key_id}", "password": "{password}"}}'
    )
    for mode in ("normal", "chatty"):
        world.relay.mode = mode  # type: ignore[assignment]
        told = repr(look(world, probe=True))
        assert password not in told
        assert world.user.secret not in told
        assert "AWS_SECRET_ACCESS_KEY" not in told


# -- pace and time --------------------------------------------------------------------------------------------------


def test_one_operation_is_asked_once_a_second_and_others_are_not_kept_waiting() -> None:
    waits: list[float] = []
    meter = Meter(Turns(sleep=waits.append, clock=lambda: 100.0))
    for region, operation in (("a", "X"), ("a", "Y"), ("b", "X"), ("a", "X"), ("a", "X")):
        meter.ses(region, operation)
    assert waits == [1.0, 2.0]
    assert meter.calls == {"SES": 5}


def test_an_audit_takes_less_than_five_seconds_with_answers_of_50_ms_and_counts_its_calls(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def slowly(request: Request) -> Reply:
        seen.append(request.target)
        time.sleep(0.05)
        target = urlsplit(world.aws.url)
        connection = http.client.HTTPConnection(str(target.hostname), target.port)
        connection.request(request.method, request.target, request.body, dict(request.headers))
        answer = connection.getresponse()
        reply = Reply(answer.status, answer.read(), {"Content-Type": answer.headers["Content-Type"]})
        connection.close()
        return reply

    world.dns.latency = 0.05
    world.dns.log.clear()
    world.aws.ses.calls.clear()
    world.aws.ses.fail("*", times=None, latency=0.05)
    with Loopback(slowly) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        started = time.perf_counter()
        result = audit(world.scope(), NOW)
        took = time.perf_counter() - started
    assert wrong(result) == []
    assert took < 5
    assert result.seconds <= took
    calls = dict(result.calls)
    assert calls.pop("DNS") == len(world.dns.log)
    assert calls.pop("SES") == world.aws.ses.calls.total()
    assert calls.pop("SMTP") == 1
    assert sum(calls.values()) == len(seen)


def test_a_finding_says_everything_in_json(world: World) -> None:
    record = the(look(world), "spf-lookups").record()
    assert set(record) == {
        *(field.name for field in dataclasses.fields(Finding) if field.name not in ("asked", "answered")),
        "evidence",
    }
    assert record["evidence"] == {
        "asked": f"TXT {DOMAIN} and everything it includes",
        "answered": "1 of 10 lookups (include:_spf.example.org: v=spf1 ip4:192.0.2.0/24 -all)",
    }


ZONES = """<ListHostedZonesByNameResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><HostedZones>
<HostedZone><Id>/hostedzone/Z1</Id><Name>{}.</Name><CallerReference>1</CallerReference>
<Config><PrivateZone>{}</PrivateZone></Config></HostedZone></HostedZones><IsTruncated>false</IsTruncated>
<MaxItems>10</MaxItems></ListHostedZonesByNameResponse>"""


@pytest.mark.parametrize(
    ("name", "private", "found"),
    [
        (DOMAIN, "false", [("Z1", DOMAIN)]),
        (DOMAIN, "true", []),  # nobody outside asks a private zone
        ("queenofsandiego.net", "false", []),  # AWS answers with the next zone where there is none of the name
    ],
)
def test_the_next_zone_in_the_alphabet_is_not_ours(
    aws: AwsDouble, monkeypatch: pytest.MonkeyPatch, name: str, private: str, found: list[tuple[str, str]]
) -> None:
    body = ZONES.format(name, private).encode()
    with Loopback(lambda request: Reply(200, body, {"Content-Type": "text/xml"})) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_ROUTE_53", server.url)
        assert zone_ids(DOMAIN) == found
    assert zone_name(r"\052.Example.org.") == "*.example.org"


@pytest.mark.parametrize(
    ("policy", "admits"),
    [
        ({}, False),
        ({"Effect": "Allow", "Principal": {"Service": "ses.amazonaws.com"}, "Action": "SNS:Publish"}, True),
        ({"Effect": "Allow", "Principal": {"Service": ["sqs.amazonaws.com"]}, "Action": "SNS:Publish"}, False),
        ({"Effect": "Allow", "Principal": {"Service": "ses.amazonaws.com"}, "Action": ["sns:Subscribe"]}, False),
        ({"Effect": "Deny", "Principal": {"Service": "ses.amazonaws.com"}, "Action": "sns:*"}, False),
        ({"Effect": "Allow", "Principal": "*", "Action": "sns:*"}, True),
        (  # what a topic is born with: the owner's own account, and a service is not that
            {
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": ["SNS:Publish"],
                "Condition": {"StringEquals": {"AWS:SourceOwner": "123456789012"}},
            },
            False,
        ),
    ],
)
def test_who_may_publish_to_a_topic(policy: dict[str, Any], admits: bool) -> None:
    assert admits_ses({"Statement": [policy]} if policy else {}) is admits
    assert admits_ses({"Statement": policy} if policy else {}) is admits
