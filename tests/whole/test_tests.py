"""What holds for the tests themselves: each can fail, and the mutants made by hand still fit the code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests import mutants

TESTS = Path(__file__).parents[1]
Function = ast.FunctionDef | ast.AsyncFunctionDef


def _checks_by_itself(function: Function) -> bool:
    """Whether there is an assert in it, pytest.raises or the like, or a double that checks what it was asked."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
        if name in ("raises", "warns", "fail") or name.startswith("assert_"):
            return True
    return False


def _functions() -> Iterator[tuple[Path, Function]]:
    for path in sorted(TESTS.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, Function):
                yield path, node


def _called(function: Function) -> set[str]:
    calls = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
    return {
        call.attr if isinstance(call, ast.Attribute) else call.id
        for call in calls
        if hasattr(call, "attr") or hasattr(call, "id")
    }


def test_no_test_is_without_an_assertion() -> None:
    functions = list(_functions())
    checking = {function.name for _, function in functions if _checks_by_itself(function)}
    helpers = {name for name in checking if not name.startswith("test_")}
    idle = [
        f"{path.relative_to(TESTS)}: {function.name}"
        for path, function in functions
        if path.name.startswith("test_")
        and function.name.startswith("test_")
        and not _checks_by_itself(function)
        and not _called(function) & helpers
    ]
    assert not idle, "tests that cannot fail:\n" + "\n".join(idle)


def test_the_law_sees_a_test_without_an_assertion() -> None:
    idle, busy = ast.parse("def test_a(): run()\ndef test_b():\n    with pytest.raises(E): run()").body
    assert isinstance(idle, Function)
    assert isinstance(busy, Function)
    assert not _checks_by_itself(idle)
    assert _checks_by_itself(busy)


@pytest.mark.parametrize("hand", mutants.HAND_MADE, ids=lambda hand: hand.path)
def test_a_mutant_made_by_hand_still_changes_the_code(hand: mutants.HandMade) -> None:
    mutant = mutants.made(hand)
    source = (mutants.ROOT / hand.path).read_bytes()
    changed = source[: mutant.start] + mutant.new.encode() + source[mutant.end :]
    assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(source))
    assert (mutants.ROOT / hand.test).is_file()


@pytest.mark.parametrize("room", mutants.ROOMS)
def test_each_sampled_mutant_is_code_that_says_something_else(room: str) -> None:
    for mutant in mutants.sample(room, 80):
        source, tree = _parsed(mutants.ROOT / mutant.path)
        changed = source[: mutant.start] + mutant.new.encode() + source[mutant.end :]
        assert ast.dump(ast.parse(changed)) != tree, mutants.described(mutant)


@cache
def _parsed(path: Path) -> tuple[bytes, str]:
    source = path.read_bytes()
    return source, ast.dump(ast.parse(source))
