"""Who may import whom, read from the import statements; and what a command must not pay for."""

from __future__ import annotations

import ast
import resource
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("parsers", "remediation", "triage")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

# Room -> rooms it may import. The modules directly in a package are open to all rooms of it and of the packages above
# (triage over remediation over parsers). Read from top to bottom no line names a later one, so there are no circles.
LAW: dict[str, str] = {
    "parsers.words": "",
    "parsers.readers": "parsers.words",
    "parsers.genuine": "",
    "parsers": "parsers.words parsers.readers parsers.genuine",
    "remediation": "",
    "remediation.dns": "",
    "remediation.aws": "remediation.dns",
    "remediation.audit": "remediation.dns remediation.aws",
    "remediation.rotation": "remediation.aws",
    "triage": "",
    "triage.config": "",
    "triage.job": "",
    "triage.judging": "",
    "triage.__init__": "triage.judging",
    "triage.archive": "triage.judging",
    "triage.gmail": "",
    "triage.store.steps": "",
    "triage.store": "remediation.audit remediation.rotation triage.judging triage.store.steps",
    "triage.names": "triage.gmail triage.store",
    "triage.letters": "triage.judging triage.gmail triage.store triage.names",
    "triage.plan": "triage.judging triage.gmail triage.store triage.letters",
    "triage.ses": "parsers.readers remediation.aws triage.judging triage.gmail triage.store",
    "triage.rotation": "parsers.genuine remediation.aws remediation.rotation triage.gmail triage.store triage.letters",
    "triage.incidents": "triage.judging triage.gmail triage.store triage.names triage.letters triage.rotation",
    "triage.report": "triage.judging triage.gmail triage.store triage.names triage.letters",
    "triage.resend": "remediation.aws triage.judging triage.gmail triage.store triage.letters",
    "triage.outbox": "remediation.aws triage.judging triage.gmail triage.store triage.letters triage.resend",
    "triage.reading": "triage.judging triage.gmail triage.store triage.letters triage.plan",
    "triage.run": "triage.judging triage.gmail triage.store triage.letters triage.plan triage.ses triage.rotation"
    " triage.incidents triage.reading",
    "triage.monitor": "triage.store",
    "triage.many": "triage.store triage.run triage.monitor",
    "triage.rebuild": "triage.gmail triage.store triage.names triage.incidents triage.reading triage.run",
    "triage.owner.cells": "",
    "triage.owner": "remediation.aws remediation.audit triage.judging triage.gmail triage.store triage.store.steps"
    " triage.names triage.plan triage.ses triage.incidents triage.outbox",
    "triage.cli.manners": "triage.store",
    "triage.cli": "remediation.dns remediation.aws remediation.audit remediation.rotation triage.judging triage.gmail"
    " triage.archive triage.cli.manners triage.store triage.letters triage.ses triage.rotation triage.incidents"
    " triage.report triage.resend triage.outbox triage.run triage.monitor triage.many triage.rebuild triage.owner",
    "triage.__main__": "triage.cli",
}
ROOMS = frozenset(room for room in LAW if (ROOT / room.replace(".", "/")).is_dir() and "." in room)
COMMON = ("triage.config", "triage.job")
"""Rooms that are common ground: they import none."""
SINGLE = frozenset(LAW) - ROOMS - set(PACKAGES)
"""Modules directly in `triage` that are no common ground, because they import rooms."""

# Library -> where it may be named: a room, or one module.
ONLY_IN = {
    **dict.fromkeys(
        ("google", "googleapiclient", "google_auth_oauthlib", "google_auth_httplib2", "httplib2", "oauthlib"),
        "triage.gmail",
    ),
    **dict.fromkeys(("sqlite3", "sqlite_utils"), "triage.store"),
    **dict.fromkeys(("boto3", "botocore"), "remediation.aws"),
    **dict.fromkeys(("distributed", "dask", "fsspec", "pyarrow"), "triage.archive"),
    "dns": "remediation.dns",
    "mailparser": "parsers.trail",
    "flufl": "parsers.second_opinion",
    "publicsuffixlist": "parsers.genuine.domains",
    "apprise": "triage.incidents.channels",
    "jinja2": "triage.report.html",
    "click": "triage.cli",
}
# Those that cost more than all the rest of a command: never imported when a module of ours is.
HEAVY = {*ONLY_IN, "multiprocessing", "concurrent", "requests", "urllib3"} - {"click"}
PURE_FORBIDS = {"logging", "socket", "subprocess", "random", "time", "urllib", "http", "requests", "os"}


def _dotted(path: Path) -> str:
    if path == ROOT / "triage" / "__init__.py":
        return "triage.__init__"  # the public interface, and no common ground
    return path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")


