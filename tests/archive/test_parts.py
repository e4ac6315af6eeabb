"""`classify --parts`: parts that together are what one process prints, and a command that goes on where it was."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.archive.archives import SAMPLES, ArchiveOfSamples, classify, joined, make_archive, parts
from triage.archive import Archive, extra, form_of, open_output
from triage.archive.output import new_part, parts_there
from triage.errors import ConfigError, UsageError

MB = 1 << 20


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> ArchiveOfSamples:
    return make_archive(tmp_path_factory.mktemp("archive"), 1)


def test_the_parts_together_are_what_one_process_prints(archive: ArchiveOfSamples) -> None:
    said = classify(archive.folder, *archive.paths, "--parts", "out", "--part-size", "1").stdout.decode()
    made = parts(archive.folder / "out")
    assert len(made) > 2
    assert joined(archive.folder / "out") == archive.lines
    assert said.startswith(f"{len(SAMPLES) + 20:,} mails: ")
    assert said.endswith(f"{len(made)} parts in out, 0 of them there before.\n")


def test_the_same_command_does_only_what_is_left(archive: ArchiveOfSamples) -> None:
    arguments = (*archive.paths, "--parts", "again", "--part-size", "1")
    classify(archive.folder, *arguments)
    made = parts(archive.folder / "again")
    old = {part: part.stat().st_mtime_ns for part in made}
    for lost in (made[1], made[-1]):
        lost.unlink()
    (archive.folder / "again" / f".{made[1].name}.0123.made").write_bytes(b"half a part")
    (archive.folder / "again" / "README").write_bytes(b"of somebody else")
    said = classify(archive.folder, *arguments).stdout.decode()
    assert said.endswith(f"{len(made)} parts in again, {len(made) - 2} of them there before.\n")
    assert joined(archive.folder / "again") == archive.lines
    assert {part for part in made if part.stat().st_mtime_ns != old[part]} == {made[1], made[-1]}
    assert {entry.name for entry in (archive.folder / "again").iterdir()} == {"README", *(part.name for part in made)}


def test_parts_of_other_mails_are_not_mixed_with_these(archive: ArchiveOfSamples) -> None:
    classify(archive.folder, "mails", "--parts", "mixed")
    said = classify(archive.folder, "all.mbox", "--parts", "mixed", exit_code=2).stderr.decode().splitlines()
    assert said[0].startswith(f"triage: {archive.folder}/mixed has parts of other mails")
    assert said[1:] == ["Name a folder without parts, or take these away."]


def test_what_could_not_be_read_is_told_again_though_its_part_is_done(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.eml").write_bytes(SAMPLES[0].read_bytes())
    os.mkfifo(tmp_path / "in" / "b.eml")
    first = classify(tmp_path, "in", "--parts", "out", exit_code=1)
    again = classify(tmp_path, "in", "--parts", "out", exit_code=1)
    assert first.stderr == again.stderr == b"in/b.eml: not a regular file\n"
    assert b"1 unreadable" in first.stdout
    assert again.stdout == b"1 part in out, 1 of them there before.\n"


def test_a_part_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    output = open_output(str(tmp_path / "out"), "jsonl")
    name = "part-000000-0123456789ab.jsonl"

    def stop_halfway() -> None:
        with new_part(output, name) as write:
            write([])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop_halfway()
    assert parts_there(output) == set()
    with new_part(output, name):
        pass
    assert parts_there(output) == {name}
    assert (tmp_path / "out" / name).stat().st_mode & 0o777 == 0o600, "verdicts quote mails"


def test_a_file_that_has_grown_is_another_part(tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(SAMPLES[0].read_bytes())
    output = open_output(str(tmp_path / "out"), "jsonl")
    (before,) = Archive([str(tmp_path)], output, MB).parts
    assert before == Archive([str(tmp_path)], output, MB).parts[0]
    with (tmp_path / "a.eml").open("ab") as file:
        file.write(b"more\n")
    (after,) = Archive([str(tmp_path)], output, MB).parts
    assert after.name != before.name


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("mails", "--cluster", "local"), 2, "triage: Parts have to be written somewhere."),
        (("mails", "--parquet"), 2, "triage: Parts have to be written somewhere."),
        (("-", "--parts", "out"), 2, "triage: Standard input cannot be cut into parts."),
        (("gone", "--parts", "out"), 2, "triage: gone: No such file or directory"),
        (("mails", "--parts", "all.mbox"), 2, "triage: all.mbox: File exists"),
    ],
)
def test_what_cannot_be_asked_for(archive: ArchiveOfSamples, arguments: list[str], code: int, said: str) -> None:
    lines = classify(archive.folder, *arguments, exit_code=code).stderr.decode().splitlines()
    assert lines[0] == said
    assert len(lines) == 2


def test_without_the_extra_two_lines_say_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(extra, "find_spec", lambda name: None)
    for asked in (
        lambda: form_of("out.parquet", None),
        lambda: form_of("out", "parquet"),
        lambda: open_output("s3://bucket/out", "jsonl"),
        lambda: Archive(["s3://bucket/*.mbox"], open_output(str(tmp_path / "out"), "jsonl"), MB),
    ):
        with pytest.raises(ConfigError, match="which is not installed") as refused:
            asked()
        assert refused.value.todo == "Install it beside triage: pip install 'bounce-triage[cluster]'"
    assert form_of("out", None) == "jsonl"


def test_a_record_is_one_line_whatever_stands_in_it(tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(SAMPLES[0].read_bytes().replace(b"pat@", b"p\xc3\xa4t\xff@"))
    classify(tmp_path, "a.eml", "--parts", "out")
    lines = joined(tmp_path / "out").splitlines()
    assert lines
    assert all(json.loads(line)["source"] == "a.eml" for line in lines)


def test_a_named_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    output = open_output(str(tmp_path / "out"), "jsonl")
    with pytest.raises(UsageError, match="not a regular file"):
        Archive([str(tmp_path / "pipe")], output, MB)
