"""An archive to judge: an mbox of many mails, a folder of some, and what one process says of them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

from tests.worlds.command import environment, words

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "tests" / "bounces").glob("*.eml"))
SEPARATOR = b"From sender@example.org Tue Nov 24 09:00:00 2026\n"


class ArchiveOfSamples(NamedTuple):
    """Where it lies, the paths as the command is given them, and the output of one process."""

    folder: Path
    paths: tuple[str, ...]
    lines: bytes


def make_archive(folder: Path, times: int) -> ArchiveOfSamples:
    """Every sample so many times in `all.mbox`, and a few as files in `mails`."""
    mails = [sample.read_bytes().replace(b"\r\n", b"\n") for sample in SAMPLES]
    with (folder / "all.mbox").open("wb") as box:
        for _ in range(times):
            for mail in mails:
                box.write(SEPARATOR + mail.replace(b"\nFrom ", b"\n>From ") + b"\n\n")
    (folder / "mails").mkdir()
    for sample in SAMPLES[:20]:
        (folder / "mails" / sample.name).write_bytes(sample.read_bytes())
    paths = ("all.mbox", "mails")
    return ArchiveOfSamples(folder, paths, classify(folder, *paths, "--jsonl", "--jobs", "1").stdout)


def classify(folder: Path, *arguments: str, exit_code: int = 0) -> subprocess.CompletedProcess[bytes]:
    """The real command, in this folder."""
    command = words("classify", *arguments)
    done = subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, timeout=120, check=False)
    assert done.returncode == exit_code, done.stderr.decode()
    return done


def parts(folder: Path, ending: str = "jsonl") -> list[Path]:
    """The parts of an output, in order."""
    return sorted(folder.glob(f"part-*.{ending}"))


def joined(folder: Path) -> bytes:
    """What stands in all of them."""
    return b"".join(part.read_bytes() for part in parts(folder))