def _room(module: str) -> str:
    """The line of the law a module lives under: its room, itself, or its package."""
    if module in SINGLE:
        return module
    rooms = [room for room in ROOMS if module == room or module.startswith(f"{room}.")]
    return max(rooms, key=len, default=module.partition(".")[0])


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _imports(nodes: Iterator[ast.AST]) -> set[str]:
    """Top-level names of the modules imported."""
    return {name.partition(".")[0] for name, _ in _statements(nodes)}


def _statements(nodes: Iterator[ast.AST]) -> Iterator[tuple[str, str | None]]:
    """(module, name taken from it) of every import."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide who imports whom"
            yield from ((str(node.module), alias.name) for alias in node.names)


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _at_import_time(path: Path) -> set[str]:
    """What is imported together with the module: not inside a function, not under `if TYPE_CHECKING`."""

    def nodes(parent: ast.AST) -> Iterator[ast.AST]:
        for node in ast.iter_child_nodes(parent):
            if not _is_for_types(node) and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node
                yield from nodes(node)

    return _imports(nodes(_tree(path)))


def _really(path: Path) -> set[str]:
    """What is imported when the module runs: what only type checkers see opens nothing."""

    def nodes(parent: ast.AST) -> Iterator[ast.AST]:
        for node in ast.iter_child_nodes(parent):
            if not _is_for_types(node):
                yield node
                yield from nodes(node)

    return _imports(nodes(_tree(path)))


@cache
def _offered(room: str) -> frozenset[str]:
    """What a room's door names in `__all__`."""
    tree = _tree(ROOT / room.replace(".", "/") / "__init__.py")
    lists = [
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    return frozenset(ast.literal_eval(lists[0])) if lists else frozenset()


def _ours(path: Path) -> Iterator[tuple[str, str]]:
    """(module, name) of every import of ours, `from triage import store` being the module `triage.store`."""
    for module, name in _statements(ast.walk(_tree(path))):
        if module.partition(".")[0] in PACKAGES:
            whole = f"{module}.{name}"
            is_module = (ROOT / whole.replace(".", "/")).is_dir() or (ROOT / f"{whole.replace('.', '/')}.py").is_file()
            # A door's own name goes before a module of that name.
            yield (whole, "") if is_module and name not in _names_in(module) else (module, name or "")


@cache
def _names_in(module: str) -> frozenset[str]:
    """The names a package's `__init__` defines or imports itself."""
    path = ROOT / module.replace(".", "/") / "__init__.py"
    if not path.is_file():
        return frozenset()
    taken = {name or "" for _, name in _statements(iter(_tree(path).body))}
    made = {node.name for node in _tree(path).body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    return frozenset(taken | made)


def test_there_are_modules_to_judge() -> None:
    assert {_dotted(path).partition(".")[0] for path in MODULES} == set(PACKAGES)
    assert len(ROOMS) == len([path for path in MODULES if path.name == "__init__.py"]) - len(PACKAGES), "a new room"
    assert _at_import_time(ROOT / "triage" / "cli" / "program.py") >= {"click", "triage"}
    assert "sqlite3" in _really(ROOT / "triage" / "store" / "database.py")


def test_the_law_has_no_circles() -> None:
    """Only the package `parsers` itself stands below its rooms and above them: its door reads with all of them."""
    above: list[str] = []
    for room, allowed in LAW.items():
        assert set(allowed.split()) <= set(above), f"{room} may import what may import it"
        above.append(room)


@pytest.mark.parametrize("path", MODULES, ids=_dotted)
def test_rooms_keep_the_law(path: Path) -> None:
    here = _room(_dotted(path))
    below = PACKAGES[: PACKAGES.index(here.partition(".")[0]) + 1]
    below = (*below, *COMMON) if "triage" in below else below
    for module, name in _ours(path):
        assert _room(module) in {here, *below, *LAW[here].split()}, f"{here} imports {module} {name}"


@pytest.mark.parametrize("path", MODULES, ids=_dotted)
def test_nobody_reaches_past_a_door(path: Path) -> None:
    here = _room(_dotted(path))
    for module, name in _ours(path):
        there = _room(module)
        if there not in ROOMS or there == here:
            continue
        asked = module.removeprefix(there).lstrip(".").partition(".")[0] or name
        assert not asked or asked in _offered(there), f"{asked} is not at the door of {there}"


@cache
def _taken(path: Path) -> tuple[frozenset[tuple[str, str]], frozenset[tuple[str, str]]]:
    """What a module imports of ours, and each `whole.part` it says."""
    attributes = [node for node in ast.walk(_tree(path)) if isinstance(node, ast.Attribute)]
    parts = {(ast.unparse(node.value), node.attr) for node in attributes if isinstance(node.value, ast.Name)}
    return frozenset(_ours(path)), frozenset(parts)


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_a_door_offers_what_others_use_and_says_what_comes_in_and_goes_out(room: str) -> None:
    path = ROOT / room.replace(".", "/") / "__init__.py"
    text = ast.get_docstring(_tree(path)) or ""
    assert "In: " in text
    assert "Out: " in text
    assert "May import: " in text
    assert len(text.splitlines()) <= 7
    used: set[str] = set()
    for other in (*MODULES, *(ROOT / "docs").glob("*.py"), *(ROOT / "benchmarks").glob("*.py")):
        if _room(_dotted(other)) != room:
            named, parts = _taken(other)
            used |= {name or module.rpartition(".")[2] for module, name in named if _room(module) == room}
            used |= {module.removeprefix(room).strip(".") for module, _ in named if module.startswith(f"{room}.")}
            used |= {part for whole, part in parts if whole == room.rpartition(".")[2]}
    assert _offered(room) - used == set(), "offered, and used by nobody"


def test_folders_and_modules_fit_in_the_head() -> None:
    folders: dict[Path, int] = {}
    for path in (*MODULES, *(ROOT / "tests").rglob("*.py")):
        folders[path.parent] = folders.get(path.parent, 0) + (path.name != "__init__.py")
    assert {folder.relative_to(ROOT).as_posix(): number for folder, number in folders.items() if number > 18} == {}
    long = {_dotted(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {name: lines for name, lines in long.items() if lines > 400} == {}


@pytest.mark.parametrize("path", MODULES, ids=_dotted)
def test_each_outside_thing_has_its_own_place(path: Path) -> None:
    here = _dotted(path)
    strangers = {
        library
        for library in _really(path) & set(ONLY_IN)
        if here != ONLY_IN[library] and not here.startswith(f"{ONLY_IN[library]}.")
    }
    assert strangers == set()


STEPS = tuple(  # imported only by `database` and the door of the store, inside a function
    f"triage.store.{name}" for name in ("steps", "steps.migrations", "steps.first_steps", "soundness", "backups")
)


@pytest.mark.parametrize("path", [path for path in MODULES if _dotted(path) not in STEPS], ids=_dotted)
def test_heavy_libraries_are_imported_inside_functions(path: Path) -> None:
    assert _at_import_time(path) & HEAVY == set()


@pytest.mark.parametrize("path", [path for path in MODULES if _dotted(path).startswith("parsers")], ids=_dotted)
def test_parsers_touch_nothing_outside(path: Path) -> None:
    # flufl.bounce and mail-parser log, which is turned off.
    allowed = {"logging"} if path.stem in ("second_opinion", "trail") else set()
    assert _imports(ast.walk(_tree(path))) & PURE_FORBIDS <= allowed


@pytest.mark.parametrize("path", MODULES, ids=_dotted)
def test_only_the_command_line_prints_and_exits(path: Path) -> None:
    if _room(_dotted(path)) in ("triage.cli.manners", "triage.cli", "triage.__main__"):
        return
    calls = {ast.unparse(node.func) for node in ast.walk(_tree(path)) if isinstance(node, ast.Call)}
    assert calls & {"print", "exit", "quit", "sys.exit", "os._exit", "click.echo", "input"} == set()


SAMPLE = "tests/bounces/gmail-alias-ses-535.eml"


@pytest.mark.parametrize(
    ("arguments", "forbidden"),
    [
        (["--help"], HEAVY | {"tomllib", "parsers", "remediation", "ssl", "logging"}),
        (["report", "--help"], HEAVY | {"parsers.whole", "remediation"}),
        (["classify", "--jsonl", SAMPLE], HEAVY),
        (["explain", SAMPLE], HEAVY - {"mailparser", "concurrent", "flufl"}),
    ],
)
def test_a_command_pays_only_for_what_it_uses(arguments: list[str], forbidden: set[str]) -> None:
    code = (
        "import sys; from triage.cli.program import main; main(sys.argv[1:]); sys.stderr.write(' '.join(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout
    assert set(done.stderr.split()) & forbidden == set()


def test_a_quiet_run_from_files_pays_for_neither_google_nor_aws(tmp_path: Path) -> None:
    code = (
        "import sys; from triage.cli.program import main; main(sys.argv[1:]); main(sys.argv[1:]);"
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
    unwanted = {"googleapiclient", "google_auth_oauthlib", "boto3", "dns", "jinja2", "mailparser", "apprise"}
    assert loaded & unwanted == set()


def test_help_costs_little_more_than_python_itself() -> None:
    """Budget: 150 ms. Processor time, and the best of several tries, because other programs use the machine too."""
    best = 1.0
    for _ in range(10):
        nothing = _cpu_seconds([sys.executable, "-c", "pass"])
        best = min(best, _cpu_seconds([sys.executable, "-m", "triage", "--help"]) - nothing)
        if best < 0.15:
            break
    assert best < 0.15


def _cpu_seconds(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
