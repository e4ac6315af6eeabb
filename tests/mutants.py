"""Break the program on purpose and see whether the tests of the room notice (`make mutants`).

First the mutants made by hand below, each of which stood for a promise that no test held: one that lives is an error.
Then a sample of small changes per room, the same for the same SEED. Prints each that lives, and the score per room.
With names of rooms behind it, only those: `python -m tests.mutants triage/letters`. docs/tests.md has the last scores.

Our own and not mutmut or cosmic-ray: neither changes SQL, in which the store decides, and each mutant is to be forked
off a process that has AWS's and Google's libraries already, whose import takes longer than most tests.
"""

from __future__ import annotations

import ast
import importlib
import multiprocessing
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

ROOT = Path(__file__).parents[1]
SEED = os.environ.get("MUTANTS_SEED", "1")
SAMPLE = int(os.environ.get("MUTANTS", "10"))
"""Mutants of each room."""
SECONDS = 90
"""For the tests of one mutant; what runs longer hangs, and counts as noticed."""
WORKERS = 2
REWRITES = "ignore::pytest.PytestAssertRewriteWarning"
"""Hypothesis is there before pytest could rewrite its asserts."""
PACKAGES = ("parsers", "remediation", "triage", "tests")
LIBRARIES = ("boto3", "googleapiclient.discovery", "google.oauth2.credentials", "hypothesis", "pytest", "sqlite_utils")


class Mutant(NamedTuple):
    """One change: the bytes `start` to `end` of a file become `new`."""

    room: str
    path: str
    start: int
    end: int
    new: str
    tests: tuple[str, ...]


class HandMade(NamedTuple):
    """A change whose harm was seen before a test held the promise it breaks."""

    why: str
    path: str
    old: str
    """Stands exactly once in the file."""
    new: str
    test: str


def _tests(folder: str, *names: str) -> tuple[str, ...]:
    """Those of a folder that are quick: without the ones that kill a worker at each of its steps."""
    return tuple(f"tests/{folder}/test_{name}.py" for name in names)


ROOMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "triage/judging": ("triage/judging/*.py", ("tests/judging", "tests/parsers/test_bounces.py")),
    "parsers/genuine": ("parsers/genuine/*.py", ("tests/parsers/test_genuine.py", "tests/judging/test_proof.py")),
    "triage/store": (
        "triage/store/*.py",
        ("tests/store", "tests/resend/test_resend.py", "tests/incidents/test_incidents.py"),
    ),
    "triage/letters": ("triage/letters/*.py", _tests("letters", "letter", "note", "note_run", "once", "undo")),
    "triage/rotation": (
        "triage/rotation/*.py",
        _tests("rotation", "rotation_guards", "rotation_turns", "rotation_note", "rotation_watch", "run_rotation"),
    ),
    "remediation/credentials.py": ("remediation/credentials.py", ("tests/remediation/test_credentials.py",)),
}
"""Room: its files, and its tests."""

HAND_MADE = (
    HandMade(
        "Authentication-Results of another server count as Gmail's",
        "parsers/genuine/judge.py",
        "    if server != TRUSTED_AUTHSERV_ID:\n",
        '    if TRUSTED_AUTHSERV_ID not in (server or ""):\n',
        "tests/parsers/test_genuine.py",
    ),
    HandMade(
        "a line that begins with the boundary counts as the boundary",
        "parsers/mime.py",
        "if is_last or not tail or tail.isspace():",
        "if True:",
        "tests/parsers/test_mime.py",
    ),
    HandMade(
        "SPF's ptr is not counted",
        "remediation/dns/spf.py",
        "    result.lookups += 1\n    result.uses_ptr",
        '    result.lookups += name != "ptr"\n    result.uses_ptr',
        "tests/dns/test_spf.py",
    ),
    HandMade(
        "a mail is given to the same person twice",
        "triage/store/resends.py",
        "(state = 'started' AND ?)",
        "(state = 'started' OR ?)",
        "tests/store/test_resends.py",
    ),
    HandMade(
        "the password alone, in base64, is shown",
        "remediation/credentials.py",
        'plain.rstrip("="), alone, alone.rstrip("="), login.password)',
        'plain.rstrip("="), login.password)',
        "tests/remediation/test_credentials.py",
    ),
    HandMade(
        "a status that names a cause by itself counts for no more than others",
        "triage/judging/verdict.py",
        'telling = (failure.status or "")[2:] in _TELLING',
        "telling = False",
        "tests/judging/test_classify.py",
    ),
)

