"""A Postfix that takes mail as a provider does, on encrypted submission with a login (RFC 6409), and delivers it.

Every mail passes a host that signs it (DKIM), as a provider would; it lies in maildirs as Postfix received it.
"""

from __future__ import annotations

import asyncio
import base64
import pwd
import shutil
import smtplib
import socketserver
import threading
import time
from pathlib import Path

import dkim
from aiosmtpd.smtp import SMTP, Envelope, Session
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.doubles.relay import make_certificates
from tests.real_mta.postfix import OWNER, Postfix
from tests.real_mta.world import World, free_port

PEOPLE = ("pat@client.example", "kim@client.example", "boss@client.example")
"""Who has a mailbox; everybody else of client.example does not."""
DOMAIN, SELECTOR = "queenofsandiego.com", "harbour"
USER, PASSWORD = "outbox", "gulls-42-harbour"
_LISTENER = """
127.0.0.1:{port} inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt
  -o smtpd_tls_chain_files={chain}
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_sasl_type=dovecot
  -o smtpd_sasl_path=inet:127.0.0.1:{sasl}
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
  -o content_filter=smtp:[{signer}]:{far_port}
"""


class Signer:
    """Signs what Postfix hands it, and hands it back for delivery. The hooks of aiosmtpd."""

    def __init__(self, world: World) -> None:
        self._world = world
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem, der = serialization.Encoding.PEM, serialization.Encoding.DER
        self._key = key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
        public = key.public_key().public_bytes(der, serialization.PublicFormat.SubjectPublicKeyInfo)
        self._record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)

    def hand_over(self, raw: bytes, sender: str, recipients: list[str]) -> None:
        """Sign a mail and let Postfix deliver it."""
        signature = dkim.sign(raw, SELECTOR.encode(), DOMAIN.encode(), self._key)
        options = [] if raw.isascii() else ["BODY=8BITMIME"]
        with smtplib.SMTP(self._world.near, self._world.port, local_hostname="signer.example", timeout=60) as client:
            client.sendmail(sender, recipients, signature + raw, options)

    def is_intact(self, raw: bytes) -> bool:
        """Whether a mail as received carries the signature, and it holds."""
        return bool(dkim.verify(raw, dnsfunc=self._answer))

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.original_content
        assert isinstance(content, bytes)
        await asyncio.to_thread(self.hand_over, content, envelope.mail_from or "", envelope.rcpt_tos)
        return "250 2.0.0 Ok: signed"

    def _answer(self, name: bytes, timeout: int = 5) -> bytes | None:
        return self._record if name.rstrip(b".") == f"{SELECTOR}._domainkey.{DOMAIN}".encode() else None


class SubmissionPostfix(Postfix):
    """`port` of localhost takes mail from who knows USER and PASSWORD; `ca_file` says whom to trust there."""

    def start(self, world: World) -> None:
        self._world = world
        self.signer = Signer(world)
        self.port = free_port("127.0.0.1")
        self._logins = _Logins()
        self.ca_file, self._chain = make_certificates(world.folder, ("localhost",))
        self._mail = world.folder / "mail"
        self._mail.mkdir()
        shutil.chown(self._mail, OWNER)
        self._signing_ip = world.far(9)
        world.listen(self._signing_ip, "signer.example", self.signer)
        super().start(world)

    def stop(self) -> None:
        super().stop()
        self._logins.stop()

    def received(self, address: str, count: int = 1, seconds: float = 30) -> list[bytes]:
        """The mails in the maildir of an address, with line ends as on the wire, as soon as there are so many."""
        until = time.monotonic() + seconds
        while True:
            found = sorted((self._mail / address.partition("@")[0] / "new").glob("*"))
            if len(found) >= count or time.monotonic() > until:
                return [path.read_bytes().replace(b"\n", b"\r\n") for path in found]
            time.sleep(0.05)

    def bounces(self, count: int = 1, seconds: float = 30) -> list[bytes]:
        """What came back to the sender, as soon as there is so much."""
        until = time.monotonic() + seconds
        while len(self._world.arrived) < count and time.monotonic() < until:
            time.sleep(0.05)
        return self._world.arrived

    def _parts(self, world: World, conf: Path) -> str:
        (conf / "boxes").write_text("".join(f"{address} {address.partition('@')[0]}/\n" for address in PEOPLE))
        listener = _LISTENER.format(
            port=self.port, chain=self._chain, sasl=self._logins.port, signer=self._signing_ip, far_port=world.port
        )
        return super()._parts(world, conf) + listener.lstrip("\n")

    def _settings(self, world: World) -> dict[str, str]:
        owner = pwd.getpwnam(OWNER)
        return super()._settings(world) | {
            "message_size_limit": "60000000",
            "virtual_mailbox_domains": "client.example",
            "virtual_mailbox_maps": f"texthash:{self._folder}/conf/boxes",
            "virtual_mailbox_base": str(self._mail),
            "virtual_mailbox_limit": "0",
            "virtual_minimum_uid": "1",
            "virtual_uid_maps": f"static:{owner.pw_uid}",
            "virtual_gid_maps": f"static:{owner.pw_gid}",
            # An address without a mailbox is taken first, so that a bounce comes of it.
            "smtpd_reject_unlisted_recipient": "no",
        }


class _Logins:
    """Says who may log in, as Dovecot would: https://doc.dovecot.org/2.4.4/developers/design/auth_protocol.html"""

    def __init__(self) -> None:
        right = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()

        class Answer(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(b"VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t0\nDONE\n")
                for line in self.rfile:
                    word, *rest = line.decode().rstrip("\n").split("\t")
                    if word == "AUTH":
                        good = f"resp={right}" in rest
                        self.wfile.write(f"{'OK' if good else 'FAIL'}\t{rest[0]}\tuser={USER}\n".encode())

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
