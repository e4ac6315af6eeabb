"""Whether SNS signed a message, by the certificate SNS shows for that.

https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html. Code of our own, because the libraries
for it had their last releases in 2022 or before, and `cryptography`, which does the work, is there for Google's sake.
A signature says that a message is as SNS sent it, never whose topic it came from: everybody may have one.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from parsers.times import moment_from
from remediation.aws.client import NotLookedUp
from remediation.deadline import within

CERTIFICATE_SECONDS = 5.0
MOST_CERTIFICATES = 4
"""How many addresses are asked for in one go: SNS has one certificate for each region, and a stranger may name many."""

_SIGNED = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
"""What is signed of a notification, in this order; a subject only where there is one."""
_OF_ITSELF = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
"""The same of what SNS says of a subscription."""
_KINDS = {"Notification": _SIGNED, "SubscriptionConfirmation": _OF_ITSELF, "UnsubscribeConfirmation": _OF_ITSELF}
_ENVELOPE = frozenset((*_SIGNED, *_OF_ITSELF, "Signature", "SignatureVersion", "SigningCertURL"))
# Only SNS's own hosts, so that nobody else's certificate is ever asked for.
_CERTIFICATE = re.compile(r"https://sns\.[a-z0-9-]+\.amazonaws\.(?:com(?:\.cn)?|eu)/[A-Za-z0-9._-]+\.pem")
_MOST_BYTES = 64_000
_WHAT = "the certificate of SNS"

Fetch = Callable[[str], bytes | NotLookedUp | None]


@dataclass(frozen=True, slots=True)
class NotSigned:
    """Why a message is not what SNS signed."""

    why: str


@dataclass(slots=True)
class Certificates:
    """The certificates that were fetched, each once; also that one could not be had, or is not there."""

    fetch: Fetch = field(default_factory=lambda: fetch_certificate)
    known: dict[str, bytes | NotLookedUp | None] = field(default_factory=dict)

    def of(self, url: str) -> bytes | NotLookedUp | None:
        """The certificate at an address that was checked; None: SNS says there is none."""
        if url not in self.known:
            if len(self.known) >= MOST_CERTIFICATES:
                return NotLookedUp(_WHAT, "too many different ones are named; the next run goes on", "refused")
            self.known[url] = self.fetch(url)
        return self.known[url]


def fetch_certificate(url: str) -> bytes | NotLookedUp | None:
    """Fetch a certificate; None where SNS says there is none. Follows nobody elsewhere, and never raises."""
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import HTTPRedirectHandler, build_opener

    class Stay(HTTPRedirectHandler):
        def redirect_request(self, *_: Any, **__: Any) -> None:
            return None

    assert _CERTIFICATE.fullmatch(url)
    try:
        with within(2 * CERTIFICATE_SECONDS), build_opener(Stay).open(url, timeout=CERTIFICATE_SECONDS) as answer:
            return bytes(answer.read(_MOST_BYTES))
    except HTTPError as error:
        if error.code < 500 and error.code != 429:
            return None
        return NotLookedUp(_WHAT, f"SNS could not give it ({error.code})", "failed")
    except (OSError, HTTPException, ValueError) as error:
        return NotLookedUp(_WHAT, f"SNS could not be reached ({type(error).__name__})", "unreachable")


def check_signature(envelope: Mapping[str, Any], certificates: Certificates) -> NotSigned | NotLookedUp | None:
    """Whether SNS signed this message; None: it did. NotLookedUp: that cannot be told now."""
    if envelope.get("Type") not in _KINDS:
        return NotSigned("it is no notification")
    url, version = envelope.get("SigningCertURL"), envelope.get("SignatureVersion")
    if not isinstance(url, str) or not _CERTIFICATE.fullmatch(url):
        return NotSigned("its certificate is not at an address of SNS")
    if version not in ("1", "2"):
        return NotSigned("its signature is of a version SNS does not have")
    try:
        signature = b64decode(str(envelope.get("Signature")), validate=True)
        text = signed_text(envelope)
        sent_at = moment_from(str(envelope.get("Timestamp")))
    except (TypeError, ValueError):
        return NotSigned("its signature cannot be read")
    certificate = certificates.of(url)
    if isinstance(certificate, NotLookedUp):
        return certificate
    if certificate is None:
        return NotSigned("SNS has no certificate at the address it names")
    return _verified(certificate, signature, text, version, sent_at)


def envelope_fields(document: Any) -> Any:
    """A message with the fields of SNS's envelope alone, where it is in one; any other as it is.

    The signature covers these. Whoever has one signed envelope can write an event of his own beside them.
    """
    if not isinstance(document, Mapping) or "TopicArn" not in document:
        return document
    return {name: document[name] for name in _ENVELOPE if name in document}


def signed_text(envelope: Mapping[str, Any]) -> bytes:
    """What SNS signs of a message: names and values, each in a line. TypeError for a value that is no text."""
    lines = []
    for name in _KINDS[str(envelope["Type"])]:
        value = envelope.get(name)
        if value is None and name == "Subject":
            continue
        if not isinstance(value, str):
            raise TypeError(name)
        lines += [name, value]
    return "".join(f"{line}\n" for line in lines).encode()


def _verified(pem: bytes, signature: bytes, text: bytes, version: str, sent_at: Any) -> NotSigned | None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.hashes import SHA1, SHA256
    from cryptography.x509 import load_pem_x509_certificate

    try:
        certificate = load_pem_x509_certificate(pem)
        key = certificate.public_key()
        is_valid = certificate.not_valid_before_utc <= sent_at <= certificate.not_valid_after_utc
    except Exception:  # whatever stands at that address
        return NotSigned("what SNS has at the address of its certificate is none")
    if not isinstance(key, RSAPublicKey) or not is_valid:
        return NotSigned("its certificate was not good when it was sent")
    try:
        # Version 1 is SNS's choice, not ours: SHA-1 of a text that an attacker cannot choose both versions of.
        key.verify(signature, text, PKCS1v15(), SHA256() if version == "2" else SHA1())  # noqa: S303
    except InvalidSignature:
        return NotSigned("its signature is not SNS's")
    return None
