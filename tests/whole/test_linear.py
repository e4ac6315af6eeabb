"""Every pattern takes time in proportion to the text: twice the text, about twice the time.

Each pattern is fed what it almost fits: its own literal parts, repeated, alone and in pairs, up to the most that its
caller ever gives it, and where that takes long enough to be measured, half of it too. And what a pattern begins with
stands before a long row of blanks or letters: there it may try each length of the row for each place in it.

All patterns of the product are found by walking its modules: those that stand in a module under a name, and those that
are written where they are used. One put together while the program runs is named in PUT_TOGETHER, with its reason.
"""

from __future__ import annotations

import ast
import importlib
import math
import pkgutil
import re
import time
from collections.abc import Callable, Iterator
from functools import cache
from itertools import accumulate, pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import parsers
import remediation
import triage
from parsers.mime import MAX_TEXT_BYTES
from triage.judging.table import MAX_TEXT, load_tables

FIRST_SIZE = 16 * 1024
FEW_TIMES = (12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 128, 160, 192, 256)
"""Repetitions at which a pattern of exponential time is found out; with many more it would never come back. In small
steps: from one that is too quick to be measured to the next it must not become hours, however slowly it grows.
"""
HOW_USED = {"remediation.suggest.VALUES": "fullmatch", "remediation.suggest._HOST": "fullmatch"}
"""Patterns that a module takes out of a table under another name."""
MEASURABLE = 0.04
"""Seconds below which a ratio is noise."""
WORST_RATIO = 3.5
"""Of the times for 2n and n: 2 is linear, 4 is quadratic."""
MOST_PIECES = 10
MEASUREMENTS = 4
"""Of a ratio that looks bad; the best counts, because others use the processor too."""

Text = Any  # str or bytes, as the pattern wants it
Work = Callable[[Text], object]


FILLERS = (" ", "a", "0", ".", "-", "\n")
"""What a long row behind a beginning is made of."""
MOST_BEGINNINGS = 4


