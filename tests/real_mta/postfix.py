"""A Postfix of its own: configuration, queue and log in one folder, one listener on loopback, nothing of the host's.

Runs the programs of the unpacked package. Needs root, because the master starts its parts under different users.
Source of every setting: https://www.postfix.org/postconf.5.html
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.real_mta.install import ROOT
from tests.real_mta.scenarios import NEAR
from tests.real_mta.world import LIFETIME, WARN_AFTER, World

# Users every Debian has and that own nothing here: the package would make its own, and the host is left as it is.
OWNER, SETGID = "uucp", "news"

PARTS = """cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
local unix - n n - - local
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""
"""The programs that every Postfix runs behind its doors (master(5))."""
_DOORS = """
{near}:{port} inet n - n - - smtpd
{far0}:{port} inet n - n - - smtpd
  -o mynetworks= -o smtpd_relay_restrictions=reject_unauth_destination
  -o relay_recipient_maps=inline:{{crew@sound.example=x}}
{far1}:{port} inet n - n - - smtpd
  -o smtpd_client_restrictions=reject_rbl_client,zen.dnsbl.example
{far2}:{port} inet n - n - - smtpd
  -o smtpd_recipient_restrictions=reject_unverified_recipient
{far3}:{port} inet n - n - - smtpd
  -o cleanup_service_name=strict
{far4}:{port} inet n - n - - smtpd
  -o smtpd_recipient_restrictions=check_recipient_access,static:REJECT
strict unix n - n - 0 cleanup
  -o header_checks=regexp:{conf}/header_checks
verify unix - - n - 1 verify
virtual unix - n n - - virtual
"""


class Postfix:
    """The server under test; `start` returns when it answers."""

    def __init__(self) -> None:
        self._runs = False

    def start(self, world: World) -> None:
        self._folder = world.folder / "postfix"
        self._env = {**os.environ, **world.env, "LD_LIBRARY_PATH": str(ROOT / "usr/lib/postfix")}
        for name in ("conf", "queue", "data"):
            (self._folder / name).mkdir(parents=True)
        subprocess.run(["chown", OWNER, self._folder / "data"], check=True)
        conf = self._folder / "conf"
        (conf / "main.cf").write_text("".join(f"{key} = {value}\n" for key, value in self._settings(world).items()))
        (conf / "master.cf").write_text(self._parts(world, conf))
        (conf / "header_checks").write_text("/^Subject: Your sailing/ REJECT\n")
        (conf / "transport").write_text("retired.example error:5.2.1 This mailbox has been disabled\n")
        (conf / "probes").write_text(f"stern.example smtp:[mx.stern.example]:{world.port}\n")
        (conf / "tls").write_text("sloop.example encrypt\n")
        (conf / "aliases").write_text(_ALIASES)
        self._command("start")
        self._runs = True

    def stop(self) -> None:
        """End the master and all it started; nothing to do where it never ran."""
        if self._runs:
            self._command("stop")

    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")

    def _parts(self, world: World, conf: Path) -> str:
        """The programs it consists of, and where each listens (master.cf)."""
        far = {f"far{number}": world.far(number) for number in range(5)}
        return _DOORS.format(near=world.near, port=world.port, conf=conf, **far) + PARTS

    def _command(self, word: str) -> None:
        done = subprocess.run(
            [ROOT / "usr/sbin/postfix", "-c", self._folder / "conf", word],
            env=self._env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"postfix {word}: {done.stdout}{done.stderr}"

    def _settings(self, world: World) -> dict[str, str]:
        conf = self._folder / "conf"
        return {
            "compatibility_level": "3.6",
            "mail_owner": OWNER,
            "setgid_group": SETGID,
            "queue_directory": f"{self._folder}/queue",
            "data_directory": f"{self._folder}/data",
            "command_directory": f"{ROOT}/usr/sbin",
            "daemon_directory": f"{ROOT}/usr/lib/postfix/sbin",
            "shlib_directory": f"{ROOT}/usr/lib/postfix",
            "meta_directory": f"{ROOT}/etc/postfix",
            "sendmail_path": f"{ROOT}/usr/sbin/sendmail",
            "maillog_file": f"{self._folder}/log",
            "maillog_file_prefixes": str(self._folder),
            "import_environment": f"MAIL_CONFIG LD_LIBRARY_PATH {' '.join(world.env)}",
            "inet_interfaces": "127.0.0.1",  # an address that lo really has; master.cf names where to listen
            "proxy_interfaces": world.near,
            "inet_protocols": "ipv4",
            "mynetworks": "127.0.0.0/8",
            "myhostname": NEAR,
            "mydomain": "example.org",
            "mydestination": "$myhostname, pier.example",
            "relay_domains": "sound.example",
            "local_recipient_maps": "",
            "alias_maps": f"texthash:{conf}/aliases",
            "alias_database": "",
            "mail_spool_directory": f"{self._folder}/spool",
            "smtpd_peername_lookup": "no",
            "smtp_tcp_port": str(world.port),
            "smtp_address_preference": "ipv4",
            "smtp_helo_timeout": "2s",
            "smtp_tls_policy_maps": f"texthash:{conf}/tls",
            "transport_maps": f"texthash:{conf}/transport",
            "address_verify_transport_maps": f"texthash:{conf}/probes",
            "address_verify_map": "",
            "unverified_recipient_reject_code": "550",
            "unverified_recipient_reject_reason": "",
            "address_verify_poll_count": "5",
            "address_verify_poll_delay": "1s",
            "maximal_queue_lifetime": f"{LIFETIME}s",
            "bounce_queue_lifetime": f"{LIFETIME}s",
            "delay_warning_time": f"{WARN_AFTER}s",
            "queue_run_delay": "1s",
            "minimal_backoff_time": "1s",
            "maximal_backoff_time": "2s",
            "smtp_destination_concurrency_failed_cohort_limit": "0",
            "message_size_limit": "5000000",
        }


_ALIASES = """
dock-pipe "|echo no room on the quay; exit 69"
dock-bin "|cat >/dev/null"
dock-list cook@scow.example
dock-old abby@retired.example
"""
