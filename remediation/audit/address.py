"""Looks at one recipient before a mail is sent: syntax, domain, mail server, suppression list, our own history.

Asks DNS and SES only. Never connects to other people's mail servers: whether a mailbox exists, only a mail can tell,
or what SES thinks of it where it was asked.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from parsers.times import minute_text
from remediation.audit.account import removal_steps
from remediation.audit.catalogue import dig, finding, unanswered
from remediation.audit.facts import Finding, FindingState
from remediation.audit.spelling import meant_instead
from remediation.aws import AddressInsights, NotLookedUp, Suppressed
from remediation.dns import Answer, Ask, MailHost, hosts_told, is_null, mail_hosts

FOR_GOOD = frozenset(
    {"recipient-unknown", "recipient-disabled", "recipient-moved", "domain-not-found", "no-mail-service"}
)
"""Causes after which the next mail to the same address fails as well."""

# RFC 5321 4.1.2 without quoted local parts, which nobody uses, and without UTF-8 before the @, which SES refuses.
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class History:
    """What the database knows of mail to an address."""

    bounces: Sequence[Mapping[str, Any]]
    """Newest first: received_at, cause, side, permanent, diagnostic, id."""
    delivered_at: datetime | None
    """The last time SES reported a delivery; None: not known."""


def check_address(
    address: str,
    ask: Ask,
    suppressed: Mapping[str, Suppressed | NotLookedUp | None],
    history: History | None,
    insights: tuple[str, AddressInsights | NotLookedUp] | None = None,
) -> Iterator[Finding]:
    """Judge an address; `suppressed` is the entry in each region, `history` None where there is no database.

    `insights`: a region, and what SES thinks of the address there; None: it was not asked.
    """
    domain = domain_of(address)
    if domain is None:
        yield finding(
            *("recipient-syntax", address, "fail", "the address itself", "no mail address (RFC 5321)"),
            fix=["Correct it: NAME@DOMAIN, without blanks, brackets or quotes."],
        )
        return
    yield finding("recipient-syntax", address, "ok", "the address itself", "well-formed")
    was_delivered = history is not None and history.delivered_at is not None
    yield check_spelling(address, domain, was_delivered=was_delivered)
    yield check_mail_server(address, domain, ask)
    if insights is not None:
        yield check_insights(address, *insights)
    for region, entry in suppressed.items():
        yield check_suppressed(address, region, entry)
    if history is not None:
        yield check_history(address, history)


def domain_of(address: str) -> str | None:
    """The domain of an address, as it is asked for in DNS; None: it is no address SES would take."""
    local, at, domain = address.strip().rpartition("@")
    try:
        ascii_domain = domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return None
    labels = ascii_domain.split(".")
    if not at or len(local) > 64 or len(ascii_domain) > 253 or not _LOCAL.fullmatch(local) or len(labels) < 2:
        return None
    is_name = all(len(label) <= 63 and _LABEL.fullmatch(label) for label in labels) and not labels[-1].isdigit()
    return ascii_domain if is_name else None


def check_mail_server(address: str, domain: str, ask: Ask) -> Finding:
    """Whether the domain has a server that takes mail: an MX, else an address (RFC 5321 5.1); no null MX (RFC 7505)."""
    mx = ask(domain, "MX")
    by_hand = dig("MX", domain)
    if mx.state == "unknown":
        return unanswered("recipient-domain", address, mx, by_hand=by_hand)
    if mx.state == "nxdomain":
        fix = [f"Check the spelling of {domain}; otherwise ask the person by another way."]
        return finding("recipient-domain", address, "fail", f"MX {domain}", mx.words, fix=fix, by_hand=by_hand)
    if is_null(mx):
        fix = ["Ask the person by another way for an address that takes mail."]
        words = "a null MX: the domain takes no mail at all (RFC 7505)"
        return finding("recipient-domain", address, "fail", f"MX {domain}", words, fix=fix, by_hand=by_hand)
    if mx.state == "found":
        return _hosts(address, domain, mx, mail_hosts(mx, ask), by_hand)
    return _without_mx(address, domain, ask(domain, "A"), ask(domain, "AAAA"), by_hand)


def _hosts(address: str, domain: str, mx: Answer, hosts: Sequence[MailHost], by_hand: str) -> Finding:
    """What the servers behind the MX are worth. One that is there is enough, if others are not."""
    states = {host.state for host in hosts}
    told, asked = hosts_told(hosts), f"MX {domain}, and the addresses of its servers"
    state: FindingState = "ok" if not told else "warn" if states & {"there", "alias"} else "fail"
    if state != "warn" and "unknown" in states:
        state = "unknown"
    fix = {
        "fail": [f"Check the spelling of {domain}: no server it names is there. Otherwise ask by another way."],
        "warn": [f"Nothing, if mail arrives. Whoever looks after {domain} should mend its MX: {told}."],
        "unknown": ["Ask again later: DNS did not answer."],
    }.get(state, [])
    return finding("recipient-domain", address, state, asked, told or mx.words, fix=fix, by_hand=by_hand)


def check_spelling(address: str, domain: str, *, was_delivered: bool) -> Finding:
    """Whether the domain looks like a slip. Where mail was delivered it is none."""
    meant = None if was_delivered else meant_instead(domain)
    asked = "the domains of large mailbox providers"
    if meant is None:
        return finding("recipient-spelling", address, "ok", asked, "no slip of a well-known domain")
    local = address.strip().rpartition("@")[0]
    words = f"{domain} is one letter away from {meant}"
    fix = [f"Did you mean {local}@{meant}? Domains a letter away are often somebody's trap, and take mail."]
    return finding("recipient-spelling", address, "warn", asked, words, fix=fix)


def check_insights(address: str, region: str, found: AddressInsights | NotLookedUp) -> Finding:
    """What SES thinks of the address. It estimates, so nothing of it is a fault."""
    by_hand = f"aws sesv2 get-email-address-insights --email-address {shlex.quote(address)} --region {region}"
    if isinstance(found, NotLookedUp):
        return unanswered("recipient-insights", address, found, by_hand=by_hand)
    doubts = [] if found.is_valid != "LOW" else ["the address is hardly valid"]
    doubts += ["the mailbox hardly exists"] if found.mailbox_exists == "LOW" else []
    doubts += ["it is a throw-away address"] if found.is_disposable == "HIGH" else []
    doubts += ["it looks typed at random"] if found.is_random == "HIGH" else []
    words = f"SES in {region} holds it for valid: {found.is_valid or 'it does not say'}"
    return finding(
        *("recipient-insights", address, "warn" if doubts else "ok", f"what SES in {region} thinks of the address"),
        "; ".join((words, *doubts)),
        fix=["Ask the person by another way whether the address is right."] if doubts else [],
        by_hand=by_hand,
    )


def _without_mx(address: str, domain: str, *answers: Answer | str) -> Finding:
    by_hand = str(answers[-1])
    hosts = [answer for answer in answers if isinstance(answer, Answer)]
    if any(answer.state == "found" for answer in hosts):
        fix = ["Check the spelling: a domain without MX seldom has mailboxes."]
        words = "no MX, but an address: mail may arrive there"
        return finding("recipient-domain", address, "warn", f"MX and A of {domain}", words, fix=fix, by_hand=by_hand)
    if unknown := [answer for answer in hosts if answer.state == "unknown"]:
        return unanswered("recipient-domain", address, unknown[0], by_hand=by_hand)
    fix = [f"Check the spelling of {domain}; otherwise ask the person by another way."]
    words = "neither MX nor address"
    return finding("recipient-domain", address, "fail", f"MX and A of {domain}", words, fix=fix, by_hand=by_hand)


def check_suppressed(address: str, region: str, entry: Suppressed | NotLookedUp | None) -> Finding:
    """Whether SES would drop a mail to this address."""
    asked = f"the suppression list in {region}"
    by_hand = f"aws sesv2 get-suppressed-destination --email-address {shlex.quote(address)} --region {region}"
    if isinstance(entry, NotLookedUp):
        return unanswered("recipient-suppressed", f"{address} in {region}", entry, by_hand=by_hand)
    if entry is None:
        return finding("recipient-suppressed", address, "ok", asked, f"not on the list of {region}", by_hand=by_hand)
    words = f"on the list of {region}: {entry.reason} since {minute_text(entry.since)}" + (
        f", through message {entry.message_id}" if entry.message_id else ", put there by hand"
    )
    return finding(
        *("recipient-suppressed", address, "fail", asked, words), fix=removal_steps(region, entry), by_hand=by_hand
    )


def check_history(address: str, history: History) -> Finding:
    """What became of earlier mail. Failures on our own side say nothing about the address."""
    asked = "our own bounces with this address"
    theirs = [row for row in history.bounces if row["side"] != "own"]
    ours = len(history.bounces) - len(theirs)
    aside = f"; {ours} failed on our own side, which says nothing about the address" if ours else ""
    if not theirs:
        return finding("recipient-history", address, "ok", asked, f"none{aside}")
    last = theirs[0]
    at = datetime.fromisoformat(last["received_at"])
    words = f"{len(theirs)}, the last on {at:%Y-%m-%d}: {last['cause']}{aside}"
    by_hand = f"triage explain {last['id']}"
    if history.delivered_at is not None and history.delivered_at > at:
        words += f"; delivered since, on {history.delivered_at:%Y-%m-%d}"
        return finding("recipient-history", address, "ok", asked, words, by_hand=by_hand)
    for_good = last["cause"] in FOR_GOOD
    return finding(
        *("recipient-history", address, "fail" if for_good else "warn", asked, words),
        fix=[
            "Ask the person by another way for an address that works."
            if for_good
            else f"See what was said: `{by_hand}`"
        ],
        by_hand=by_hand,
    )
