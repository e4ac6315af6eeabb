"""Judges DKIM records three ways (SES, Route 53, public DNS), the zone in use, and the MAIL FROM domain.

Facts in, findings out. What DNS or AWS did not answer is `unknown`, and the other two ways are still compared.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping

from remediation.audit.catalogue import dig, finding, record_steps, unanswered
from remediation.audit.facts import DomainFacts, Finding, FindingState, ZoneFacts
from remediation.audit.scope import dkim_names
from remediation.aws import NotLookedUp, SesIdentity, Zone
from remediation.dns import MAX_LOOKUPS, Answer, SpfWalk

SES_SPF = "amazonses.com"


def zone_in_use(domain: DomainFacts) -> Zone | None:
    """The Route 53 zone the world asks; None: none of ours, or not known."""
    return domain.zone.in_use if isinstance(domain.zone, ZoneFacts) else None


def check_zone(domain: DomainFacts) -> Iterator[Finding]:
    """Whether the Route 53 zone is the one public DNS delegates to."""
    if isinstance(domain.zone, NotLookedUp):
        yield unanswered("route53", domain.domain, domain.zone, leaves_open=["zone-in-use"])
        return
    if domain.zone is None:
        return
    zones, public = domain.zone.zones, domain.zone.servers
    name = zones[0].name
    by_hand = f"{dig('NS', name)}; aws route53 get-hosted-zone --id {zones[0].id}"
    if public.state == "unknown":
        yield unanswered("zone-in-use", name, public, by_hand=by_hand)
        return
    used = domain.zone.in_use
    if used is None and isinstance(domain.zone.by_address, Answer):
        yield unanswered("zone-in-use", name, domain.zone.by_address, by_hand=by_hand)
        return
    shown = used or zones[0]
    is_same = used is not None and (used is domain.zone.by_address or set(used.servers) == set(public.records))
    state: FindingState = "fail" if used is None else "ok" if is_same else "warn"
    answered = f"public DNS: {public.words.replace('; ', ', ')}; Route 53 zone {shown.id}: {', '.join(shown.servers)}"
    steps = [
        f"At the registrar of {name}, make these its name servers: {', '.join(shown.servers)}."
        " Only if everything the domain needs is in this zone; compare first.",
        "Or keep your records where the domain is served now, and delete the Route 53 zone, which nobody asks.",
    ]
    if state == "warn":
        steps = [f"Make the name servers at the registrar of {name} exactly these: {', '.join(shown.servers)}."]
    yield finding(
        *("zone-in-use", name, state, f"NS {name} against the Route 53 zone {shown.id}", answered),
        fix=[] if state == "ok" else steps,
        by_hand=by_hand,
    )


def check_dkim(domain: DomainFacts, identity: SesIdentity) -> Iterator[Finding]:
    """Every DKIM record of one identity, as SES wants it, as Route 53 has it and as the world sees it."""
    if not identity.dkim_tokens:
        return
    used = zone_in_use(domain)
    held = domain.zone.cnames if used is not None and isinstance(domain.zone, ZoneFacts) else None
    names = dkim_names(identity)
    own_key = identity.dkim_origin == "EXTERNAL"
    wanted = {n: f"{token}.{identity.dkim_zone}" for n, token in zip(names, identity.dkim_tokens, strict=True)}
    wrong: dict[str, str] = {}
    stale: dict[str, str] = {}
    open_: list[Answer] = []
    for name, target in wanted.items():
        cname, txt = domain.dkim.get(name) or (None, None)
        if cname is None or txt is None:
            continue
        problem = _own_key_problem(txt) if own_key else _problem(cname, txt, target)
        if isinstance(problem, Answer):
            open_.append(problem)
        elif problem is not None:
            wrong[name] = problem + _in_route53(held, name, target)
        elif isinstance(held, Mapping) and not own_key and held.get(name) != target:
            stale[name] = f"still right in public DNS, but Route 53 has {held.get(name) or 'nothing'}"
    subject = f"{identity.name} in {identity.region}"
    ways = "SES, Route 53 and public DNS" if isinstance(held, Mapping) else "SES and public DNS"
    asked = f"the {len(names)} DKIM records of {subject}, in {ways}"
    by_hand = "; ".join(dig("TXT" if own_key else "CNAME", name) for name in (wrong or stale or names))
    if wrong or stale:
        found = wrong or stale
        yield finding(
            *("dkim-records", subject, "fail" if wrong else "warn", asked),
            "; ".join(f"{name}: {problem}" for name, problem in found.items()),
            fix=_steps(found, wanted, used, own_key),
            by_hand=by_hand,
        )
    elif open_:
        yield unanswered("dkim-records", subject, open_[0], by_hand=by_hand)
    else:
        also = f"; Route 53 was not looked up: {held.why}" if isinstance(held, NotLookedUp) else ""
        told = "own key published" if own_key else f"all point to {identity.dkim_zone} and hold a key"
        yield finding("dkim-records", subject, "ok", asked, told + also, by_hand=by_hand)


def _problem(cname: Answer, txt: Answer, target: str) -> str | Answer | None:
    """What is wrong with one record in public DNS; an Answer: could not be looked up; None: nothing."""
    if cname.state == "unknown":
        return cname
    if cname.state == "found" and cname.records != (target.lower(),):
        return f"points to {', '.join(cname.records)} instead of {target}"
    if txt.state == "unknown":
        return txt
    has_key = any(_holds_key(text) for text in txt.records)
    if cname.is_absent and has_key:
        return f"is a copy of the key instead of a CNAME to {target}: it breaks when SES turns the key"
    if cname.is_absent:
        return f"{cname.words}; SES wants a CNAME to {target}"
    return None if has_key else f"points to {target}, but there is no key ({txt.words})"


def _own_key_problem(txt: Answer) -> str | Answer | None:
    if txt.state == "unknown":
        return txt
    keys = [text for text in txt.records if _holds_key(text)]
    if not keys:
        return f"has no public key ({txt.words})"
    problems = [_key_problem(text) for text in keys]
    return None if None in problems else problems[0]


def _key_problem(text: str) -> str | None:
    """What makes a published key useless: receivers take no RSA key below 1024 bits (RFC 8301 3.2)."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    tags = _key_tags(text)
    try:
        key = b64decode("".join(tags["p"].split()), validate=True)
    except ValueError:
        return "holds a p= that is no base64"
    if tags.get("k", "rsa").lower() == "ed25519":
        return None if len(key) == 32 else "holds no key of ed25519, which has 32 bytes"
    try:
        public = load_der_public_key(key)
    except Exception:  # whatever was published there
        return "holds a p= that is no whole public key"
    if not isinstance(public, RSAPublicKey):
        return "holds a key that is none of RSA"
    return f"holds a key of {public.key_size} bits; below 1024 nobody takes it" if public.key_size < 1024 else None


