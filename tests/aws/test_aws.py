"""Asking AWS, against moto and the SES double: what the answers mean."""

from __future__ import annotations

from datetime import timedelta

import pytest
from botocore.retries.standard import ExponentialBackoff

from remediation.aws import QueueSetup, strange_senders
from remediation.aws import client as asking
from remediation.aws import iam as aws_iam
from remediation.aws import queue as aws_queue
from remediation.aws import secrets as aws_secrets
from remediation.aws import ses as aws_ses
from remediation.aws import ses_setup as aws_ses_setup
from remediation.aws.client import NotLookedUp
from tests.aws.troubled import AT, ID, REGION, Troubled, says
from tests.doubles.aws import ACCOUNT, AwsDouble
from tests.doubles.loopback import Reply
from tests.doubles.trail import BY


def test_caller_identity(aws: AwsDouble) -> None:
    answer = asking.caller_identity()
    assert isinstance(answer, asking.Identity)
    assert answer.account == ACCOUNT


def test_the_suppression_list_is_one_for_each_region(aws: AwsDouble) -> None:
    aws.ses.suppress("Pat+sail@client.example", "us-west-2", message_id=ID, at=AT)
    found = aws_ses.suppressed_destination("us-west-2", "Pat+sail@client.example")
    assert found == aws_ses.Suppressed("Pat+sail@client.example", "BOUNCE", AT, ID, ID[:-1] + "1")
    assert aws_ses.suppressed_destination("us-east-1", "Pat+sail@client.example") is None


def test_a_long_list_comes_whole_or_says_where_it_broke_off(aws: AwsDouble) -> None:
    aws.ses.region(REGION).page_size = 7
    for number in range(20):
        aws.ses.suppress(f"pat{number}@client.example", REGION, at=AT)
    found = list(aws_ses.suppressed_destinations(REGION))
    assert [entry.address for entry in found if isinstance(entry, aws_ses.Suppressed)] == [
        f"pat{number}@client.example" for number in range(20)
    ]
    aws.ses.fail("ListSuppressedDestinations", 2, status=403, code="AccessDeniedException")
    found = list(aws_ses.suppressed_destinations(REGION))
    assert len(found) == 8
    assert isinstance(found[-1], NotLookedUp)


def test_throttling_that_passes_is_not_noticed(aws: AwsDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda self, context: 0.0)
    aws.ses.fail("GetSuppressedDestination", times=2, status=429, code="TooManyRequestsException")
    assert aws_ses.suppressed_destination(REGION, "pat@client.example") is None
    assert aws.ses.calls["GetSuppressedDestination"] == 3


def test_the_set_up_of_ses(aws: AwsDouble) -> None:
    aws.ses.add_identity("queenofsandiego.com", REGION, ConfigurationSetName="events")
    aws.ses.add_configuration_set("events", REGION, topic_arn="arn:aws:sns:us-west-2:123456789012:ses-events")
    aws.ses.region(REGION).recommendations.append(
        {"ResourceArn": "arn:x", "Type": "DMARC", "Description": "no record", "Status": "OPEN", "Impact": "HIGH"}
    )
    account = aws_ses_setup.ses_account(REGION)
    assert isinstance(account, aws_ses_setup.SesAccount)
    assert (account.sending_enabled, account.production_access, account.vdm_enabled) == (True, True, False)
    identity = aws_ses_setup.identity(REGION, "queenofsandiego.com")
    assert isinstance(identity, aws_ses_setup.SesIdentity)
    assert (identity.verified, identity.configuration_set, len(identity.dkim_tokens)) == (True, "events", 3)
    assert aws_ses_setup.identity("eu-west-1", "queenofsandiego.com") is None
    assert aws_ses_setup.identity_names(REGION) == ["queenofsandiego.com"]
    destinations = aws_ses_setup.event_destinations(REGION, "events")
    assert isinstance(destinations, list)
    assert (destinations[0].enabled, "BOUNCE" in destinations[0].events) == (True, True)
    assert aws_ses_setup.event_destinations(REGION, "gone") is None
    assert aws_ses_setup.configuration_set(REGION, "gone") is None
    found = aws_ses_setup.recommendations(REGION)
    assert isinstance(found, list)
    assert found[0].type == "DMARC"