def worst_ratio(work: Work, piece: Text, most: int, beginning: Text | None = None) -> tuple[float, int]:
    """(time for 2n / time for n, 2n) at the first size that takes long enough to be measured; 0 where none does.

    The first size is small, so that a pattern of quadratic time is found out before it takes minutes.
    """

    def text(size: int) -> Text:
        """The end fits nothing: a pattern that must reach the end has to try all the ways there are to get there."""
        filled = _filled(piece, size)
        end = "\x00" if isinstance(filled, str) else b"\x00"
        return (filled if beginning is None else beginning + filled) + end

    for size in (*(len(piece) * times for times in FEW_TIMES), FIRST_SIZE // 16, FIRST_SIZE, most):
        taken = _seconds(work, text(size))
        if taken > MEASURABLE:
            best = math.inf
            for _ in range(MEASUREMENTS):
                half = min(_seconds(work, text(size // 2)) for _ in range(2))  # a disturbance only ever adds
                best = min(best, taken / max(half, 1e-6))
                if best <= WORST_RATIO:
                    break
                taken = _seconds(work, text(size))
            else:
                return best, size
    return 0.0, most


def pieces(pattern: re.Pattern[Any]) -> list[Text]:
    """What may keep a pattern busy: each literal run of it, a sample of each set, and one after the other."""
    runs = list(dict.fromkeys(_literals(_parsed(pattern))))
    joined = "".join(runs)
    pairs = [a + b for a, b in pairwise(runs)]
    texts = dict.fromkeys(
        [*runs, *pairs, joined, joined.strip(), *(f"{run} " for run in runs), *(f"{run}\n" for run in runs[:4])]
    )
    kept = [text for text in texts if text][:MOST_PIECES]
    return kept if isinstance(pattern.pattern, str) else [text.encode("latin-1", "replace") for text in kept]


def beginnings(pattern: re.Pattern[Any]) -> list[Text]:
    """What a pattern may have matched already when a long row follows: its first runs, each with those before it."""
    runs = list(_literals(_parsed(pattern)))
    kept = [text for text in dict.fromkeys([*accumulate(runs[:MOST_BEGINNINGS]), *runs[:MOST_BEGINNINGS]]) if text]
    return kept if isinstance(pattern.pattern, str) else [text.encode("latin-1", "replace") for text in kept]


def _parsed(pattern: re.Pattern[Any]) -> Any:
    return importlib.import_module("re._parser").parse(pattern.pattern, pattern.flags & ~re.DEBUG)


def _literals(tree: Any) -> Iterator[str]:
    """Literal runs and one sample of each set, depth first, in the order they stand in the pattern."""
    run = ""
    for op, value in tree:
        name = str(op)
        if name == "LITERAL":
            run += chr(value)
            continue
        if run:
            yield run
            run = ""
        if name == "IN":
            yield _sample(value)
        elif name in ("ANY", "NOT_LITERAL"):
            yield "x"
        else:
            yield from _inside(value)
    if run:
        yield run


def _inside(value: Any) -> Iterator[str]:
    """The literals of whatever is nested in an operation: groups, repeats, branches, look-arounds."""
    if type(value).__name__ == "SubPattern":
        yield from _literals(value)
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _inside(part)


def _sample(members: Any) -> str:
    """A character that a set contains."""
    kinds = {"CATEGORY_DIGIT": "0", "CATEGORY_SPACE": " ", "CATEGORY_WORD": "a", "CATEGORY_NOT_SPACE": "x"}
    if str(members[0][0]) == "NEGATE":
        return "x"
    name, value = str(members[0][0]), members[0][1]
    return {"LITERAL": lambda: chr(value), "RANGE": lambda: chr(value[0])}.get(
        name, lambda: kinds.get(str(value), "~")
    )()


@cache
def _filled(piece: Text, size: int) -> Text:
    return (piece * (size // len(piece) + 1))[:size]


def _seconds(work: Work, text: Text) -> float:
    started = time.process_time()
    work(text)
    return time.process_time() - started


def _worst(pattern: re.Pattern[Any], method: str, most: int) -> list[str]:
    fillers = [filler if isinstance(pattern.pattern, str) else filler.encode() for filler in FILLERS]
    baits: list[tuple[Text | None, Text, int]] = [(None, piece, most) for piece in pieces(pattern)]
    baits += [(first, filler, FIRST_SIZE) for first in beginnings(pattern) for filler in fillers]
    found = []
    for first, piece, largest in baits:
        ratio, size = worst_ratio(_use(pattern, method), piece, largest, first)
        if ratio > WORST_RATIO:
            what = f"{piece[:60]!r} behind {first!r}" if first else f"{piece[:60]!r}"
            found.append(f"{pattern.pattern[:120]!r}: {ratio:.1f} times as long for twice {what} ({size} of it)")
            break
    _filled.cache_clear()
    return found


def _use(pattern: re.Pattern[Any], method: str) -> Work:
    """As the code uses it: a pattern that is only matched at the start must not be blamed for a search."""
    if method in ("match", "fullmatch"):
        return getattr(pattern, method)  # type: ignore[no-any-return]
    if method == "search":
        return pattern.search
    return lambda text: sum(1 for _ in pattern.finditer(text))


def _method(source: str, name: str) -> str:
    """The way a module uses one of its patterns that looks at the most text."""
    used = {
        node.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name
    }
    for method in ("finditer", "findall", "sub", "split", "search"):
        if method in used:
            return "search" if method == "search" else "finditer"
    return "match" if "match" in used else "fullmatch" if "fullmatch" in used else "finditer"


def _modules() -> Iterator[tuple[ModuleType, str]]:
    """Each module of the product, with its source."""
    for package in (parsers, remediation, triage):
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not info.name.endswith("__main__"):  # which is a program that starts
                module = importlib.import_module(info.name)
                yield module, Path(str(module.__file__)).read_text(encoding="utf-8")


def _patterns_of_product() -> dict[str, tuple[re.Pattern[Any], str]]:
    found: dict[str, tuple[re.Pattern[Any], str]] = {}
    for module, source in _modules():
        for name, value in vars(module).items():
            if f"\n{name}" not in source:
                continue  # imported; the module it comes from has it
            for number, pattern in enumerate(_patterns_in(value)):
                named = HOW_USED.get(f"{module.__name__}.{name}")
                method = named or (_method(source, name) if isinstance(value, re.Pattern) else "search")
                found[f"{module.__name__}.{name}.{number}"] = (pattern, method)
        for call in _calls_of_re(source):
            name = f"{module.__name__}:{call.lineno}"
            pattern = _written_there(module, call)
            if pattern is not None:
                found[name] = (pattern, str(getattr(call.func, "attr", "")).replace("compile", "finditer"))
    return found


def _calls_of_re(source: str) -> list[ast.Call]:
    """Calls such as `re.sub(...)` within functions; what stands at the top of a module has a name there."""
    tree = ast.parse(source)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    calls = {id(node): node for function in functions for node in ast.walk(function) if isinstance(node, ast.Call)}
    return [
        call
        for call in calls.values()
        if isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "re"
        and call.func.attr in ("compile", "match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer")
    ]


def _written_there(module: ModuleType, call: ast.Call) -> re.Pattern[Any] | None:
    """The pattern of a call, where it is written there or is a constant of the module; None: put together later."""
    flags = [*call.args[1:], *(word.value for word in call.keywords)]
    names = [node.attr for flag in flags for node in ast.walk(flag) if isinstance(node, ast.Attribute)]
    value = sum(int(getattr(re, name)) for name in set(names) if isinstance(getattr(re, name, None), re.RegexFlag))
    first = call.args[0]
    if isinstance(first, ast.Constant):
        return re.compile(first.value, value)
    text = getattr(module, first.id, None) if isinstance(first, ast.Name) else None
    return re.compile(text, value) if isinstance(text, str | bytes) else None


def _patterns_in(value: object) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _patterns_in(part)
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _patterns_in(part)


PATTERNS = _patterns_of_product()
RULES = {rule.id: rule.pattern for table in load_tables() for rule in table.rules if rule.pattern}


PUT_TOGETHER = {
    "parsers.signs": "its table of subjects, found among the constants",
    "parsers.smtp_reply": "holds one status code of the mail, escaped",
    "triage.store.backups": "holds the name of the database's file, escaped",
    "triage.judging.table": "the patterns of the rules, tested below",
}


def test_no_other_pattern_is_put_together_later() -> None:
    later = {
        module.__name__
        for module, source in _modules()
        for call in _calls_of_re(source)
        if _written_there(module, call) is None
    }
    assert later == set(PUT_TOGETHER)


def test_there_are_patterns() -> None:
    assert len(PATTERNS) > 50
    assert len(RULES) > 20


def test_a_quadratic_pattern_is_found_out() -> None:
    """The measuring itself: what is known to be quadratic fails, what is known to be linear passes."""
    assert _worst(re.compile(r"\s+#"), "finditer", MAX_TEXT_BYTES)
    assert _worst(re.compile(r"\*\*\s*([^*\n]{3,120}?)\s*\*\*"), "search", MAX_TEXT_BYTES), "blanks behind a beginning"
    assert _worst(re.compile(r"(=\?[!-~]+\?=\s*)+"), "fullmatch", MAX_TEXT_BYTES), "the number of ways is exponential"
    assert _worst(re.compile(r"a#"), "finditer", MAX_TEXT_BYTES) == []


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_of_the_product_is_linear(name: str) -> None:
    pattern, method = PATTERNS[name]
    assert _worst(pattern, method, MAX_TEXT_BYTES) == []


@pytest.mark.parametrize("rule", RULES)
def test_a_pattern_of_a_rule_is_linear(rule: str) -> None:
    """No rule is ever given more than MAX_TEXT; sixteen times as much shows that it would not matter."""
    assert _worst(re.compile(RULES[rule]), "search", 16 * MAX_TEXT) == []
