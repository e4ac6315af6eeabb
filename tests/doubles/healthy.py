"""A sending domain where everything is in order: SES, Route 53, DNS, keys, secret, alias and SMTP server, on loopback.

Made anew for each test on top of the doubles; a test then breaks exactly one thing. The mailbox is one of Google
Workspace, because a personal one is never wholly in order: its aliases end in January 2027.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from remediation.audit.facts import Alias, Scope
from tests.doubles.aws import ACCOUNT, REGION, AwsDouble, SmtpUser
from tests.doubles.relay import RelayDouble
from tests.doubles.zone import ZoneDouble

DOMAIN = "queenofsandiego.com"
FLEET = f"fleet.{DOMAIN}"
"""A subdomain mail is sent from as well, covered by the identity of the domain."""
MAIL_FROM = f"bounce.{DOMAIN}"
SES_HOST = f"email-smtp.{REGION}.amazonaws.com"
MAILBOX = "owner@example.org"
NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
SET = "events"
USER = "ses-smtp-admin"
SECRET = f"ses-smtp/{DOMAIN}"
TOKENS = tuple(letter * 32 for letter in "abc")
DKIM = {f"{token}._domainkey.{DOMAIN}": f"{token}.dkim.amazonses.com" for token in TOKENS}
ALIASES = (
    Alias(f"admin@{DOMAIN}", SES_HOST, 587, "starttls", "accepted"),
    Alias(f"crew@{FLEET}", SES_HOST, 465, "ssl", "accepted"),
)


@dataclass
class World:
    """Everything the audit looks at."""

    aws: AwsDouble
    dns: ZoneDouble
    relay: RelayDouble
    user: SmtpUser
    zone_id: str
    topic: str
    queue_url: str = ""
    queue_arn: str = ""

    def scope(self, **changes: Any) -> Scope:
        """What the audit is asked to look at."""
        asked: dict[str, Any] = {
            "domains": (DOMAIN,),
            "regions": (REGION,),
            "aliases": ALIASES,
            "mailbox": MAILBOX,
            "smtp_user": USER,
            "secret_id": SECRET,
            "dns_server": self.dns.address,
            "server": (self.relay.starttls.host, self.relay.starttls.port, "starttls"),
            "ca_file": self.relay.ca_file,
            "queue_url": self.queue_url,
        }
        return Scope(**{**asked, **changes})

    def client(self, service: str) -> Any:
        """A boto3 client of the test's own; making one takes longer than all it is used for, so it is kept."""
        return _client(self.aws, self.aws.url, service)

    @property
    def identity(self) -> dict[str, Any]:
        """What SES says of the domain."""
        return self.aws.ses.region(REGION).identities[DOMAIN]

    @property
    def account(self) -> dict[str, Any]:
        return self.aws.ses.region(REGION).account

    def set_route53(self, action: str, name: str, type_: str, value: str) -> None:
        """Change one record of the Route 53 zone."""
        self.change_route53((action, name, type_, value))

    def change_route53(self, *changes: tuple[str, str, str, str]) -> None:
        """Change records of the Route 53 zone: action, name, type, value."""
        rows = [
            {
                "Action": action,
                "ResourceRecordSet": {"Name": name, "Type": type_, "TTL": 300, "ResourceRecords": [{"Value": value}]},
            }
            for action, name, type_, value in changes
        ]
        batch = {"Changes": rows}
        self.client("route53").change_resource_record_sets(HostedZoneId=self.zone_id, ChangeBatch=batch)

    def set_cname(self, name: str, target: str | None) -> None:
        """A CNAME as Route 53 and as the world has it; None: it is gone from both."""
        self.dns.set(name, "CNAME", *([f"{target}."] if target else []))
        self.set_route53("UPSERT" if target else "DELETE", name, "CNAME", target or DKIM[name])

    def set_topic_policy(self, *services: str) -> None:
        """Who may publish to the topic of the events."""
        statements = [
            {"Effect": "Allow", "Principal": {"Service": name}, "Action": "SNS:Publish", "Resource": self.topic}
            for name in services
        ]
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        self.client("sns").set_topic_attributes(TopicArn=self.topic, AttributeName="Policy", AttributeValue=policy)

    def make_queue(self) -> None:
        """The queue of the events, subscribed to the topic and open to it alone."""
        sqs = self.client("sqs")
        self.queue_url = sqs.create_queue(QueueName="ses-events")["QueueUrl"]
        self.queue_arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:ses-events"
        self.set_queue_policy({"ArnEquals": {"aws:SourceArn": self.topic}})
        self.client("sns").subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=self.queue_arn)

    def set_queue_policy(self, condition: dict[str, Any] | None, service: str = "sns.amazonaws.com") -> None:
        """Who may put messages into the queue: a service, under a condition; None: nobody."""
        statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sqs:SendMessage"}
        statement |= {"Resource": self.queue_arn, "Condition": condition or {}}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [] if condition is None else [statement]})
        self.client("sqs").set_queue_attributes(QueueUrl=self.queue_url, Attributes={"Policy": policy})

    def set_queue_key(self, key: str) -> None:
        """Encrypt the queue with a key. With the policy in the same call, because moto forgets what it is not told."""
        sqs = self.client("sqs")
        held = sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=["Policy"])["Attributes"]
        sqs.set_queue_attributes(QueueUrl=self.queue_url, Attributes={**held, "KmsMasterKeyId": key})

    def set_rates(self, bounce: float, complaint: float, at: datetime = NOW - timedelta(hours=2)) -> None:
        """What CloudWatch has measured last; fractions."""
        rows = [("Reputation.BounceRate", bounce), ("Reputation.ComplaintRate", complaint)]
        data = [{"MetricName": name, "Value": value, "Timestamp": at} for name, value in rows]
        self.client("cloudwatch").put_metric_data(Namespace="AWS/SES", MetricData=data)

    def set_key(self, number: int = 0, *, age: timedelta | None = None, active: bool | None = None) -> None:
        """Change an access key of the SMTP user behind the back of AWS, which lets nobody choose the date."""
        from moto.iam.models import iam_backends

        key = iam_backends[ACCOUNT]["aws"].users[USER].access_keys[number]
        if age is not None:
            key.create_date = (NOW - age).replace(tzinfo=None)
        if active is not None:
            key.status = "Active" if active else "Inactive"


