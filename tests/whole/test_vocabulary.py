"""One name, one thing; one thing, one place."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("parsers", "remediation", "triage")
# Commands of the command line have the names users type.
MODULES = sorted(
    path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if path.parent != ROOT / "triage" / "cli"
)

# What is said once -> the module that says it.
ONCE = {
    r"%Y-%m-%dT%H:%M:%SZ": {"parsers/times.py", "triage/store/steps/views.py"},  # SQLite's own function, in a view
    r"%Y-%m-%d %H:%M\} UTC": {"parsers/times.py"},
    r'"Jan", "Feb"': {"parsers/times.py"},
    r"Jan\|Feb": set(),
    r"email-smtp\(\?": {"parsers/ses_hosts.py"},
    r'"alias-credentials-rejected", "alias-misconfigured"': {"remediation/__init__.py"},
    r"\.isprintable\(\) else": {"parsers/text.py"},
    r'encode\("utf-8", "replace"\)\.decode\(\)\.replace': {"triage/store/database.py"},
    r"^(Row|Record) = ": {"triage/store/database.py"},
}


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _made(path: Path) -> list[str]:
    """The functions and classes of a module."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return [node.name for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, kinds)]


def _assigned(path: Path) -> Iterator[str]:
    """The constants and aliases of a module."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (found.id for target in targets for found in ast.walk(target) if isinstance(found, ast.Name))


def test_one_name_is_one_thing() -> None:
    places: defaultdict[str, set[str]] = defaultdict(set)
    for path in MODULES:
        for name in (*_made(path), *_assigned(path)):
            if not name.startswith("_"):
                places[name].add(_name(path))
    assert len(places) > 500
    several = {name: sorted(found) for name, found in places.items() if len(found) > 1}
    assert several == {}


def test_nothing_in_a_room_has_the_name_of_a_module_of_it() -> None:
    """`from triage.owner import rejudge` must leave no doubt."""
    rooms = [path for path in MODULES if path.parent.parent != ROOT]
    modules = {(path.parent, path.stem) for path in rooms}
    assert [f"{_name(path)}: {name}" for path in rooms for name in _made(path) if (path.parent, name) in modules] == []


@pytest.mark.parametrize("pattern", ONCE)
def test_one_thing_has_one_place(pattern: str) -> None:
    said = {_name(path) for path in MODULES if re.search(pattern, path.read_text(encoding="utf-8"), re.MULTILINE)}
    assert said == ONCE[pattern]
