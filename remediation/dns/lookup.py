"""Asks public DNS and tells four answers apart: found, no such name, nothing of that type, and "could not find out".

A time-out, SERVFAIL or REFUSED says nothing about the record that was asked for and is never called an absence. Judges
no record. Each question is asked once in the life of a `Dns`; imports dnspython only when the first one is asked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from dns.resolver import Resolver

AnswerState = Literal["found", "nxdomain", "no-answer", "unknown"]

QUERY_SECONDS = 1.5
"""How long one server is waited for before the question is repeated."""
LIFETIME_SECONDS = 4.0
"""How long a question may take in all."""
SIDE_BY_SIDE = 8
_CANARIES = ("", "com")  # the root, and for servers that refuse it the largest domain below it


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one name and type."""

    name: str
    """As asked, lower case, without the last dot."""
    type: str
    """TXT, CNAME, MX, NS, A, AAAA."""
    state: AnswerState
    records: tuple[str, ...] = ()
    """Sorted (MX by preference), for DNS keeps no order; names in lower case without the last dot. TXT: the strings of
    a record joined. MX: `10 mx.example.org`."""
    why: str | None = None
    """Why it could not be found out; None otherwise."""

    @property
    def is_absent(self) -> bool:
        """Whether it is certain that there is no such record."""
        return self.state in ("nxdomain", "no-answer")

    @property
    def words(self) -> str:
        """The answer in one line, as evidence."""
        if self.state == "found":
            return "; ".join(self.records)
        return {
            "nxdomain": "no such name (NXDOMAIN)",
            "no-answer": f"the name exists, but has no {self.type}",
            "unknown": f"could not be looked up: {self.why}",
        }[self.state]


Ask = Callable[[str, str], Answer]
"""name, type -> Answer; never raises."""


class BadServerError(ValueError):
    """The setting that names the DNS server is no address."""


@dataclass
class Dns:
    """Questions and answers of one audit. `server` is `address` or `address:port`; None: the system's resolvers."""

    server: str | None = None
    lifetime: float | None = None
    """How many seconds a question may take in all; None: LIFETIME_SECONDS."""
    questions: int = 0
    """How many were really asked; what was known already does not count."""
    _known: dict[tuple[str, str], Answer] = field(default_factory=dict, repr=False)
    _turns: dict[tuple[str, str], threading.Lock] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _resolver: Resolver | None = field(default=None, repr=False)

    def ask(self, name: str, type_: str) -> Answer:
        """The records of a name, following CNAMEs (but for type CNAME); asked once, then known. Never raises."""
        key = (plain_name(name), type_.upper())
        with self._lock:
            turn = self._turns.setdefault(key, threading.Lock())
        with turn:  # two threads with one question: the second waits for the answer of the first
            if key not in self._known:
                with self._lock:
                    self.questions += 1
                self._known[key] = self._believed(self._asked(*key))
            return self._known[key]

    def _believed(self, answer: Answer) -> Answer:
        """The answer, but for "no such name" from a server that does not know the root either.

        That is a network without a way out, a login page, a filter; what it denies may well be there.
        """
        if answer.state != "nxdomain" or answer.name in _CANARIES:
            return answer
        if any(self.ask(name, "NS").state == "found" for name in _CANARIES):
            return answer
        why = "the DNS server denies even the root of DNS, so its NXDOMAIN proves nothing"
        return Answer(answer.name, answer.type, "unknown", why=why)

    def ask_all(self, questions: Iterable[tuple[str, str]]) -> None:
        """Ask side by side, so that the answers are known when they are needed."""
        from concurrent.futures import ThreadPoolExecutor

        wanted = list(dict.fromkeys(questions))
        if wanted:
            with ThreadPoolExecutor(min(SIDE_BY_SIDE, len(wanted))) as pool:
                list(pool.map(lambda question: self.ask(*question), wanted))

    def _asked(self, name: str, type_: str) -> Answer:
        import dns.exception
        import dns.name
        import dns.resolver

        lifetime = LIFETIME_SECONDS if self.lifetime is None else self.lifetime
        try:
            with self._lock:
                if self._resolver is None:
                    self._resolver = _resolver(self.server)
            absolute = dns.name.from_text(name + ".")
            answer: Any = self._resolver.resolve(absolute, type_, lifetime=lifetime, search=False)
            records = [_text(record, type_) for record in answer]
        except dns.resolver.NXDOMAIN:
            return Answer(name, type_, "nxdomain")
        except dns.resolver.NoAnswer:
            return Answer(name, type_, "no-answer")
        except (dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel, UnicodeError):
            return Answer(name, type_, "nxdomain")  # no such name can exist
        except dns.exception.Timeout:
            return Answer(name, type_, "unknown", why=f"no answer within {lifetime:g} seconds")
        except dns.resolver.NoNameservers as error:
            return Answer(name, type_, "unknown", why=_refusal(error))
        except dns.resolver.NoResolverConfiguration:
            return Answer(name, type_, "unknown", why="this computer has no DNS server configured")
        except (dns.exception.DNSException, OSError, ValueError) as error:
            return Answer(name, type_, "unknown", why=f"the DNS server could not be asked ({type(error).__name__})")
        return Answer(name, type_, "found", tuple(sorted(records, key=_by_preference if type_ == "MX" else None)))


def plain_name(name: str) -> str:
    """A name as it is compared: lower case, without the last dot."""
    return name.strip().removesuffix(".").lower()


def server_address(server: str) -> tuple[str, int]:
    """`192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1` or `[2001:db8::1]:5353` as address and port; else BadServerError."""
    import ipaddress

    host, port = server, "53"
    if server.startswith("["):
        host, _, port = server[1:].partition("]")
        port = port.removeprefix(":") or "53"
    elif server.count(":") == 1:
        host, _, port = server.partition(":")
    try:
        number = int(port)
        if not 0 < number < 65536:
            raise ValueError
        return str(ipaddress.ip_address(host)), number
    except ValueError:
        raise BadServerError(server) from None


def _resolver(server: str | None) -> Resolver:
    import dns.resolver

    resolver = dns.resolver.Resolver(configure=server is None)
    if server is not None:
        address, resolver.port = server_address(server)
        resolver.nameservers = [address]
    resolver.timeout = QUERY_SECONDS
    return resolver


def _text(record: Any, type_: str) -> str:
    if type_ == "TXT":
        # RFC 7208 3.3: the strings of one record are joined without blanks between them.
        return b"".join(record.strings).decode("utf-8", "backslashreplace")
    if type_ == "MX":
        return f"{record.preference} {plain_name(record.exchange.to_text()) or '.'}"
    return plain_name(record.to_text())


def _by_preference(record: str) -> tuple[int, str]:
    preference, _, host = record.partition(" ")
    return int(preference), host


def _refusal(error: Any) -> str:
    """What the servers said, without their addresses: SERVFAIL, REFUSED, or that the answer was no DNS."""
    said = sorted({str(entry[-2]) for entry in error.kwargs.get("errors", ()) if len(entry) >= 2})
    words = sorted({code for code in ("SERVFAIL", "REFUSED", "NOTIMP", "FORMERR") for text in said if code in text})
    words += [code for code in ("SERVFAIL", "REFUSED") if code in str(error) and code not in words]
    return f"the DNS server answered {' and '.join(words)}" if words else "the DNS servers gave no usable answer"