def _holds_key(text: str) -> bool:
    """Whether a TXT record is a DKIM key that is not revoked (RFC 6376 3.6.1: an empty p=)."""
    return bool(_key_tags(text).get("p"))


def _key_tags(text: str) -> dict[str, str]:
    parts = (part.partition("=")[::2] for part in text.split(";"))
    return {name.strip(): value.strip() for name, value in parts}


def _in_route53(held: Mapping[str, str] | NotLookedUp | None, name: str, target: str) -> str:
    """The third way, for a record that is wrong in public DNS."""
    if held is None:
        return ""
    if isinstance(held, NotLookedUp):
        return f" (Route 53 was not looked up: {held.why})"
    if held.get(name) == target:
        return " (Route 53 has it right: public DNS may still answer from a cache)"
    return f" (Route 53 has {held.get(name) or 'nothing'})"


def _steps(found: Iterable[str], wanted: Mapping[str, str], used: Zone | None, own_key: bool) -> list[str]:
    if own_key:
        return [f"Publish the public key of your signing key as TXT at {name}: `v=DKIM1; p=...`." for name in found]
    steps = []
    for name in found:
        steps += record_steps(name, "CNAME", wanted[name], used)
    if used is None and steps:
        steps.append("Where a provider adds the domain by itself, leave it off the name. Do not proxy these records.")
    return steps


