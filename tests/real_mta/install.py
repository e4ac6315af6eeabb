"""Fetches Debian's Postfix and Exim and unpacks them beside the project, without installing them.

Both packages claim to be the host's one mail server; unpacked, neither replaces it, and no service is started. Only the
shared libraries they need, and two preload libraries that lead name look-ups to our own name server, are installed.
Must not be run by anything but `make real-bounces`; says in one line why it cannot.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2] / ".real-mta"
"""Where the packages lie unpacked."""
SERVERS = ("postfix", "exim4-base", "exim4-daemon-light")
WRAPPERS = ("libnss-wrapper", "libresolv-wrapper")
_READY = ROOT / ".unpacked"


def why_not() -> str | None:
    """Why the servers cannot run here, in words; None = they can, and are unpacked."""
    if os.name != "posix" or os.geteuid() != 0:
        return "not root: Postfix needs root to change between its users"
    if not _READY.exists():
        return "Postfix and Exim are not unpacked: run `make real-bounces`"
    return None


def install() -> str | None:
    """Fetch and unpack what is missing, without a question; returns why it could not, None when all is there."""
    if _READY.exists():
        return why_not()
    if not Path("/etc/debian_version").exists() or not shutil.which("apt-get"):
        return "not Debian: the servers come from Debian's packages"
    if os.geteuid() != 0:
        return "not root: apt-get and Postfix need it"
    debs = ROOT / "debs"
    debs.mkdir(parents=True, exist_ok=True)
    for command, folder in (
        (["apt-get", "-q", "update"], None),
        (["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *SERVERS], debs),
    ):
        if why := run(command, folder):
            return why
    packages = sorted(debs.glob("*.deb"))
    libraries = sorted({library for package in packages for library in _libraries(package)})
    if why := run(["apt-get", "-q", "-y", "install", "--no-install-recommends", *WRAPPERS, *libraries], None):
        return why
    for package in packages:
        if why := run(["dpkg-deb", "-x", str(package), str(ROOT)], None):
            return why
    for program in (path for path in ROOT.rglob("*") if path.is_file() and path.stat().st_mode & 0o6000):
        program.chmod(program.stat().st_mode & 0o1777)  # nobody but these tests may run it, and LD_PRELOAD must work
    _READY.touch()
    return None


def _libraries(package: Path) -> list[str]:
    """The libraries a package depends on, the first of each choice; not debconf, adduser and the like."""
    fields = subprocess.run(["dpkg-deb", "-f", package, "Depends"], check=True, capture_output=True, text=True).stdout
    names = [re.split(r"[\s(|:]", one.strip())[0] for one in fields.split(",")]
    return [name for name in names if name.startswith("lib")]


def run(command: list[str], folder: Path | None) -> str | None:
    """Run a command to its end; returns why it failed, in one line, None = it did not."""
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    done = subprocess.run(
        command, cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode == 0:
        return None
    last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
    return f"`{' '.join(command[:4])} ...` failed: {last}"


def main() -> int:
    """Install, or say loudly why not. The exit code is 0 either way: the tests then say that they were skipped."""
    from tests.real_mta.relays import root  # it builds on this module

    why = install() or root.unpack()
    print(
        f"*** real mail servers: NOT READY, the tests below are skipped: {why}" if why else "real mail servers: ready"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
