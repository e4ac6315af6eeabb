"""The SES double cannot drift from the real API: its routes and answers are held against botocore's service model."""

from __future__ import annotations

import json
import urllib.request
from datetime import UTC, datetime
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from parsers.readers.ses import read_notification
from parsers.ses_ids import ses_ids
from tests.doubles.aws import AwsDouble
from tests.doubles.ses import ROUTES, SesDouble
from tests.doubles.ses_api import OPERATIONS, new_message_id
from tests.doubles.ses_events import ses_event

AT = datetime(2026, 5, 12, 14, 2, tzinfo=UTC)
MODEL = botocore.session.get_session().get_service_model("sesv2")
ID = new_message_id("us-west-2", int(AT.timestamp() * 1000))

ASKED: dict[str, dict[str, Any]] = {
    "GetAccount": {},
    "PutAccountSuppressionAttributes": {"SuppressedReasons": ["BOUNCE"]},
    "GetEmailIdentity": {"EmailIdentity": "queenofsandiego.com"},
    "ListEmailIdentities": {},
    "GetSuppressedDestination": {"EmailAddress": "pat+a@client.example"},
    "ListSuppressedDestinations": {"Reasons": ["BOUNCE"]},
    "PutSuppressedDestination": {"EmailAddress": "kim@client.example", "Reason": "BOUNCE"},
    "DeleteSuppressedDestination": {"EmailAddress": "pat+a@client.example"},
    "GetMessageInsights": {"MessageId": ID},
    "GetEmailAddressInsights": {"EmailAddress": "pat@client.example"},
    "GetConfigurationSet": {"ConfigurationSetName": "events"},
    "ListConfigurationSets": {},
    "GetConfigurationSetEventDestinations": {"ConfigurationSetName": "events"},
    "ListRecommendations": {"Filter": {"STATUS": "OPEN"}},
    "SendEmail": {
        "FromEmailAddress": "admin@queenofsandiego.com",
        "Destination": {"ToAddresses": ["pat@client.example"]},
        "Content": {"Raw": {"Data": b"From: admin@queenofsandiego.com\nSubject: Sail\n\nAhoy\n"}},
    },
}


@pytest.fixture
def ses(aws: AwsDouble) -> SesDouble:
    aws.ses.add_identity("queenofsandiego.com", "us-west-2", ConfigurationSetName="events")
    aws.ses.add_configuration_set("events", "us-west-2", topic_arn="arn:aws:sns:us-west-2:123456789012:ses-events")
    aws.ses.suppress("pat+a@client.example", "us-west-2", message_id=ID, at=AT)
    region = aws.ses.region("us-west-2")
    region.account["VdmAttributes"] = {"VdmEnabled": "ENABLED"}
    region.recommendations.append({"ResourceArn": "arn:x", "Type": "SPF", "Description": "none", "Status": "OPEN"})
    bounce = {"Bounce": {"BounceType": "PERMANENT", "BounceSubType": "General", "DiagnosticCode": "550"}}
    events = [("pat@client.example", "SEND", AT, None), ("pat@client.example", "BOUNCE", AT, bounce)]
    aws.ses.add_insights(ID, "us-west-2", sender="admin@queenofsandiego.com", subject="Sail", events=events)
    return aws.ses


def test_every_operation_is_routed_as_botocore_asks() -> None:
    routed = {(method, path, operation) for method, path, operation in ROUTES}
    assert {operation for _, _, operation in ROUTES} == set(OPERATIONS) == set(ASKED)
    for name in OPERATIONS:
        http = MODEL.operation_model(name).http
        assert (http["method"], http["requestUri"], name) in routed


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_answer_has_the_shape_of_the_model(ses: SesDouble, operation: str) -> None:
    """Field by field: what the double says, botocore must know, in the type botocore reads."""
    client = boto3.client("sesv2", region_name="us-west-2")
    answer = getattr(client, botocore.xform_name(operation))(**ASKED[operation])
    told = OPERATIONS[operation](ses.region("us-west-2"), _plain(operation))
    shape = MODEL.operation_model(operation).output_shape
    assert set(told) <= set(shape.members if shape else ())
    assert set(answer) - {"ResponseMetadata"} == set(told), "a field botocore does not know is dropped in silence"
    with Stubber(client) as stub:  # raises where a type is not the model's
        stub.add_response(botocore.xform_name(operation), answer)
        getattr(client, botocore.xform_name(operation))(**ASKED[operation])


