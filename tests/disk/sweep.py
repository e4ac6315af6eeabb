"""Lets a run meet a disk that fails at one write, then lets a run follow on a healthy disk, and compares the end.

python -m tests.disk.sweep [EVERY]      each fault at every write, in a first run and in one over a database that is
                                        there; EVERY 10: at each tenth, another tenth for each fault
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.doubles.gmail import GmailDouble
from tests.run import test_crash
from tests.worlds import forked
from tests.worlds.made_mails import NOW, minutes_ago, refusal
from triage import run as worker
from triage import store
from triage.config import Settings, load_settings
from triage.errors import TriageError

SOURCE = Path(__file__).with_name("faulty.c")
CODE = f"""
import sys
from datetime import datetime
from triage.cli import program
program.now = lambda: datetime.fromisoformat({NOW.isoformat()!r})
sys.exit(program.main())
"""


class Fault(NamedTuple):
    """What goes wrong, and for how long."""

    name: str
    number: int
    many: int
    """So many writes fail; 0: all from then on."""


FAULTS = (
    Fault("the disk is full from then on", errno.ENOSPC, 0),
    Fault("the disk is full for a moment", errno.ENOSPC, 1),
    Fault("one write fails", errno.EIO, 1),
    Fault("every write fails from then on", errno.EIO, 0),
)


class Met(NamedTuple):
    """What came of one fault."""

    code: int
    said: str
    failed: int
    """So many writes failed; 0: the run made fewer writes than that."""
    problems: list[str]


def compiler() -> str | None:
    """The C compiler, where there is one for a system that knows LD_PRELOAD and /proc."""
    return shutil.which("cc") if sys.platform == "linux" else None


@contextmanager
def faulty_disk(folder: Path) -> Iterator[None]:
    """Let all that is forked off from now on write through `faulty.c`."""
    library = folder / "faulty.so"
    subprocess.run([str(compiler()), "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)
    forked.stop()
    os.environ["LD_PRELOAD"] = str(library)
    try:
        yield
    finally:
        forked.stop()
        del os.environ["LD_PRELOAD"]


class World:
    """A mailbox with bounces, and a run over it; `is_old`: over a database that knows some of them."""

    def __init__(self, gmail: GmailDouble, folder: Path, *, is_old: bool) -> None:
        self.gmail, self.folder = gmail, folder
        config = folder / "triage.toml"
        if is_old:
            gmail.write_credentials(folder)
            gmail.seed(refusal(9, recipient="old@client.example"), received_at=minutes_ago(300))
            config.write_text("")
            worker.run(load_settings(config, {"TRIAGE_GMAIL_URL": gmail.url}), lambda: NOW)
        test_crash.world(gmail, folder)
        config.write_text("overlap_hours = 0\n")
        self.settings: Settings = load_settings(config, {"TRIAGE_GMAIL_URL": gmail.url})

    def run(self, fault: Fault, nth: int) -> tuple[int, str, int, int]:
        """A run whose nth write fails: (exit code, what it said, writes, how many of them failed)."""
        log = self.folder / "writes"
        asked = f"{self.folder}/ {nth} {fault.number} {fault.many}"
        env = {**os.environ, "TRIAGE_GMAIL_URL": self.gmail.url, "DISK_FAULT": asked, "DISK_FAULT_LOG": str(log)}
        config = str(self.folder / "triage.toml")
        done = forked.triage("--config", config, "run", cwd=self.folder, env=env, code=CODE)
        seen, failed = map(int, log.read_text().split())
        return done.returncode, done.stderr, seen, failed

    def end(self) -> dict[str, Any]:
        """All that is left: the database as `tests.run.test_crash` tells it, and what was put into the mailbox."""
        state = test_crash.end_state(self.gmail, self.settings)
        del state["last run"], state["messages"]
        state["actions"] = [
            [mail, kind, target, json.loads(payload) | {"message_id": None}, done]
            for mail, kind, target, payload, done in state["actions"]
        ]
        state["actions"].sort(key=json.dumps)
        ours = [message.raw.decode() for message in self.gmail.messages.values() if b"\r\nX-Triage" in message.raw]
        state["ours"] = Counter(text for raw in ours for text in re.findall(r"(?m)^X-Triage.*|^Subject:.*", raw))
        state["alerts"] = [*self._ask("SELECT occasion, state FROM alerts ORDER BY 1, 2")]
        state["incidents"] = [*self._ask("SELECT key, state, openings FROM incidents ORDER BY key")]
        return state

    def problems(self) -> Iterator[str]:
        """What is wrong with the database or in the mailbox, whatever the end should be."""
        ids = Counter(m.message_id for m in self.gmail.messages.values() if b"\r\nX-Triage" in m.raw)
        yield from (f"{number} times in the mailbox: {one}" for one, number in ids.items() if number > 1)
        (found,) = self._ask("PRAGMA integrity_check")
        if found != {"integrity_check": "ok"}:
            yield str(found)

    def _ask(self, sql: str) -> list[dict[str, Any]]:
        db = store.open_readonly(self.settings.database)
        assert db is not None
        with closing(db):
            return [*db.query(sql)]


def undisturbed(is_old: bool) -> tuple[dict[str, Any], int]:
    """The end of a run on a healthy disk, and how often it writes."""
    with tempfile.TemporaryDirectory() as folder, GmailDouble() as gmail:
        world = World(gmail, Path(folder), is_old=is_old)
        code, said, writes, failed = world.run(FAULTS[0], 1_000_000)
        assert (code, said, failed) == (0, "", 0)
        assert [*world.problems()] == []
        return world.end(), writes


def meet(fault: Fault, nth: int, wanted: dict[str, Any], *, is_old: bool) -> Met:
    """Let the nth write fail, then let a run follow on a disk that is well."""
    with tempfile.TemporaryDirectory() as folder, GmailDouble() as gmail:
        world = World(gmail, Path(folder), is_old=is_old)
        code, said, _, failed = world.run(fault, nth)
        problems = list(_of_ending(code, said))
        try:
            worker.run(world.settings, lambda: NOW)
        except TriageError as error:
            return Met(code, said, failed, [*problems, f"the run after it ended {error.exit_code}: {error.what}"])
        problems += world.problems()
        if (end := world.end()) != wanted:
            problems += [f"{key}: {end[key]} instead of {wanted[key]}" for key in wanted if end[key] != wanted[key]]
        return Met(code, said, failed, problems)


def _of_ending(code: int, said: str) -> Iterator[str]:
    """A disk that fails ends a run with 78 and two lines, or did no harm; an alert that is not told yet is named."""
    lines = said.splitlines()
    is_untold = code == 1 and all(line.startswith("Not told: ") for line in lines)
    if not is_untold and ((code, len(lines)) not in ((0, 0), (78, 2)) or "itself went wrong" in said):
        yield f"it ended {code}, and said: {said!r}"


def main(every: int = 1) -> int:
    """Try it at every write, or each `every`th; 1: something was lost, double or badly told."""
    if compiler() is None:
        print("*** SKIPPED: failing disks need Linux and a C compiler (`cc`)")
        return 0
    bad = 0
    with tempfile.TemporaryDirectory() as folder, faulty_disk(Path(folder)):
        for is_old in (False, True):
            wanted, writes = undisturbed(is_old)
            for number, fault in enumerate(FAULTS):
                codes: Counter[int] = Counter()
                for nth in range(1 + number * every // len(FAULTS), writes + 1, every):
                    met = meet(fault, nth, wanted, is_old=is_old)
                    codes[met.code] += 1
                    bad += bool(met.problems)
                    for problem in met.problems:
                        print(f"  write {nth}: {problem[:600]}", flush=True)
                run = "a later run" if is_old else "a first run"
                ends = ", ".join(f"{count} ended {code}" for code, count in sorted(codes.items()))
                print(f"{run}, {fault.name}, at {codes.total()} of {writes} writes: {ends}", flush=True)
    print(f"{bad} ended in another state or were badly told" if bad else "0 lost, 0 doubled, each told in two lines")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
