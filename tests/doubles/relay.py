"""An SMTP relay on loopback that takes the logins Amazon SES would take: the Active keys of moto's IAM, derived.

    with RelayDouble(folder) as relay:
        check_login(login, relay.starttls)       # or relay.tls, TLS from the first byte
        relay.lag = 2                            # a key made from now on is refused twice first, as IAM's are
        assert relay.attempts == [("AKIA...", 235)]

Runs in the test's process, because moto's keys are read there. Its certificate authority is made anew for each test;
`relay.ca_file` is what a client has to trust. Passwords are compared and never kept.
"""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from remediation.credentials import Relay, derive_smtp_password

Mode = Literal[
    "normal",
    "blocked",  # 535 whatever the password: too many failures from this address
    "closed",  # a refusal instead of a greeting
    "no-auth",  # no login offered
    "login-only",  # AUTH LOGIN and nothing else, as some Exchange servers have it
    "put-off",  # 454
    "no-starttls",
    "chatty",  # refuses, and repeats what it was told
]
Keys = Callable[[], Iterable[tuple[str, str]]]
"""(access key id, secret access key) of every Active key."""


def moto_keys() -> list[tuple[str, str]]:
    """The Active keys of every IAM user in moto, which has to run in this process."""
    from moto.iam.models import iam_backends

    users = iam_backends["123456789012"]["aws"].users.values()
    return [
        (key.access_key_id, key.secret_access_key)
        for user in users
        for key in user.access_keys
        if key.status == "Active"
    ]


class RelayDouble:
    """Two ports of 127.0.0.1: one begins in the clear with STARTTLS, one speaks TLS from the first byte."""

    def __init__(
        self,
        folder: Path,
        *,
        region: str = "us-east-1",
        keys: Keys = moto_keys,
        names: tuple[str, ...] = ("localhost",),
    ) -> None:
        self.region = region
        self.mode: Mode = "normal"
        self.attempts: list[tuple[str, int]] = []
        """(user name, reply code) of every login tried."""
        self.mails: list[Envelope] = []
        self.senders: set[str] | None = None
        """The addresses mail is taken from; None: any."""
        self._keys = keys
        self._lag = 0
        self._refusals_left: dict[str, int] = {}
        self.ca_file, self._chain = make_certificates(folder, names)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._servers: list[asyncio.Server] = []
        self._ports: list[int] = []

    @property
    def starttls(self) -> Relay:
        """The port that begins in the clear, with the certificate to trust."""
        return Relay("localhost", self._ports[0], "starttls", self.ca_file)

    @property
    def tls(self) -> Relay:
        """The port with TLS from the first byte."""
        return Relay("localhost", self._ports[1], "ssl", self.ca_file)

    @property
    def lag(self) -> int:
        """How often a key that is made from now on is refused before it is known everywhere."""
        return self._lag

    @lag.setter
    def lag(self, times: int) -> None:
        self._refusals_left = {key_id: 0 for key_id, _ in self._keys()}
        self._lag = times

    def accepts(self, username: str) -> bool:
        """Whether somebody who knows the password could log in with this key now."""
        return any(key_id == username for key_id, _ in self._keys())

    def __enter__(self) -> RelayDouble:
        self._thread.start()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._chain)
        for implicit in (False, True):
            listening = socket.create_server(("127.0.0.1", 0))
            self._ports.append(listening.getsockname()[1])
            made = self._run(
                self._loop.create_server(
                    lambda implicit=implicit: self._connection(context, implicit),
                    sock=listening,
                    ssl=context if implicit else None,
                )
            )
            self._servers.append(made)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _stop(self) -> None:
        for server in self._servers:
            server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError, Exception):
                await task
        await asyncio.sleep(0)

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=10)

    def _connection(self, context: ssl.SSLContext, implicit: bool) -> SMTP:
        with_starttls = not implicit and self.mode != "no-starttls"
        return _Connection(
            self,
            hostname="localhost",
            ident="double",
            authenticator=self._authenticate,
            auth_required=not implicit,  # aiosmtpd knows no "required, and already encrypted"
            auth_require_tls=not implicit,
            auth_exclude_mechanism={"no-auth": ["PLAIN", "LOGIN"], "login-only": ["PLAIN"]}.get(self.mode),
            tls_context=context if with_starttls else None,
            require_starttls=with_starttls,
            loop=self._loop,
        )

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: LoginPassword
    ) -> AuthResult:
        username, password = login.login.decode(), login.password.decode()
        reply = self._reply(username, password)
        self.attempts.append((username, 235 if reply is None else int(reply[:3])))
        return AuthResult(success=True) if reply is None else AuthResult(success=False, handled=False, message=reply)

    def _reply(self, username: str, password: str) -> str | None:
        """What a login is refused with; None: it is taken."""
        if self.mode == "blocked":
            return "535 5.7.0 Too many authentication failures"
        if self.mode == "put-off":
            return "454 Temporary authentication failure"
        if self.mode == "chatty":
            return f"535 I do not know {username} with password {password}"
        secrets = dict(self._keys())
        if username not in secrets or derive_smtp_password(secrets[username], self.region) != password:
            return "535 Authentication Credentials Invalid"
        if self._refusals_left.setdefault(username, self._lag) > 0:
            self._refusals_left[username] -= 1
            return "535 Authentication Credentials Invalid"
        return None

    # What aiosmtpd asks its handler

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.senders is not None and address not in self.senders:
            return f"553 5.7.1 <{address}>: Sender address rejected: not owned by user"
        envelope.mail_from = address
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.mails.append(envelope)
        return "250 Ok 0100019abcdef012-01234567-89ab-cdef-0123-456789abcdef-000000"


class _Connection(SMTP):
    def __init__(self, relay: RelayDouble, **named: Any) -> None:
        super().__init__(relay, **named)
        self._greets = relay.mode == "closed"

    async def push(self, status: Any) -> None:
        if self._greets:
            self._greets = False
            await super().push("554 5.7.1 Your network is not welcome here")
            assert self.transport is not None
            self.transport.close()
            return
        await super().push(status)


def make_certificates(folder: Path, names: tuple[str, ...]) -> tuple[Path, Path]:
    """An authority of our own and a certificate by it: (the file to trust, the server's key and certificate)."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    now = datetime.datetime.now(datetime.UTC)

    def build(subject: str, issuer: str, key: Any, signer: Any, is_authority: bool) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        if not is_authority:
            alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
            alternatives.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        return builder.sign(signer, hashes.SHA256())

    authority_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = build("Test CA", "Test CA", authority_key, authority_key, True)
    server = build(names[0], "Test CA", server_key, authority_key, False)
    pem = serialization.Encoding.PEM
    ca_file, chain = folder / "ca.pem", folder / "relay.pem"
    ca_file.write_bytes(authority.public_bytes(pem))
    chain.write_bytes(
        server_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + server.public_bytes(pem)
    )
    return ca_file, chain