def _plain(operation: str) -> dict[str, Any]:
    """The parameters as they arrive over the wire, after the operation was carried out once."""
    asked = dict(ASKED[operation])
    if operation == "SendEmail":
        asked["Content"] = {"Raw": {"Data": "RnJvbTogYWRtaW5AcXVlZW5vZnNhbmRpZWdvLmNvbQoKQWhveQo="}}
    if operation == "DeleteSuppressedDestination":
        asked["EmailAddress"] = "sam@client.example"
    return asked


@pytest.fixture(autouse=True)
def someone_else_is_suppressed(aws: AwsDouble) -> None:
    aws.ses.suppress("sam@client.example", "us-west-2", at=AT)


@pytest.mark.parametrize(
    ("operation", "asked"),
    [
        ("GetEmailIdentity", {"EmailIdentity": "other.example"}),
        ("GetSuppressedDestination", {"EmailAddress": "nobody@client.example"}),
        ("DeleteSuppressedDestination", {"EmailAddress": "nobody@client.example"}),
        ("GetMessageInsights", {"MessageId": "none"}),
        ("GetConfigurationSet", {"ConfigurationSetName": "none"}),
        ("GetConfigurationSetEventDestinations", {"ConfigurationSetName": "none"}),
    ],
)
def test_what_is_not_there_is_not_found_in_the_model_s_word(
    ses: SesDouble, operation: str, asked: dict[str, Any]
) -> None:
    client = boto3.client("sesv2", region_name="us-west-2")
    with pytest.raises(client.exceptions.NotFoundException):
        getattr(client, botocore.xform_name(operation))(**asked)
    assert "NotFoundException" in {shape.name for shape in MODEL.operation_model(operation).error_shapes}


def test_the_older_form_of_a_list_is_answered_too(ses: SesDouble) -> None:
    scope = "AWS4-HMAC-SHA256 Credential=AKIA/20261124/us-west-2/ses/aws4_request"
    request = urllib.request.Request(f"{ses.url}/v2/email/identities", headers={"Authorization": scope})
    with urllib.request.urlopen(request) as answer:
        assert json.load(answer)["EmailIdentities"][0]["IdentityName"] == "queenofsandiego.com"


def test_paused_unverified_and_sandboxed_sending_is_refused(ses: SesDouble) -> None:
    client = boto3.client("sesv2", region_name="us-west-2")
    account = ses.region("us-west-2").account
    account["ProductionAccessEnabled"] = False
    with pytest.raises(ClientError, match=r"not verified.*US-WEST-2: pat@client.example"):
        client.send_email(**ASKED["SendEmail"])
    account["SendingEnabled"] = False
    with pytest.raises(client.exceptions.SendingPausedException):
        client.send_email(**ASKED["SendEmail"])
    with pytest.raises(ClientError, match=r"admin@queenofsandiego\.com"):
        boto3.client("sesv2", region_name="eu-west-1").send_email(**ASKED["SendEmail"])
    assert ses.sent == []


def test_it_complains_of_what_it_was_not_taught(aws: AwsDouble) -> None:
    with pytest.raises(ClientError):
        boto3.client("sesv2", region_name="us-west-2").list_contact_lists()
    assert ["contact-lists" in complaint for complaint in aws.ses.complaints] == [True]
    aws.ses.complaints.clear()


def test_its_ids_and_events_are_read_by_our_own_reader() -> None:
    [decoded] = ses_ids(ID)
    assert (decoded.region, decoded.sent_at) == ("us-west-2", AT)
    for kind in ("Bounce", "Complaint", "Delivery", "DeliveryDelay", "Reject"):
        reading = read_notification(ses_event(kind, ["pat@client.example"], at=AT, message_id=ID, region="us-west-2"))
        assert reading is not None
        assert [failure.recipient for failure in reading.failures] == ["pat@client.example"]
        assert reading.original is not None
        assert (reading.original.ses_message_id, reading.original.ses_region) == (ID, "us-west-2")
