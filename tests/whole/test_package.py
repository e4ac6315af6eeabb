"""The wheel: what errors point to is in it, and its page reads well where no clone is at hand."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

from tests.package import ROOT, copied


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built without asking a package index."""
    place = tmp_path_factory.mktemp("wheel")
    code = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", code, str(place)],
        cwd=copied(place / "source"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (path,) = place.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_carries_what_the_program_and_its_messages_need(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    for package in ("triage", "parsers", "remediation"):
        kept = [path for path in (ROOT / package).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        missing = {path.relative_to(ROOT).as_posix() for path in kept} - names
        assert missing == set()
    shared = {name.partition("/data/")[2] for name in names if "/data/" in name}
    pages = {f"share/doc/bounce-triage/{path.name}" for path in (ROOT / "docs").glob("*.md")}
    schemas = {f"share/doc/bounce-triage/schemas/{path.name}" for path in (ROOT / "docs/schemas").iterdir()}
    assert pages | schemas | {"share/doc/bounce-triage/README.md", "share/man/man1/triage.1"} <= shared
    assert not [name for name in names if name.startswith(("tests", "docs", "benchmarks")) or name.endswith(".db")]


def test_its_page_says_who_and_what_and_links_nowhere_a_reader_cannot_go(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    about = message_from_bytes(wheel.read(name))
    assert about["License-Expression"] == "MIT"
    assert about["Author"]
    assert about["Keywords"]
    assert "Operating System :: POSIX" in (about.get_all("Classifier") or [])
    text = str(about.get_payload())
    assert text.startswith("# bounce-triage")
    assert re.findall(r"\]\((?!https?:)[^)]+\)", text) == []


def test_the_image_runs_without_rights_and_takes_no_secret_along() -> None:
    image = (ROOT / "Containerfile").read_text()
    assert image.index("\nUSER triage") < image.index("\nENTRYPOINT")
    assert "\nVOLUME /state" in image
    kept = (ROOT / ".dockerignore").read_text().splitlines()
    assert kept[1] == "*", "everything is left out that is not named"
    named = {line[1:] for line in kept if line.startswith("!")}
    assert not named & {".git", "tests", "token.json", "triage.toml"}
    for name in named:
        assert Path(ROOT / name).exists(), name
