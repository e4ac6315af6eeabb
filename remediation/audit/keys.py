"""Judges the SMTP login: its access keys, the secret it is kept in, the live login. Facts in, findings out."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from datetime import datetime, timedelta

from parsers.times import minute_text
from remediation.audit.catalogue import finding, unanswered
from remediation.audit.facts import AuditFacts, Finding, FindingState, KeyFacts, RightFacts, SecretFacts
from remediation.aws import AccessKey, NotLookedUp, short_key_id
from remediation.credentials import LoginCheck

KEY_OLD = timedelta(days=90)
INACTIVE_GRACE = timedelta(days=3)
SENDING = frozenset({"ses:sendrawemail", "ses:sendemail"})
CHECK_BY_HAND = "triage credentials check"
_KEY_CHECKS = ("key-age", "key-strays", "user-policy")


def check_credentials(facts: AuditFacts) -> Iterator[Finding]:
    """Keys, secret, and the login where it was tried."""
    if facts.keys is not None:
        yield from check_keys(facts.keys, facts.at)
    if facts.secret is not None:
        keys = facts.keys.keys if facts.keys is not None else None
        yield check_secret(facts.secret, keys if isinstance(keys, list) else None)
        if isinstance(facts.secret.username, NotLookedUp):
            yield unanswered("smtp-login", facts.secret.secret_id, facts.secret.username, by_hand=CHECK_BY_HAND)
    for host, login in facts.logins:
        yield check_login_result(host, login, facts.secret)


def check_keys(facts: KeyFacts, now: datetime) -> Iterator[Finding]:
    """One active key, not old, no others; and no more permissions than sending needs."""
    user, by_hand = facts.user, f"aws iam list-access-keys --user-name {facts.user}"
    asked = f"the access keys of IAM user {user}"
    if isinstance(facts.keys, NotLookedUp):
        yield unanswered("smtp-user", user, facts.keys, by_hand=by_hand, leaves_open=_KEY_CHECKS)
        return
    if facts.keys is None:
        fix = ["Name the right user: `smtp_user` in triage.toml.", f"`aws iam get-user --user-name {user}`"]
        yield finding("smtp-user", user, "fail", asked, "there is no such user", fix=fix, by_hand=by_hand)
        return
    active = [key for key in facts.keys if key.active]
    yield finding(
        *("smtp-user", user, "ok" if active else "fail", asked),
        "; ".join(_told(key, now) for key in facts.keys) or "no key at all",
        fix=[]
        if active
        else ["Make a new login and carry it over to Gmail: `triage credentials rotate start` leads through it."],
        by_hand=by_hand,
    )
    if not active:
        return
    old = [key for key in active if now - key.created_at > KEY_OLD]
    yield finding(
        *("key-age", user, "warn" if old else "ok", asked),
        "; ".join(_told(key, now) for key in active),
        fix=["`triage credentials rotate start` makes a new key and keeps the old one alive until Gmail uses the new."]
        if old
        else [],
        by_hand=by_hand,
        figures={"days": max((now - key.created_at).days for key in active)},
    )
    yield _strays(user, facts.keys, active, now, asked, by_hand)
    if facts.actions is not None:
        yield from _policies(user, facts.actions)
    for row in facts.rights:
        yield check_right(row)


def _strays(
    user: str, keys: list[AccessKey], active: list[AccessKey], now: datetime, asked: str, by_hand: str
) -> Finding:
    idle = [key for key in keys if not key.active and now - key.created_at > INACTIVE_GRACE]
    fix = []
    if len(active) > 1:
        fix.append(
            "Find out which of the two Gmail uses (`triage credentials rotate status`), then:"
            f" `aws iam update-access-key --user-name {user} --access-key-id THE_OTHER --status Inactive`"
        )
    fix += [f"`aws iam delete-access-key --user-name {user} --access-key-id {key.id}`" for key in idle]
    words = f"{len(active)} active, {len(keys) - len(active)} inactive"
    return finding("key-strays", user, "warn" if fix else "ok", asked, words, fix=fix, by_hand=by_hand)


def _policies(user: str, actions: dict[str, list[str]] | NotLookedUp) -> Iterator[Finding]:
    by_hand = f"aws iam list-user-policies --user-name {user}"
    if isinstance(actions, NotLookedUp):
        yield unanswered("user-policy", user, actions, by_hand=by_hand)
        return
    wide = {name: [a for a in allowed if a.lower() not in SENDING] for name, allowed in actions.items()}
    wide = {name: allowed for name, allowed in wide.items() if allowed}
    if not actions:
        return  # the permission comes by a group or an attached policy, which this identity may not read
    yield finding(
        *("user-policy", user, "warn" if wide else "ok", f"the inline policies of IAM user {user}"),
        "; ".join(f"{name} allows {', '.join(allowed[:6])}" for name, allowed in (wide or actions).items()),
        fix=[
            "Let the policy allow `ses:SendRawEmail` on the identity and, where it has a default configuration set, on"
            " that set too (`configuration-set/NAME`), or SES refuses the mail; nothing more."
        ]
        if wide
        else [],
        by_hand=by_hand,
    )


def check_right(facts: RightFacts) -> Finding:
    """Whether IAM would let the user send with an identity: on it, and on the configuration set that goes with it."""
    user = facts.user_arn.rpartition("/")[2]
    subject = f"{user} as {facts.sender or facts.identity} in {facts.region}"
    entry = f"ContextKeyName=ses:FromAddress,ContextKeyType=string,ContextKeyValues={shlex.quote(facts.sender or '')}"
    by_hand = (
        f"aws iam simulate-principal-policy --policy-source-arn {facts.user_arn} --action-names ses:SendRawEmail"
        f" --resource-arns {' '.join(facts.resources)}" + (f" --context-entries {entry}" if facts.sender else "")
    )
    answer = facts.answer
    if isinstance(answer, NotLookedUp):
        return unanswered("sending-right", subject, answer, by_hand=by_hand)
    names = [resource.rpartition(":")[2] for resource in facts.resources]
    asked = f"IAM whether {user} may call ses:SendRawEmail on {' and '.join(names)}"
    if not answer.refused:
        return finding("sending-right", subject, "ok", asked, "allowed", by_hand=by_hand)
    refused = ", ".join(resource.rpartition(":")[2] for resource in answer.refused)
    if answer.missing:
        words = f"not told: its policies make {refused} depend on {', '.join(answer.missing)[:200]}"
        fix = ["Look at the conditions in the policies of this user: does a mail from the alias meet them?"]
        return finding("sending-right", subject, "unknown", asked, words, fix=fix, by_hand=by_hand)
    if answer.is_denied:
        fix = [
            "Look for a Deny: in the user's policies, its groups', a permissions boundary, the organisation's rules."
        ]
        return finding("sending-right", subject, "fail", asked, f"denied on {refused}", fix=fix, by_hand=by_hand)
    statement = {"Effect": "Allow", "Action": "ses:SendRawEmail", "Resource": list(facts.resources)}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":"))
    fix = [
        f"Allow it: `aws iam put-user-policy --user-name {user} --policy-name ses-smtp-send"
        f" --policy-document '{policy}'` (SES asks for every resource that is named there).",
        "Where a policy on the identity itself allows it, IAM does not see that; a mail that arrives tells.",
    ]
    return finding("sending-right", subject, "fail", asked, f"not allowed on {refused}", fix=fix, by_hand=by_hand)


def check_secret(facts: SecretFacts, keys: list[AccessKey] | None) -> Finding:
    """Whether the secret can hold the login of a key that works; by its dates, with a probe by the key id in it."""
    by_hand = f"aws secretsmanager list-secret-version-ids --secret-id {facts.secret_id} --region {facts.region}"
    subject, asked = facts.secret_id, f"the versions of secret {facts.secret_id} in {facts.region}"
    if isinstance(facts.versions, NotLookedUp):
        return unanswered("secret", subject, facts.versions, by_hand=by_hand)
    versions = facts.versions or []
    current = next((version for version in versions if "AWSCURRENT" in version.stages), None)
    rotate = "`triage credentials rotate start` makes a key and stores its login."
    if current is None:
        words = "there is no such secret" if facts.versions is None else "no version is current (AWSCURRENT)"
        fix = [f"Name the right one: `smtp_secret` in triage.toml. {rotate}"]
        return finding("secret", subject, "fail", asked, words, fix=fix, by_hand=by_hand)
    active = [key for key in keys or () if key.active]
    answered = f"current version of {minute_text(current.created_at)}"
    state: FindingState = "ok"
    fix = []
    if isinstance(facts.username, str):
        asked += ", and the key id in the current one"
        held = next((key for key in keys or () if key.id == facts.username), None)
        answered += f", login of key {short_key_id(facts.username)}"
        if keys is not None and (held is None or not held.active):
            state, fix = "fail", [f"The key in it is {'gone' if held is None else 'Inactive'}. {rotate}"]
            answered += ", which is gone" if held is None else ", which is Inactive"
    elif active and all(key.created_at > current.created_at for key in active):
        state = "fail"
        answered += (
            f"; every active key is younger ({', '.join(_day(key) for key in active)}), so it holds none of them"
        )
        fix = [f"The secret was not written when the key was made. {rotate}"]
    if state == "ok" and any("AWSPENDING" in v.stages and "AWSCURRENT" not in v.stages for v in versions):
        state, answered = "warn", f"{answered}; a version is waiting (AWSPENDING)"
        fix = ["A rotation stands half way: `triage credentials rotate status`."]
    return finding("secret", subject, state, asked, answered, fix=fix, by_hand=by_hand)


def check_login_result(host: str, login: LoginCheck, secret: SecretFacts | None) -> Finding:
    """What the live login showed. Not being able to connect from here says nothing about the login."""
    state: FindingState = "ok" if login.is_good else "unknown" if login.will_pass or login.fault in _OUTSIDE else "fail"
    kept = f" with the login in {secret.secret_id}" if secret is not None else ""
    return finding(
        *("smtp-login", host, state, f"AUTH at {host}{kept}", login.why),
        fix=[login.todo] if login.todo else [],
        by_hand=CHECK_BY_HAND,
    )


_OUTSIDE = frozenset({"host", "connection", "relay"})


def _told(key: AccessKey, now: datetime) -> str:
    used = key.last_use
    last = "last use not looked up" if isinstance(used, NotLookedUp) else "never seen used"
    if not isinstance(used, NotLookedUp) and used.at is not None:
        last = f"last used {used.at:%Y-%m-%d}"
    age = (now - key.created_at).days
    return f"{key.short_id} {'active' if key.active else 'inactive'}, {age} days old, {last}"


def _day(key: AccessKey) -> str:
    return f"{key.short_id} {key.created_at:%Y-%m-%d}"
