"""An Exim of its own: configuration, spool and log in one folder, listeners on loopback, nothing of the host's.

Runs the program of the unpacked package as an unprivileged user (no set-uid file is made).
Source of every setting: https://www.exim.org/exim-html-current/doc/html/spec_html/
"""

from __future__ import annotations

import os
import socket
import subprocess
import time

from tests.real_mta.install import ROOT
from tests.real_mta.scenarios import NEAR
from tests.real_mta.world import LIFETIME, WARN_AFTER, World

OWNER, OWNER_ID = "Debian-exim", 64901
"""The user the program was built for. It is made up for this process alone (libnss_wrapper), never on the host."""

_CONFIG = """
exim_path = {root}/usr/sbin/exim4
exim_user = {owner}
exim_group = {owner}
spool_directory = {folder}/spool
log_file_path = {folder}/log-%s
pid_file_path = {folder}/pid
keep_environment = LD_PRELOAD : ^RESOLV_ : ^NSS_
primary_hostname = {name}
local_interfaces = {listen}
daemon_smtp_ports = {port}
deliver_drop_privilege
trusted_users = {owner}
acl_smtp_rcpt = rcpt
host_lookup =
rfc1413_query_timeout = 0s
tls_advertise_hosts =
dsn_advertise_hosts = *
smtputf8_advertise_hosts = *
smtp_accept_max = 0
smtp_accept_queue_per_connection = 0
queue_run_max = 8
remote_max_parallel = 4
delay_warning = {warn_after}s : 1h
delay_warning_condition = yes

begin acl
rcpt:
  accept condition = ${{if eq{{$received_ip_address}}{{{near}}}}}
  deny condition = ${{if eq{{$received_ip_address}}{{{far1}}}}}
       dnslists = zen.dnsbl.example
       message = $sender_host_address is listed at $dnslist_domain; $dnslist_text
  deny message = relay not permitted
       domains = !sound.example
  deny !verify = recipient
  accept

begin routers
far:
  driver = accept
  domains = ${{if eq{{$received_ip_address}}{{{far0}}}{{sound.example}}{{}}}}
  local_parts = crew
  transport = box
  no_more
remote:
  driver = dnslookup
  domains = !pier.example
  transport = smtp
  self = fail
  no_more
aliases:
  driver = redirect
  data = ${{lookup{{$local_part}}lsearch{{{folder}/aliases}}}}
  pipe_transport = pipe
  allow_fail
users:
  driver = accept
  local_parts = purser
  transport = box
  cannot_route_message = Unknown user

begin transports
smtp:
  driver = smtp
  port = {port}
  connect_timeout = 2s
  command_timeout = 2s
  data_timeout = 2s
  final_timeout = 5s
  hosts_try_fastopen =
box:
  driver = appendfile
  file = {folder}/box
  create_file = anywhere
  quota = 1K
  user = {owner}
pipe:
  driver = pipe
  user = {owner}
  return_output

begin retry
* quota
* * F,{lifetime}s,1s
"""

_ALIASES = """
dock-pipe: "|/bin/sh -c 'echo no room on the quay; exit 69'"
dock-closed: ":fail: This mailbox is disabled"
dock-list: cook@scow.example
"""


class Exim:
    """The server under test, and a second one on the far side; `start` returns when both answer."""

    def __init__(self) -> None:
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, world: World) -> None:
        self._folder = world.folder / "exim"
        self._folder.mkdir()
        os.chown(self._folder, OWNER_ID, OWNER_ID)
        (self._folder / "aliases").write_text(_ALIASES)
        passwd, group = self._folder / "passwd", self._folder / "group"
        passwd.write_text(f"root:x:0:0::/:/bin/sh\n{OWNER}:x:{OWNER_ID}:{OWNER_ID}::/:/bin/false\n")
        group.write_text(f"root:x:0:\n{OWNER}:x:{OWNER_ID}:\nmail:x:8:\n")
        self._env = {
            "PATH": os.defpath,
            **world.env,
            "LD_PRELOAD": f"libnss_wrapper.so {world.env['LD_PRELOAD']}",
            "NSS_WRAPPER_PASSWD": str(passwd),
            "NSS_WRAPPER_GROUP": str(group),
        }
        # Two daemons, because Exim takes every address it listens on for its own and would not send there.
        near, far = [world.near], [world.far(0), world.far(1)]
        for name, listen in (("near", near), ("far", far)):
            self._processes.append(self._daemon(world, name, listen))
        until = time.monotonic() + 15
        for ip in near + far:
            while not _answers(ip, world.port):
                assert time.monotonic() < until, f"exim does not answer: {self.log()}"
                time.sleep(0.1)

    def stop(self) -> None:
        """End the daemons and the queue runs they started, which are of the same session."""
        for process in self._processes:
            subprocess.run(["pkill", "-TERM", "-s", str(process.pid)], check=False)
            process.wait(15)

    def log(self) -> str:
        return "".join(path.read_text(errors="replace") for path in sorted(self._folder.glob("log-*")))

    def _daemon(self, world: World, name: str, listen: list[str]) -> subprocess.Popen[bytes]:
        config = self._folder / f"{name}.conf"
        config.write_text(
            _CONFIG.format(
                root=ROOT, owner=OWNER, folder=self._folder, name=NEAR, listen=" : ".join(listen), near=world.near,
                far0=world.far(0), far1=world.far(1), port=world.port, lifetime=LIFETIME, warn_after=WARN_AFTER,
            )
        )  # fmt: skip
        with (self._folder / f"log-{name}-errors").open("wb") as errors:
            return subprocess.Popen(
                [ROOT / "usr/sbin/exim4", "-C", config, "-bdf", "-q1s", "-oP", self._folder / f"{name}.pid"],
                env=self._env, user=OWNER_ID, group=OWNER_ID, extra_groups=[], start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors,
            )  # fmt: skip


def _answers(ip: str, port: int) -> bool:
    try:
        socket.create_connection((ip, port), 1).close()
    except OSError:
        return False
    return True