_OTHER = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
_SQL = re.compile(rb"\b(?:SELECT|UPDATE|INSERT|DELETE|WHERE)\b")
_SQL_WORDS = {b" AND ": " OR ", b"IS NOT NULL": "IS NULL", b" DESC": " ASC", b"min(": "max(", b" >= ": " > "}


def main() -> int:
    """Run them all; 1 if a mutant made by hand lives, or the tests fail on what is whole."""
    started = time.monotonic()
    for library in LIBRARIES:
        importlib.import_module(library)
    rooms = sys.argv[1:] or list(ROOMS)
    whole = [Mutant(room, "", 0, 0, "", ROOMS[room][1]) for room in rooms]
    by_hand = [] if sys.argv[1:] else [made(each) for each in HAND_MADE]
    sampled = [mutant for room in rooms for mutant in sample(room, SAMPLE)]
    alive: list[Mutant] = []
    with multiprocessing.get_context("fork").Pool(WORKERS, _own_copy) as pool:
        broken = [mutant.room for mutant, lives in pool.imap_unordered(_try, whole) if not lives]
        if broken:
            print(f"Without any change these tests fail or take over {SECONDS} s: {', '.join(broken)}")
            return 1
        for mutant, lives in pool.imap_unordered(_try, by_hand + sampled):
            if lives:
                alive.append(mutant)
                print(described(mutant), flush=True)
    for room in rooms:
        tried = sum(mutant.room == room for mutant in sampled)
        print(f"{room}: {tried - sum(mutant.room == room for mutant in alive)} of {tried} noticed")
    by_hand_alive = sum(mutant.room == "by hand" for mutant in alive)
    print(f"by hand: {len(by_hand) - by_hand_alive} of {len(by_hand)} noticed; {time.monotonic() - started:.0f} s")
    return 1 if by_hand_alive else 0


def made(hand: HandMade) -> Mutant:
    """The mutant of a row above; a ValueError where the code it changes is not there exactly once any more."""
    text = (ROOT / hand.path).read_bytes()
    if text.count(hand.old.encode()) != 1:
        raise ValueError(f"{hand.path} does not hold this once: {hand.old!r}")
    start = text.index(hand.old.encode())
    return Mutant("by hand", hand.path, start, start + len(hand.old.encode()), hand.new, (hand.test,))


def sample(room: str, count: int) -> list[Mutant]:
    """Some of the mutants of a room, the same for the same seed."""
    files, tests = ROOMS[room]
    every = [
        Mutant(room, str(path.relative_to(ROOT)), *change, tests)
        for path in sorted(ROOT.glob(files))
        for change in changes(path.read_bytes())
    ]
    return random.Random(f"{SEED} {room}").sample(every, min(count, len(every)))


def changes(source: bytes) -> Iterator[tuple[int, int, str]]:
    """Each small change of a module that its tests should notice: where it begins and ends in bytes, what stands there.

    A comparison, `and`, `+` or `not` turned round, a number or flag changed, a call left out, nothing returned, a word
    of SQL turned round.
    """
    begins = [0]
    for line in source.split(b"\n"):
        begins.append(begins[-1] + len(line) + 1)
    for node in _inside(ast.parse(source)):
        start, end = begins[node.lineno - 1] + node.col_offset, begins[node.end_lineno - 1] + node.end_col_offset
        if isinstance(node, (ast.JoinedStr, ast.Constant)) and _SQL.search(source, start, end):
            for word, other in _SQL_WORDS.items():
                for found in re.finditer(re.escape(word), source[start:end]):
                    yield start + found.start(), start + found.end(), other
        elif (new := _changed(node)) is not None:
            yield start, end, new


