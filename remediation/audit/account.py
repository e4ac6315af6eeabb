"""Judges one region of the SES account: sandbox, pauses, quota, suppression, reputation. Facts in, findings out."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

from parsers.times import minute_text
from remediation.audit.catalogue import finding, unanswered
from remediation.audit.facts import Finding, FindingState, RegionFacts, SuppressionCount
from remediation.aws import NotLookedUp, Reputation, SesAccount, Suppressed
from remediation.vendor_limits import BOUNCE_LIMITS, COMPLAINT_LIMITS

QUOTA_NEAR = 0.8
GROWTH = 0.10
"""A suppression list that grew by more than this part of itself ..."""
GROWTH_LEAST = 10
"""... and by at least so many addresses since the last audit is told."""

ACCOUNT_CHECKS = ("sandbox", "sending-paused", "enforcement", "quota", "suppression-reasons")
SUPPRESSION_REASONS = frozenset({"BOUNCE", "COMPLAINT"})


def check_region(region: RegionFacts, earlier: Mapping[str, Mapping[str, float]]) -> Iterator[Finding]:
    """Everything about the account in one region; a single `unknown` where SES there did not answer at all."""
    if region.away is not None:
        yield unanswered("ses-region", region.region, region.away, by_hand=_get_account(region.region))
        return
    if isinstance(region.account, NotLookedUp):
        yield unanswered(
            *("ses-account", region.region, region.account),
            by_hand=_get_account(region.region),
            leaves_open=(*ACCOUNT_CHECKS, "recommendations"),
        )
    else:
        yield from check_account(region.account)
    if isinstance(region.names, NotLookedUp):
        by_hand = f"aws sesv2 list-email-identities --region {region.region}"
        yield unanswered("address-identity", region.region, region.names, by_hand=by_hand)
    if region.rates is not None:
        yield from check_rates(region.region, region.rates)
    if region.suppressed is not None:
        before = earlier.get(f"suppression-list {region.region}", {})
        yield check_suppression_list(region.region, region.suppressed, before)
    for address, entry in region.suppressed_addresses.items():
        yield check_suppressed_address(region.region, address, entry)
    if isinstance(region.recommendations, NotLookedUp):
        yield unanswered("recommendations", region.region, region.recommendations)
    elif region.recommendations is not None:
        advice = [f"{row.type} for {row.resource_arn.rpartition('/')[2]}" for row in region.recommendations]
        yield finding(
            *("recommendations", region.region, "warn" if advice else "ok"),
            f"VDM recommendations in {region.region}",
            f"{len(advice)} open" + (f": {', '.join(advice[:5])}" if advice else ""),
            fix=[row.description for row in region.recommendations[:5]],
            by_hand=f"aws sesv2 list-recommendations --filter STATUS=OPEN --region {region.region}",
        )


def check_account(account: SesAccount) -> Iterator[Finding]:
    """Sandbox, pause, enforcement, quota and suppression of the account in one region."""
    region, by_hand = account.region, _get_account(account.region)
    asked = f"the SES account in {region}"
    yield finding(
        *("sandbox", region, "ok" if account.production_access else "fail", asked),
        "production access" if account.production_access else "still in the sandbox (ProductionAccessEnabled false)",
        fix=[]
        if account.production_access
        else [
            f"Ask for production access: `aws sesv2 put-account-details --region {region} --production-access-enabled"
            " --mail-type TRANSACTIONAL --website-url https://YOUR_SITE --contact-language EN`"
        ],
        by_hand=by_hand,
    )
    yield finding(
        *("sending-paused", region, "ok" if account.sending_enabled else "fail", asked),
        "sending is enabled" if account.sending_enabled else "sending is paused (SendingEnabled false)",
        fix=[]
        if account.sending_enabled
        else [
            "Find out who paused it, and why, before anything else: AWS writes to the account's mail address.",
            f"If you did it yourself: `aws sesv2 put-account-sending-attributes --sending-enabled --region {region}`",
        ],
        by_hand=by_hand,
    )
    yield _enforcement(account, asked, by_hand)
    yield _quota(account, asked, by_hand)
    missing = sorted(SUPPRESSION_REASONS - set(account.suppressed_reasons))
    yield finding(
        *("suppression-reasons", region, "warn" if missing else "ok", asked),
        f"suppresses after {' and '.join(account.suppressed_reasons) or 'nothing'}",
        fix=[f"`aws sesv2 put-account-suppression-attributes --suppressed-reasons BOUNCE COMPLAINT --region {region}`"]
        if missing
        else [],
        by_hand=by_hand,
    )


def _enforcement(account: SesAccount, asked: str, by_hand: str) -> Finding:
    state: FindingState = {"HEALTHY": "ok", "SHUTDOWN": "fail"}.get(account.enforcement, "warn")  # type: ignore[assignment]
    fix = (
        []
        if state == "ok"
        else [
            "Answer the case AWS opened (Support Center), say what caused the bounces or complaints, and stop the"
            " cause; `triage report` lists the bounces."
        ]
    )
    return finding(
        "enforcement",
        account.region,
        state,
        asked,
        f"EnforcementStatus {account.enforcement}",
        fix=fix,
        by_hand=by_hand,
    )


def _quota(account: SesAccount, asked: str, by_hand: str) -> Finding:
    most, sent = account.max_24_hours, account.sent_24_hours
    if most < 0:  # -1: no limit
        return finding("quota", account.region, "ok", asked, f"{sent:,.0f} sent in 24 hours, no limit", by_hand=by_hand)
    used = sent / most if most else 1.0
    return finding(
        *("quota", account.region, "fail" if used >= 1 else "warn" if used > QUOTA_NEAR else "ok", asked),
        f"{sent:,.0f} of {most:,.0f} mails sent in 24 hours ({used:.0%})",
        fix=["Send less until tomorrow, and ask for a higher quota: Service Quotas > Amazon SES > Sending quota."]
        if used > QUOTA_NEAR
        else [],
        by_hand=by_hand,
    )


def check_rates(region: str, rates: Reputation | NotLookedUp) -> Iterator[Finding]:
    """Bounce and complaint rate against the limits of SES; no measurement is `unknown`."""
    by_hand = (
        "aws cloudwatch get-metric-statistics --namespace AWS/SES --metric-name Reputation.BounceRate"
        f" --region {region} --statistics Average --period 3600 --start-time $(date -u -d '3 days ago' +%FT%TZ)"
        " --end-time $(date -u +%FT%TZ)"
    )
    if isinstance(rates, NotLookedUp):
        yield unanswered("bounce-rate", region, rates, by_hand=by_hand, leaves_open=["complaint-rate"])
        return
    for check, value, (review, pause), metric in (
        ("bounce-rate", rates.bounce, BOUNCE_LIMITS, "Reputation.BounceRate"),
        ("complaint-rate", rates.complaint, COMPLAINT_LIMITS, "Reputation.ComplaintRate"),
    ):
        asked = f"CloudWatch AWS/SES {metric} in {region}, the last 72 hours"
        shown = by_hand.replace("Reputation.BounceRate", metric)
        if value is None:
            yield finding(
                check, region, "unknown", asked, "no measurement; SES publishes none without mail", by_hand=shown
            )
            continue
        state: FindingState = "fail" if value >= pause else "warn" if value >= review else "ok"
        yield finding(
            *(check, region, state, asked),
            f"{value:.2%}; review from {review:.1%}, pause from {pause:.1%}",
            fix=[]
            if state == "ok"
            else [
                "Stop writing to the addresses that bounce or complain: `triage report --since 30d` lists them.",
                "Before a larger mailing: `triage check-address ADDRESS...`.",
            ],
            by_hand=shown,
            figures={"rate": value},
        )


def check_suppression_list(region: str, count: SuppressionCount | NotLookedUp, earlier: Mapping[str, float]) -> Finding:
    """How many addresses, by reason, and how many more than at the last audit."""
    by_hand = f"aws sesv2 list-suppressed-destinations --region {region}"
    if isinstance(count, NotLookedUp):
        return unanswered("suppression-list", region, count, by_hand=by_hand)
    words = [f"{number:,} by {reason}" for reason, number in sorted(count.by_reason.items())]
    answered = f"{'' if count.is_whole else 'more than '}{count.total:,} addresses" + (
        f" ({', '.join(words)})" if words else ""
    )
    grown = None if "total" not in earlier or not count.is_whole else count.total - int(earlier["total"])
    if grown is not None:
        answered += f"; {abs(grown):,} {'fewer' if grown < 0 else 'more'} than at the last audit"
    grows = grown is not None and grown >= GROWTH_LEAST and grown > GROWTH * earlier["total"]
    return finding(
        *("suppression-list", region, "warn" if grows else "ok"),
        f"the suppression list in {region}",
        answered,
        fix=["See who was added, and where these addresses came from: `triage report --since 30d`."] if grows else [],
        by_hand=by_hand,
        figures={"total": count.total, **count.by_reason},
    )


def check_suppressed_address(region: str, address: str, entry: Suppressed | NotLookedUp | None) -> Finding:
    """One address: why it is on the list, since when, through which message, and whether taking it off is safe."""
    by_hand = f"aws sesv2 get-suppressed-destination --email-address {shlex.quote(address)} --region {region}"
    subject, asked = f"{address} in {region}", f"the suppression list entry of {address} in {region}"
    if isinstance(entry, NotLookedUp):
        return unanswered("suppressed-address", subject, entry, by_hand=by_hand)
    if entry is None:
        return finding("suppressed-address", subject, "ok", asked, "not on the list", by_hand=by_hand)
    cause = f"through message {entry.message_id}" if entry.message_id else "put there by hand (no message is named)"
    return finding(
        *("suppressed-address", subject, "warn", asked),
        f"{entry.reason} since {minute_text(entry.since)}, {cause}",
        fix=removal_steps(region, entry),
        by_hand=by_hand,
    )


def removal_steps(region: str, entry: Suppressed) -> list[str]:
    """Whether taking an address off the list is safe, and the command."""
    address = shlex.quote(entry.address)
    command = f"`aws sesv2 delete-suppressed-destination --email-address {address} --region {region}`"
    if entry.reason == "COMPLAINT":
        return [
            "Not safe: this person reported a mail of yours as spam. Take the address off only when they ask you to,"
            f" in writing: {command}"
        ]
    look = f"`triage explain {entry.message_id}`" if entry.message_id else f"`triage check-address {address}`"
    return [
        f"Safe only when the address works again, for it bounced for good: see what was said ({look}) and ask the"
        " person by another way.",
        f"Then: {command}. If it bounces once more, it is back on the list.",
    ]


def _get_account(region: str) -> str:
    return f"aws sesv2 get-account --region {region}"
