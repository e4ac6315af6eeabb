"""Local sources: what is found in them, under which name, in which order, and in how much memory."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage import mailbox
from triage.errors import UsageError
from triage.mailbox import LocalMail, UnreadableFile, read_mails, split_mbox

A = b"From: a@example.com\nSubject: A\n\nfirst\n"
B = b"From: b@example.com\nSubject: B\n\nsecond\n"
LINE = b"From MAILER-DAEMON Tue Nov 24 09:00:00 2026\n"


def mbox(*mails: bytes) -> bytes:
    return b"".join(LINE + mail + b"\n" for mail in mails)


def split(data: bytes) -> list[bytes]:
    return [mail.data for mail in split_mbox(io.BytesIO(data), "x")]


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.fixture(autouse=True)
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_one_mail() -> None:
    write(Path("a.eml"), A)
    assert list(read_mails(["a.eml"])) == [LocalMail("a.eml", A)]


def test_a_folder_is_searched_below_in_order() -> None:
    for name in ("box/b.eml", "box/a.EML", "box/sub/c.eml", "box/notes.txt", "box/.git/HEAD"):
        write(Path(name), A)
    write(Path("box/z.mbox"), mbox(A, B))
    sources = [mail.source for mail in read_mails(["box"])]
    assert sources == ["box/a.EML", "box/b.eml", "box/z.mbox#1", "box/z.mbox#2", "box/sub/c.eml"]


def test_an_mbox_counts_its_mails() -> None:
    write(Path("takeout.mbox"), mbox(A, B))
    assert list(read_mails(["takeout.mbox"])) == [LocalMail("takeout.mbox#1", A), LocalMail("takeout.mbox#2", B)]


def test_an_mbox_is_known_by_its_first_line_not_its_name() -> None:
    write(Path("anything"), mbox(A, B))
    assert [mail.source for mail in read_mails(["anything"])] == ["anything#1", "anything#2"]


def test_an_eml_saved_with_its_from_line_is_one_mail() -> None:
    write(Path("a.eml"), LINE + A + b"\nFrom here on 10:30 it goes on\n")
    assert list(read_mails(["a.eml"])) == [LocalMail("a.eml", A + b"\nFrom here on 10:30 it goes on\n")]


def test_a_maildir_gives_new_and_cur_and_nothing_else() -> None:
    for name in ("m/new/2", "m/cur/1:2,S", "m/tmp/3", "m/cur/.hidden", "m/x.eml"):
        write(Path(name), A)
    assert [mail.source for mail in read_mails(["m"])] == ["m/new/2", "m/cur/1:2,S"]


@pytest.mark.parametrize(("data", "sources"), [(A, ["-"]), (mbox(A, B), ["-#1", "-#2"])])
def test_standard_input_is_one_mail_or_an_mbox(data: bytes, sources: list[str]) -> None:
    assert [mail.source for mail in read_mails(["-"], io.BytesIO(data))] == sources


def test_several_paths_in_the_order_given() -> None:
    write(Path("b.eml"), B)
    write(Path("a.eml"), A)
    assert [mail.source for mail in read_mails(["b.eml", "a.eml"])] == ["b.eml", "a.eml"]


@pytest.mark.parametrize("path", ["nowhere", "-"])
def test_a_wrong_path_is_told_before_the_first_mail(path: str) -> None:
    write(Path("a.eml"), A)
    with pytest.raises(UsageError) as caught:
        read_mails(["a.eml", path])
    assert caught.value.what.startswith(f"{path}: ")
    assert caught.value.exit_code == 2


def test_a_folder_without_mails_is_told() -> None:
    write(Path("box/readme.txt"), A)
    with pytest.raises(UsageError, match="no mails"):
        read_mails(["box"])


def test_an_unreadable_file_in_a_folder_is_a_value_with_its_reason() -> None:
    write(Path("box/b.eml"), A)
    os.symlink("nowhere", "box/a.eml")
    os.mkfifo("box/c.eml")
    assert list(read_mails(["box"])) == [
        UnreadableFile("box/a.eml", "No such file or directory"),
        LocalMail("box/b.eml", A),
        UnreadableFile("box/c.eml", "not a regular file"),
    ]


def test_a_path_that_may_not_be_read_is_told_before_the_first_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    write(Path("a.eml"), A)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # file modes do not bind root
    with pytest.raises(UsageError, match=r"a\.eml: Permission denied"):
        read_mails(["a.eml"])


def test_a_pipe_named_by_the_user_is_read() -> None:
    os.mkfifo("pipe")
    with subprocess.Popen(["sh", "-c", "printf 'Subject: x\\n' > pipe"]):
        assert list(read_mails(["pipe"])) == [LocalMail("pipe", b"Subject: x\n")]


def test_undecodable_file_names_become_printable() -> None:
    os.mkdir("box")
    with open(b"box/\xff.eml", "wb") as file:
        file.write(A)
    assert [mail.source for mail in read_mails(["box"])] == ["box/�.eml"]


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_mbox_quoting_is_undone(line_end: bytes) -> None:
    mail = b"Subject: x\n\n>From me\n>>From you\n> From nobody\n".replace(b"\n", line_end)
    plain = b"Subject: x\n\nFrom me\n>From you\n> From nobody\n".replace(b"\n", line_end)
    boxed = LINE.replace(b"\n", line_end) + mail + line_end
    assert split(boxed * 2) == [plain, plain]


@pytest.mark.parametrize(
    "text",
    [
        b"no empty line before\nFrom x@example.com Tue Nov 24 09:00:00 2026\nSubject: y\n",
        b"\nFrom where I stand it looks fine.\nIndeed.\n",
        b"\n>From x 10:00\n",
        b"\nFrom: x 10:00\n",
    ],
)
def test_what_is_no_separator(text: bytes) -> None:
    mail = b"Subject: x\n\nHello\n" + text
    assert len(split(mbox(mail, B))) == 2


@pytest.mark.parametrize(
    "line",
    [
        b"From - Tue Nov 24 09:00:00 2026",  # Thunderbird
        b"From 1850003222222222222@xxx Tue Nov 24 09:00:00 +0000 2026",  # Google Takeout
        b"From nobody",  # without a time, but a header follows
    ],
)
def test_separators_of_several_programs(line: bytes) -> None:
    assert split(line + b"\n" + A + b"\n" + line + b"\n" + B) == [A, B]


def test_the_last_mail_needs_no_line_end() -> None:
    assert split(mbox(A) + LINE + b"Subject: x\n\nend") == [A, b"Subject: x\n\nend"]
    assert split(b"From nobody") == [b""]


@given(
    st.lists(st.text("ab>\n", max_size=40), min_size=1, max_size=6), st.integers(3, 60), st.sampled_from(["\n", "\r\n"])
)
def test_whatever_was_packed_comes_out_whole_across_blocks(bodies: list[str], block: int, line_end: str) -> None:
    mails = [f"Subject: {number}\n\n{body}\n".replace("\n", line_end).encode() for number, body in enumerate(bodies)]
    boxed = b"".join(LINE.replace(b"\n", line_end.encode()) + mail + line_end.encode() for mail in mails)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mailbox, "BLOCK", block)
        patch.setattr(mailbox, "_LOOKAHEAD", 80)
        assert split(boxed) == mails


@given(st.binary(max_size=300), st.integers(1, 20))
def test_any_bytes_are_split_without_an_error(data: bytes, block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mailbox, "BLOCK", block)
        patch.setattr(mailbox, "MAX_MAIL", 64)
        patch.setattr(mailbox, "_LOOKAHEAD", 16)
        assert all(len(mail) <= 64 for mail in split(data + b"\n\nFrom x 10:00\n" + data))


def test_of_an_endless_mail_the_beginning_is_kept_and_the_next_one_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "BLOCK", 4096)
    monkeypatch.setattr(mailbox, "MAX_MAIL", 20_000)
    long = b"Subject: long\n\n" + b"x" * 70 * 10_000 + b"\n"
    first, second, third = split(mbox(A, long, B))
    assert (first, third) == (A, B)
    assert len(second) <= 20_000
    assert long.startswith(second)


ROOT = Path(mailbox.__file__).parents[1]

MEASURE = r"""
import re, sys
from triage.mailbox import read_mails
mails = size = 0
for mail in read_mails(sys.argv[1:]):
    mails += 1; size += len(mail.data)
