"""Judges the SES identities: verified, signing, told of bounces, and where events go. Facts in, findings out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from parsers.text import domain_part
from remediation.audit.catalogue import finding, unanswered
from remediation.audit.facts import Finding, FindingState, RegionFacts, SetFacts
from remediation.aws import ConfigurationSet, EventDestination, NotLookedUp, SesIdentity

IDENTITY_CHECKS = (
    *("dkim-status", "dkim-key-length", "dkim-records", "mail-from", "mail-from-mx", "mail-from-spf"),
    *("feedback", "configuration-set", "dmarc-alignment"),
)
WANTED_EVENTS = ("BOUNCE", "COMPLAINT")


def check_identities(domain: str, regions: Iterable[RegionFacts]) -> Iterator[Finding]:
    """One domain in every region that answered."""
    answers = {region.region: region for region in regions if region.away is None and domain in region.identities}
    if not answers:
        return
    found = [r for r in answers.values() if isinstance(r.identities[domain], SesIdentity)]
    for region in answers.values():
        identity = region.identities[domain]
        if isinstance(identity, NotLookedUp):
            yield unanswered(
                *("ses-identity", f"{domain} in {region.region}", identity),
                by_hand=_get_identity(domain, region.region),
                leaves_open=IDENTITY_CHECKS,
            )
        elif identity is not None:
            yield from check_identity(domain, identity)
            yield from _events(identity, region)
            yield from _beside(domain, identity, region)
    if not found and not any(isinstance(region.identities[domain], NotLookedUp) for region in answers.values()):
        yield _no_identity(domain, list(answers.values()))


def _no_identity(domain: str, regions: list[RegionFacts]) -> Finding:
    names = ", ".join(region.region for region in regions)
    beside = sorted({name for r in regions for name in r.known_names if name.lower().endswith(f"@{domain}")})
    only = f"; only {', '.join(beside)} by itself, which SES signs as amazonses.com" if beside else ""
    return finding(
        *("ses-identity", domain, "fail", f"the SES identity {domain} in {names}"),
        f"SES does not know the domain there{only}",
        fix=[
            f"Verify the domain: `aws sesv2 create-email-identity --email-identity {domain}"
            f" --region {regions[0].region}`, then publish the three CNAME records it answers with.",
            "If it is verified in another region, add that to `regions` in triage.toml.",
        ],
        by_hand=_get_identity(domain, regions[0].region),
    )


def check_identity(domain: str, identity: SesIdentity) -> Iterator[Finding]:
    """Verified, signing, and with a key that is long enough."""
    subject, asked = f"{domain} in {identity.region}", f"the SES identity {identity.name} in {identity.region}"
    by_hand = _get_identity(identity.name, identity.region)
    status = f"VerificationStatus {identity.status or 'not given'}"
    yield finding(
        *("ses-identity", subject, "ok" if identity.verified else "fail", asked),
        status + (f", {identity.error}" if identity.error else "") + ("" if identity.verified else ": not for sending"),
        fix=[]
        if identity.verified
        else [
            "Publish the DKIM records below; SES looks for them for 72 hours after the identity was made.",
            f"If these have passed, start again: `aws sesv2 put-email-identity-dkim-signing-attributes --email-identity"
            f" {identity.name} --signing-attributes-origin AWS_SES --region {identity.region}`",
        ],
        by_hand=by_hand,
    )
    yield _dkim_status(identity, subject, asked, by_hand)
    if identity.dkim_key_length is not None:
        short = identity.dkim_key_length == "RSA_1024_BIT"
        yield finding(
            *("dkim-key-length", subject, "warn" if short else "ok", asked, identity.dkim_key_length),
            fix=[
                f"`aws sesv2 put-email-identity-dkim-signing-attributes --email-identity {identity.name}"
                " --signing-attributes-origin AWS_SES --signing-attributes NextSigningKeyLength=RSA_2048_BIT"
                f" --region {identity.region}`"
            ]
            if short
            else [],
            by_hand=by_hand,
        )


def _dkim_status(identity: SesIdentity, subject: str, asked: str, by_hand: str) -> Finding:
    name, region = identity.name, identity.region
    answered = f"DKIM {identity.dkim_status or 'not set up'}, signing {'on' if identity.dkim_signing else 'off'}"
    state: FindingState = "ok" if identity.dkim_status == "SUCCESS" and identity.dkim_signing else "fail"
    if identity.dkim_status == "TEMPORARY_FAILURE" and identity.dkim_signing:
        state = "warn"
    fix = []
    if not identity.dkim_signing:
        fix = [
            "`aws sesv2 put-email-identity-dkim-attributes --signing-enabled"
            f" --email-identity {name} --region {region}`"
        ]
    elif state == "fail":
        fix = ["Publish the DKIM records (see `dkim-records`); SES notices within 72 hours."]
    elif state == "warn":
        fix = ["SES could not reach your DNS for a while; if it stays, check the name servers of the domain."]
    return finding("dkim-status", subject, state, asked, answered, fix=fix, by_hand=by_hand)


def _beside(domain: str, identity: SesIdentity, region: RegionFacts) -> Iterator[Finding]:
    """Addresses of the domain that are identities of their own and override it."""
    for name, other in region.identities.items():
        if domain_part(name) != domain:
            continue
        subject, by_hand = f"{name} in {region.region}", _get_identity(name, region.region)
        if isinstance(other, NotLookedUp):
            yield unanswered("address-identity", subject, other, by_hand=by_hand)
        elif other is not None:
            differs = [
                what
                for what, is_other in (
                    ("its configuration set", other.configuration_set != identity.configuration_set),
                    ("its MAIL FROM", other.mail_from not in (None, identity.mail_from)),
                    ("feedback forwarding", other.forwards_feedback != identity.forwards_feedback),
                    ("verification", not other.verified),
                )
                if is_other
            ]
            yield finding(
                *("address-identity", subject, "warn" if differs else "ok"),
                f"the SES identity {name} beside {domain}",
                f"differs from the domain in {', '.join(differs)}" if differs else "set up like its domain",
                fix=[
                    f"Unless somebody needs it: `aws sesv2 delete-email-identity --email-identity {name}"
                    f" --region {region.region}`; the domain then covers the address."
                ]
                if differs
                else [],
                by_hand=by_hand,
            )


def _events(identity: SesIdentity, region: RegionFacts) -> Iterator[Finding]:
    """Whether anybody is told of bounces, and whether events tie them to their mail."""
    subject = f"{identity.name} in {region.region}"
    used = region.sets.get(identity.configuration_set or "")
    destinations = used.destinations if used is not None else []
    if not identity.forwards_feedback:
        by_topic = region.notified.get(identity.name, False)
        hears = _hears(destinations, "BOUNCE") if isinstance(destinations, list) else None
        if not hears and isinstance(by_topic, NotLookedUp):
            yield unanswered("feedback", subject, by_topic, by_hand=_get_identity(identity.name, region.region))
        elif hears is not None:
            hears = hears or bool(by_topic)
            yield finding(
                *("feedback", subject, "ok" if hears else "fail"),
                f"feedback forwarding of {identity.name} in {region.region}",
                "off" + (", but events are published" if hears else ", and bounces are published nowhere"),
                fix=[]
                if hears
                else [
                    "`aws sesv2 put-email-identity-feedback-attributes --email-forwarding-enabled --email-identity"
                    f" {identity.name} --region {region.region}`"
                ],
                by_hand=_get_identity(identity.name, region.region),
            )
    else:
        yield finding(
            *("feedback", subject, "ok", f"feedback forwarding of {identity.name} in {region.region}"),
            "on: bounces come to the sender's mailbox",
            by_hand=_get_identity(identity.name, region.region),
        )
    yield from check_set(identity, used)


def check_set(identity: SesIdentity, used: SetFacts | None) -> Iterator[Finding]:
    """The default configuration set of an identity, and everything behind it."""
    subject, name = f"{identity.name} in {identity.region}", identity.configuration_set
    asked, by_hand = f"the default configuration set of {subject}", _get_identity(identity.name, identity.region)
    assign = (
        f"`aws sesv2 put-email-identity-configuration-set-attributes --email-identity {identity.name}"
        f" --configuration-set-name NAME --region {identity.region}`"
    )
    if name is None or used is None:
        fix = [f"Make one with an event destination for bounces and complaints, then: {assign}"]
        yield finding("configuration-set", subject, "warn", asked, "none", fix=fix, by_hand=by_hand)
        return
    by_set = f"aws sesv2 get-configuration-set --configuration-set-name {name} --region {identity.region}"
    if isinstance(used.found, NotLookedUp):
        open_ = ("configuration-set-sending", "configuration-set-suppression", "tls-policy")
        yield unanswered("configuration-set", subject, used.found, by_hand=by_set, leaves_open=open_)
    elif used.found is None:
        fix = [
            f"SES refuses mail that names a set which is gone. Make it again (`aws sesv2 create-configuration-set"
            f" --configuration-set-name {name} --region {identity.region}`), or name another: {assign}"
        ]
        yield finding(
            "configuration-set", subject, "fail", asked, f"{name}, which does not exist", fix=fix, by_hand=by_set
        )
        return
    else:
        yield finding("configuration-set", subject, "ok", asked, name, by_hand=by_hand)
        yield from _set_options(used.found, by_set)
    yield from _destinations(name, identity.region, used)


def _set_options(found: ConfigurationSet, by_hand: str) -> Iterator[Finding]:
    subject, asked = f"{found.name} in {found.region}", f"the configuration set {found.name} in {found.region}"
    at = f"--configuration-set-name {found.name} --region {found.region}"
    yield finding(
        *("configuration-set-sending", subject, "ok" if found.sending_enabled else "fail", asked),
        f"sending {'on' if found.sending_enabled else 'off'}",
        fix=[]
        if found.sending_enabled
        else [f"`aws sesv2 put-configuration-set-sending-options --sending-enabled {at}`"],
        by_hand=by_hand,
    )
    reasons = found.suppressed_reasons
    missing = reasons is not None and not set(WANTED_EVENTS) <= set(reasons)
    yield finding(
        *("configuration-set-suppression", subject, "warn" if missing else "ok", asked),
        "as the account's" if reasons is None else f"of its own: {' and '.join(reasons) or 'none, so it is off'}",
        fix=[f"`aws sesv2 put-configuration-set-suppression-options --suppressed-reasons BOUNCE COMPLAINT {at}`"]
        if missing
        else [],
        by_hand=by_hand,
    )
    requires = found.tls_policy == "REQUIRE"
    yield finding(
        *("tls-policy", subject, "warn" if requires else "ok", asked, f"TlsPolicy {found.tls_policy or 'OPTIONAL'}"),
        fix=[
            "Leave it if that is what you want; else:"
            f" `aws sesv2 put-configuration-set-delivery-options --tls-policy OPTIONAL {at}`"
        ]
        if requires
        else [],
        by_hand=by_hand,
    )


def _destinations(name: str, region: str, used: SetFacts) -> Iterator[Finding]:
    subject, asked = f"{name} in {region}", f"the event destinations of {name} in {region}"
    by_hand = f"aws sesv2 get-configuration-set-event-destinations --configuration-set-name {name} --region {region}"
    if isinstance(used.destinations, NotLookedUp):
        yield unanswered("event-destination", subject, used.destinations, by_hand=by_hand, leaves_open=["event-topic"])
        return
    rows = used.destinations or []
    missing = [event for event in WANTED_EVENTS if not _hears(rows, event)]
    told = [f"{row.name} ({'' if row.enabled else 'off, '}{', '.join(row.events)})" for row in rows]
    yield finding(
        *("event-destination", subject, "warn" if missing else "ok", asked, "; ".join(told) or "none"),
        fix=[
            f"`aws sesv2 create-configuration-set-event-destination --configuration-set-name {name} --region {region}"
            " --event-destination-name triage --event-destination Enabled=true,"
            "MatchingEventTypes=BOUNCE,COMPLAINT,DELIVERY_DELAY,REJECT,SEND,DELIVERY,"
            "SnsDestination={TopicArn=TOPIC_ARN}`"
        ]
        if missing
        else [],
        by_hand=by_hand,
    )
    for arn, admits in used.topics.items():
        yield _topic(arn, admits)


def _topic(arn: str, admits: bool | NotLookedUp | None) -> Finding:
    by_hand = f"aws sns get-topic-attributes --topic-arn {arn}"
    if isinstance(admits, NotLookedUp):
        return unanswered("event-topic", arn, admits, by_hand=by_hand)
    if admits is None:
        fix = ["Make the topic again, or point the event destination at one that exists."]
        return finding("event-topic", arn, "fail", f"the topic {arn}", "it does not exist", fix=fix, by_hand=by_hand)
    statement = (
        '{"Effect":"Allow","Principal":{"Service":"ses.amazonaws.com"},"Action":"SNS:Publish",'
        f'"Resource":"{arn}","Condition":{{"StringEquals":{{"AWS:SourceAccount":"{arn.split(":")[4]}"}}}}}}'
    )
    return finding(
        *("event-topic", arn, "ok" if admits else "fail", f"the policy of topic {arn}"),
        "lets SES publish" if admits else "does not let ses.amazonaws.com publish",
        fix=[] if admits else [f"Add this statement to the topic's policy: `{statement}`"],
        by_hand=by_hand,
    )


def _hears(destinations: list[EventDestination] | None, event: str) -> bool:
    return any(row.enabled and event in row.events for row in destinations or ())


def _get_identity(name: str, region: str) -> str:
    return f"aws sesv2 get-email-identity --email-identity {name} --region {region}"