def check_mail_from(domain: DomainFacts, identity: SesIdentity) -> Iterator[Finding]:
    """The custom MAIL FROM domain: set, its one MX, its SPF."""
    region, name, used = identity.region, identity.name, zone_in_use(domain)
    subject = f"{name} in {region}"
    asked, by_hand = (
        f"the MAIL FROM domain of {subject}",
        f"aws sesv2 get-email-identity --email-identity {name} --region {region}",
    )
    place = identity.mail_from
    mx, txt = f"10 feedback-smtp.{region}.amazonses.com", f"v=spf1 include:{SES_SPF} ~all"
    if place is None:
        yield finding(
            *("mail-from", subject, "warn", asked, "none is set: bounces go to amazonses.com"),
            fix=[
                f"`aws sesv2 put-email-identity-mail-from-attributes --email-identity {name}"
                f" --mail-from-domain bounce.{name} --behavior-on-mx-failure USE_DEFAULT_VALUE --region {region}`",
                *record_steps(f"bounce.{name}", "MX", mx, used),
                *record_steps(f"bounce.{name}", "TXT", txt, used),
            ],
            by_hand=by_hand,
        )
        return
    status, on_failure = identity.mail_from_status or "not given", identity.mail_from_on_mx_failure
    state: FindingState = "ok" if status == "SUCCESS" else "fail" if on_failure == "REJECT_MESSAGE" else "warn"
    meaning = "While it is not verified, SES refuses every mail of this domain." if state == "fail" else None
    yield finding(
        *("mail-from", subject, state, asked, f"{place}, {status}, on failure {on_failure or 'not given'}"),
        fix=[] if state == "ok" else [*record_steps(place, "MX", mx, used), "SES looks again by itself, for 72 hours."],
        by_hand=by_hand,
        meaning=meaning,
    )
    if place in domain.mail_from:
        answer, walk = domain.mail_from[place]
        yield _mail_from_mx(place, answer, mx, used)
        yield check_mail_from_spf(place, walk, txt, used)


def _mail_from_mx(place: str, answer: Answer, wanted: str, used: Zone | None) -> Finding:
    if answer.state == "unknown":
        return unanswered("mail-from-mx", place, answer, by_hand=dig("MX", place))
    hosts = [record.partition(" ")[2] for record in answer.records]
    right = hosts == [wanted.partition(" ")[2]]
    return finding(
        *("mail-from-mx", place, "ok" if right else "fail", f"MX {place}", answer.words),
        fix=[] if right else record_steps(place, "MX", wanted, used),
        by_hand=dig("MX", place),
    )


def check_mail_from_spf(place: str, walk: SpfWalk, wanted: str, used: Zone | None) -> Finding:
    """The SPF record receivers look at for mail through SES."""
    asked, by_hand = f"TXT {place}", dig("TXT", place)
    if walk.answer.state == "unknown":
        return unanswered("mail-from-spf", place, walk.answer, by_hand=by_hand)
    problem = None
    if not walk.records:
        problem = f"no SPF record ({walk.answer.words})"
    elif walk.record is None:
        problem = f"{len(walk.records)} SPF records, which count as none: {'; '.join(walk.records)}"
    elif SES_SPF not in walk.includes:
        problem = f"{walk.record} does not include {SES_SPF}"
    elif walk.errors or walk.loops:
        problem = f"{walk.record}: {'; '.join((*walk.errors, *walk.loops))}"
    elif walk.lookups > MAX_LOOKUPS:
        problem = f"{walk.record}: {walk.lookups} lookups of {MAX_LOOKUPS}"
    elif walk.lets_all_pass:
        problem = f"{walk.record}: +all lets everybody send"
    elif walk.unknown:
        return unanswered("mail-from-spf", place, walk.unknown[0], by_hand=by_hand)
    return finding(
        *("mail-from-spf", place, "fail" if problem else "ok", asked, problem or str(walk.record)),
        fix=record_steps(place, "TXT", wanted, used) if problem else [],
        by_hand=by_hand,
    )
