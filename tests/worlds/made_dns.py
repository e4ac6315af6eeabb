"""DNS answers out of a table, for what only needs an `ask`: no socket, no server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from remediation.dns.lookup import Answer, Ask, plain_name

UNKNOWN = ("?",)
"""In the table: this could not be looked up."""


def made_ask(table: Mapping[str, Sequence[str]], log: list[str] | None = None) -> Ask:
    """Answers from `"TXT example.org": [records]`; a name with other types has no answer, another does not exist."""
    names = {key.partition(" ")[2] for key in table}

    def ask(name: str, type_: str) -> Answer:
        name = plain_name(name)
        if log is not None:
            log.append(f"{type_} {name}")
        records = table.get(f"{type_} {name}")
        if records == UNKNOWN:
            return Answer(name, type_, "unknown", why="the DNS server answered SERVFAIL")
        if records:
            return Answer(name, type_, "found", tuple(records))
        is_there = any(known == name or known.endswith(f".{name}") for known in names)
        return Answer(name, type_, "no-answer" if is_there else "nxdomain")

    return ask
