"""Every check of the audit: what it is called, how much it matters, and what it means for mail that shall arrive.

Also the few words and commands that all checks share. Judges nothing.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from remediation.audit.facts import Finding, FindingState, Severity
from remediation.aws import NotLookedUp, Zone
from remediation.dns import Answer


@dataclass(frozen=True, slots=True)
class Check:
    """One thing the audit looks at."""

    title: str
    severity: Severity
    meaning: str
    """One sentence that holds whether it is in order or not."""


CHECKS: Mapping[str, Check] = {
    # AWS itself
    "aws-credentials": Check("AWS answers", "medium", "Without AWS only public DNS and the aliases can be judged."),
    "ses-region": Check("SES answers in the region", "medium", "Nothing about SES in this region can be judged."),
    "ses-account": Check(
        "SES account readable", "medium", "Sandbox, pauses, quota and suppression cannot be judged without it."
    ),
    "sandbox": Check("Out of the sandbox", "high", "In the sandbox SES delivers only to addresses you verified."),
    "sending-paused": Check("Sending enabled", "high", "While sending is paused SES refuses every mail."),
    "enforcement": Check(
        "Account healthy", "high", "An account on probation is about to be paused; a shut down one sends nothing."
    ),
    "quota": Check("Daily quota", "medium", "Once the quota of 24 hours is used up SES refuses further mail."),
    "suppression-reasons": Check(
        "Suppression on", "medium", "Sending again to dead addresses and to people who complained ruins the reputation."
    ),
    "bounce-rate": Check("Bounce rate", "high", "At 5 % SES reviews the account, at 10 % it may pause all sending."),
    "complaint-rate": Check(
        "Complaint rate", "high", "At 0.1 % SES reviews the account, at 0.5 % it may pause all sending."
    ),
    "recommendations": Check("VDM advice", "low", "Virtual Deliverability Manager saw something worth repairing."),
    # suppression list
    "suppression-list": Check(
        "Suppression list", "low", "SES takes mail to these addresses and does not deliver it: each is a silent bounce."
    ),
    "suppressed-address": Check(
        "Address suppressed", "medium", "SES does not deliver to a suppressed address, whatever its owner repairs."
    ),
    # identity
    "ses-identity": Check("Identity verified", "high", "SES refuses mail from a domain it has not verified."),
    "dkim-status": Check(
        "DKIM signing",
        "high",
        "Unsigned mail through SES fails DMARC unless the MAIL FROM is aligned, and is filtered.",
    ),
    "dkim-key-length": Check(
        "DKIM key length", "low", "Keys of 1024 bits are refused by some receivers and can be broken."
    ),
    "dkim-records": Check(
        "DKIM records, three ways", "high", "Receivers accept the signature only with the key they find in public DNS."
    ),
    "zone-in-use": Check("Route 53 zone in use", "high", "Changes made in a zone nobody asks have no effect at all."),
    "route53": Check("Route 53 readable", "low", "Records can be compared two ways only: SES against public DNS."),
    "address-identity": Check(
        "No shadowing address",
        "medium",
        "An address verified on its own is used instead of its domain, settings and all.",
    ),
    "feedback": Check("Bounces reach you", "high", "Without any way of being told, bounces and complaints are lost."),
    # events
    "configuration-set": Check(
        "Default configuration set", "medium", "Gmail cannot name one, so events exist only through the identity's own."
    ),
    "configuration-set-sending": Check(
        "Configuration set sends", "high", "A configuration set whose sending is off stops every mail that uses it."
    ),
    "configuration-set-suppression": Check(
        "Configuration set suppresses",
        "medium",
        "Its own empty list switches the account's suppression off for its mail.",
    ),
    "tls-policy": Check("TLS policy", "low", "With REQUIRE, mail to servers without TLS bounces instead of arriving."),
    "event-destination": Check(
        "Event destination", "medium", "Bounces and complaints that are published nowhere cannot be tied to their mail."
    ),
    "event-topic": Check("Topic takes events", "medium", "Events SES may not publish are lost without a word."),
    "event-subscription": Check("Topic is heard", "medium", "What nobody is subscribed to is lost without a word."),
    "event-queue": Check("Queue takes events", "medium", "Events the queue does not let in are lost without a word."),
    "event-queue-writers": Check(
        "Nobody else writes", "high", "Whoever may write to the queue can make up events about your mail."
    ),
    # MAIL FROM
    "mail-from": Check(
        "Custom MAIL FROM", "medium", "Without it SPF passes only for amazonses.com, and DMARC hangs on DKIM alone."
    ),
    "mail-from-mx": Check(
        "MAIL FROM: MX", "high", "SES uses the MAIL FROM domain, and gets bounces back, only with exactly this one MX."
    ),
    "mail-from-spf": Check("MAIL FROM: SPF", "high", "Receivers check SPF at the MAIL FROM domain, not at the From."),
    # the domain's DNS
    "domain-mx": Check(
        "Domain receives mail", "medium", "Replies and bounces need an MX, and some receivers check for it."
    ),
    "spf-record": Check(
        "SPF record", "medium", "With no SPF record, or a broken one, SPF can never pass for this domain."
    ),
    "spf-lookups": Check("SPF lookups", "medium", "From the eleventh DNS lookup on the whole record counts as broken."),
    "spf-voids": Check(
        "SPF void lookups", "medium", "From the third lookup that finds nothing the record counts as broken."
    ),
    "spf-loop": Check("SPF without loop", "medium", "A record that includes itself counts as broken."),
    "spf-all": Check(
        "SPF ends strictly", "high", "With +all anybody may send as you; without any all SPF says nothing."
    ),
    "dmarc-record": Check(
        "DMARC record", "high", "Large receivers want one, and a broken or second one counts as none."
    ),
    "dmarc-policy": Check("DMARC policy", "medium", "With p=none, mail forged in your name is delivered."),
    "dmarc-reports": Check(
        "DMARC reports", "low", "Without reports nobody tells you who sends in your name, and fails."
    ),
    "dmarc-alignment": Check(
        "DMARC alignment", "high", "Mail passes DMARC only when DKIM or SPF passes for a domain that fits the From."
    ),
    # credentials
    "smtp-user": Check("SMTP user", "high", "The SMTP login is an access key of this user: no active key, no login."),
    "key-age": Check("Key age", "low", "Old keys leak; rotating them in time avoids doing it in a hurry."),
    "key-strays": Check(
        "No stray keys",
        "low",
        "A key too many is a rotation that never ended, and one of the two will break the alias.",
    ),
    "user-policy": Check("SMTP user's permissions", "low", "A leaked SMTP password should be good for sending only."),
    "sending-right": Check(
        "SMTP user may send",
        "high",
        "SES asks the login for a right on the identity and on its default configuration set; without both it refuses.",
    ),
    "secret": Check(
        "Secret against key", "medium", "When secret and key have come apart, the stored password does not work."
    ),
    # aliases
    "gmail-aliases": Check("Aliases readable", "medium", "Host, port and end of the aliases cannot be judged."),
    "alias-relay": Check(
        "Alias's server", "high", "Gmail hands mail from the alias to this server, and it must know the domain."
    ),
    "alias-security": Check(
        "Alias's port and security", "high", "A port with the wrong kind of encryption never connects."
    ),
    "alias-verification": Check("Alias verified", "medium", "Gmail does not send from an alias that is not confirmed."),
    "alias-end": Check(
        "Alias after January 2027", "medium", "Google ends outside servers for aliases of personal accounts then."
    ),
    "smtp-endpoint": Check("SMTP server", "medium", "The server must answer, encrypt and offer a login."),
    "smtp-login": Check("SMTP login", "high", "If this login fails, so does every mail from the alias."),
    # before sending
    "recipient-syntax": Check("Address well-formed", "high", "No server takes mail to something that is no address."),
    "recipient-spelling": Check(
        "Spelled as meant", "medium", "A slip in a well-known domain sends the mail to a stranger, or nowhere."
    ),
    "recipient-insights": Check(
        "SES's opinion", "medium", "SES estimates whether an address takes mail, from all it delivers."
    ),
    "recipient-domain": Check(
        "Domain takes mail", "high", "Without a mail server at the domain every mail to it bounces."
    ),
    "recipient-suppressed": Check(
        "Not suppressed", "high", "SES takes mail to a suppressed address and does not deliver it."
    ),
    "recipient-history": Check("No bounces on record", "medium", "An address that bounced for good will do so again."),
}

_ORDER: Mapping[FindingState, int] = {"fail": 0, "warn": 1, "unknown": 2, "ok": 3}
_SEVERITIES: Mapping[Severity, int] = {"high": 0, "medium": 1, "low": 2}
_CHECK_ORDER = {check: number for number, check in enumerate(CHECKS)}


def finding(
    check: str,
    subject: str,
    state: FindingState,
    asked: str,
    answered: str,
    *,
    fix: Iterable[str] = (),
    by_hand: str = "",
    meaning: str | None = None,
    leaves_open: Iterable[str] = (),
    figures: Mapping[str, float] | None = None,
) -> Finding:
    """A finding with the severity and meaning of its check."""
    known = CHECKS[check]
    return Finding(
        check,
        subject,
        state,
        known.severity,
        asked,
        answered,
        meaning or known.meaning,
        tuple(fix),
        by_hand,
        tuple(leaves_open),
        dict(figures or {}),
    )


def unanswered(
    check: str, subject: str, why: NotLookedUp | Answer, *, by_hand: str = "", leaves_open: Iterable[str] = ()
) -> Finding:
    """A question nobody answered: not known, and never a fault."""
    if isinstance(why, Answer):
        asked, answered = f"{why.type} {why.name}", why.words
        fix = "Nothing to repair: ask again when DNS answers."
    else:
        asked, answered = why.what, f"not looked up: {why.why}"
        fix = why.todo or {
            "denied": "Give this AWS identity the policy that `triage doctor --iam-policy audit` prints.",
            "no-credentials": "Give AWS credentials (AWS_PROFILE, or `aws configure`) to have this judged.",
        }.get(why.kind, "Nothing to repair: ask again later.")
    return finding(check, subject, "unknown", asked, answered, fix=[fix], by_hand=by_hand, leaves_open=leaves_open)


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Sorted as they are shown: fail, warn, unknown, ok; then by severity; then in the order of the catalogue."""
    return sorted(
        findings,
        key=lambda f: (_ORDER[f.state], _SEVERITIES[f.severity], _CHECK_ORDER[f.check], f.subject),
    )


def record_steps(name: str, type_: str, value: str, zone: Zone | None = None) -> list[str]:
    """How to publish one record: as text for any provider, and as a command where Route 53 has the zone in use."""
    value = value.replace("`", "'")  # it stands between backticks
    shown = f'"{value}"' if type_ == "TXT" else f"{value}." if type_ in ("CNAME", "MX") else value
    steps = [f"Publish exactly this record, and no other {type_} at this name: `{name}. 300 IN {type_} {shown}`"]
    if zone is not None:
        change = {
            "Changes": [
                {
                    "Action": "UPSERT",
                    "ResourceRecordSet": {
                        "Name": name,
                        "Type": type_,
                        "TTL": 300,
                        "ResourceRecords": [{"Value": shown.removesuffix(".") if type_ != "TXT" else shown}],
                    },
                }
            ]
        }
        steps.append(
            f"In Route 53: `aws route53 change-resource-record-sets --hosted-zone-id {zone.id}"
            f" --change-batch {shlex.quote(json.dumps(change))}`"
        )
    return steps


def dig(type_: str, name: str) -> str:
    """The command that asks public DNS the same."""
    return f"dig +noall +answer {type_} {shlex.quote(name)}"
