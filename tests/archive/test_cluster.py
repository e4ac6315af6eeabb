"""Archives on a real Dask cluster, in Parquet, out of other stores: `make cluster`, which installs what it needs."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.archive.archives import ROOT, ArchiveOfSamples, classify, joined, make_archive, parts
from tests.worlds.command import environment, words

pytestmark = pytest.mark.cluster
SECONDS = 60.0


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> ArchiveOfSamples:
    return make_archive(tmp_path_factory.mktemp("archive"), 8)


@contextmanager
def _dask(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "distributed.cli." + arguments[0], *arguments[1:]]
    with (folder / f"{arguments[0]}.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment(folder), stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def _scheduler(folder: Path) -> Iterator[str]:
    """A scheduler on loopback; gives its address."""
    file = folder / "scheduler.json"
    where = ("--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0", "--scheduler-file", str(file))
    with _dask(folder, "dask_scheduler", *where):
        _until(lambda: file.exists() and file.read_bytes().endswith(b"}"))
        yield json.loads(file.read_bytes())["address"]


def _worker(folder: Path, address: str) -> Any:
    return _dask(folder, "dask_worker", address, "--host", "127.0.0.1", "--nthreads", "1", "--no-nanny")


def _until(holds: Any) -> None:
    end = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)


def test_of_two_workers_one_is_killed_and_nothing_is_missing(archive: ArchiveOfSamples) -> None:
    folder, out = archive.folder, archive.folder / "killed"
    asked = words("classify", *archive.paths, "--parts", "killed", "--part-size", "1", "--cluster")
    with _scheduler(folder) as address, _worker(folder, address) as first, _worker(folder, address):
        command = subprocess.Popen(
            [*asked, address], cwd=folder, env=environment(folder), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        _until(lambda: len(parts(out)) >= 2)
        first.send_signal(signal.SIGKILL)
        at_the_kill = len(parts(out))
        printed, complained = command.communicate(timeout=SECONDS)
    assert command.returncode == 0, complained
    made = parts(out)
    assert at_the_kill < len(made), "it was over before the kill"
    assert joined(out) == archive.lines, "in order, and byte for byte"
    assert printed.decode().endswith(f"{len(made)} parts in killed, 0 of them there before.\n")
    log = (folder / "dask_scheduler.log").read_text()
    assert "Remove worker" in log
    assert not list(out.glob(".*"))


def test_parquet_holds_the_same_records(archive: ArchiveOfSamples) -> None:
    import pyarrow.parquet

    store = f"file://{archive.folder}"
    paths = (f"{store}/*.mbox", f"{store}/mails")
    classify(archive.folder, *paths, "--parts", f"{store}/rows.parquet", "--part-size", "4", "--jobs", "2")
    found = [row for part in parts(archive.folder / "rows.parquet", "parquet") for row in _rows(pyarrow, part)]
    lines = [json.loads(line) for line in archive.lines.splitlines()]
    for line in lines:
        line["source"] = f"{store}/{line['source']}"
        line.setdefault("why", None)
    assert found == lines


def _rows(pyarrow: Any, part: Path) -> list[dict[str, Any]]:
    return list(pyarrow.parquet.read_table(part).to_pylist())


def test_the_example_question_of_the_docs_is_answered(archive: ArchiveOfSamples) -> None:
    import duckdb

    classify(archive.folder, "mails", "all.mbox", "--parts", "verdicts.parquet")
    text = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    (question,) = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
    asked = duckdb.connect()
    asked.execute(f"SET file_search_path = '{archive.folder}'")
    found = asked.execute(question).fetchall()
    failed = [line for line in map(json.loads, archive.lines.splitlines()) if line["kind"] == "failed"]
    counted = sum(line["cause"] == found[0][0] for line in failed)
    assert found[0][1] == counted > 0
    assert [row[1] for row in found] == sorted((row[1] for row in found), reverse=True)


def test_mails_in_an_archive_are_named_after_both(archive: ArchiveOfSamples, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "takeout.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.write(archive.folder / "all.mbox", "Takeout/Mail/all.mbox")
        packed.writestr("Takeout/notes.txt", "nothing")
    inside = f"zip://**/*.mbox::file://{tmp_path}/takeout.zip"
    classify(tmp_path, inside, "--parts", "out", "--part-size", "4", "--cluster", "local", "--jobs", "1")
    name = f"zip://Takeout/Mail/all.mbox::file://{tmp_path}/takeout.zip#1".encode()
    assert joined(tmp_path / "out").startswith(b'{"source": "' + name)
    number = joined(tmp_path / "out").count(b"\n")
    assert number == sum(b'"source": "all.mbox#' in line for line in archive.lines.splitlines())


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("mails", "--cluster", "8786"), 2, "triage: 8786 is no address of a scheduler."),
        (("nowhere://bucket/*.mbox",), 2, "triage: nowhere://bucket/*.mbox: Protocol not known: nowhere"),
        (("s3://bucket/*.mbox",), 78, "triage: s3://bucket/*.mbox: a library for it is missing."),
        (("file:///gone/*.mbox",), 2, "triage: file:///gone/*.mbox: no mails there"),
    ],
)
def test_what_does_not_fit_is_two_lines(archive: ArchiveOfSamples, arguments: Any, code: int, said: str) -> None:
    lines = classify(archive.folder, *arguments, "--parts", "no", exit_code=code).stderr.decode().splitlines()
    assert lines[0] == said
    assert len(lines) == 2


def test_a_scheduler_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from triage.archive import cluster
    from triage.errors import TryLater

    monkeypatch.setattr(cluster, "CLUSTER_WAIT_SECONDS", 1)
    with (
        pytest.raises(TryLater, match=r"No worker answers at tcp://127\.0\.0\.1:9") as told,
        cluster.dask_workers("tcp://127.0.0.1:9", 1),
    ):
        pass
    assert told.value.todo == "Start them: dask scheduler; dask worker tcp://127.0.0.1:9"


def test_a_worker_of_another_version_is_told(archive: ArchiveOfSamples) -> None:
    from triage.archive.judge import Archive, judge_part
    from triage.archive.output import open_output
    from triage.errors import ConfigError

    output = open_output(str(archive.folder / "versions"), "jsonl")
    (part, *_) = Archive([str(archive.folder / "mails")], output, 1 << 20).parts
    with pytest.raises(ConfigError, match="A worker has triage"):
        judge_part(part, output=output, version="0/0.0.1")
