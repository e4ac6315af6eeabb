"""Rotations by the real commands, against moto's IAM and Secrets Manager and a relay that takes moto's keys.

What may happen in which order is the business of test_rotation_states.py; here the login goes over TLS, the main ways
are walked by processes, and end states are read from AWS, relay and database.
"""

from __future__ import annotations

import json
import re
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import pytest
from filelock import FileLock

from remediation.aws import policies
from tests.aws.recorder import record_actions
from tests.doubles.aws import REGION, AwsDouble
from tests.doubles.gmail import GmailDouble
from tests.rotation.stage import ALIAS, ROOT, SECRET, Stage
from tests.worlds.schemas import by_schema


def _enforce(aws: AwsDouble, on: bool) -> None:
    """Let moto check every request from now on, or none."""
    after = b"0" if on else b"1e9"
    request = urllib.request.Request(
        f"{aws.url}/moto-api/reset-auth", data=after, method="POST", headers={"Content-Type": "text/plain"}
    )
    urllib.request.urlopen(request).close()


def test_a_whole_rotation(stage: Stage) -> None:
    stage.as_process = True
    stage.relay.lag = 2
    said = stage.rotate("start")
    new = stage.held()["username"]
    assert stage.relay.attempts == [(new, 535), (new, 535), (new, 235)], "one login each, on a connection of its own"
    assert said.count("asking again") == 2
    assert stage.key_states() == {stage.user.key_id: "Active", new: "Active"}
    assert stage.stages() == {"AWSCURRENT", "AWSPREVIOUS"}
    assert stage.works("AWSCURRENT")
    assert stage.works("AWSPREVIOUS")
    held = stage.held()
    assert {name: held[name] for name in ("region", "iam_user", "port")} == {
        "region": REGION,
        "iam_user": stage.user.name,
        "port": stage.relay.starttls.port,
    }
    assert datetime.fromisoformat(held["created"])
    for word in (
        ALIAS,
        new,
        "SMTP Server: localhost",
        f"Port: {stage.relay.starttls.port}",
        "edit info",
        "January 2027",
    ):
        assert word in said
    assert held["password"] not in said

    assert held["password"] in stage.rotate("status", "--show")
    assert held["password"] not in stage.rotate("status")

    stage.rotate("start")
    assert set(stage.key_states()) == {stage.user.key_id, new}, "once more makes no further key"
    assert "No mail from the alias was seen to leave" in stage.rotate("confirm", code=78)
    assert stage.row()["state"] == "waiting"
    assert stage.key_states()[stage.user.key_id] == "Active", "the owner's word alone is not enough"
    assert "not before" in stage.rotate("confirm", "--yes-i-tested")
    assert stage.key_states() == {stage.user.key_id: "Inactive", new: "Active"}

    assert "grace period is not over" in stage.rotate("finish", code=75)
    stage.days_pass(2)
    stage.rotate("finish", code=75)
    assert stage.user.key_id in stage.key_states()
    stage.days_pass(3)
    assert "It is over" in stage.rotate("finish")
    assert stage.key_states() == {new: "Active"}
    assert stage.works()
    assert stage.row()["state"] == "done"
    stage.rotate("finish", code=78)


def test_abort_after_the_hand_over_keeps_both_until_it_is_known_what_gmail_has(stage: Stage) -> None:
    stage.as_process = True
    stage.rotate("start")
    new = stage.held()["username"]
    said = stage.rotate("abort")
    assert stage.held()["username"] == stage.user.key_id
    assert stage.key_states() == {stage.user.key_id: "Active", new: "Active"}, "Gmail may have the new one by now"
    assert f"Username: {stage.user.key_id}" in said
    assert "--gmail-has-old" in said
    stage.rotate("confirm", code=78)
    stage.rotate("abort", "--gmail-has-old")
    assert stage.key_states() == {stage.user.key_id: "Active", new: "Inactive"}
    stage.rotate("finish", code=75)
    stage.days_pass(3)
    stage.rotate("finish")
    assert stage.key_states() == {stage.user.key_id: "Active"}
    assert stage.works()


