"""Whether an SMTP server answers, encrypts and offers a login. Logs in nowhere, sends no mail, changes nothing.

A server that cannot be reached from here may well be reached from Gmail: that is "not known", not a fault.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from remediation.credentials import usual_security

SECONDS = 4.0

RelayAnswer = Literal[
    "offers-login",
    "no-login",  # reached and encrypted, but no login is offered
    "no-encryption",
    "bad-certificate",
    "unreachable",  # from here
]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What one SMTP server said."""

    host: str
    port: int
    outcome: RelayAnswer
    answered: str
    """One line."""


def probe(
    host: str,
    port: int,
    security: str | None = None,
    *,
    ca_file: Path | None = None,
    seconds: float | None = None,
) -> Endpoint:
    """Connect, encrypt, read what is offered, leave. Never raises.

    `security` is `ssl` or `starttls`, else what is usual at the port. The certificate must be one for `host`. `seconds`
    bounds each single wait; None: SECONDS.
    """
    seconds = SECONDS if seconds is None else seconds
    mode = security if security in ("ssl", "starttls") else usual_security(port)
    try:
        trust = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        connection = socket.create_connection((host, port), timeout=seconds)
        smtp = smtplib.SMTP()
        smtp.sock = connection
        try:
            return _spoken(smtp, host, port, mode, trust)
        finally:
            smtp.close()
            connection.close()
    except ssl.SSLCertVerificationError as error:
        return Endpoint(host, port, "bad-certificate", f"the certificate is not accepted: {error.verify_message}")
    except ssl.SSLError as error:
        return Endpoint(host, port, "no-encryption", f"no encrypted connection came about ({error.reason or 'SSL'})")
    except socket.gaierror:
        return Endpoint(host, port, "unreachable", "this computer cannot find the host")
    except TimeoutError:
        return Endpoint(host, port, "unreachable", f"no answer within {seconds:g} seconds")
    except (OSError, smtplib.SMTPException, EOFError, UnicodeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        return Endpoint(host, port, "unreachable", reason or f"the connection ended early ({type(error).__name__})")


def _spoken(smtp: smtplib.SMTP, host: str, port: int, mode: str, trust: ssl.SSLContext) -> Endpoint:
    smtp._host = host  # type: ignore[attr-defined]  # the name starttls checks the certificate against
    if mode == "ssl":
        smtp.sock = trust.wrap_socket(smtp.sock, server_hostname=host)  # type: ignore[arg-type]
    code, _ = smtp.getreply()
    if code != 220:
        return Endpoint(host, port, "unreachable", f"greets with {code}")
    smtp.ehlo()
    if mode != "ssl":
        if not smtp.has_extn("starttls"):
            return Endpoint(host, port, "no-encryption", "does not offer STARTTLS")
        smtp.starttls(context=trust)
        smtp.ehlo()
    offered = smtp.esmtp_features.get("auth", "").split()
    smtp.docmd("QUIT")
    if not offered:
        return Endpoint(host, port, "no-login", "reached and encrypted, but AUTH is not offered")
    return Endpoint(host, port, "offers-login", f"encrypted ({mode}), AUTH {' '.join(offered)[:60]}")
