"""Sendmail and OpenSMTPD with a smarthost for each way of failing, in roots of their own.

Settings: cf/README of sendmail (mailertable, authinfo, TLS_Srv), smtpd.conf(5) of OpenSMTPD 6.8.
"""

from __future__ import annotations

import subprocess
import threading

from tests.real_mta.relays.harbour import LOGIN, PASSWORD, Harbour, hand_in, wait_until_it_answers
from tests.real_mta.relays.ways import MX, RELAY
from tests.real_mta.scenarios import NEAR
from tests.real_mta.world import LIFETIME, WARN_AFTER

_MC = """divert(-1)
include(`/usr/share/sendmail/cf/m4/cf.m4')
divert(0)
OSTYPE(`linux')
define(`confDOMAIN_NAME', `{name}')
define(`confPID_FILE', `/var/run/sendmail.pid')
define(`STATUS_FILE', `/var/log/sendmail.st')
define(`confLOG_LEVEL', `14')
define(`confTO_QUEUERETURN', `{lifetime}s')
define(`confTO_QUEUEWARN', `{warn_after}s')
define(`confTO_CONNECT', `2s')
define(`confTO_INITIAL', `2s')
define(`confTO_HOSTSTATUS', `1s')
define(`confTO_IDENT', `0')
define(`confCACERT', `/etc/ssl/certs/ca-certificates.crt')
define(`confCACERT_PATH', `/etc/ssl/certs')
define(`confAUTH_OPTIONS', `A p')
define(`confAUTH_MECHANISMS', `PLAIN LOGIN')
define(`confDONT_PROBE_INTERFACES', `true')
define(`confPRIVACY_FLAGS', `')
define(`confREFUSE_LA', `500')
define(`confQUEUE_LA', `500')
define(`RELAY_MAILER_ARGS', `TCP $h 587')
FEATURE(`no_default_msa')
FEATURE(`nouucp', `reject')
FEATURE(`accept_unresolvable_domains')
FEATURE(`promiscuous_relay')
FEATURE(`mailertable', `hash -o /etc/mail/mailertable')
FEATURE(`access_db', `hash -T<TMPF> -o /etc/mail/access')
FEATURE(`authinfo', `hash -o /etc/mail/authinfo')
undefine(`ALIAS_FILE')
DAEMON_OPTIONS(`Name=MTA, Addr={near}, Port=25')
MAILER(`local')
MAILER(`smtp')
"""


class Sendmail:
    """A mailertable leads to the relays on 587; a login for every host that offers one."""

    send = staticmethod(hand_in)

    def start(self, harbour: Harbour) -> None:
        self._root = root = harbour.root
        root.folder("var/spool/mqueue", mode=0o700)
        root.folder("var/run")
        root.folder("etc/mail")
        root.write("etc/mail/local-host-names", f"{NEAR}\n")
        root.write(
            "etc/mail/sendmail.mc", _MC.format(name=NEAR, near=harbour.near, lifetime=LIFETIME, warn_after=WARN_AFTER)
        )
        # What it complains of is the comment at the top: who built it, and where.
        root.call("sh", "-c", "m4 /etc/mail/sendmail.mc > /etc/mail/sendmail.cf")
        ways = harbour.ways
        strict = [host for way in ways for host in (way.host, way.mx()) if way.encrypts]
        maps = {
            "mailertable": "".join(f"{way.domain(RELAY)}\trelay:[{way.host}]\n" for way in ways),
            "authinfo": f'AuthInfo:\t"U:{LOGIN}" "I:{LOGIN}" "P:{PASSWORD}"\n',
            "access": "".join(f"TLS_Srv:{host}\tVERIFY:112+CN:{host}\n" for host in strict),
        }
        for name, text in maps.items():
            root.call("/usr/libexec/sendmail/makemap", "hash", f"/etc/mail/{name}", given=text.encode())
        self._process: subprocess.Popen[bytes] = root.begin(
            "/usr/libexec/sendmail/sendmail", "-C", "/etc/mail/sendmail.cf", "-bD", "-q2s", "-X", "/var/log/session"
        )
        wait_until_it_answers(harbour.near, self)

    def stop(self) -> None:
        self._root.end(self._process)

    def log(self) -> str:
        path = self._root.path / "said"
        return path.read_text(errors="replace") if path.exists() else ""


class OpenSMTPD:
    """One action for each relay."""

    send = staticmethod(hand_in)

    def start(self, harbour: Harbour) -> None:
        self._root = root = harbour.root
        root.folder("var/lib/opensmtpd/empty")
        root.folder("var/empty")
        root.folder("run")
        root.folder("var/run")
        root.folder("var/spool")
        root.folder("var/spool/smtpd", mode=0o711)
        root.write("etc/logins", f"login {LOGIN}:{PASSWORD}\n", 0o640)
        lines = [
            "table logins file:/etc/logins",
            f"queue ttl {LIFETIME}s",
            f"bounce warn-interval {WARN_AFTER}s",
            f"listen on {harbour.near} port 25 hostname {NEAR}",
        ]
        for way in harbour.ways:
            # It logs in over TLS or not at all.
            where = (
                f'"smtp+tls://login@{way.host}:587" tls auth <logins>' if way.logs_in else f'"smtp://{way.host}:587"'
            )
            lines.append(f'action "{way.name}" relay host {where}')
            if way.encrypts:
                lines.append(f'action "mx-{way.name}" relay tls')
        lines.append('action "out" relay')
        for way in harbour.ways:
            lines.append(f'match from any for domain "{way.domain(RELAY)}" action "{way.name}"')
            if way.encrypts:
                lines.append(f'match from any for domain "{way.domain(MX)}" action "mx-{way.name}"')
        lines.append('match from any for any action "out"')
        root.write("etc/smtpd.conf", "\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] = root.begin("/usr/sbin/smtpd", "-d", "-v")
        wait_until_it_answers(harbour.near, self)
        self._done = threading.Event()
        # Its second attempt comes after minutes, however short the lifetime.
        self._pusher = threading.Thread(target=self._push, name="schedule", daemon=True)
        self._pusher.start()

    def stop(self) -> None:
        self._done.set()
        self._pusher.join(30)
        self._root.end(self._process)

    def log(self) -> str:
        path = self._root.path / "said"
        return path.read_text(errors="replace") if path.exists() else ""

    def _push(self) -> None:
        while not self._done.wait(2):
            self._root.call("smtpctl", "schedule", "all", check=False)
