"""Who may import whom, read from the import statements; and what a command must not pay for."""

from __future__ import annotations

import ast
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = ("parsers", "remediation", "triage")
MODULES = sorted(path for package in OURS for path in (ROOT / package).rglob("*.py"))

# Package -> ours that it may import.
LAW = {"parsers": {"parsers"}, "remediation": {"remediation"}, "triage": set(OURS)}

# Library -> the only modules that may name it.
COMMANDS = {path.relative_to(ROOT).as_posix() for path in (ROOT / "triage").glob("cli*.py")}
GOOGLE = {path.relative_to(ROOT).as_posix() for path in (ROOT / "triage").glob("gmail*.py")}
SQLITE = {"triage/store.py", "triage/database.py", "triage/migrations.py"}
ONLY_IN = {
    **dict.fromkeys(
        ("google", "googleapiclient", "google_auth_oauthlib", "google_auth_httplib2", "httplib2", "oauthlib"), GOOGLE
    ),
    **dict.fromkeys(("sqlite3", "sqlite_utils"), SQLITE),
    "boto3": {"remediation/aws.py"},
    "botocore": {"remediation/aws.py"},
    "mailparser": {"parsers/trail.py"},
    "flufl": {"parsers/flufl_reader.py"},
    "click": COMMANDS,
    "rich": COMMANDS,
}
# Those that cost more than all the rest of a command: never imported when a module of ours is.
HEAVY = {
    *(library for library in ONLY_IN if library != "click"),
    *("apprise", "dns", "jinja2", "multiprocessing", "concurrent"),
}
PURE_FORBIDS = {"logging", "socket", "subprocess", "random", "time", "urllib", "http", "requests", "os"}


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _imports(nodes: Iterator[ast.AST]) -> set[str]:
    """Top-level names of the modules imported; what only type checkers see is none of them."""
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide who imports whom"
            found.add(str(node.module).partition(".")[0])
    return found


def _everywhere(path: Path) -> set[str]:
    return _imports(ast.walk(_tree(path)))


def _at_import_time(path: Path) -> set[str]:
    """What is imported together with the module: not inside a function, not under `if TYPE_CHECKING`."""

    def nodes(parent: ast.AST) -> Iterator[ast.AST]:
        for node in ast.iter_child_nodes(parent):
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                continue
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node
                yield from nodes(node)

    return _imports(nodes(_tree(path)))


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def test_there_are_modules_to_judge() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in MODULES} == set(OURS)
    assert _at_import_time(ROOT / "triage" / "cli.py") >= {"click", "triage"}
    assert "rich" in _everywhere(ROOT / "triage" / "cli_shared.py")


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_packages_keep_the_law(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    assert _everywhere(path) & set(OURS) <= LAW[package]


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_each_outside_thing_has_its_own_module(path: Path) -> None:
    strangers = {library for library in _everywhere(path) if _name(path) not in ONLY_IN.get(library, {_name(path)})}
    # What only type checkers see opens nothing.
    assert strangers & (_at_import_time(path) | _in_functions(path)) == set()


def _in_functions(path: Path) -> set[str]:
    functions = [node for node in ast.walk(_tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return _imports(child for function in functions for child in ast.walk(function))


@pytest.mark.parametrize("path", [path for path in MODULES if _name(path) != "triage/migrations.py"], ids=_name)
def test_heavy_libraries_are_imported_inside_functions(path: Path) -> None:
    """`migrations.py` is imported only by `database.py`, inside a function."""
    assert _at_import_time(path) & HEAVY == set()


@pytest.mark.parametrize("path", [path for path in MODULES if path.parent.name == "parsers"], ids=_name)
def test_parsers_touch_nothing_outside(path: Path) -> None:
    # flufl.bounce logs; its reader turns that off.
    allowed = {"logging"} if path.name == "flufl_reader.py" else set()
    assert _everywhere(path) & PURE_FORBIDS <= allowed


@pytest.mark.parametrize("path", [path for path in MODULES if _name(path) not in COMMANDS], ids=_name)
def test_only_the_command_line_prints_and_exits(path: Path) -> None:
    calls = {ast.unparse(node.func) for node in ast.walk(_tree(path)) if isinstance(node, ast.Call)}
    assert calls & {"print", "exit", "quit", "sys.exit", "os._exit", "click.echo", "input"} == set()


SAMPLE = "tests/bounces/gmail-alias-ses-535.eml"


@pytest.mark.parametrize(
    ("arguments", "forbidden"),
    [
        (["--help"], HEAVY | {"tomllib", "parsers", "remediation", "ssl", "logging"}),
        (["report", "--help"], HEAVY | {"parsers", "remediation"}),
        (["classify", "--jsonl", SAMPLE], HEAVY),
        (["explain", SAMPLE], HEAVY - {"mailparser", "concurrent"}),
    ],
)
def test_a_command_pays_only_for_what_it_uses(arguments: list[str], forbidden: set[str]) -> None:
    code = (
        "import sys; from triage.cli import main; main(sys.argv[1:]);"
        " sys.stderr.write(' '.join({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout
    assert set(done.stderr.split()) & forbidden == set()


def test_a_quiet_run_from_files_pays_for_neither_google_nor_aws(tmp_path: Path) -> None:
    code = (
        "import sys; from triage.cli import main; main(sys.argv[1:]); main(sys.argv[1:]);"
        " sys.stderr.write(' '.join({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "run", "--mailbox", SAMPLE],
        cwd=ROOT,
        env={"TRIAGE_DATABASE": str(tmp_path / "triage.db"), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stderr.split())
    assert "sqlite3" in loaded
    unwanted = {"googleapiclient", "google_auth_oauthlib", "boto3", "dns", "jinja2", "mailparser", "rich", "apprise"}
    assert loaded & unwanted == set()


def test_help_costs_little_more_than_python_itself() -> None:
    """Budget: 150 ms. Processor time, and the best of several tries, because other programs use the machine too."""
    best = 1.0
    for _ in range(10):
        nothing = _cpu_seconds([sys.executable, "-c", "pass"])
        best = min(best, _cpu_seconds([sys.executable, "-m", "triage.cli", "--help"]) - nothing)
        if best < 0.15:
            break
    assert best < 0.15


def _cpu_seconds(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
