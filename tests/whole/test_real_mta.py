"""What real mail servers really send is judged as the table of tests/real_mta/scenarios.toml says.

Runs Debian's Postfix and Exim on loopback (`make real-bounces`); `make test` leaves these tests out and says so. Where
the servers cannot run, each test is skipped with the reason.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from parsers import parse
from parsers.facts import Bounce, Failure
from tests.real_mta import install
from tests.real_mta.exim import Exim
from tests.real_mta.postfix import Postfix
from tests.real_mta.scenarios import MAILS, SENDER, Mail, Want
from tests.real_mta.world import Server, World
from triage.judging.verdict import Verdict, classify

pytestmark = pytest.mark.real_mta

SERVERS: dict[str, type[Server]] = {"postfix": Postfix, "exim": Exim}
CASES = [(server, mail) for server in SERVERS for mail in MAILS if mail.wanted(server)]

Bounces = dict[tuple[str, str], list[bytes]]


@pytest.fixture(scope="module")
def bounces() -> Iterator[Bounces]:
    """Every bounce of both servers, by server and mail; they run at the same time, each in a world of its own."""
    if why := install.why_not():
        pytest.skip(f"REAL MAIL SERVERS NOT RUN: {why}")
    with tempfile.TemporaryDirectory(prefix="real-mta-") as folder:
        Path(folder).chmod(0o755)  # the servers' own users read it
        yield collect(Path(folder))


def collect(folder: Path) -> Bounces:
    """Run both servers in this folder over the whole table, and stop them."""
    found: Bounces = {}
    folder.mkdir(exist_ok=True)
    running: list[tuple[str, Server, World]] = []
    try:
        for name, make in SERVERS.items():
            server = make()
            world = World(folder / name, [mail for mail in MAILS if mail.wanted(name)])
            running.append((name, server, world))
            server.start(world)
            world.send_all()
        for name, _, world in running:
            arrived = world.wait({mail.name: len({want.kind for want in mail.wanted(name)}) for mail in world.mails})
            found |= {(name, mail): bounces for mail, bounces in arrived.items()}
    finally:
        for _, server, world in running:
            server.stop()
            world.stop()
    return found


@pytest.mark.parametrize(("server", "mail"), CASES, ids=[f"{server}-{mail.name}" for server, mail in CASES])
def test_verdicts(bounces: Bounces, server: str, mail: Mail) -> None:
    mails = bounces[server, mail.name]
    assert mails, f"{server} sent no bounce for {mail.name}"
    read = [parse(data) for data in mails]
    assert all(isinstance(bounce, Bounce) for bounce in read)
    got = [
        (verdict, failure)
        for bounce in read
        if isinstance(bounce, Bounce)
        for verdict, failure in zip(classify(bounce, mail.name), bounce.failures, strict=True)
    ]
    wants = mail.wanted(server)
    assert sorted((v.kind, v.recipient) for v, _ in got) == sorted((w.kind, w.recipient) for w in wants)
    wrong = [
        f"{want.kind} {want.recipient}: {line}"
        for want in wants
        for verdict, failure in got
        if (verdict.kind, verdict.recipient) == (want.kind, want.recipient)
        for line in differing(want, verdict, failure, server)
    ]
    assert wrong == []
    for text in mail.wants_more:
        assert all(text.encode() in data for data in mails)


def differing(want: Want, verdict: Verdict, failure: Failure, server: str) -> list[str]:
    """One line for each field that is not as wanted."""
    original = verdict.original
    pairs: list[tuple[str, object, object]] = [
        ("cause", want.cause, verdict.cause) if want.cause or want.kind == "delivered" else ("", None, None),
        ("reason", want.reason, verdict.reason) if want.reason else ("", None, None),
        ("status", want.status, verdict.status) if want.status else ("", None, None),
        ("reply_code", want.reply_code, verdict.reply_code),
        ("platform", want.platform, verdict.platform),
        ("original_recipient", want.original_recipient, verdict.original_recipient),
        ("remote_host", want.remote_host, verdict.remote_host),
        ("reported_by", server, verdict.reported_by),
        ("genuine", "unknown", verdict.genuine),
        ("command", want.command, failure.command) if want.command else ("", None, None),
        ("original.from", SENDER, original and original.sender),
        ("original.subject", "Your sailing on Saturday", original and original.subject),
    ]
    return [f"{name}: wanted {wanted!r}, got {got!r}" for name, wanted, got in pairs if wanted != got]
