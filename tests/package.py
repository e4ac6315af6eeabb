"""Builds the wheel and installs it as a user would: pip, pipx and uv, each in an empty folder, and in a container.

    python -m tests.package

Needs the package index. What cannot be tried here is said aloud; what was tried and failed ends it with 1.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
PARTS = ("triage", "parsers", "remediation", "docs", "README.md", "LICENSE", "pyproject.toml", "constraints.txt")
SAMPLE = ROOT / "tests" / "bounces" / "gmail-alias-ses-535.eml"


def copied(to: Path) -> Path:
    """What the wheel is built from, in a folder of its own: a build writes beside its source."""
    to.mkdir(parents=True, exist_ok=True)
    for name in (*PARTS, "credentials.example.json"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        else:
            shutil.copy(ROOT / name, to / name)
    return to


def main() -> int:
    """Try each way; gives the exit code."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        source = copied(folder / "source")
        shutil.rmtree(ROOT / "dist", ignore_errors=True)
        _run(
            sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(ROOT / "dist"), str(source)
        )
        (wheel,) = (ROOT / "dist").glob("bounce_triage-*.whl")
        print(f"built {wheel.relative_to(ROOT)}")
        failed = [name for name, programs in _ways(folder, wheel) if not _works(name, programs, folder)]
    _container()
    return 1 if failed else 0


def _ways(folder: Path, wheel: Path) -> Iterator[tuple[str, Path]]:
    """Each way to install, and the folder with the programs it put somewhere."""
    empty = folder / "pip"
    _run(sys.executable, "-m", "venv", str(empty))
    _run(str(empty / "bin/python"), "-m", "pip", "install", "--quiet", "--no-compile", str(wheel))
    yield "pip", empty / "bin"
    tools = folder / "tools"
    _run(sys.executable, "-m", "venv", str(tools))
    for name in ("pipx", "uv"):
        got = subprocess.run(
            [str(tools / "bin/python"), "-m", "pip", "install", "--quiet", name],
            capture_output=True,
            text=True,
            check=False,
        )
        if got.returncode:
            print(f"*** NOT TESTED: {name} cannot be installed here: {got.stderr.strip().splitlines()[-1:]}")
            continue
        home = folder / f"{name}-home"
        places = {
            "PIPX_HOME": str(home),
            "PIPX_BIN_DIR": str(home / "bin"),
            "PIPX_MAN_DIR": str(home / "man"),
            "UV_TOOL_DIR": str(home / "tools"),
            "UV_TOOL_BIN_DIR": str(home / "bin"),
            "UV_PYTHON_DOWNLOADS": "never",
        }
        how = ["install", str(wheel)] if name == "pipx" else ["tool", "install", "--python", sys.executable, str(wheel)]
        done = subprocess.run(
            [str(tools / "bin" / name), *how], env={**os.environ, **places}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            print(f"*** NOT TESTED: {name} could not install it: {done.stderr.strip()[-300:]}")
            continue
        yield name, home / "bin"


def _works(name: str, programs: Path, folder: Path) -> bool:
    """Whether the commands of a newcomer work in an empty folder."""
    empty = folder / f"{name}-empty"
    empty.mkdir()
    shutil.copy(SAMPLE, empty / "one.eml")
    env = {"PATH": os.environ["PATH"], "HOME": str(empty)}
    for command, expected in (
        ("triage --help", "See what bounced"),
        ("bounce-triage --version", "triage 0."),
        ("triage classify one.eml", "smtp-credentials"),
        ("triage explain one.eml", "What to do"),
        ("triage help docs/outbox.md", "# "),
        ("triage help README.md", "# bounce-triage"),
        ("triage completion bash", "_TRIAGE_COMPLETE"),
    ):
        done = _said(programs, command, empty, env)
        if done.returncode or expected not in done.stdout:
            print(f"*** FAILED with {name}: {command}: {done.stdout[-300:]}{done.stderr[-600:]}")
            return False
    man = (programs / "triage").resolve().parents[1] / "share/man/man1/triage.1"
    print(f"{name}: works in an empty folder{'' if man.is_file() else '; *** its man page is missing'}")
    return man.is_file()


def _said(programs: Path, command: str, folder: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    first, *rest = command.split()
    line = [str(programs / first), *rest]
    return subprocess.run(line, cwd=folder, env=dict(env), capture_output=True, text=True, timeout=120, check=False)


def _container() -> None:
    """Build the image and run it, where something here can."""
    for program in ("podman", "docker"):
        if shutil.which(program) is None:
            continue
        if subprocess.run([program, "info"], capture_output=True, check=False).returncode:
            print(f"*** {program} is installed and does not answer")
            continue
        build = [
            program,
            "build",
            "--quiet",
            "--file",
            str(ROOT / "Containerfile"),
            "--tag",
            "bounce-triage",
            str(ROOT),
        ]
        if subprocess.run(build, check=False).returncode:
            print(f"*** NOT TESTED: {program} could not build the image (is there a registry with python:3.12-slim?)")
            return
        done = subprocess.run(
            [program, "run", "--rm", "bounce-triage", "--version"], capture_output=True, text=True, check=False
        )
        print(f"container: {done.stdout.strip() or '*** FAILED ' + done.stderr}")
        return
    print("*** NOT TESTED: the container image (neither podman nor docker works here)")


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


if __name__ == "__main__":
    sys.exit(main())
