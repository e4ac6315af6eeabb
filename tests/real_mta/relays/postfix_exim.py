"""Postfix and Exim with a smarthost for each way of failing, in roots of their own.

Settings: https://www.postfix.org/postconf.5.html, https://www.exim.org/exim-html-current/doc/html/spec_html/
"""

from __future__ import annotations

import subprocess

from tests.real_mta.postfix import PARTS
from tests.real_mta.relays.harbour import LOGIN, PASSWORD, Harbour, hand_in, wait_until_it_answers
from tests.real_mta.relays.ways import MX, RELAY
from tests.real_mta.scenarios import NEAR
from tests.real_mta.world import LIFETIME, WARN_AFTER

_DOOR = "\n{near}:25 inet n - n - - smtpd\n"
_QUEUES = (
    *("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "public", "saved"),
    *("maildrop", "trace"),
)


class Postfix:
    """As its SASL_README and TLS_README say for a relay with a login."""

    send = staticmethod(hand_in)

    def start(self, harbour: Harbour) -> None:
        self._root = root = harbour.root
        root.folder("var/lib/postfix", "postfix")
        root.folder("var/spool/postfix")
        root.folder("var/spool/postfix/pid")
        for name in _QUEUES:
            root.folder(f"var/spool/postfix/{name}", "postfix", 0o710 if name == "public" else 0o700)
        settings = {
            "compatibility_level": "3.6", "myhostname": NEAR, "mydomain": "example.org", "mydestination": "$myhostname",
            "inet_interfaces": "127.0.0.1", "inet_protocols": "ipv4", "proxy_interfaces": harbour.near,
            "mynetworks": "127.0.0.0/8", "local_recipient_maps": "", "alias_maps": "", "alias_database": "",
            "smtpd_peername_lookup": "no", "maillog_file": "/var/log/postfix.log", "mail_owner": "postfix",
            "setgid_group": "postdrop", "smtp_tls_CAfile": "/etc/ssl/certs/ca-certificates.crt",
            "smtp_tls_security_level": "may", "smtp_tls_policy_maps": "texthash:/etc/postfix/tls",
            "smtp_sasl_auth_enable": "yes", "smtp_sasl_password_maps": "texthash:/etc/postfix/logins",
            "smtp_sasl_security_options": "noanonymous", "transport_maps": "texthash:/etc/postfix/transport",
            "smtp_connect_timeout": "2s", "smtp_helo_timeout": "2s", "maximal_queue_lifetime": f"{LIFETIME}s",
            "bounce_queue_lifetime": f"{LIFETIME}s", "delay_warning_time": f"{WARN_AFTER}s", "queue_run_delay": "1s",
            "minimal_backoff_time": "1s", "maximal_backoff_time": "3s",
            "smtp_destination_concurrency_failed_cohort_limit": "0",
        }  # fmt: skip
        root.write("etc/postfix/main.cf", "".join(f"{key} = {value}\n" for key, value in settings.items()))
        root.write("etc/postfix/master.cf", _DOOR.format(near=harbour.near) + PARTS)
        ways = harbour.ways
        root.write("etc/postfix/transport", "".join(f"{w.domain(RELAY)} smtp:[{w.host}]:587\n" for w in ways))
        root.write("etc/postfix/logins", "".join(f"[{w.host}]:587 {LOGIN}:{PASSWORD}\n" for w in ways))
        strict = [w for w in ways if w.encrypts]
        root.write(
            "etc/postfix/tls",
            "".join(f"[{w.host}]:587 secure match=nexthop\n{w.domain(MX)} verify\n" for w in strict),
        )
        # Not `postfix start`: its script wants a whole system around it.
        self._process: subprocess.Popen[bytes] = root.begin("/usr/lib/postfix/sbin/master", "-c", "/etc/postfix", "-d")
        wait_until_it_answers(harbour.near, self)

    def stop(self) -> None:
        self._root.end(self._process)

    def log(self) -> str:
        path = self._root.path / "var/log/postfix.log"
        return path.read_text(errors="replace") if path.exists() else ""


_EXIM = """
exim_user = Debian-exim
exim_group = Debian-exim
spool_directory = /var/spool/exim4
log_file_path = /var/log/exim4/%slog
keep_environment =
primary_hostname = {name}
local_interfaces = {near}
daemon_smtp_ports = 25
acl_smtp_rcpt = rcpt
host_lookup =
rfc1413_query_timeout = 0s
tls_advertise_hosts =
smtp_accept_max = 0
smtp_accept_queue_per_connection = 0
queue_run_max = 8
remote_max_parallel = 4
delay_warning = {warn_after}s : 1h
delay_warning_condition = yes

begin acl
rcpt:
  accept

begin routers
smarthost:
  driver = manualroute
  domains = lsearch;/etc/smarthosts
  route_data = ${{lookup{{$domain}}lsearch{{/etc/smarthosts}}}} byname
  host_find_failed = defer
  transport = ${{lookup{{$domain}}lsearch{{/etc/strict}}{{smarthost_strict}}{{\
    ${{lookup{{$domain}}lsearch{{/etc/must}}{{smarthost_must}}{{smarthost}}}}}}}}
  no_more
remote:
  driver = dnslookup
  transport = ${{lookup{{$domain}}lsearch{{/etc/strict}}{{smtp_strict}}{{smtp}}}}
  self = fail
  no_more

begin transports
smarthost:
  driver = smtp
  port = 587
  hosts_try_auth = *
{limits}
smarthost_must:
  driver = smtp
  port = 587
  hosts_require_auth = *
{limits}
smarthost_strict:
  driver = smtp
  port = 587
  hosts_require_auth = *
{limits}{strict}
smtp:
  driver = smtp
{limits}
smtp_strict:
  driver = smtp
{limits}{strict}

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  client_send = ^{login}^{password}

begin retry
* * F,{lifetime}s,1s
"""
_LIMITS = """  connect_timeout = 2s
  command_timeout = 2s
  data_timeout = 2s
  final_timeout = 5s
  hosts_try_fastopen =
"""
_STRICT = """  hosts_require_tls = *
  tls_verify_certificates = /etc/ssl/certs/ca-certificates.crt
  tls_verify_hosts = *
  tls_verify_cert_hostnames = *
  tls_tempfail_tryclear = false
"""


class Exim:
    """As Debian sets it up for a smarthost (hosts_try_auth), and every second way with a login it insists on."""

    send = staticmethod(hand_in)

    def start(self, harbour: Harbour) -> None:
        self._root = root = harbour.root
        for name in ("var/spool/exim4", "var/log/exim4"):
            root.folder(name, "Debian-exim")
        ways = harbour.ways
        root.write("etc/smarthosts", "".join(f"{way.domain(RELAY)}: {way.host}\n" for way in ways))
        strict = [way.domain(side) for way in ways for side in (RELAY, MX) if way.encrypts]
        root.write("etc/strict", "".join(f"{domain}: yes\n" for domain in strict))
        root.write("etc/must", "".join(f"{way.domain(RELAY)}: yes\n" for way in ways if way.number % 2))
        root.write(
            "etc/exim.conf",
            _EXIM.format(
                name=NEAR, near=harbour.near, login=LOGIN, password=PASSWORD, limits=_LIMITS, strict=_STRICT,
                lifetime=LIFETIME, warn_after=WARN_AFTER,
            ),
        )  # fmt: skip

        self._process: subprocess.Popen[bytes] = root.begin("exim4", "-C", "/etc/exim.conf", "-bdf", "-q1s")
        wait_until_it_answers(harbour.near, self)

    def stop(self) -> None:
        self._root.end(self._process)

    def log(self) -> str:
        files = [*sorted((self._root.path / "var/log/exim4").glob("*log")), self._root.path / "said"]
        return "".join(path.read_text(errors="replace") for path in files if path.exists())
