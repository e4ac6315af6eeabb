"""AWS on loopback: moto for IAM, Secrets Manager, SNS, SQS, STS and CloudWatch, our own doubles for SES and CloudTrail.

Started once for each test process; the fixture `aws` (tests/conftest.py) resets it before each test and points this
process there. A subprocess is pointed there with `env=os.environ | aws.env`. Everything else is done through boto3.

    def test(aws):
        user = aws.make_smtp_user()
        queue = aws.make_event_queue()
        aws.publish(ses_event("Bounce", ...))
"""

from __future__ import annotations

import json
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from tests.doubles.ses import ENV, SesDouble
from tests.doubles.simulation import install
from tests.doubles.trail import TrailDouble

REGION = "us-east-1"
ACCOUNT = "123456789012"


@dataclass(frozen=True)
class SmtpUser:
    """An IAM user for SES SMTP, with one active key."""

    name: str
    key_id: str
    secret: str


@dataclass(frozen=True)
class EventQueue:
    """An SNS topic with an SQS queue behind it."""

    topic_arn: str
    url: str
    region: str
    raw: bool


class AwsDouble:
    """A moto server and an SES double, for the life of the test process."""

    def __init__(self) -> None:
        from moto.server import ThreadedMotoServer

        install()
        self._moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._moto.start()
        host, port = self._moto.get_host_and_port()
        self.url = f"http://{host}:{port}"
        self._stack = ExitStack()
        self.ses = self._stack.enter_context(SesDouble())
        self.trail = self._stack.enter_context(TrailDouble())
        self.queue: EventQueue | None = None
        self._clients: dict[tuple[str, str], Any] = {}

    def stop(self) -> None:
        """Close both ports."""
        for client in self._clients.values():
            client.close()
        self._moto.stop()
        self._stack.close()

    def reset(self) -> None:
        """Empty everything."""
        request = urllib.request.Request(f"{self.url}/moto-api/reset", method="POST")
        urllib.request.urlopen(request).close()
        self.ses.reset()
        self.trail.reset()
        self.queue = None

    @property
    def env(self) -> dict[str, str]:
        """What makes any AWS client of a process, ours included, talk to this double. Without real credentials."""
        return ENV | {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ENDPOINT_URL_SESV2": self.ses.url,
            "AWS_ENDPOINT_URL_CLOUDTRAIL": self.trail.url,
            "AWS_DEFAULT_REGION": REGION,
        }

    def client(self, service: str, region: str = REGION) -> Any:
        """A boto3 client of the test's own; made once, because making one takes longer than most calls."""
        import boto3

        if (service, region) in self._clients:
            return self._clients[service, region]
        env = self.env
        made = self._clients[service, region] = boto3.client(
            service,
            region_name=region,
            endpoint_url=self.ses.url if service == "sesv2" else self.url,
            aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
        )
        return made

    # -- credentials --------------------------------------------------------------------------------------------

    def make_smtp_user(self, name: str = "ses-smtp-admin") -> SmtpUser:
        """An IAM user that may send, with one active access key."""
        iam = self.client("iam")
        iam.create_user(UserName=name)
        policy = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "ses:SendRawEmail", "Resource": "*"}],
        }
        iam.put_user_policy(UserName=name, PolicyName="send", PolicyDocument=json.dumps(policy))
        return self.add_key(name)

    def add_key(self, name: str) -> SmtpUser:
        """One more access key for a user (two at most)."""
        key = self.client("iam").create_access_key(UserName=name)["AccessKey"]
        return SmtpUser(name, key["AccessKeyId"], key["SecretAccessKey"])

    def deactivate_key(self, user: SmtpUser) -> None:
        self.client("iam").update_access_key(UserName=user.name, AccessKeyId=user.key_id, Status="Inactive")

    def use_key(self, user: SmtpUser, at: Any, service: str = "ses", region: str = REGION) -> None:
        """Let IAM know of a use of a key; moto has no call that does."""
        from moto.iam.models import AccessKeyLastUsed, iam_backends

        for key in iam_backends[ACCOUNT]["aws"].list_access_keys(user.name):
            if key.access_key_id == user.key_id:
                key.last_used = AccessKeyLastUsed(at, service, region)

    def make_secret(
        self, login: dict[str, Any], name: str = "ses-smtp/queenofsandiego.com", region: str = REGION
    ) -> str:
        """A secret with this JSON as its current version; returns its ARN."""
        made = self.client("secretsmanager", region).create_secret(Name=name, SecretString=json.dumps(login))
        return str(made["ARN"])

    # -- events -------------------------------------------------------------------------------------------------

    def make_event_queue(self, region: str = REGION, *, raw: bool = True) -> EventQueue:
        """A topic as SES publishes to, and the queue our worker drains; `raw`: raw message delivery.

        Without it moto signs with no key at all: such messages wait, because nobody can fetch that certificate.
        """
        sns, sqs = self.client("sns", region), self.client("sqs", region)
        topic = sns.create_topic(Name="ses-events")["TopicArn"]
        url = sqs.create_queue(QueueName="ses-events")["QueueUrl"]
        attributes = {"RawMessageDelivery": "true"} if raw else {}
        arn = f"arn:aws:sqs:{region}:{ACCOUNT}:ses-events"
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=attributes)
        self.queue = EventQueue(topic, url, region, raw)
        return self.queue

    def publish(self, event: dict[str, Any], queue: EventQueue | None = None) -> None:
        """Publish an event as SES does: its JSON as the text of an SNS message."""
        queue = queue or self.queue
        assert queue is not None, "make_event_queue first"
        self.client("sns", queue.region).publish(TopicArn=queue.topic_arn, Message=json.dumps(event))

    def put_in_queue(self, *bodies: str, queue: EventQueue | None = None) -> None:
        """Put texts into the queue as they are (EventBridge, rubbish, ...)."""
        queue = queue or self.queue
        assert queue is not None, "make_event_queue first"
        sqs = self.client("sqs", queue.region)
        for start in range(0, len(bodies), 10):
            entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies[start : start + 10])]
            sqs.send_message_batch(QueueUrl=queue.url, Entries=entries)

    def waiting(self, queue: EventQueue | None = None) -> int:
        """How many messages are in the queue, the hidden ones included."""
        queue = queue or self.queue
        assert queue is not None, "make_event_queue first"
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        got = self.client("sqs", queue.region).get_queue_attributes(QueueUrl=queue.url, AttributeNames=names)
        return sum(int(value) for value in got["Attributes"].values())
