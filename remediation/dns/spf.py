"""Walks an SPF record with everything it includes: lookups, void lookups, loops, what `all` says (RFC 7208).

Decides nothing about a mail and nothing about good or bad: it counts and collects. A record that could not be looked up
is told as such and is no error of the owner's. The network is the `ask` it is given.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from remediation.dns.lookup import Answer, Ask, plain_name

MAX_LOOKUPS = 10
"""RFC 7208 4.6.4: terms that cause DNS queries; one more is a permanent error."""
MAX_VOIDS = 2
"""RFC 7208 4.6.4: lookups that find nothing."""
MAX_MX_NAMES = 10
_ENOUGH = 40
"""Lookups after which a walk ends: far above the limit, so that the number told is exact in every real case."""

_TERM = re.compile(r"([+?~-]?)([a-z][a-z0-9_.-]*)(?:([:=/])(.*))?", re.IGNORECASE | re.DOTALL)
_CIDR = re.compile(r"(?:/(\d{1,2}))?(?://(\d{1,3}))?")
_TARGETED = frozenset({"include", "exists", "redirect"})


@dataclass(frozen=True, slots=True)
class SpfStep:
    """One term that made a lookup, for showing the tree."""

    depth: int
    term: str
    """As written: `include:amazonses.com`."""
    found: str
    """What came back, in words."""


@dataclass
class SpfWalk:
    """What came of walking the record of one domain."""

    domain: str
    answer: Answer
    """Of the TXT question at the domain itself."""
    records: tuple[str, ...] = ()
    """The SPF records there: one is right."""
    lookups: int = 0
    voids: list[str] = field(default_factory=list)
    """Terms whose lookup found nothing."""
    loops: list[str] = field(default_factory=list)
    """`a.example -> b.example -> a.example`"""
    errors: list[str] = field(default_factory=list)
    """What makes a receiver give up (permerror), in words, counts and loops aside."""
    unknown: list[Answer] = field(default_factory=list)
    """What could not be looked up on the way."""
    steps: list[SpfStep] = field(default_factory=list)
    includes: set[str] = field(default_factory=set)
    """Every domain included or redirected to, at any depth."""
    all_: str | None = None
    """What is said of everybody else: - ~ ? +; None: nothing, which counts as ?."""
    lets_all_pass: list[str] = field(default_factory=list)
    """Domains of the walk whose record ends with +all."""
    uses_ptr: bool = False

    @property
    def record(self) -> str | None:
        """The one record; None where there is none, or more than one."""
        return self.records[0] if len(self.records) == 1 else None


def walk(ask: Ask, domain: str) -> SpfWalk:
    """Look up and follow the SPF record of a domain, as a receiver would whose mail matches nothing in it."""
    domain = plain_name(domain)
    answer = ask(domain, "TXT")
    result = SpfWalk(domain, answer, spf_records(answer))
    if result.record is not None:
        _walk_record(ask, result, domain, result.record, (domain,), is_redirect=True)
    elif answer.state == "unknown":
        result.unknown.append(answer)
    return result


def spf_records(answer: Answer) -> tuple[str, ...]:
    """Those TXT records that are SPF (RFC 7208 4.5)."""
    return tuple(text for text in answer.records if re.match(r"v=spf1(\s|$)", text, re.IGNORECASE))


def _walk_record(
    ask: Ask, result: SpfWalk, domain: str, record: str, path: tuple[str, ...], *, is_redirect: bool
) -> None:
    """`is_redirect`: what this record says of `all` is what the whole one says (true of the first record, too)."""
    redirect: str | None = None
    for term in record.split()[1:]:
        if result.lookups >= _ENOUGH:
            return
        found = _TERM.fullmatch(term)
        if found is None:
            result.errors.append(f"{domain}: {term} is no SPF term")
            continue
        qualifier, name, mark, value = found[1] or "+", found[2].lower(), found[3] or "", found[4] or ""
        if mark == "=":
            if name == "redirect" and redirect is not None:
                result.errors.append(f"{domain}: redirect stands in it twice")
            if name == "redirect":
                redirect = value
            continue  # exp= and modifiers nobody knows change nothing (RFC 7208 6)
        value = f"/{value}" if mark == "/" else value
        if problem := _problem(name, value):
            result.errors.append(f"{domain}: {term}: {problem}")
            continue
        if name == "all":
            if qualifier == "+":
                result.lets_all_pass.append(domain)
            if is_redirect:
                result.all_ = qualifier
            return  # what stands behind it, and a redirect, is never looked at (RFC 7208 5.1)
        _look_up(ask, result, domain, term, name, value, path)
    if redirect is not None:
        _follow(ask, result, f"redirect={redirect}", redirect, path, is_redirect=is_redirect)


def _look_up(ask: Ask, result: SpfWalk, domain: str, term: str, name: str, value: str, path: tuple[str, ...]) -> None:
    """Count and carry out the lookup of one mechanism."""
    if name == "include":
        _follow(ask, result, term, value, path, is_redirect=False)
        return
    if name in ("ip4", "ip6"):
        return
    result.lookups += 1
    result.uses_ptr |= name == "ptr"
    target = value.partition("/")[0] or domain
    if name == "ptr" or "%" in target:  # depends on the mail that is judged
        result.steps.append(SpfStep(len(path), term, "depends on the mail"))
        return
    if name == "mx":
        answer = ask(target, "MX")
        if len(answer.records) > MAX_MX_NAMES:
            result.errors.append(f"{domain}: {term}: more than {MAX_MX_NAMES} MX names")
    else:
        answer = ask(target, "A")
        if answer.is_absent and name == "a":  # which of the two is asked depends on the client's address
            other = ask(target, "AAAA")
            answer = answer if other.is_absent else other
    _note(result, term, answer, path)


def _follow(ask: Ask, result: SpfWalk, term: str, target: str, path: tuple[str, ...], *, is_redirect: bool) -> None:
    result.lookups += 1
    if "%" in target:
        result.steps.append(SpfStep(len(path), term, "depends on the mail"))
        return
    target = plain_name(target)
    if target in path:
        result.loops.append(" -> ".join((*path[path.index(target) :], target)))
        result.steps.append(SpfStep(len(path), term, "a loop"))
        return
    result.includes.add(target)
    answer = ask(target, "TXT")
    records = spf_records(answer)
    if len(records) == 1:
        result.steps.append(SpfStep(len(path), term, records[0]))
        _walk_record(ask, result, target, records[0], (*path, target), is_redirect=is_redirect)
        return
    _note(result, term, answer, path)
    if answer.state != "unknown":  # RFC 7208 5.2: an include without a record is a permanent error
        what = "has several SPF records" if records else "has no SPF record"
        result.errors.append(f"{term}: {target} {what}")


def _note(result: SpfWalk, term: str, answer: Answer, path: tuple[str, ...]) -> None:
    result.steps.append(SpfStep(len(path), term, answer.words))
    if answer.state == "unknown":
        result.unknown.append(answer)
    elif answer.is_absent:
        result.voids.append(term)


def _problem(name: str, value: str) -> str | None:
    """What is wrong with a mechanism; None: nothing."""
    if name == "all":
        return "nothing may stand behind all" if value else None
    if name in ("ip4", "ip6"):
        try:
            network = ipaddress.ip_network(value, strict=False)
        except ValueError:
            return "no network"
        return None if network.version == int(name[2]) else f"no IPv{name[2]} network"
    if name in _TARGETED and name != "redirect":
        return None if _is_target(value) else "no domain"
    if name in ("a", "mx", "ptr"):
        domain, slash, _ = value.partition("/")
        cidr = _CIDR.fullmatch(value[len(domain) :]) if slash else None
        if slash and (cidr is None or int(cidr[1] or 0) > 32 or int(cidr[2] or 0) > 128 or name == "ptr"):
            return "no network size"
        return None if not domain or _is_target(domain) else "no domain"
    return "no such mechanism"


def _is_target(text: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z0-9_%{}.+,/=-]+", text)) and "." in text.strip(".")


def tree_lines(result: SpfWalk) -> Iterator[str]:
    """The walk for human eyes, one line for each lookup."""
    for step in result.steps:
        yield f"{'  ' * (step.depth - 1)}{step.term}: {step.found}"
