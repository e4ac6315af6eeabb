"""Single faults of a healthy sending domain (tests/doubles/healthy.py), each with the one finding it must give.

A fault is a function that breaks one thing in the doubles, or returns what the audit is asked otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from remediation.audit.facts import Alias
from remediation.aws.client import NotLookedUp
from tests.doubles.aws import REGION
from tests.doubles.healthy import ALIASES, DKIM, DOMAIN, MAIL_FROM, NOW, SECRET, SES_HOST, SET, USER, World
from tests.doubles.simulation import HIDDEN

SPF = '"v=spf1 {} -all"'
DMARC = f"_dmarc.{DOMAIN}"
NAMES = list(DKIM)
OPEN_QUEUE = json.dumps({"Statement": {"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*"}})
Break = Callable[[World], "dict[str, Any] | None"]


def dns(name: str, type_: str, *records: str) -> Break:
    return lambda world: world.dns.set(name, type_, *records)


def trouble(name: str, how: Any) -> Break:
    return lambda world: world.dns.fail(name, how)


def account(**changes: Any) -> Break:
    return lambda world: world.account.update(changes)


def identity(**changes: Any) -> Break:
    return lambda world: world.identity.update(changes)


def unsubscribed(world: World) -> None:
    sns = world.client("sns")
    for row in sns.list_subscriptions_by_topic(TopicArn=world.topic)["Subscriptions"]:
        sns.unsubscribe(SubscriptionArn=row["SubscriptionArn"])


def another_queue(world: World) -> None:
    unsubscribed(world)
    world.client("sqs").create_queue(QueueName="other")
    world.client("sns").subscribe(
        TopicArn=world.topic, Protocol="sqs", Endpoint=world.queue_arn.replace("ses-events", "other")
    )


def part(key: str, **changes: Any) -> Break:
    return lambda world: world.identity[key].update(changes)


def events(**changes: Any) -> Break:
    return lambda world: world.aws.ses.region(REGION).destinations[SET][0].update(changes)


def the_set(**changes: Any) -> Break:
    return lambda world: world.aws.ses.region(REGION).configuration_sets[SET].update(changes)


def refuse(operation: str, status: int = 403, code: str = "AccessDeniedException") -> Break:
    return lambda world: world.aws.ses.fail(operation, times=None, status=status, code=code)


def asked(**changes: Any) -> Break:
    return lambda world: changes


def with_alias(**changes: Any) -> Break:
    first = {name: getattr(ALIASES[0], name) for name in ("address", "host", "port", "security", "verification")}
    return asked(aliases=(Alias(**{**first, **changes}), ALIASES[1]))


def mx_at_alias(world: World) -> None:
    world.dns.set("mx.example.org", "A")
    world.dns.set("mx.example.org", "CNAME", "mx.example.net.")
    world.dns.set("mx.example.net", "A", "192.0.2.9")


def own_key(*actions: str) -> Break:
    """The queue is encrypted with a key of the owner's own, which SNS may use for these."""

    def make(world: World) -> None:
        kms = world.client("kms")
        rows: list[dict[str, Any]] = [{"Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "kms:*"}]
        rows += [{"Principal": {"Service": "sns.amazonaws.com"}, "Action": list(actions)}] if actions else []
        statements = [{"Effect": "Allow", "Resource": "*", **row} for row in rows]
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        key = kms.create_key(Policy=policy)["KeyMetadata"]
        kms.create_alias(AliasName="alias/events", TargetKeyId=key["KeyId"])
        world.set_queue_key("alias/events")

    return make


def missing_cname(world: World) -> None:
    world.set_cname(NAMES[0], None)


def swapped_tokens(world: World) -> None:
    world.set_cname(NAMES[0], DKIM[NAMES[1]])
    world.set_cname(NAMES[1], DKIM[NAMES[0]])


def eleven_lookups(world: World) -> None:
    names = [f"s{number}.example.net" for number in range(11)]
    for name in names:
        world.dns.set(name, "TXT", '"v=spf1 ip4:192.0.2.1 -all"')
    terms = [f"include:{name}" for name in names]
    world.dns.set(DOMAIN, "TXT", f'"v=spf1 {" ".join(terms[:6])} " "{" ".join(terms[6:])} -all"')


def include_loop(world: World) -> None:
    world.dns.set("_spf.example.org", "TXT", '"v=spf1 include:_spf.example.net -all"')
    world.dns.set("_spf.example.net", "TXT", '"v=spf1 include:_spf.example.org -all"')


def route53_forgets(world: World) -> None:
    world.set_route53("DELETE", NAMES[0], "CNAME", DKIM[NAMES[0]])


def set_is_gone(world: World) -> None:
    del world.aws.ses.region(REGION).configuration_sets[SET]


def no_forwarding_no_events(world: World) -> None:
    world.identity["FeedbackForwardingStatus"] = False
    events(Enabled=True, MatchingEventTypes=["COMPLAINT", "BOUNCE"])(world)
    world.aws.ses.region(REGION).destinations[SET] = []


def grown_list(world: World) -> dict[str, Any]:
    for number in range(30):
        world.aws.ses.suppress(f"p{number}@client.example")
    return {"earlier": {f"suppression-list {REGION}": {"total": 10.0}}}


def suppressed(world: World) -> dict[str, Any]:
    world.aws.ses.suppress("pat@client.example", message_id=MESSAGE_ID, at=NOW - timedelta(days=3))
    return {"addresses": ("pat@client.example",)}


MESSAGE_ID = "0100019e1c2d3e4f-00000001-aaaa-4bbb-8ccc-0123456789ab-000000"


def advice(world: World) -> None:
    world.account["VdmAttributes"] = {"VdmEnabled": "ENABLED"}
    arn = f"arn:aws:ses:{REGION}:123456789012:identity/{DOMAIN}"
    row = {"ResourceArn": arn, "Type": "BIMI", "Description": "Publish a logo.", "Status": "OPEN", "Impact": "LOW"}
    world.aws.ses.region(REGION).recommendations.append(row)


def second_key(world: World) -> None:
    world.aws.add_key(USER)
    world.set_key(1, age=timedelta(days=1))


def idle_key(world: World) -> None:
    world.aws.add_key(USER)
    world.set_key(1, age=timedelta(days=30), active=False)


def wide_policy(world: World) -> None:
    world.client("iam").put_user_policy(
        UserName=USER,
        PolicyName="more",
        PolicyDocument='{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}',
    )


def policy_of(*statements: dict[str, Any]) -> Break:
    """The SMTP user has this policy, and no other."""

    def put(world: World) -> None:
        rows = [{"Effect": "Allow", "Action": "ses:SendRawEmail", **statement} for statement in statements]
        document = json.dumps({"Version": "2012-10-17", "Statement": rows})
        world.client("iam").put_user_policy(UserName=USER, PolicyName="send", PolicyDocument=document)

    return put


IDENTITY_ARN = f"arn:aws:ses:{REGION}:123456789012:identity/{DOMAIN}"


def pending_version(world: World) -> None:
    world.client("secretsmanager").put_secret_value(
        SecretId=SECRET, SecretString='{"username": "a", "password": "b"}', VersionStages=["AWSPENDING"]
    )


def stale_login(world: World) -> dict[str, Any]:
    second_key(world)
    world.set_key(0, active=False, age=timedelta(days=1))
    return {"probe": True}


def other_region(world: World) -> dict[str, Any]:
    world.dns.set("email-smtp.eu-west-1.amazonaws.com", "A", "192.0.2.26")
    return {"aliases": (Alias(ALIASES[0].address, "email-smtp.eu-west-1.amazonaws.com", 587, "starttls"), ALIASES[1])}


def unlisted_region(world: World) -> dict[str, Any]:
    world.aws.ses.add_identity(DOMAIN, "eu-west-1")
    return other_region(world)


def relay_mode(mode: Any) -> Break:
    return lambda world: setattr(world.relay, "mode", mode)


def shadow(world: World) -> None:
    world.aws.ses.add_identity(f"admin@{DOMAIN}")


def two_zones(world: World) -> None:
    """A second zone of the same name is no fault, as long as one of them is in use."""
    world.client("route53").create_hosted_zone(Name=DOMAIN, CallerReference="2")


FAULTS: dict[str, tuple[Break, tuple[str, str]]] = {
    # identity and DKIM
    "domain unknown to SES": (
        lambda world: world.aws.ses.region(REGION).identities.clear(),
        ("ses-identity", "fail"),
    ),
    "not verified": (
        identity(
            VerifiedForSendingStatus=False,
            VerificationStatus="FAILED",
            VerificationInfo={"ErrorType": "HOST_NOT_FOUND"},
        ),
        ("ses-identity", "fail"),
    ),
    "DKIM failed": (part("DkimAttributes", Status="FAILED"), ("dkim-status", "fail")),
    "DKIM could not be checked by SES": (part("DkimAttributes", Status="TEMPORARY_FAILURE"), ("dkim-status", "warn")),
    "DKIM signing off": (part("DkimAttributes", SigningEnabled=False), ("dkim-status", "fail")),
    "short DKIM key": (part("DkimAttributes", CurrentSigningKeyLength="RSA_1024_BIT"), ("dkim-key-length", "warn")),
    "address beside its domain": (shadow, ("address-identity", "warn")),
    "missing CNAME": (missing_cname, ("dkim-records", "fail")),
    "CNAME missing in public DNS only": (dns(NAMES[0], "CNAME"), ("dkim-records", "fail")),
    "CNAME missing in Route 53 only": (route53_forgets, ("dkim-records", "warn")),
    "wrong CNAME": (lambda world: world.set_cname(NAMES[2], "dkim.example.net"), ("dkim-records", "fail")),
    "swapped tokens": (swapped_tokens, ("dkim-records", "fail")),
    "no key behind the CNAME": (dns(DKIM[NAMES[1]], "TXT"), ("dkim-records", "fail")),
    "revoked key": (dns(DKIM[NAMES[1]], "TXT", '"v=DKIM1; p="'), ("dkim-records", "fail")),
    "zone not in use": (
        dns(DOMAIN, "NS", "ns1.example.net.", "ns2.example.net."),
        ("zone-in-use", "fail"),
    ),
    "one name server too many": (
        lambda world: world.dns.records[DOMAIN, "NS"].append("ns1.example.net."),
        ("zone-in-use", "warn"),
    ),
    # SPF
    "no SPF": (dns(DOMAIN, "TXT", '"hello"'), ("spf-record", "warn")),
    "two SPF records": (dns(DOMAIN, "TXT", SPF.format("mx"), SPF.format("a")), ("spf-record", "fail")),
    "SPF with a typing error": (dns(DOMAIN, "TXT", SPF.format("ipv4:192.0.2.1")), ("spf-record", "fail")),
    "SPF include without a record": (dns("_spf.example.org", "TXT", '"hello"'), ("spf-record", "fail")),
    "SPF with ptr": (dns(DOMAIN, "TXT", SPF.format("ptr")), ("spf-record", "warn")),
    "11 lookups": (eleven_lookups, ("spf-lookups", "fail")),
    "three void lookups": (
        dns(DOMAIN, "TXT", SPF.format("a:x.example.net a:y.example.net mx:z.example.net")),
        ("spf-voids", "fail"),
    ),
    "include loop": (include_loop, ("spf-loop", "fail")),
    "+all": (dns(DOMAIN, "TXT", '"v=spf1 mx +all"'), ("spf-all", "fail")),
    "all without a sign": (dns(DOMAIN, "TXT", '"v=spf1 mx all"'), ("spf-all", "fail")),
    "?all": (dns(DOMAIN, "TXT", '"v=spf1 mx ?all"'), ("spf-all", "warn")),
    "no all": (dns(DOMAIN, "TXT", '"v=spf1 mx"'), ("spf-all", "warn")),
    # MAIL FROM
    "no MAIL FROM": (identity(MailFromAttributes={"BehaviorOnMxFailure": "USE_DEFAULT_VALUE"}), ("mail-from", "warn")),
    "MAIL FROM pending": (part("MailFromAttributes", MailFromDomainStatus="PENDING"), ("mail-from", "warn")),
    "MAIL FROM failed and required": (
        part("MailFromAttributes", MailFromDomainStatus="FAILED", BehaviorOnMxFailure="REJECT_MESSAGE"),
        ("mail-from", "fail"),
    ),
    "MAIL FROM MX twice": (
        lambda world: world.dns.records[MAIL_FROM, "MX"].append("20 mx.example.org."),
        ("mail-from-mx", "fail"),
    ),
    "MAIL FROM MX of another region": (
        dns(MAIL_FROM, "MX", "10 feedback-smtp.eu-west-1.amazonses.com."),
        ("mail-from-mx", "fail"),
    ),
    "MAIL FROM MX missing": (dns(MAIL_FROM, "MX"), ("mail-from-mx", "fail")),
    "MAIL FROM SPF missing": (dns(MAIL_FROM, "TXT"), ("mail-from-spf", "fail")),
    "MAIL FROM SPF without SES": (dns(MAIL_FROM, "TXT", '"v=spf1 mx -all"'), ("mail-from-spf", "fail")),
    "MAIL FROM SPF twice": (
        lambda world: world.dns.records[MAIL_FROM, "TXT"].append('"v=spf1 -all"'),
        ("mail-from-spf", "fail"),
    ),
    # DMARC and the domain
    "no DMARC": (dns(DMARC, "TXT"), ("dmarc-record", "fail")),
    "two DMARC records": (
        dns(DMARC, "TXT", '"v=DMARC1; p=reject"', '"v=DMARC1; p=none"'),
        ("dmarc-record", "fail"),
    ),
    "DMARC nobody can read": (dns(DMARC, "TXT", '"v=DMARC1; p=refuse"'), ("dmarc-record", "fail")),
    "p=none": (dns(DMARC, "TXT", f'"v=DMARC1; p=none; rua=mailto:dmarc@{DOMAIN}"'), ("dmarc-policy", "warn")),
    "pct": (dns(DMARC, "TXT", f'"v=DMARC1; p=reject; pct=20; rua=mailto:d@{DOMAIN}"'), ("dmarc-policy", "warn")),
    "no rua": (dns(DMARC, "TXT", '"v=DMARC1; p=reject"'), ("dmarc-reports", "warn")),
    "reports to a stranger": (
        dns(DMARC, "TXT", '"v=DMARC1; p=reject; rua=mailto:d@reports.example"'),
        ("dmarc-reports", "warn"),
    ),
    "misaligned subdomain": (
        dns(DMARC, "TXT", f'"v=DMARC1; p=reject; adkim=s; aspf=s; rua=mailto:dmarc@{DOMAIN}"'),
        ("dmarc-alignment", "fail"),
    ),
    "no MX": (dns(DOMAIN, "MX"), ("domain-mx", "fail")),
    "server of the MX is gone": (dns("mx.example.org", "A"), ("domain-mx", "fail")),
    "an address for an MX": (dns(DOMAIN, "MX", "10 192.0.2.9."), ("domain-mx", "fail")),
    "MX at an alias": (mx_at_alias, ("domain-mx", "warn")),
    "one of two servers is gone": (
        dns(DOMAIN, "MX", "10 mx.example.org.", "20 gone.example.org."),
        ("domain-mx", "warn"),
    ),
    "SERVFAIL for the server of the MX": (trouble("mx.example.org", "servfail"), ("domain-mx", "unknown")),
    "null MX": (dns(DOMAIN, "MX", "0 ."), ("domain-mx", "warn")),
    # account
    "sandbox": (account(ProductionAccessEnabled=False), ("sandbox", "fail")),
    "paused": (account(SendingEnabled=False), ("sending-paused", "fail")),
    "probation": (account(EnforcementStatus="PROBATION"), ("enforcement", "warn")),
    "shutdown": (account(EnforcementStatus="SHUTDOWN"), ("enforcement", "fail")),
    "a word AWS invented since": (account(EnforcementStatus="SCOLDED"), ("enforcement", "warn")),
    "quota nearly used": (
        account(SendQuota={"Max24HourSend": 200.0, "MaxSendRate": 1.0, "SentLast24Hours": 190.0}),
        ("quota", "warn"),
    ),
    "suppression off": (
        account(SuppressionAttributes={"SuppressedReasons": []}),
        ("suppression-reasons", "warn"),
    ),
    "bounce rate under review": (lambda world: world.set_rates(0.06, 0.0, NOW), ("bounce-rate", "warn")),
    "bounce rate near the pause": (lambda world: world.set_rates(0.11, 0.0, NOW), ("bounce-rate", "fail")),
    "complaint rate under review": (lambda world: world.set_rates(0.0, 0.002, NOW), ("complaint-rate", "warn")),
    "complaint rate near the pause": (lambda world: world.set_rates(0.0, 0.006, NOW), ("complaint-rate", "fail")),
    "suppression list grew": (grown_list, ("suppression-list", "warn")),
    "suppressed address": (suppressed, ("suppressed-address", "warn")),
    "advice of VDM": (advice, ("recommendations", "warn")),
    # events
    "no default configuration set": (
        lambda world: world.identity.pop("ConfigurationSetName"),
        ("configuration-set", "warn"),
    ),
    "configuration set is gone": (set_is_gone, ("configuration-set", "fail")),
    "configuration set paused": (
        the_set(SendingOptions={"SendingEnabled": False}),
        ("configuration-set-sending", "fail"),
    ),
    "configuration set without suppression": (
        the_set(SuppressionOptions={"SuppressedReasons": []}),
        ("configuration-set-suppression", "warn"),
    ),
    "TLS required": (the_set(DeliveryOptions={"TlsPolicy": "REQUIRE"}), ("tls-policy", "warn")),
    "no destination": (
        lambda world: world.aws.ses.region(REGION).destinations.update({SET: []}),
        ("event-destination", "warn"),
    ),
    "destination off": (events(Enabled=False), ("event-destination", "warn")),
    "destination without complaints": (events(MatchingEventTypes=["BOUNCE", "SEND"]), ("event-destination", "warn")),
    "topic does not let SES publish": (lambda world: world.set_topic_policy(), ("event-topic", "fail")),
    "topic is gone": (
        lambda world: world.client("sns").delete_topic(TopicArn=world.topic) and None,
        ("event-topic", "fail"),
    ),
    # the way of an event behind the topic
    "nobody subscribed to the topic": (unsubscribed, ("event-subscription", "fail")),
    "another queue subscribed": (another_queue, ("event-subscription", "fail")),
    "queue does not let the topic in": (lambda world: world.set_queue_policy(None), ("event-queue", "fail")),
    "queue with the key of AWS": (lambda world: world.set_queue_key("alias/aws/sqs"), ("event-queue", "fail")),
    "queue with a key SNS may not use": (own_key(), ("event-queue", "fail")),
    "queue with a key SNS may use in part": (own_key("kms:Decrypt"), ("event-queue", "fail")),
    "queue with a key that is gone": (
        lambda world: world.set_queue_key("12345678-1234-1234-1234-123456789012"),
        ("event-queue", "fail"),
    ),
    "queue is gone": (
        lambda world: world.client("sqs").delete_queue(QueueUrl=world.queue_url) and None,
        ("event-queue", "fail"),
    ),
    "anything of SNS may write": (lambda world: world.set_queue_policy({}), ("event-queue-writers", "warn")),
    "everybody may write": (
        lambda world: (
            world.client("sqs").set_queue_attributes(QueueUrl=world.queue_url, Attributes={"Policy": OPEN_QUEUE})
            and None
        ),
        ("event-queue-writers", "fail"),
    ),
    # keys and secret
    "no such SMTP user": (asked(smtp_user="somebody-else"), ("smtp-user", "fail")),
    "no active key": (lambda world: world.set_key(active=False), ("smtp-user", "fail")),
    "key 200 days old": (lambda world: world.set_key(age=timedelta(days=200)), ("key-age", "warn")),
    "two active keys": (second_key, ("key-strays", "warn")),
    "idle key": (idle_key, ("key-strays", "warn")),
    "policy allows more": (wide_policy, ("user-policy", "warn")),
    "policy allows the identity, not its configuration set": (
        policy_of({"Resource": IDENTITY_ARN}),
        ("sending-right", "fail"),
    ),
    "policy denies one sender": (
        policy_of(
            {"Resource": "*"},
            {
                "Effect": "Deny",
                "Resource": "*",
                "Condition": {"StringEquals": {"ses:FromAddress": ALIASES[1].address}},
            },
        ),
        ("sending-right", "fail"),
    ),
    "policy with a condition nobody told of": (
        policy_of({"Resource": "*", "Condition": {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}}),
        ("sending-right", "unknown"),
    ),
    "IAM may not be asked": (policy_of({"Sid": HIDDEN, "Resource": "*"}), ("sending-right", "unknown")),
    "secret older than the key": (lambda world: world.set_key(age=timedelta(days=-4000)), ("secret", "fail")),
    "secret holds the login of an inactive key": (stale_login, ("secret", "fail")),
    "rotation half way": (pending_version, ("secret", "warn")),
    # aliases and servers
    "alias in another region": (other_region, ("alias-relay", "fail")),
    "alias in a region not looked at": (unlisted_region, ("alias-relay", "warn")),
    "alias host misspelt": (with_alias(host="email-smtp.us-east-1.amazonaws.co"), ("alias-relay", "fail")),
    "alias host does not exist": (dns(SES_HOST, "A"), ("alias-relay", "fail")),
    "alias at Microsoft": (with_alias(host="smtp.office365.com"), ("alias-relay", "warn")),
    "alias with the wrong encryption": (with_alias(port=465), ("alias-security", "fail")),
    "alias without encryption": (with_alias(security="none"), ("alias-security", "fail")),
    "alias not confirmed": (with_alias(verification="pending"), ("alias-verification", "warn")),
    "personal account": (asked(mailbox="jadasailing@gmail.com"), ("alias-end", "warn")),
    "server offers no login": (relay_mode("no-auth"), ("smtp-endpoint", "fail")),
    "server without STARTTLS": (relay_mode("no-starttls"), ("smtp-endpoint", "fail")),
    "certificate nobody trusts": (asked(ca_file=None), ("smtp-endpoint", "fail")),
    # what could not be looked up is never a fault
    "server not reachable from here": (asked(server=("localhost", 1, "starttls")), ("smtp-endpoint", "unknown")),
    "SERVFAIL for SPF": (trouble(DOMAIN, "servfail"), ("spf-record", "unknown")),
    "SERVFAIL for an include": (trouble("_spf.example.org", "servfail"), ("spf-lookups", "unknown")),
    "time-out for DMARC": (trouble(DMARC, "drop"), ("dmarc-record", "unknown")),
    "REFUSED for a CNAME": (trouble(NAMES[0], "refused"), ("dkim-records", "unknown")),
    "SERVFAIL behind a CNAME": (trouble(DKIM[NAMES[0]], "servfail"), ("dkim-records", "unknown")),
    "GetAccount denied": (refuse("GetAccount"), ("ses-account", "unknown")),
    "GetAccount throttled": (refuse("GetAccount", 429, "TooManyRequestsException"), ("ses-account", "unknown")),
    "GetEmailIdentity denied": (refuse("GetEmailIdentity"), ("ses-identity", "unknown")),
    "GetEmailIdentity out of order": (refuse("GetEmailIdentity", 500, "InternalFailure"), ("ses-identity", "unknown")),
    "ListSuppressedDestinations denied": (refuse("ListSuppressedDestinations"), ("suppression-list", "unknown")),
    "ListEmailIdentities denied": (refuse("ListEmailIdentities"), ("address-identity", "unknown")),
    "GetConfigurationSet denied": (refuse("GetConfigurationSet"), ("configuration-set", "unknown")),
    "destinations denied": (refuse("GetConfigurationSetEventDestinations"), ("event-destination", "unknown")),
    "Gmail away": (
        asked(aliases=NotLookedUp("the aliases in Gmail", "Gmail did not answer", "timeout")),
        ("gmail-aliases", "unknown"),
    ),
}

SCOPE = {"aliases", "mailbox", "addresses", "server", "ca_file", "earlier", "probe", "smtp_user", "regions"}
ALSO: dict[str, set[tuple[str, str]]] = {
    # One thing that is asked two questions: a name that answers nothing answers neither.
    "secret holds the login of an inactive key": {("smtp-login", "fail")},
    "SERVFAIL for SPF": {("domain-mx", "unknown"), ("zone-in-use", "unknown")},
}