# Not ru_maxrss, which a child inherits from its parent.
print(mails, size, re.search(r"VmHWM:\s+(\d+) kB", open("/proc/self/status").read())[1])
"""


def test_memory_stays_flat_whatever_the_size(tmp_path: Path) -> None:
    small = LINE + b"Subject: x\n\n" + b"y" * 60 * 1000 + b"\n\n"
    huge = LINE + b"Subject: x\n\n" + b"z" * (90 << 20) + b"\n\n"  # longer than any mail that is kept whole
    path = tmp_path / "big.mbox"
    with path.open("wb") as file:
        file.write(small * 1000)
        file.write(huge)
        file.write(small * 1000)
    done = subprocess.run([sys.executable, "-c", MEASURE, path], cwd=ROOT, capture_output=True, text=True, check=True)
    mails, size, kilobytes = map(int, done.stdout.split())
    path.unlink()
    assert mails == 2001
    assert size > 2 * 60_000_000 + mailbox.MAX_MAIL - 1000
    assert kilobytes < 150_000


def test_text_that_almost_ends_a_mail_everywhere_is_read_nearly_as_fast_as_any() -> None:
    """`From ` after each empty line, with no time and no header behind it, is no separator; each costs no Python."""

    def seconds(piece: bytes) -> float:
        started = time.process_time()
        assert len(split(LINE + A + b"\n" + piece * (2_000_000 // len(piece)))) == 1
        return time.process_time() - started

    plain = min(seconds(b"\nabcdef") for _ in range(3))
    assert min(seconds(b"\n\nFrom ") for _ in range(3)) < 25 * plain
