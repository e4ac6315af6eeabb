"""The rows of ways.toml as values: how a relay fails, and what the verdict must then say."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.real_mta.relays.hosts import Conduct

RELAY, MX = "relay", "mx"
"""The two sides of a pair: who says it."""


@dataclass(frozen=True)
class Way:
    """One way of failing, said by a relay of ours and by a recipient's MX."""

    number: int
    name: str
    host: str
    """The name of the relay."""
    conduct: Conduct | None
    """None: nobody listens there."""
    has_address: bool
    """Whether the names of the relay and the MX exist."""
    encrypts: bool
    """Whether the server under test wants encryption, with a certificate it trusts."""
    logs_in: bool
    """Whether the server under test was told to encrypt and log in there; it may have been forgotten."""
    causes: frozenset[str]
    """Causes of which one must be the verdict on the relay."""

    def domain(self, side: str) -> str:
        # No word of the way in it: what is judged are the words of the servers.
        return f"pier{self.number}.{'harbour' if side == RELAY else 'client'}.example"

    def recipient(self, side: str) -> str:
        return f"pat@{self.domain(side)}"

    def mx(self) -> str:
        return f"mx.{self.domain(MX)}"

    def message_id(self, side: str) -> str:
        return f"pier{self.number}.{side}.20261124@queenofsandiego.com"

    def conduct_of(self, side: str) -> Conduct | None:
        """How the host of a side behaves. Nobody logs in at an MX: what a relay says to AUTH it says to MAIL."""
        if self.conduct is None or side == RELAY:
            return self.conduct
        return self.conduct.at_mx()


def _way(number: int, row: dict[str, Any]) -> Way:
    head = {key: row.pop(key) for key in ("name", "host", "causes")}
    listens, has_address, logs_in = (row.pop(key, True) for key in ("listens", "has_address", "logs_in"))
    return Way(
        number=number,
        name=head["name"],
        host=head["host"],
        encrypts=row.pop("encrypts", "tls" in row),
        conduct=Conduct(**row) if listens else None,
        has_address=has_address,
        logs_in=logs_in,
        causes=frozenset(head["causes"]),
    )


def _ways() -> tuple[Way, ...]:
    rows = tomllib.loads((Path(__file__).parent / "ways.toml").read_text(encoding="utf-8"))["way"]
    return tuple(_way(number, row) for number, row in enumerate(rows))


WAYS = _ways()