def _inside(node: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    """What runs inside functions: no annotations, and nothing inside an f-string (no places there)."""
    for function in ast.walk(node):
        if isinstance(function, ast.FunctionDef):
            todo: list[ast.AST] = [*function.body]
            while todo:
                each = todo.pop()
                if isinstance(each, ast.FunctionDef):
                    continue
                if isinstance(each, (ast.expr, ast.stmt)):
                    yield each
                if isinstance(each, ast.AnnAssign):
                    todo += [each.value] if each.value else []
                elif not isinstance(each, ast.JoinedStr):
                    todo += ast.iter_child_nodes(each)


def _changed(node: ast.expr | ast.stmt) -> str | None:
    """The other code for a node, in parentheses where it needs them; None where there is none."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _OTHER:
        return (
            f"({ast.unparse(ast.Compare(node.left, [_OTHER[type(node.ops[0])](), *node.ops[1:]], node.comparators))})"
        )
    if isinstance(node, ast.BoolOp):
        return f"({ast.unparse(ast.BoolOp(_OTHER[type(node.op)](), node.values))})"
    if isinstance(node, ast.BinOp) and type(node.op) in _OTHER:
        return f"({ast.unparse(ast.BinOp(node.left, _OTHER[type(node.op)](), node.right))})"
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return f"bool({ast.unparse(node.operand)})"
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        return str(not node.value)
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return str(node.value + 1)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return "pass"
    is_value = isinstance(node, ast.Return) and node.value is not None and not isinstance(node.value, ast.Constant)
    return "return None" if is_value else None


def described(mutant: Mutant) -> str:
    """The mutant on one line: where, what stood there, what stands there now."""
    source = (ROOT / mutant.path).read_bytes()
    line = source.count(b"\n", 0, mutant.start) + 1
    old, new = (" ".join(text.split()) for text in (source[mutant.start : mutant.end].decode(), mutant.new))
    return f"  lives: {mutant.path}:{line}: {old[:90]}  ->  {new[:90]}"


_copy = Path()


def _own_copy() -> None:
    """Give this worker the program and its tests for itself."""
    global _copy
    _copy = Path(tempfile.mkdtemp(prefix="mutants-"))
    multiprocessing.util.Finalize(None, shutil.rmtree, (_copy, True), exitpriority=1)
    left_out = shutil.ignore_patterns(".*", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, _copy, ignore=left_out, dirs_exist_ok=True)


def _try(mutant: Mutant) -> tuple[Mutant, bool]:
    """Whether its tests pass all the same."""
    path = _copy / mutant.path
    source = path.read_bytes() if mutant.path else b""
    if mutant.path:
        path.write_bytes(source[: mutant.start] + mutant.new.encode() + source[mutant.end :])
    try:
        seconds = SECONDS if mutant.path else 2 * SECONDS
        return mutant, _passes(mutant.tests, seconds)
    finally:
        if mutant.path:
            path.write_bytes(source)


def _passes(tests: Sequence[str], seconds: float) -> bool:
    child = os.fork()
    if not child:
        _run_tests(tests)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def _run_tests(tests: Sequence[str]) -> NoReturn:
    """Be the process that runs them: no module of ours is left over from the one it was forked off."""
    import pytest

    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    for name in [name for name in sys.modules if name.partition(".")[0] in PACKAGES]:
        del sys.modules[name]
    sys.dont_write_bytecode = True  # a change of the same length in the same second would be taken for what was there
    os.environ |= {"PYTHONPATH": str(_copy), "PYTHONDONTWRITEBYTECODE": "1"}
    os.chdir(_copy)
    sys.path.insert(0, str(_copy))
    code = 70
    try:
        code = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-W", REWRITES, *tests]))
    finally:
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
