"""Asking DNS on loopback: four answers that are never confused, each question once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from remediation.dns.lookup import BadServerError, Dns, server_address
from tests.doubles.zone import ZoneDouble


@pytest.fixture(scope="module")
def server() -> Iterator[ZoneDouble]:
    with ZoneDouble() as double:
        yield double


@pytest.fixture
def zone(server: ZoneDouble) -> ZoneDouble:
    server.reset()
    server.set("example.org", "A", "192.0.2.1")
    server.set("example.org", "TXT", '"v=spf1 " "-all"', '"Second"')
    server.set("example.org", "MX", "20 B.example.org.", "10 a.example.org.", "5 c.example.org.")
    server.set("null.example.org", "MX", "0 .")
    server.set("www.example.org", "CNAME", "Example.ORG.")
    server.set("lost.example.org", "CNAME", "nowhere.example.net.")
    server.set("a.b.example.org", "A", "192.0.2.2")
    return server


def asking(zone: ZoneDouble, lifetime: float = 2.0) -> Dns:
    return Dns(zone.address, lifetime)


@pytest.mark.parametrize(
    ("name", "type_", "state", "records"),
    [
        ("example.org", "A", "found", ("192.0.2.1",)),
        ("EXAMPLE.org.", "a", "found", ("192.0.2.1",)),
        ("example.org", "TXT", "found", ("Second", "v=spf1 -all")),
        ("example.org", "MX", "found", ("5 c.example.org", "10 a.example.org", "20 b.example.org")),
        ("null.example.org", "MX", "found", ("0 .",)),
        ("example.org", "NS", "no-answer", ()),
        ("www.example.org", "CNAME", "found", ("example.org",)),
        ("www.example.org", "A", "found", ("192.0.2.1",)),
        ("www.example.org", "NS", "no-answer", ()),
        ("lost.example.org", "TXT", "nxdomain", ()),
        ("lost.example.org", "CNAME", "found", ("nowhere.example.net",)),
        ("nobody.example.org", "TXT", "nxdomain", ()),
        ("b.example.org", "TXT", "no-answer", ()),  # a name between two others is there (RFC 8020)
        ("a..example.org", "TXT", "nxdomain", ()),  # no such name can exist
        ("x" * 64 + ".example.org", "TXT", "nxdomain", ()),
        (".".join(["x" * 60] * 5), "TXT", "nxdomain", ()),
    ],
)
def test_what_is_there_and_what_is_not(
    zone: ZoneDouble, name: str, type_: str, state: str, records: tuple[str, ...]
) -> None:
    answer = asking(zone).ask(name, type_)
    assert (answer.state, answer.records, answer.why) == (state, records, None)
    assert answer.is_absent == (state != "found")


def test_servfail_refused_and_silence_are_not_absence(zone: ZoneDouble) -> None:
    zone.fail("example.org", "servfail")
    zone.fail("refused.example.org", "refused")
    zone.fail("silent.example.org", "drop")
    answers = [asking(zone).ask(name, "TXT") for name in ("example.org", "refused.example.org")]
    answers.append(asking(zone, 0.3).ask("silent.example.org", "TXT"))
    assert [answer.state for answer in answers] == ["unknown"] * 3
    assert [answer.why for answer in answers] == [
        "the DNS server answered SERVFAIL",
        "the DNS server answered REFUSED",
        "no answer within 0.3 seconds",
    ]
    assert not any(answer.is_absent for answer in answers)
    assert all(answer.words.startswith("could not be looked up: ") for answer in answers)


def test_servfail_behind_an_alias_is_not_absence(zone: ZoneDouble) -> None:
    zone.fail("example.org", "servfail")
    assert asking(zone).ask("www.example.org", "TXT").state == "unknown"
    assert asking(zone).ask("www.example.org", "CNAME").state == "found"


def test_nobody_at_the_address_is_not_absence() -> None:
    assert Dns("127.0.0.1:1", 0.2).ask("example.org", "A").state == "unknown"


def test_a_resolver_file_without_servers_is_not_absence(monkeypatch: pytest.MonkeyPatch) -> None:
    import dns.resolver

    def unconfigured(self: object, *_: object, **__: object) -> None:
        raise dns.resolver.NoResolverConfiguration

    monkeypatch.setattr(dns.resolver.Resolver, "read_resolv_conf", unconfigured)
    answer = Dns().ask("example.org", "A")
    assert (answer.state, answer.why) == ("unknown", "this computer has no DNS server configured")


def test_a_server_without_a_way_out_denies_nothing(zone: ZoneDouble) -> None:
    zone.knows_root = False
    dns = asking(zone)
    answers = [dns.ask(name, "TXT") for name in ("nobody.example.org", "nobody.example.net")]
    assert [answer.state for answer in answers] == ["unknown"] * 2
    assert "proves nothing" in answers[0].words
    assert dns.ask("example.org", "TXT").state == "found"
    assert dns.ask("example.org", "NS").state == "no-answer"
    assert zone.log.count(("", "NS")) == 1
    zone.set("com", "NS", "a.gtld-servers.net.")  # refuses the root, knows the rest
    assert asking(zone).ask("nobody.example.org", "TXT").state == "nxdomain"


def test_a_large_answer_comes_by_tcp(zone: ZoneDouble) -> None:
    texts = [f'"{number:03d}{"x" * 200}"' for number in range(40)]
    zone.set("large.example.org", "TXT", *texts)
    answer = asking(zone).ask("large.example.org", "TXT")
    assert len(answer.records) == 40
    assert zone.log.count(("large.example.org", "TXT")) == 2


def test_bytes_that_are_no_text_are_shown_not_lost(zone: ZoneDouble) -> None:
    zone.set("odd.example.org", "TXT", r'"a\255b"')
    assert asking(zone).ask("odd.example.org", "TXT").records == (r"a\xffb",)


def test_each_question_is_asked_once_even_from_two_threads(zone: ZoneDouble) -> None:
    dns = asking(zone)
    zone.latency = 0.1
    threads = [threading.Thread(target=dns.ask, args=("example.org", "A")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    dns.ask("Example.org.", "A")
    assert zone.log == [("example.org", "A")]
    assert dns.questions == 1


def test_questions_side_by_side_take_the_time_of_one(zone: ZoneDouble) -> None:
    zone.latency = 0.4
    dns = asking(zone)
    started = time.perf_counter()
    dns.ask_all([("example.org", type_) for type_ in ("A", "TXT", "MX", "NS", "A")])
    assert time.perf_counter() - started < 1.3
    assert dns.questions == 4


@pytest.mark.parametrize(
    ("server", "address"),
    [
        ("192.0.2.1", ("192.0.2.1", 53)),
        ("192.0.2.1:5353", ("192.0.2.1", 5353)),
        ("2001:db8::1", ("2001:db8::1", 53)),
        ("[2001:db8::1]:5353", ("2001:db8::1", 5353)),
        ("[2001:db8::1]", ("2001:db8::1", 53)),
    ],
)
def test_a_server_is_named_by_address_and_port(server: str, address: tuple[str, int]) -> None:
    assert server_address(server) == address


@pytest.mark.parametrize(
    "server", ["", "dns.example.org", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:x", "192.0.2.1:99999", "1:2:3"]
)
def test_what_is_no_server_is_refused(server: str) -> None:
    with pytest.raises(BadServerError):
        server_address(server)
