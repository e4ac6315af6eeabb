"""Whether AWS answers what a run asks of it: who we are there, and each thing we must be allowed to see.

Asks only what the settings name, and only for reading; nothing is taken off the queue.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from remediation.aws import POLICIES, UNKNOWN_ACCOUNT, NotLookedUp, Policy, partition_of
from remediation.aws import client as aws
from remediation.aws import iam as aws_iam
from remediation.aws import queue as aws_queue
from remediation.aws import secrets as aws_secrets
from remediation.aws import ses as aws_ses
from triage.config import Settings
from triage.display import counted

HealthState = Literal["ok", "warn", "fail"]
Found = tuple[HealthState, str, str | None]

NOBODY = "nobody@example.com"
"""An address that is asked for only to see whether we may ask."""
MANY = 10_000

_POLICY = "Give this identity the policy that `triage doctor --iam-policy triage` prints."
_TODO = {
    "denied": _POLICY,
    "unsupported": "Check the region's name in triage.toml.",
    "misdirected": "Take it out, and ask who put it there.",
}
_NETWORK = "Nothing, if it passes: a run does without. If it lasts, check the network."


def check_aws(settings: Settings) -> Iterator[Found]:
    """(state, words, what to do) of each thing; nothing at all where AWS is not set up."""
    if not (settings.regions or settings.queue_url or settings.smtp_user or settings.smtp_secret):
        return
    who = aws.caller_identity()
    if isinstance(who, NotLookedUp):
        yield _not_looked_up(who)
        return
    if who.arn.endswith(":root"):
        yield "warn", f"signed in as the owner of account {who.account} (root), who may do everything", _POLICY
    else:
        yield "ok", f"signed in as {who.arn}", None
    for region in settings.regions:
        yield _said(aws_ses.suppressed_destination(region, NOBODY), f"suppression list in {region}")
    if settings.queue_url:
        yield _queue(settings.queue_url, settings)
    user = settings.smtp_user
    if user:
        keys = aws_iam.access_keys(user)
        missing = f"there is no IAM user {user}", "Mend `smtp_user` in triage.toml."
        yield _said(keys, f"access keys of {user}", missing)
    secret = settings.smtp_secret
    if secret:
        region = (
            aws_secrets.region_of_secret(secret)
            or settings.smtp_region
            or next(iter(settings.regions), aws.GLOBAL_REGION)
        )
        missing = f"there is no secret {secret} in {region}", "Mend `smtp_secret` or `smtp_region` in triage.toml."
        yield _said(aws_secrets.secret_versions(region, secret), f"secret {secret} in {region}", missing)


def iam_policy(name: str, settings: Settings) -> Policy:
    """The policy of that name (see POLICIES) for what the settings name."""
    account, queue, queue_region = UNKNOWN_ACCOUNT, None, "*"
    if settings.queue_url:
        queue = settings.queue_url.rstrip("/").rpartition("/")[2]
        account = next((p for p in settings.queue_url.split("/") if p.isdecimal() and len(p) == 12), account)
        queue_region = aws_queue.queue_region(settings.queue_url) or "*"
    of_secret = aws_secrets.region_of_secret(settings.smtp_secret)
    region = settings.smtp_region or of_secret or aws_queue.queue_region(settings.queue_url or "")
    partition = partition_of(region or next(iter(settings.regions), None)).name
    known: dict[str, Any] = {"smtp_user": settings.smtp_user, "secret": settings.smtp_secret}
    if name in ("triage", "audit"):
        known |= {"queue": queue, "queue_region": queue_region, "probe": settings.probe}
    if name == "rotation":
        known |= {"secret_region": settings.smtp_region}
    if name == "resend":
        sender = (settings.smtp_alias or "").rpartition("@")[2] or next(iter(settings.domains), None)
        known = {"region": settings.smtp_region, "domain": sender}
    if name == "outbox":
        region = settings.smtp_region or next(iter(settings.regions), None)
        known = {"region": region, "senders": settings.outbox_from}
    return POLICIES[name](account=account, partition=partition, **{key: value for key, value in known.items() if value})


def _queue(url: str, settings: Settings) -> Found:
    region = aws_queue.queue_region(url) or next(iter(settings.regions), aws.GLOBAL_REGION)
    waiting = aws.find(
        "the event queue",
        "sqs",
        region,
        "GetQueueAttributes",
        lambda answer: int(answer["Attributes"]["ApproximateNumberOfMessages"]),
        absent=("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"),
        QueueUrl=url,
        AttributeNames=["ApproximateNumberOfMessages"],
    )
    if isinstance(waiting, int) and waiting > MANY:
        return (
            "warn",
            f"event queue: {waiting:,} messages wait",
            "`triage run` takes them, in several runs.",
        )
    missing = f"there is no queue {url}", "Mend `queue_url` in triage.toml."
    return _said(
        waiting, f"event queue: {counted(waiting, 'message') if isinstance(waiting, int) else 'none'} waiting", missing
    )


def _said(answer: object, words: str, missing: tuple[str, str] | None = None) -> Found:
    """What an answer means, `words` where there is one. None is one too, unless what was asked for must be there."""
    if isinstance(answer, NotLookedUp):
        return _not_looked_up(answer)
    if answer is None and missing is not None:
        return "fail", missing[0], missing[1]
    return "ok", words, None


def _not_looked_up(answer: NotLookedUp) -> Found:
    state: HealthState = "warn" if answer.will_pass else "fail"
    todo = answer.todo or _TODO.get(answer.kind, _NETWORK if answer.will_pass else _POLICY)
    return state, f"{answer.what}: {answer.why}", todo
