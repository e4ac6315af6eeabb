"""Runs Python code in processes that start in milliseconds: forked off one that has imported the program already.

Each is a process with streams, folder, environment and end of its own; only the start of the interpreter, the imports,
the reading of our own tables and the steps of a new database (tests/worlds/template.py) are saved. Where these are
tested, or what a process shows of itself, `words` of tests/worlds/command.py is right.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parents[2]
COMMAND = "import sys; from triage.cli.program import main; sys.exit(main())"
"""What `python -m triage` does."""
IMPATIENT = f"from remediation.aws import queue; queue.WAIT_SECONDS = 0; {COMMAND}"
"""The same, but an empty queue is believed to be empty at once."""
PACKAGES = ("parsers", "remediation", "triage")
LIBRARIES = (
    *("boto3", "flufl.bounce", "google.oauth2.credentials", "google_auth_httplib2", "googleapiclient.discovery"),
    "tests.worlds.killed",
)
STREAMS = ("stdin", "stdout", "stderr")


class Forked:
    """A process that stands still until somebody waits for its end, so that its id is known before it does anything."""

    def __init__(
        self, code: str, *arguments: str, cwd: Path = ROOT, env: dict[str, str] | None = None, stdin: str | bytes = b""
    ) -> None:
        self._streams = tempfile.TemporaryDirectory()
        folder = Path(self._streams.name)
        (folder / "stdin").write_bytes(stdin.encode() if isinstance(stdin, str) else stdin)
        asked = {"code": code, "arguments": arguments, "cwd": str(cwd), "streams": str(folder)}
        self.arguments = arguments
        self.pid: int = _ask(asked | {"env": dict(os.environ) if env is None else env})

    def finish(self, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """Let it run to its end; -9 is the exit code of what was killed."""
        os.kill(self.pid, signal.SIGCONT)
        code: int = _ask({"wait": self.pid}, seconds)
        folder = Path(self._streams.name)
        out, err = ((folder / name).read_text(encoding="utf-8", errors="surrogateescape") for name in STREAMS[1:])
        self._streams.cleanup()
        return subprocess.CompletedProcess(self.arguments, code, out, err)


def triage(
    *arguments: str, cwd: Path = ROOT, env: dict[str, str] | None = None, stdin: str | bytes = b"", code: str = COMMAND
) -> subprocess.CompletedProcess[str]:
    """Run a command of `triage`."""
    return Forked(code, *arguments, cwd=cwd, env=env, stdin=stdin).finish()


# The process they are forked off: one for each process of tests.

_server: list[subprocess.Popen[bytes]] = []


def stop() -> None:
    """End the process they are forked off."""
    while _server:
        with _server.pop() as server:
            assert server.stdin is not None
            server.stdin.close()


def _ask(question: dict[str, Any], seconds: float = 60) -> Any:
    if not _server:
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "tests.worlds.forked"]
        _server.append(subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
    stdin, stdout = _server[0].stdin, _server[0].stdout
    assert stdin is not None
    assert stdout is not None
    stdin.write(json.dumps(question).encode() + b"\n")
    stdin.flush()
    is_answered = bool(select.select([stdout], [], [], seconds)[0])
    if not is_answered and "wait" in question:
        os.kill(question["wait"], signal.SIGKILL)
    answer = json.loads(stdout.readline())
    assert is_answered, f"no end after {seconds:.0f} s"
    return answer


def _serve() -> None:
    ours = [info.name for name in PACKAGES for info in pkgutil.walk_packages([str(ROOT / name)], f"{name}.")]
    for name in (*ours, *LIBRARIES):
        importlib.import_module(name)
    importlib.import_module("triage.judging.table").load_tables()
    importlib.import_module("remediation").load_causes()
    importlib.import_module("tests.worlds.template").use()
    gc.freeze()
    while line := sys.stdin.buffer.readline():
        question = json.loads(line)
        if "wait" in question:
            answer = os.waitstatus_to_exitcode(os.waitpid(question["wait"], 0)[1])
        elif (answer := os.fork()) == 0:
            _become(question)
        else:
            os.waitpid(answer, os.WUNTRACED)  # it stands still now
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


def _become(question: dict[str, Any]) -> NoReturn:
    """Be the process that was asked for."""
    for number, name in enumerate(STREAMS):
        how = os.O_RDONLY if number == 0 else os.O_RDWR | os.O_CREAT | os.O_APPEND
        opened = os.open(Path(question["streams"]) / name, how, 0o600)
        os.dup2(opened, number)
        os.close(opened)
        stream = open(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
    os.chdir(question["cwd"])
    os.environ.clear()
    os.environ.update(question["env"])
    time.tzset()
    sys.argv = ["-c", *question["arguments"]]
    os.kill(os.getpid(), signal.SIGSTOP)
    code = 0
    try:
        exec(compile(question["code"], "<string>", "exec"), {"__name__": "__main__"})
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _serve()