def test_insights(aws: AwsDouble) -> None:
    answer = aws_ses.message_insights(REGION, ID)
    assert isinstance(answer, NotLookedUp)  # VDM is off, which SES says by refusing
    aws.ses.region(REGION).account["VdmAttributes"] = {"VdmEnabled": "ENABLED"}
    assert aws_ses.message_insights(REGION, ID) is None
    bounce = {"Bounce": {"BounceType": "PERMANENT", "BounceSubType": "General", "DiagnosticCode": "550 5.1.1"}}
    aws.ses.add_insights(
        ID,
        REGION,
        sender="admin@queenofsandiego.com",
        subject="Sail",
        events=[("pat@client.example", "BOUNCE", AT, bounce)],
    )
    answer = aws_ses.message_insights(REGION, ID)
    assert isinstance(answer, aws_ses.MessageInsights)
    assert answer.events == (
        aws_ses.MessageEvent("pat@client.example", "BOUNCE", AT, "PERMANENT", "General", "550 5.1.1"),
    )


def test_sending_is_tried_once_and_refused_in_words(aws: AwsDouble) -> None:
    raw = b"From: admin@queenofsandiego.com\nTo: pat@client.example\nSubject: Sail\n\nAhoy\n"
    refused = aws_ses.send_raw(REGION, raw, "admin@queenofsandiego.com", ["pat@client.example"])
    assert isinstance(refused, NotLookedUp)
    assert refused.code == "MessageRejected"
    assert "US-WEST-2: admin@queenofsandiego.com" in refused.why
    aws.ses.add_identity("queenofsandiego.com", REGION)
    message_id = aws_ses.send_raw(REGION, raw, "admin@queenofsandiego.com", ["pat@client.example"])
    [sent] = aws.ses.sent
    assert (sent.id, sent.raw, sent.recipients, sent.region) == (message_id, raw, ("pat@client.example",), REGION)
    aws.ses.fail("SendEmail", when="after", connection="drop")
    lost = aws_ses.send_raw(REGION, raw, "admin@queenofsandiego.com", ["pat@client.example"])
    assert isinstance(lost, NotLookedUp)
    assert len(aws.ses.sent) == 2, "a mail whose answer was lost must not be sent again by itself"


def test_keys_and_their_use(aws: AwsDouble) -> None:
    assert aws_iam.access_keys("ses-smtp-admin") is None
    old = aws.make_smtp_user()
    aws.deactivate_key(old)
    new = aws.add_key(old.name)
    keys = aws_iam.access_keys(old.name)
    assert isinstance(keys, list)
    assert {key.id: key.active for key in keys} == {old.key_id: False, new.key_id: True}
    assert {key.last_use for key in keys} == {aws_iam.LastUse(None)}
    assert keys[0].short_id == f"{keys[0].id[:4]}…{keys[0].id[-2:]}"


def test_what_was_done_to_keys(aws: AwsDouble) -> None:
    hours = [AT + timedelta(hours=number) for number in range(6)]
    aws.trail.note("created", "ses-smtp-admin", "AKIAIOSFODNN7NEWKEY1", hours[1])
    aws.trail.note("made inactive", "ses-smtp-admin", "AKIAIOSFODNN7OLDKEY7", hours[2])
    aws.trail.note("made inactive", "someone-else", "AKIAIOSFODNN7OTHERS3", hours[2])
    aws.trail.note("deleted", "ses-smtp-admin", "AKIAIOSFODNN7OLDKEY7", hours[3], error="AccessDenied")
    aws.trail.note("deleted", "ses-smtp-admin", "AKIAIOSFODNN7OLDKEY7", hours[4])
    aws.trail.page_size = 1
    changes = aws_iam.key_changes("ses-smtp-admin", hours[0])
    assert isinstance(changes, list)
    assert [(change.short_id, change.change, change.at) for change in changes] == [
        ("AKIA…Y1", "created", hours[1]),
        ("AKIA…Y7", "made inactive", hours[2]),
        ("AKIA…Y7", "deleted", hours[4]),
    ]
    assert changes[0].by == BY
    assert aws_iam.key_changes("ses-smtp-admin", hours[5]) == []


