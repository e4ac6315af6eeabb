"""What real mail servers report of a relay of theirs, and beside it of an MX that says the same, is never confused.

Runs Debian's Postfix, Exim, Sendmail and OpenSMTPD on loopback (`make real-bounces`); where they cannot run, each test
is skipped with the reason. The table of failures is tests/real_mta/relays/ways.toml.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from parsers import parse
from tests.real_mta.relays import root
from tests.real_mta.relays.harbour import PATIENCE, Harbour, Server
from tests.real_mta.relays.postfix_exim import Exim, Postfix
from tests.real_mta.relays.sendmail_opensmtpd import OpenSMTPD, Sendmail
from tests.real_mta.relays.ways import MX, RELAY, WAYS, Way
from triage.judging.verdict import Verdict, classify

pytestmark = pytest.mark.real_mta

SERVERS: dict[str, type[Server]] = {
    "postfix": Postfix,
    "exim": Exim,
    "sendmail": Sendmail,
    "opensmtpd": OpenSMTPD,
}
# It goes on looking for a way to these hosts, and reports nothing before its session ends after minutes.
NOT_REPORTED = {("opensmtpd", name) for name in ("silent", "auth-not-offered", "auth-other-mechanism")}
PAIRS = [(server, way) for server in SERVERS for way in WAYS if (server, way.name) not in NOT_REPORTED]

Verdicts = dict[tuple[str, str, str], list[Verdict]]


@pytest.fixture(scope="module")
def verdicts() -> Iterator[Verdicts]:
    """What is made of every report, by server, way and side; the servers run at the same time."""
    if why := root.why_not():
        pytest.skip(f"REAL MAIL SERVERS NOT RUN: {why}")
    with tempfile.TemporaryDirectory(prefix="real-relays-") as folder:
        Path(folder).chmod(0o755)  # the servers' own users read it
        yield collect(Path(folder))


def collect(folder: Path) -> Verdicts:
    """Run all servers over the whole table, and stop them."""
    running: list[tuple[str, Server, Harbour]] = []
    try:
        for name, make in SERVERS.items():
            server = make()
            ways = [way for other, way in PAIRS if other == name]
            (folder / name).mkdir()
            (folder / name).chmod(0o755)
            harbour = Harbour(folder / name, ways)
            running.append((name, server, harbour))
            server.start(harbour)
            for way in ways:
                for side in (RELAY, MX):
                    server.send(harbour, way, side)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and not all(_has_failed(harbour) for _, _, harbour in running):
            time.sleep(1)
        return {
            (name, way.name, side): _judged(harbour, way, side)
            for name, _, harbour in running
            for way in harbour.ways
            for side in (RELAY, MX)
        }
    finally:
        for _, server, harbour in running:
            server.stop()
            harbour.stop()


def _has_failed(harbour: Harbour) -> bool:
    """Whether the last report on every mail has come, not only the warning before it."""
    return all(
        any(b"action: failed" in data.lower() for data in harbour.bounces(way, side))
        for way in harbour.ways
        for side in (RELAY, MX)
    )


def _judged(harbour: Harbour, way: Way, side: str) -> list[Verdict]:
    return [verdict for data in harbour.bounces(way, side) for verdict in classify(parse(data), f"{way.name}-{side}")]


def test_there_are_enough_pairs() -> None:
    assert len(PAIRS) >= 200


@pytest.mark.parametrize(("server", "way"), PAIRS, ids=[f"{server}-{way.name}" for server, way in PAIRS])
def test_the_relay_is_ours_and_the_mx_is_theirs(verdicts: Verdicts, server: str, way: Way) -> None:
    relay, mx = verdicts[server, way.name, RELAY], verdicts[server, way.name, MX]
    assert [v.kind for v in relay].count("failed") == 1, f"{server} reported: {relay}"
    assert [v.kind for v in mx].count("failed") == 1, f"{server} reported: {mx}"
    assert {v.reported_by for v in relay + mx} == {server}
    assert {v.recipient for v in relay} == {way.recipient(RELAY)}
    assert [v for v in relay if v.side == "remote"] == []
    assert [v for v in mx if v.side == "own" or (v.cause or "").startswith(("alias-", "ses-"))] == []
    for ours in relay:
        for theirs in mx:
            if server == "opensmtpd" and ours.kind == theirs.kind and ours.diagnostic == theirs.diagnostic:
                # It names no host: what reads the same is judged the same.
                assert (ours.side, ours.cause) == (theirs.side, theirs.cause)
    for verdict in relay:
        if verdict.side == "own":
            assert verdict.actor not in ("recipient", "recipient-admin")