def test_a_secret_named_by_its_arn_is_kept_in_the_region_that_says(stage: Stage) -> None:
    """The server is in one region, the secret in another: every command asks there."""
    there = "eu-west-1"
    arn = stage.aws.make_secret(stage.held(), "kept-elsewhere", there)
    stage.aws.client("secretsmanager").delete_secret(SecretId=SECRET, ForceDeleteWithoutRecovery=True)
    stage.settings(smtp_secret=arn)
    assert f"{arn} in {there}" in " ".join(stage.run_here("doctor").stdout.split())
    assert "There is no secret" not in stage.run_here("credentials", "status").stdout
    stage.rotate("start")
    held = stage.aws.client("secretsmanager", there).get_secret_value(SecretId=arn, VersionStage="AWSCURRENT")
    assert json.loads(held["SecretString"])["username"] != stage.user.key_id
    checked = stage.run_here("credentials", "check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    gone = f"{arn[:-7]}-AbCdEf".replace("kept-elsewhere", "nowhere")
    stage.settings(smtp_secret=gone)
    assert f"There is no secret {gone} in {there}." in stage.run_here("credentials", "status").stdout


def test_a_rotation_asks_for_what_the_printed_policy_allows(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    called = record_actions(monkeypatch)
    stage.run_here("credentials", "status")
    stage.rotate("start")
    stage.rotate("abort", "--gmail-has-old")
    stage.days_pass(3)
    stage.rotate("finish")
    asked = set(called)
    printed = stage.run_here("doctor", "--iam-policy", "rotation").stdout
    assert sorted(asked) == policies.actions(json.loads(printed))


@pytest.mark.parametrize(
    ("denied", "states"),
    [
        ("iam:ListAccessKeys", None),
        ("iam:CreateAccessKey", "done"),
        ("secretsmanager:PutSecretValue", "done"),
        ("secretsmanager:UpdateSecretVersionStage", "promoting"),
    ],
)
def test_a_permission_that_is_missing(stage: Stage, denied: str, states: str | None) -> None:
    """moto enforces which actions a user may call; the resource is left open, because it knows no other."""
    allowed = [action for action in policies.actions(policies.rotation_policy()) if action != denied]
    statement = {"Effect": "Allow", "Action": allowed, "Resource": "*"}
    iam = stage.aws.client("iam")
    iam.create_user(UserName="rotator")
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="rotator", PolicyName="rotate", PolicyDocument=document)
    key = iam.create_access_key(UserName="rotator")["AccessKey"]
    stage.env = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    _enforce(stage.aws, True)
    try:
        # A key that could not be stored is rolled back, which is no longer a matter of permissions.
        said = stage.rotate("start", code=78 if "PutSecretValue" in denied else 77)
    finally:
        _enforce(stage.aws, False)
    assert denied in said
    assert "It is over" not in said
    if states is None:
        assert not (stage.folder / "triage.db").exists() or stage.rotate("status").startswith("No rotation")
    else:
        assert stage.row()["state"] == states
    assert stage.key_states()[stage.user.key_id] == "Active"
    assert len(stage.key_states()) == (2 if states == "promoting" else 1)
    assert stage.works()
    stage.env = {}
    stage.rotate("start")
    assert stage.row()["state"] == "waiting"
    assert stage.works()


def test_the_policy_allows_what_a_rotation_calls() -> None:
    modules = (ROOT / "remediation" / "rotation" / "keys.py", ROOT / "remediation" / "aws" / "iam.py")
    source = "".join(path.read_text() for path in modules)
    called = {":".join(found) for found in re.findall(r'"(iam|secretsmanager)",\s+[\w.]+,\s+"(\w+)"', source)}
    assert len(called) >= 10
    # Making a secret is for the first time only, and not in the everyday policy; see docs/rotation.md.
    assert called - {"secretsmanager:CreateSecret"} <= set(policies.actions(policies.rotation_policy()))


def test_what_stands_in_the_way_is_said(stage: Stage) -> None:
    second = stage.aws.add_key(stage.user.name)
    said = stage.rotate("start", code=78)
    assert f"--remove-key {second.key_id}" in said
    assert "never used" in said
    assert stage.user.key_id in stage.rotate("start", "--remove-key", stage.user.key_id, code=78)
    stage.rotate("start", "--remove-key", second.key_id)
    assert stage.key_states() == {stage.user.key_id: "Active", second.key_id: "Inactive"}, (
        "an Active key is never deleted"
    )
    assert "has to be Inactive for a while" in stage.rotate("start", "--remove-key", second.key_id)
    stage.removal_began(datetime(2026, 1, 1, tzinfo=UTC))
    stage.rotate("start", "--remove-key", second.key_id)
    stage.rotate("start")
    assert stage.works()


def test_the_days_before_a_key_is_removed_begin_anew_whenever_it_becomes_inactive(stage: Stage) -> None:
    """Somebody needed it and made it Active again: what was written down about it the first time counts no longer."""
    second = stage.aws.add_key(stage.user.name)
    remove = ("start", "--remove-key", second.key_id)
    stage.rotate(*remove)
    stage.removal_began(datetime(2026, 1, 1, tzinfo=UTC))
    iam = stage.aws.client("iam")
    iam.update_access_key(UserName=stage.user.name, AccessKeyId=second.key_id, Status="Active")
    stage.rotate(*remove)
    assert "has to be Inactive for a while" in stage.rotate(*remove)
    stage.removal_began(datetime.now(UTC) - timedelta(days=4))
    stage.alias_fails(datetime.now(UTC) - timedelta(days=1))
    said = stage.rotate(*remove, code=78)
    assert "It is not deleted" in said
    assert f"aws iam update-access-key --user-name {stage.user.name} --access-key-id {second.key_id}" in said
    assert second.key_id in stage.key_states()


def test_a_key_others_made_inactive_is_watched_first(stage: Stage) -> None:
    second = stage.aws.add_key(stage.user.name)
    stage.aws.deactivate_key(second)
    remove = ("start", "--remove-key", second.key_id)
    assert f"--remove-key {second.key_id}" in stage.run_here("credentials", "status").stdout
    assert "has to be Inactive for a while" in stage.rotate(*remove)
    assert "has to be Inactive for a while" in stage.rotate(*remove)
    stage.removal_began(datetime.now(UTC) - timedelta(days=4))
    assert "is deleted" in stage.rotate(*remove)
    assert list(stage.key_states()) == [stage.user.key_id]


def test_the_last_key_is_never_removed(stage: Stage) -> None:
    """The secret names a key that is gone, so nobody knows what Gmail uses."""
    second = stage.aws.add_key(stage.user.name)
    stage.aws.client("iam").delete_access_key(UserName=stage.user.name, AccessKeyId=stage.user.key_id)
    assert "No other key is Active" in stage.rotate("start", "--remove-key", second.key_id, code=78)
    assert stage.key_states() == {second.key_id: "Active"}
    stage.settings(smtp_user="nobody")
    assert "There is no IAM user nobody" in stage.rotate("start", "--remove-key", second.key_id, code=78)


def test_a_key_that_is_not_the_users_stops_it(stage: Stage) -> None:
    stage.aws.client("iam").delete_access_key(UserName=stage.user.name, AccessKeyId=stage.user.key_id)
    assert "--old-key-is-gone" in stage.rotate("start", code=78)
    stage.rotate("start", "--old-key-is-gone")
    assert stage.works()
    stage.rotate("confirm", "--yes-i-tested")
    assert stage.row()["state"] == "done"


def test_without_a_secret_one_is_made_that_names_the_key_in_use(stage: Stage) -> None:
    stage.aws.client("secretsmanager").delete_secret(SecretId=SECRET, ForceDeleteWithoutRecovery=True)
    assert "--create-secret" in stage.rotate("start", code=78)
    stage.rotate("start", "--create-secret")
    assert stage.held("AWSPREVIOUS")["username"] == stage.user.key_id
    assert "password" not in stage.held("AWSPREVIOUS")
    assert "holds no whole login" in stage.run_here("credentials", "check", "--stage", "previous").stderr
    assert stage.works()
    stage.rotate("abort", "--gmail-has-old")
    assert stage.held()["username"] == stage.user.key_id
    assert stage.key_states()[stage.user.key_id] == "Active"


def test_a_secret_with_nothing_in_it_is_said_and_not_taken_for_none(stage: Stage) -> None:
    secrets = stage.aws.client("secretsmanager")
    secrets.delete_secret(SecretId=SECRET, ForceDeleteWithoutRecovery=True)
    secrets.create_secret(Name=SECRET)
    assert "nothing is in it" in stage.rotate("start", code=78)
    assert "with nothing in it" in stage.rotate("start", "--create-secret", code=78)
    assert list(stage.key_states()) == [stage.user.key_id]


def test_only_a_key_that_is_old_enough_is_rotated(stage: Stage) -> None:
    assert stage.rotate("start", "--if-older-than", "90d") == "", "cron would mail it"
    assert len(stage.key_states()) == 1
    stage.rotate("start")
    stage.rotate("abort", "--gmail-has-old")
    stage.days_pass(4)
    stage.rotate("finish")
    with mock.patch("triage.cli.rotate.on_terminal", return_value=True):
        said = stage.rotate("start", "--if-older-than", "90d")
    assert said.startswith(f"Key {stage.user.key_id} is 0 days old; it is not due yet. Not before 20")
    assert "aborted" not in said, "the one before is over and no matter"


def test_one_rotation_command_at_a_time(stage: Stage) -> None:
    with FileLock(stage.folder / "triage.db.rotation.lock"):
        assert "Another rotation command" in stage.rotate("start", code=75)
    assert len(stage.key_states()) == 1


def test_mail_that_came_back_to_the_mailbox_is_evidence(stage: Stage) -> None:
    with GmailDouble() as gmail:
        gmail.write_credentials(stage.folder)
        stage.settings(gmail_url=gmail.url)
        stage.rotate("start")
        arrived = datetime.now(UTC) + timedelta(seconds=5)
        gmail.seed(_through_ses(arrived - timedelta(days=1)), received_at=arrived)
        gmail.seed(_through_ses(arrived, signed="fail"), received_at=arrived)
        assert "No mail from the alias" in stage.rotate("confirm", code=78)
        gmail.seed(_through_ses(arrived), received_at=arrived)
        assert "arrived in this mailbox" in stage.rotate("confirm")
    assert stage.key_states()[stage.user.key_id] == "Inactive"


def _through_ses(sent_at: datetime, signed: str = "pass") -> bytes:
    """A mail from the alias to the mailbox as it arrives by way of SES."""
    ses_id = f"0100{int(sent_at.timestamp() * 1000):012x}-01234567-89ab-cdef-0123-456789abcdef-000000"
    return (
        f"Authentication-Results: mx.google.com; dkim={signed} header.i=@queenofsandiego.com; dmarc={signed}\r\n"
        f"From: Captain <{ALIAS}>\r\nTo: jadasailing@gmail.com\r\nSubject: Test\r\n"
        f"Message-ID: <{ses_id}@email.amazonses.com>\r\n\r\nHello\r\n"
    ).encode()


def test_an_unknown_user_and_missing_settings_are_said(stage: Stage) -> None:
    stage.settings(smtp_user="nobody")
    assert "There is no IAM user nobody" in stage.rotate("start", code=78)
    (stage.folder / "triage.toml").write_text("")
    assert "smtp_user" in stage.rotate("start", code=78)


def test_nothing_is_made_up_where_nothing_was_begun(stage: Stage) -> None:
    assert "No rotation was ever begun" in stage.rotate("status")
    for command in ("confirm", "abort", "finish"):
        stage.rotate(command, code=78)
    assert stage.key_states() == {stage.user.key_id: "Active"}


def test_the_state_of_everything_at_a_glance(stage: Stage, tmp_path: Path) -> None:
    with GmailDouble() as gmail:
        gmail.write_credentials(tmp_path)
        gmail.add_send_as(ALIAS, host="email-smtp.eu-west-1.amazonaws.com")
        stage.settings(gmail_url=gmail.url)
        done = stage.run("credentials", "status", "--json")
    assert done.returncode == 0, done.stderr
    found = by_schema("credentials status", done.stdout)
    assert [key["id"] for key in found["keys"]] == [stage.user.key_id]
    assert found["keys"][0]["stages"] == ["AWSCURRENT"]
    assert found["keys"][0]["age_days"] == 0, "made a moment ago, by a clock that may be ahead"
    assert found["alias"][0]["host"] == "email-smtp.eu-west-1.amazonaws.com"
    text = stage.run("credentials", "status").stdout
    assert stage.user.key_id in text
    assert stage.held()["password"] not in done.stdout + text
