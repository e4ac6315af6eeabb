"""Fetches Debian's packages of six mail servers with all they depend on, and unpacks them into a root to be copied.

Nothing is installed: apt is told that this machine has no package at all, so it fetches the whole closure, down to the
C library. What a package's scripts would have made (users, links, folders) the servers here make themselves.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
from pathlib import Path

from tests.real_mta import install
from tests.real_mta.scenarios import NEAR

BASE = install.ROOT / "root"
_READY = install.ROOT / ".root-unpacked"
# Each line for itself: all of them claim to be the one mail server, and conflict.
_PACKAGES = (
    ("postfix",),
    ("exim4-daemon-light", "exim4-base"),
    ("sendmail-bin", "sendmail-cf", "libsasl2-modules"),
    ("opensmtpd",),
    ("nullmailer",),
    ("dma",),
)
USERS = {
    name: 64910 + number
    for number, name in enumerate(
        (
            "postfix",
            "postdrop",
            "Debian-exim",
            "smmta",
            "smmsp",
            "opensmtpd",
            "opensmtpq",
            "nullmail",
            "admin",
            "nobody",
            "nogroup",
        )
    )
}
"""The users of the packages, as numbers nobody has; known inside the roots only."""


def why_not() -> str | None:
    """Why the servers cannot run here, in words; None = they can."""
    return install.why_not() or (None if _READY.exists() else "the roots are not unpacked: run `make real-bounces`")


def unpack() -> str | None:
    """Fetch and unpack what is missing; returns why it could not, None when all is there."""
    if _READY.exists():
        return None
    archives = install.ROOT / "archives"
    (archives / "partial").mkdir(parents=True, exist_ok=True)
    options = {
        "Dir::State::status": "/dev/null",
        "Dir::Cache::archives": str(archives),
        "APT::Sandbox::User": "root",
        "Debug::NoLocking": "1",
    }
    apt = ["apt-get", "-q", "-y", *(word for key, value in options.items() for word in ("-o", f"{key}={value}"))]
    for packages in _PACKAGES:
        fetch = [*apt, "--no-install-recommends", "--download-only", "install", *packages, "dash", "netbase"]
        if why := install.run(fetch, None):
            return why
    for package in sorted(archives.glob("*.deb")):
        if why := install.run(["dpkg-deb", "-x", str(package), str(BASE)], None):
            return why
    shell = BASE / "bin/sh"
    if not shell.exists():
        shell.symlink_to("dash")
    for program in (path for path in BASE.rglob("*") if path.is_file() and path.stat().st_mode & 0o6000):
        program.chmod(program.stat().st_mode & 0o1777)  # nobody but these tests may run it
    _READY.touch()
    return None


class Root:
    """A copy of the base for one server; it sees nothing else of the host but the network."""

    def __init__(self, folder: Path, name_server: str, trusted: bytes) -> None:
        self.path = folder
        # Hard links: a file is replaced here, never written into.
        subprocess.run(["cp", "-al", BASE, folder], check=True)
        folder.chmod(0o755)
        self.write(
            "etc/passwd",
            "root:x:0:0::/:/bin/sh\n" + "".join(f"{n}:x:{i}:{i}::/:/bin/false\n" for n, i in USERS.items()),
        )
        self.write("etc/group", "root:x:0:\nmail:x:8:\n" + "".join(f"{n}:x:{i}:\n" for n, i in USERS.items()))
        self.write("etc/resolv.conf", f"nameserver {name_server}\noptions timeout:2 attempts:1\n")
        self.write("etc/nsswitch.conf", "hosts: files dns\n")
        self.write("etc/hosts", "127.0.0.1 localhost\n")
        self.write("etc/mailname", f"{NEAR}\n")
        self.write("etc/ssl/certs/ca-certificates.crt", trusted.decode())
        for name in ("tmp", "var/tmp"):
            self.folder(name).chmod(0o1777)
        dev = self.folder("dev")
        for name, minor in (("null", 3), ("zero", 5), ("random", 8), ("urandom", 9)):
            if not (dev / name).exists():
                os.mknod(dev / name, 0o666 | stat.S_IFCHR, os.makedev(1, minor))
                (dev / name).chmod(0o666)

    def write(self, name: str, text: str, mode: int = 0o644) -> None:
        """Write a file in place of the package's."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def folder(self, name: str, owner: str = "root", mode: int = 0o755) -> Path:
        """Make a folder of an owner."""
        path = self.path / name
        path.mkdir(parents=True, exist_ok=True)
        os.chown(path, USERS.get(owner, 0), USERS.get(owner, 0))
        path.chmod(mode)
        return path

    def call(self, *command: str, given: bytes | None = None, check: bool = True) -> str:
        """Run a program of the root to its end; returns what it printed."""
        done = subprocess.run(
            [_CHROOT, self.path, *command], env=_ENV, input=given if given is not None else b"",
            capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        said = (done.stdout + done.stderr).decode(errors="replace")
        assert done.returncode == 0 or not check, f"{' '.join(command)}: {said}"
        return said

    def begin(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a program of the root that stays, in a session of its own; what it prints goes to `said`."""
        with (self.path / "said").open("ab") as said:
            return subprocess.Popen(
                [_CHROOT, self.path, *command], env=_ENV, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            )  # fmt: skip

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """End a program and everything that runs in this root: some leave their session."""
        process.terminate()
        for pid in self._inside():
            _kill(pid, 15)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
        for pid in self._inside():
            _kill(pid, 9)

    def _inside(self) -> list[int]:
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if (entry / "root").readlink().is_relative_to(self.path):
                        found.append(int(entry.name))
                except OSError:
                    continue  # it has ended, or is a thread of the kernel
        return found


def _kill(pid: int, signal: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal)


_CHROOT = shutil.which("chroot") or "/usr/sbin/chroot"
_ENV = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "TZ": "UTC"}
