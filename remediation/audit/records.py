"""Judges the records of the domain itself in public DNS: MX, SPF, DMARC and what is aligned. Facts in, findings out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from remediation.audit.catalogue import dig, finding, record_steps, unanswered
from remediation.audit.dkim import zone_in_use
from remediation.audit.facts import DomainFacts, Finding, FindingState
from remediation.aws import SesIdentity, Zone
from remediation.dns import (
    MAX_LOOKUPS,
    MAX_VOIDS,
    Answer,
    Dmarc,
    DmarcRecord,
    MailHost,
    SpfWalk,
    hosts_told,
    is_dmarc,
    is_null,
    report_addresses,
    strangers,
    tree_lines,
)


def check_domain(domain: DomainFacts, identities: Iterable[SesIdentity]) -> Iterator[Finding]:
    """MX, SPF and DMARC of one domain, and the alignment of every From domain in it."""
    yield check_mx(domain.domain, domain.mx, domain.address, domain.mail_hosts)
    yield from check_spf(domain.spf)
    yield from check_dmarc(domain.dmarc[domain.domain], domain.reports, zone_in_use(domain))
    known = list(identities)
    for sender, found in domain.dmarc.items():
        if found.record is not None:
            yield from _alignments(sender, found.record, domain, known)


def check_mx(name: str, mx: Answer, address: Answer, hosts: Sequence[MailHost] = ()) -> Finding:
    """Whether replies and bounces to the domain find a server."""
    by_hand = dig("MX", name)
    if mx.state == "unknown":
        return unanswered("domain-mx", name, mx, by_hand=by_hand)
    if mx.state == "nxdomain":
        fix = ["Register the domain, or check its spelling and that its registration has not run out."]
        return finding("domain-mx", name, "fail", f"MX {name}", mx.words, fix=fix, by_hand=by_hand)
    fix = [f"Publish the MX of whoever keeps your mailboxes; without mailboxes at {name}, set a Reply-To elsewhere."]
    if is_null(mx):
        words = "a null MX: the domain says that it takes no mail at all (RFC 7505)"
        return finding("domain-mx", name, "warn", f"MX {name}", words, fix=fix, by_hand=by_hand)
    if mx.state == "found":
        return _judge_hosts(name, mx, hosts, by_hand)
    if address.state == "unknown":
        return unanswered("domain-mx", name, address, by_hand=by_hand)
    words = "no MX" + (f"; mail goes to its address {address.words}" if address.state == "found" else " and no address")
    state: FindingState = "warn" if address.state == "found" else "fail"
    return finding("domain-mx", name, state, f"MX and A of {name}", words, fix=fix, by_hand=by_hand)


def _judge_hosts(name: str, mx: Answer, hosts: Sequence[MailHost], by_hand: str) -> Finding:
    """The servers behind the MX: each that is not there loses or delays mail, all of them lose every mail."""
    states, told = {host.state for host in hosts}, hosts_told(hosts)
    state: FindingState = "ok" if not told else "warn" if states & {"there", "alias"} else "fail"
    if "unknown" in states and not (state == "warn" and states & {"gone", "literal", "alias"}):
        state = "unknown"
    fix = {
        "ok": [],
        "unknown": ["Ask again later: DNS did not answer."],
    }.get(state, [f"Mend or take out these MX of {name}: a server's own name, which has an A or AAAA record."])
    return finding(
        *("domain-mx", name, state, f"MX {name}, and the addresses of its servers", told or mx.words),
        fix=fix,
        by_hand=by_hand,
    )


def check_spf(walk: SpfWalk) -> Iterator[Finding]:
    """The record itself, its lookups, voids and loops, and how it ends."""
    name, by_hand, asked = walk.domain, dig("TXT", walk.domain), f"TXT {walk.domain}"
    rest = ("spf-lookups", "spf-voids", "spf-loop", "spf-all")
    if walk.answer.state == "unknown":
        yield unanswered("spf-record", name, walk.answer, by_hand=by_hand, leaves_open=rest)
        return
    if not walk.records:
        told = f"no SPF record among {len(walk.answer.records)} TXT records"
        yield finding(
            *("spf-record", name, "warn", asked, told if walk.answer.records else walk.answer.words),
            # No Route 53 command here: UPSERT would replace every other TXT record of the name.
            fix=[
                "Add a TXT record, beside those that are there, that names everybody who sends with this domain as"
                f' envelope sender. For nobody: `{name}. 300 IN TXT "v=spf1 ~all"`'
            ],
            by_hand=by_hand,
        )
        return
    if walk.record is None:
        terms = dict.fromkeys(term for record in walk.records for term in record.split()[1:] if "all" not in term)
        merged = " ".join(("v=spf1", *terms, "~all"))
        yield finding(
            *("spf-record", name, "fail", asked, f"{len(walk.records)} SPF records: {'; '.join(walk.records)}"),
            fix=[f'Make one of them and delete the others: `{name}. 300 IN TXT "{merged}"`'],
            by_hand=by_hand,
        )
        return
    tree = [" ".join(line.split()) for line in tree_lines(walk)]
    state: FindingState = "fail" if walk.errors else "warn" if walk.uses_ptr else "ok"
    answered = "; ".join(walk.errors) or ("uses ptr, which receivers may ignore" if walk.uses_ptr else walk.record)
    fix = ["Take the broken term out, or mend what it points to."] if walk.errors else []
    fix = ["Replace ptr by the networks or includes that are meant (RFC 7208 5.5)."] if state == "warn" else fix
    yield finding("spf-record", name, state, asked, answered, fix=fix, by_hand=by_hand)
    walked = f"{asked} and everything it includes"
    if walk.loops:
        yield finding(
            *("spf-loop", name, "fail", walked, "; ".join(walk.loops)),
            fix=["Take the include that leads back out of the record that holds it."],
            by_hand=by_hand,
        )
    else:
        yield finding("spf-loop", name, "ok", walked, "no record includes itself", by_hand=by_hand)
    if walk.unknown:
        yield unanswered("spf-lookups", name, walk.unknown[0], by_hand=by_hand, leaves_open=["spf-voids"])
    else:
        yield _limit("spf-lookups", walk, walk.lookups, MAX_LOOKUPS, walked, tree)
        yield _limit("spf-voids", walk, len(walk.voids), MAX_VOIDS, walked, walk.voids)
    yield _spf_all(walk, asked, by_hand)


def _limit(check: str, walk: SpfWalk, number: int, most: int, asked: str, told: list[str]) -> Finding:
    what = "lookups" if check == "spf-lookups" else "lookups that find nothing"
    fix = {
        "spf-lookups": [
            "Take out what no longer sends for you; move a sender to a subdomain with a record of its own.",
            "Do not copy other people's networks into your record: they change.",
        ],
        "spf-voids": [f"Take out {', '.join(walk.voids)}: there is nothing at these names."],
    }[check]
    return finding(
        *(check, walk.domain, "fail" if number > most else "ok", asked),
        f"{number} of {most} {what}" + (f" ({'; '.join(told)})" if told else ""),
        fix=fix if number > most else [],
        by_hand=dig("TXT", walk.domain),
        figures={"count": number},
    )


def _spf_all(walk: SpfWalk, asked: str, by_hand: str) -> Finding:
    if walk.lets_all_pass:
        state: FindingState = "fail"
        answered = f"+all in the record of {', '.join(walk.lets_all_pass)}: anybody passes"
        fix = ["End the record with `-all` or `~all`; `all` without a sign means +all."]
    elif walk.all_ in (None, "?") and not walk.unknown:
        state, answered = "warn", "no all" if walk.all_ is None else "?all: says nothing about others"
        fix = [f'End the record with ~all: `{walk.domain}. 300 IN TXT "{_ended(str(walk.record))}"`']
    else:
        state, answered, fix = "ok", f"{walk.all_}all", []
    return finding("spf-all", walk.domain, state, asked, answered, fix=fix, by_hand=by_hand)


def _ended(record: str) -> str:
    return " ".join((*(term for term in record.split() if term.lower() != "?all"), "~all"))


def check_dmarc(found: Dmarc, reports: dict[str, Answer], zone: Zone | None) -> Iterator[Finding]:
    """The record that counts for a domain, what it asks for, and who gets its reports."""
    name, place = found.domain, f"_dmarc.{found.domain}"
    by_hand, asked = dig("TXT", place), f"TXT {place}"
    rest = ("dmarc-policy", "dmarc-reports", "dmarc-alignment")
    start = record_steps(place, "TXT", f"v=DMARC1; p=none; rua=mailto:dmarc@{name}", zone)
    if found.several:
        yield finding(
            *("dmarc-record", name, "fail", asked, f"{len(found.several)} records: {'; '.join(found.several)}"),
            fix=[f'Keep one of them and delete the others, for example: `{place}. 300 IN TXT "{found.several[0]}"`'],
            by_hand=by_hand,
        )
        return
    if found.record is None and found.unknown:
        yield unanswered("dmarc-record", name, found.unknown[0], by_hand=by_hand, leaves_open=rest)
        return
    if found.record is None:
        yield finding(
            *("dmarc-record", name, "fail", asked, f"{found.answer.words}; nor does a domain above it have one"),
            fix=[*start, "When the reports show that all your own mail passes, raise p to quarantine, then to reject."],
            by_hand=by_hand,
        )
        return
    record = found.record
    above = "" if record.domain == name else f" (of {record.domain}, which speaks for it)"
    if record.errors:
        fix = [f"Mend it: {'; '.join(record.errors)}.", "The shape is `v=DMARC1; p=none; rua=mailto:ADDRESS`."]
        answered = f"{record.text}{above}: {'; '.join(record.errors)}"
        yield finding("dmarc-record", name, "fail", asked, answered, fix=fix, by_hand=by_hand)
        return
    yield finding("dmarc-record", name, "ok", asked, record.text + above, by_hand=by_hand)
    yield _policy(found, record, asked, by_hand, zone)
    yield _reports(name, record, reports, zone)


def _policy(found: Dmarc, record: DmarcRecord, asked: str, by_hand: str, zone: Zone | None) -> Finding:
    policy = found.policy or "none"
    problem = None
    if policy == "none":
        problem = f"the policy for {found.domain} is none"
    elif record.tag("t", "n") == "y":
        problem = f"p={policy}, but t=y: receivers treat it as the next weaker one"
    elif record.tag("pct", "100") != "100":
        problem = f"p={policy} for {record.tag('pct', '100')} % only; receivers that follow RFC 9989 ignore pct"
    elif record.domain == found.domain and record.tag("sp", policy) == "none":
        problem = f"p={policy}, but sp=none: subdomains may be forged"
    stronger = "quarantine" if policy == "none" else policy
    text = "; ".join(
        part for part in (p.strip() for p in record.text.split(";")) if part and part.split("=")[0].strip() not in _SOFT
    )
    wanted = text.replace("v=DMARC1", f"v=DMARC1; p={stronger}", 1)
    steps = record_steps(f"_dmarc.{record.domain}", "TXT", wanted, zone)
    return finding(
        *("dmarc-policy", found.domain, "warn" if problem else "ok", asked, problem or f"p={policy}"),
        fix=[f"Wait until the reports of some weeks show that all your own mail passes. Then: {steps[0]}", *steps[1:]]
        if problem
        else [],
        by_hand=by_hand,
    )


_SOFT = frozenset({"p", "sp", "t", "pct"})


def _reports(name: str, record: DmarcRecord, reports: dict[str, Answer], zone: Zone | None) -> Finding:
    addresses = report_addresses(record)
    place = f"_dmarc.{record.domain}"
    if not addresses:
        wanted = f"{record.text.rstrip('; ')}; rua=mailto:dmarc@{record.domain}"
        return finding(
            *("dmarc-reports", name, "warn", f"TXT {place}", "no rua"),
            fix=record_steps(place, "TXT", wanted, zone),
            by_hand=dig("TXT", place),
        )
    for other, agreement in strangers(record):
        answer = reports.get(agreement)
        if answer is None:
            continue
        if answer.state == "unknown":
            return unanswered("dmarc-reports", name, answer, by_hand=dig("TXT", agreement))
        if not any(is_dmarc(text) for text in answer.records):
            return finding(
                *("dmarc-reports", name, "warn", f"TXT {agreement}", f"{other} does not agree to take the reports"),
                fix=[f'{other} must publish: `{agreement}. 300 IN TXT "v=DMARC1"`; or name an address of your own.'],
                by_hand=dig("TXT", agreement),
            )
    return finding("dmarc-reports", name, "ok", f"TXT {place}", f"to {', '.join(addresses)}", by_hand=dig("TXT", place))


def _alignments(
    sender: str, record: DmarcRecord, domain: DomainFacts, identities: list[SesIdentity]
) -> Iterator[Finding]:
    """Whether mail from one From domain can pass DMARC through SES, region by region."""
    modes = {tag: record.tag(tag, "r") for tag in ("adkim", "aspf")}
    for identity in identities:
        dkim: bool | Answer = False
        if identity.dkim_signing:
            dkim = domain.aligned.get((sender, identity.name, modes["adkim"]), False)
        spf = domain.aligned.get((sender, identity.mail_from or "", modes["aspf"]), False)
        subject, by_hand = f"{sender} in {identity.region}", dig("TXT", f"_dmarc.{record.domain}")
        if dkim is not True and spf is not True:
            for side in (dkim, spf):
                if isinstance(side, Answer):
                    yield unanswered("dmarc-alignment", subject, side, by_hand=by_hand)
                    return
        signed = f"DKIM {identity.name}" if identity.dkim_signing else "DKIM off"
        answered = (
            f"{signed} ({_mode(modes['adkim'])}): {_fits(dkim)};"
            f" MAIL FROM {identity.mail_from or 'amazonses.com'} ({_mode(modes['aspf'])}): {_fits(spf)}"
        )
        passes = dkim is True or spf is True
        yield finding(
            *(
                "dmarc-alignment",
                subject,
                "ok" if passes else "fail",
                f"From {sender} against DKIM and MAIL FROM",
                answered,
            ),
            fix=[]
            if passes
            else [
                f"Verify {sender} itself, so that its mail is signed as {sender}: `aws sesv2 create-email-identity"
                f" --email-identity {sender} --region {identity.region}`; or",
                f"let subdomains count: take adkim=s and aspf=s out of the record at _dmarc.{record.domain}.",
            ],
            by_hand=by_hand,
        )


def _fits(side: bool | Answer) -> str:
    return "not known" if isinstance(side, Answer) else "aligned" if side else "not aligned"


def _mode(mode: str) -> str:
    return "strict" if mode == "s" else "relaxed"
