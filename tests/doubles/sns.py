"""SNS as far as its signatures go: a made key, its certificate, and the address it is fetched from."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from remediation.aws.client import NotLookedUp

CERTIFICATE_URL = "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem"
VALID = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


@cache
def _key(number: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@dataclass
class SnsDouble:
    """Signs as SNS does. Another `number`: another key, as a stranger has one."""

    number: int = 0
    asked: list[str] = field(default_factory=list)
    """The addresses certificates were asked for."""
    away: bool = False

    def certificate(self) -> bytes:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
        key = _key(self.number)
        builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), *VALID)
        return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def fetch(self, url: str) -> bytes | NotLookedUp | None:
        """What stands at an address: the certificate at its own, nothing elsewhere."""
        self.asked.append(url)
        if self.away:
            return NotLookedUp("the certificate of SNS", "SNS could not be reached", "unreachable")
        return self.certificate() if url == CERTIFICATE_URL else None

    def sign(self, envelope: str, version: str = "2") -> str:
        """The envelope with a signature. What is signed is put together here anew, by AWS's documentation."""
        values: dict[str, Any] = json.loads(envelope)
        text = "".join(f"{name}\n{values[name]}\n" for name in sorted(values))
        algorithm = hashes.SHA256() if version == "2" else hashes.SHA1()
        signature = _key(self.number).sign(text.encode(), padding.PKCS1v15(), algorithm)
        signed: Mapping[str, Any] = {
            **values,
            "SignatureVersion": version,
            "Signature": b64encode(signature).decode(),
            "SigningCertURL": CERTIFICATE_URL,
            "UnsubscribeURL": "https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe",
        }
        return json.dumps(signed)