@functools.cache
def _client(aws: AwsDouble, url: str, service: str) -> Any:
    return aws.client(service)


def make_healthy(aws: AwsDouble, dns: ZoneDouble, relay: RelayDouble) -> World:
    """Fill the empty doubles."""
    dns.reset()
    made = _client(aws, aws.url, "route53").create_hosted_zone(Name=DOMAIN, CallerReference="1")
    topic = _client(aws, aws.url, "sns").create_topic(Name="ses-events")["TopicArn"]
    world = World(aws, dns, relay, _smtp_user(aws), made["HostedZone"]["Id"].rpartition("/")[2], topic)
    aws.ses.add_identity(DOMAIN, ConfigurationSetName=SET)
    aws.ses.add_configuration_set(SET, topic_arn=topic)
    world.set_topic_policy("ses.amazonaws.com")
    world.make_queue()
    world.set_rates(0.004, 0.0002)
    world.set_key(age=timedelta(days=20))
    login = {"username": world.user.key_id, "password": "B" * 44, "iam_user": USER}
    world.client("secretsmanager").create_secret(Name=SECRET, SecretString=json.dumps(login))
    changes = [("UPSERT", name, "CNAME", target) for name, target in DKIM.items()]
    world.change_route53(*changes)
    for name, target in DKIM.items():
        dns.set(name, "CNAME", f"{target}.")
        dns.set(target, "TXT", '"p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCB"')
    dns.set(DOMAIN, "NS", *(f"{server}." for server in made["DelegationSet"]["NameServers"]))
    dns.set(DOMAIN, "MX", "10 mx.example.org.")
    dns.set("mx.example.org", "A", "192.0.2.9")
    dns.set(DOMAIN, "TXT", '"google-site-verification=abc"', '"v=spf1 include:_spf.example.org -all"')
    dns.set("_spf.example.org", "TXT", '"v=spf1 ip4:192.0.2.0/24 -all"')
    dns.set(f"_dmarc.{DOMAIN}", "TXT", f'"v=DMARC1; p=reject; rua=mailto:dmarc@{DOMAIN}"')
    dns.set(FLEET, "A", "192.0.2.7")
    dns.set(MAIL_FROM, "MX", f"10 feedback-smtp.{REGION}.amazonses.com.")
    dns.set(MAIL_FROM, "TXT", '"v=spf1 include:amazonses.com ~all"')
    dns.set("amazonses.com", "TXT", '"v=spf1 ip4:199.255.192.0/22 -all"')
    dns.set(SES_HOST, "A", "192.0.2.25")
    return world


def _smtp_user(aws: AwsDouble) -> SmtpUser:
    iam = _client(aws, aws.url, "iam")
    iam.create_user(UserName=USER)
    policy = {"Effect": "Allow", "Action": "ses:SendRawEmail", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": policy})
    iam.put_user_policy(UserName=USER, PolicyName="send", PolicyDocument=document)
    key = iam.create_access_key(UserName=USER)["AccessKey"]
    return SmtpUser(USER, key["AccessKeyId"], key["SecretAccessKey"])
