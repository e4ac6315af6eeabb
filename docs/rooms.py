"""Draws the picture of the rooms in docs/architecture.md from the import statements and the doors' own words."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("parsers", "remediation", "triage")
DOORS = {
    ".".join(path.parent.relative_to(ROOT).parts): path
    for package in PACKAGES
    for path in sorted((ROOT / package).glob("*/__init__.py"))
}


def picture() -> str:
    """A diagram of who uses whom (what follows from two other arrows is left out), and each room's job in a table."""
    used = _used()
    arrows = [f"  {_node(room)} --> {_node(other)}" for room in sorted(used) for other in sorted(_reduced(room, used))]
    rows = [f"| `{room.replace('.', '/')}/` | {_job(path)} |" for room, path in sorted(DOORS.items())]
    return "\n".join(["```mermaid", "graph TD", *arrows, "```", "", "| room | job |", "|---|---|", *rows])


def _used() -> dict[str, set[str]]:
    """Room -> the rooms it imports, and `run`, which is a single module."""
    found: dict[str, set[str]] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            here = _room(".".join(path.relative_to(ROOT).with_suffix("").parts))
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom):
                    names = {f"{node.module}.{alias.name}" for alias in node.names}
                    others = {room for name in names if (room := _room(name)) and room != here}
                    if here and others:
                        found.setdefault(here, set()).update(others)
    return found


def _room(module: str) -> str | None:
    if module == "triage.run" or module.startswith("triage.run."):
        return "triage.run"
    return next((room for room in DOORS if module == room or module.startswith(f"{room}.")), None)


def _reduced(room: str, used: dict[str, set[str]]) -> set[str]:
    """The rooms a room uses, without those that one of the others uses already."""
    direct = used[room]
    return direct - {far for near in direct for far in _reach(near, used)}


def _reach(room: str, used: dict[str, set[str]]) -> set[str]:
    near = used.get(room, set())
    return near | {far for other in near for far in _reach(other, used)}


def _node(room: str) -> str:
    return room.replace(".", "/")


def _job(door: Path) -> str:
    text = ast.get_docstring(ast.parse(door.read_text(encoding="utf-8"))) or ""
    return " ".join(text.partition("\n\n")[0].split())
