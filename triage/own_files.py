"""Opens files that steer us or hold secrets: plain files only, and those found in the working folder only if ours.

A pipe would make a command wait for ever, a device may do things when it is opened; either may lie where a stranger can
write. What is written takes the place of the old file whole.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from pathlib import Path

from triage.errors import ConfigError

MOST_FILE_BYTES = 1_000_000
"""More than any settings, client or token file has."""

NO_PLAIN_FILE = "it is no plain file"


def refuse_special(path: Path) -> None:
    """Raise OSError for what is there and is no plain file, before anything opens it; a link to one is followed."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, NO_PLAIN_FILE, str(path))


def read_plain(path: Path) -> tuple[str, os.stat_result]:
    """The text of a plain file, and who owns it and may do what, of the very file that was read.

    Raises OSError, with a reason in `strerror`, and UnicodeDecodeError where it is not UTF-8.
    """
    refuse_special(path)
    # Another file may have taken its place: a pipe must not make us wait even then.
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0))) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, NO_PLAIN_FILE, str(path))
        data = file.read(MOST_FILE_BYTES + 1)
    if len(data) > MOST_FILE_BYTES:
        raise OSError(errno.EFBIG, "it is far too long", str(path))
    return data.decode("utf-8"), found


def write_whole(path: Path, text: str, mode: int) -> None:
    """Let the text take the place of a file in one step: a reader sees the old one or the new one, never half of it.

    `mode` is what others may do with it, whatever the umask says. Raises OSError; then the old file is still there.
    """
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    opened = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(opened, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            # By its number: whoever may write to the folder could have put a link to a file of ours under its name.
            os.fchmod(opened, mode)
            os.fsync(opened)
        os.replace(fresh, path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def is_open_to_others(found: os.stat_result) -> bool:
    """Whether anybody but the owner may read or write it."""
    return os.name == "posix" and bool(found.st_mode & 0o077)


def refuse_strangers(path: Path, found: os.stat_result) -> None:
    """Raise ConfigError for a file of the working folder that others wrote, could write, or could replace.

    `found` is the file itself. A folder anybody may write to is one where a stranger's file may wait for us: there the
    sticky bit, as /tmp has it, keeps others from replacing a file, and not from being the first.
    """
    if os.name != "posix":
        return
    named = f"move it to a folder only you can write to, or name it: --config {path}"
    if found.st_uid != os.geteuid():
        raise ConfigError(f"{path} belongs to another user, so it is not followed.", f"If you trust it, {named}")
    if found.st_mode & 0o022:
        raise ConfigError(
            f"Others can write {path} (mode {stat.S_IMODE(found.st_mode):03o}), so it is not followed.",
            f"Look what is in it, then run `chmod go-w {path}`.",
        )
    folder = path.parent.stat()
    if folder.st_uid not in (os.geteuid(), 0) or folder.st_mode & 0o022:
        raise ConfigError(f"Others can write into the folder of {path}, so it is not followed.", f"To use it, {named}")


def user_folder() -> Path:
    """Where this user's settings lie. Raises ConfigError for a user without a home."""
    import platformdirs

    folder = platformdirs.user_config_path("bounce-triage", appauthor=False)
    if not folder.is_absolute():  # nobody with this user id, and no HOME
        raise ConfigError("This user has no home folder to look for triage.toml in.", "Set HOME, or name it: --config")
    return folder


def working_folder() -> Path:
    """The folder this command was started in. Raises ConfigError where it is gone."""
    try:
        return Path.cwd()
    except OSError:
        raise ConfigError(
            "The folder this command was started in is gone.", "Change to another folder, and run it again there."
        ) from None