def test_keys_are_known_even_where_their_use_is_not(troubled: Troubled) -> None:
    row = "<UserName>u</UserName><AccessKeyId>AKIAIOSFODNN7EXAMPLE</AccessKeyId><Status>Active</Status>"
    row += "<CreateDate>2026-05-12T14:02:00Z</CreateDate>"
    rows = f"<AccessKeyMetadata><member>{row}</member></AccessKeyMetadata>"
    keys = f"<R><ListAccessKeysResult>{rows}</ListAccessKeysResult></R>"
    denied = says("iam", 403, "AccessDenied")
    troubled.give = lambda request: (
        Reply(200, keys.encode(), {"Content-Type": "text/xml"})
        if b"ListAccessKeys" in request.body
        else denied(request)
    )
    found = aws_iam.access_keys("ses-smtp-admin")
    assert isinstance(found, list)
    assert (found[0].active, found[0].created_at) == (True, AT)
    assert isinstance(found[0].last_use, NotLookedUp)


def test_secrets(aws: AwsDouble) -> None:
    arn = aws.make_secret({"username": "AKIAIOSFODNN7EXAMPLE", "password": "B" * 44, "port": "587", "iam_user": "u"})
    versions = aws_secrets.secret_versions("us-east-1", arn)
    assert isinstance(versions, list)
    assert versions[0].stages == ("AWSCURRENT",)
    login = aws_secrets.secret_login("us-east-1", arn)
    assert isinstance(login, aws_secrets.SecretLogin)
    assert (login.username, login.password, login.port, login.user) == ("AKIAIOSFODNN7EXAMPLE", "B" * 44, 587, "u")
    assert "BBBB" not in repr(login)
    assert aws_secrets.secret_login("us-east-1", arn, "AWSPENDING") is None


def test_a_queue_gives_and_deletes(aws: AwsDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_queue, "WAIT_SECONDS", 0)
    queue = aws.make_event_queue()
    aws.put_in_queue(*(f"message {number}" for number in range(12)))
    first = aws_queue.receive(queue.region, queue.url)
    assert isinstance(first, list)
    assert len(first) == aws_queue.MAX_MESSAGES
    assert first[0].received == 1
    assert aws_queue.delete(queue.region, queue.url, first) == []
    second = aws_queue.receive(queue.region, queue.url)
    assert isinstance(second, list)
    assert {message.body for message in (*first, *second)} == {f"message {number}" for number in range(12)}
    broken = aws_queue.QueueMessage(second[0].id, "", "no handle", 1)
    assert aws_queue.delete(queue.region, queue.url, [broken, second[1]]) == [second[0].id]
    assert aws_queue.receive(queue.region, queue.url) == []
    gone = aws_queue.receive(queue.region, queue.url + "-gone")
    assert isinstance(gone, NotLookedUp)
    assert gone.kind == "refused"


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://sqs.us-east-1.amazonaws.com/123456789012/ses-events", "us-east-1"),
        ("https://eu-west-1.queue.amazonaws.com/123456789012/ses-events", "eu-west-1"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/123456789012/ses-events", "cn-north-1"),
        ("https://sqs.eusc-de-east-1.amazonaws.eu/123456789012/ses-events", "eusc-de-east-1"),
        ("https://sqs.us-east-1.amazonaws.community/1/q", None),
        ("http://127.0.0.1:5000/123456789012/ses-events", None),
    ],
)
def test_the_region_of_a_queue(url: str, region: str | None) -> None:
    assert aws_queue.queue_region(url) == region


def test_a_rule_of_our_own_account_may_write_to_the_queue_beside_the_topics() -> None:
    def strange(source: str, *topics: str) -> list[str]:
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Condition": {"ArnEquals": {"aws:SourceArn": source}},
        }
        setup = QueueSetup("arn:aws:sqs:us-east-1:123456789012:q", {"Statement": statement}, None)
        return strange_senders(setup, topics)

    topic = "arn:aws:sns:us-east-1:123456789012:ses-events"
    rule = "arn:aws:events:us-east-1:123456789012:rule/ses-status"
    for topics in ((), (topic,)):
        assert strange(rule, *topics) == []
        assert strange(rule.replace("rule/ses-status", "rule/*"), *topics) == []
        for other in (rule.replace("1234", "6666"), rule.replace("123456789012", "*"), rule.replace("us-east-1", "*")):
            assert strange(other, *topics) == [f"whatever comes from {other}"]
    assert strange(topic.replace("ses-events", "other"), topic) != []
