"""SES SMTP credentials: the password that follows from a secret access key, and the live test whether a login works.

Sends no mail and stores nothing. No secret leaves this module in a repr, an error text or a log line; what a server
says is shown only after every form of the password was taken out of it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from parsers.ses_hosts import looks_like_region, ses_region_of_host
from parsers.text import printable_line, shortened
from remediation.deadline import within

LOGIN_SECONDS = 15.0
"""The longest one attempt waits for any single answer."""

TLS_PORTS = frozenset({465, 2465})
"""TLS from the first byte; 25, 587 and 2587 begin in the clear (https://docs.aws.amazon.com/ses/ smtp-connect)."""

Security = Literal["starttls", "ssl"]
"""Gmail's words (`smtpMsa.securityMode`): begin in the clear and switch, or TLS from the first byte."""

Fault = Literal[
    "host",  # the name leads nowhere
    "connection",  # nobody answers, or this address is not let in
    "tls",  # no encryption, or a certificate that is not to be trusted
    "auth-not-offered",  # connected and encrypted, but no login is asked for
    "credential",  # user name or password are wrong, deleted, inactive, or of another region
    "identity",  # the login is good, and may not send from this address
    "relay",  # the server cannot say now
]

_MAX_REPLY = 200
_KEY_ID = re.compile(r"A[A-Z]IA[A-Z0-9]{16}")
_NO_ENDPOINT = frozenset({"af-south-1", "eu-south-1", "me-south-1", "ap-southeast-3"})


@dataclass(frozen=True, slots=True)
class Login:
    """A user name and password for SMTP."""

    username: str
    """The access key id."""
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Relay:
    """The server a login is for."""

    host: str
    port: int = 587
    security: Security = "starttls"
    ca_file: Path | None = None
    """Certificate authorities to trust instead of the system's own; None: the system's."""

    def trust(self) -> ssl.SSLContext:
        """What its certificate is held against. Raises OSError for a file that cannot be used (SSLError is one)."""
        return ssl.create_default_context(cafile=str(self.ca_file) if self.ca_file else None)


@dataclass(frozen=True, slots=True)
class LoginCheck:
    """What came of one login attempt: `fault` None means it worked."""

    fault: Fault | None
    why: str
    """One line, without any secret."""
    todo: str | None = None
    """What to do about it; None when it worked."""
    reply_code: int | None = None
    """The SMTP reply code that decided; None where none came."""
    will_pass: bool = False
    """Whether waiting may help without anybody doing anything."""

    @property
    def is_good(self) -> bool:
        """Whether the relay took the login."""
        return self.fault is None


def usual_security(port: int) -> Security:
    """How a connection to this port begins at SES."""
    return "ssl" if port in TLS_PORTS else "starttls"


def derive_smtp_password(secret_key: str, region: str) -> str:
    """The SES SMTP password of a secret access key, which differs from region to region.

    44 characters, the first always B (https://docs.aws.amazon.com/ses/latest/dg/smtp-credentials.html).
    """
    signature = f"AWS4{secret_key}".encode()
    for message in ("11111111", region, "ses", "aws4_request", "SendRawEmail"):
        signature = hmac.new(signature, message.encode(), hashlib.sha256).digest()
    return base64.b64encode(b"\x04" + signature).decode("ascii")


def secret_warnings(text: str) -> list[str]:
    """What looks wrong about an input that should be a secret access key (40 characters). Repeats none of it."""
    if not text.strip():
        return ["It is empty."]
    warnings = []
    if text != text.strip():
        warnings.append("It began or ended with a blank, which was left out.")
    text = text.strip()
    if text[0] in "\"'" or text[-1] in "\"'":
        warnings.append("It stands in quotes, which count as part of it.")
    if "=" in text.rstrip("=") or ":" in text:
        warnings.append("It holds more than the secret: give only what stands after the name.")
    elif text.startswith("ASIA") and _KEY_ID.fullmatch(text):
        warnings.append("It is the id of temporary credentials; these do not work for SMTP at all.")
    elif _KEY_ID.fullmatch(text):
        warnings.append("It is an access key id (that is the user name); the secret access key is wanted.")
    elif len(text) == 44 and text[0] in "AB" and re.fullmatch(r"[A-Za-z0-9+/]{43}[A-Za-z0-9+/=]", text):
        warnings.append("It is an SMTP password already; the secret access key it was made from is wanted.")
    elif len(text) > 100:
        warnings.append("It looks like a session token; the secret access key has 40 characters.")
    elif len(text) != 40:
        warnings.append(f"A secret access key has 40 characters, this has {len(text)}.")
    elif not re.fullmatch(r"[A-Za-z0-9+/]{40}", text):
        warnings.append("A secret access key has only letters, digits, + and /.")
    return warnings


def login_warnings(login: Login) -> list[str]:
    """What looks wrong about an SES SMTP user name and password. Repeats neither."""
    warnings = []
    if login.username.startswith("ASIA"):
        warnings.append("The user name is the id of temporary credentials; these do not work for SMTP.")
    elif not re.fullmatch(r"[A-Z0-9]{16,}", login.username):
        warnings.append("The user name is no access key id (AKIA and 16 more characters).")
    if len(login.password) == 40:
        warnings.append("The password has 40 characters: it is the secret access key, not yet the SMTP password.")
    elif len(login.password) != 44 or login.password[0] not in "AB":
        warnings.append("The password is none of SES: those have 44 characters and begin with B.")
    elif login.password[0] == "A":
        warnings.append("The password is of the kind made before 2019, which SES throttles.")
    return warnings


def region_warnings(region: str, host: str | None = None) -> list[str]:
    """What looks wrong about a region, and about using it with this SMTP host."""
    warnings = []
    if not looks_like_region(region):
        warnings.append("That is not what regions look like (us-east-1, eu-central-1).")
    elif region in _NO_ENDPOINT:
        warnings.append(f"SES was known to have no SMTP endpoint in {region}.")
    of_host = ses_region_of_host(host)
    if of_host and of_host != region:
        warnings.append(f"The host is in {of_host}, and a password made for {region} does not work there.")
    return warnings


def check_login(login: Login, relay: Relay, *, sender: str | None = None, seconds: float = LOGIN_SECONDS) -> LoginCheck:
    """Log in once on a connection of its own and leave; no mail is sent. Never raises.

    The certificate is always verified, and nothing is said before the connection is encrypted. With `sender` the relay
    is also asked whether it takes mail from that address (MAIL FROM, then RSET); SES itself answers that only when a
    mail is handed over, so its yes here says nothing about the identity.
    """
    try:
        trust = relay.trust()
    except (OSError, ssl.SSLError):
        return LoginCheck("tls", f"the CA file {relay.ca_file} cannot be used", "Name a PEM file, or leave it out.")
    try:
        with within(3 * seconds), connected(relay, trust, seconds) as smtp:
            return _logged_in(smtp, login, sender, relay)
    except ssl.SSLCertVerificationError as error:
        return LoginCheck(
            "tls",
            f"the certificate of {relay.host} is not accepted: {error.verify_message}",
            "Use the host name that stands in the certificate; check this computer's clock; for a relay of your own"
            " name its CA file.",
        )
    except ssl.SSLError as error:
        return LoginCheck(
            "tls",
            f"no encrypted connection to {relay.host}:{relay.port} came about ({error.reason or 'SSL error'})",
            "Use 587 with STARTTLS or 465 with TLS from the start; the other way round neither works.",
        )
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            return _unreachable(relay, "its name could not be looked up now")
        return LoginCheck("host", f"there is no host {relay.host}", "Check its spelling and the region in it.")
    except smtplib.SMTPNotSupportedError:
        return LoginCheck(
            "tls", f"{relay.host}:{relay.port} does not offer STARTTLS", "Use another port: 587, or 465 with TLS."
        )
    except smtplib.SMTPConnectError as error:
        return _not_let_in(relay, int(error.smtp_code), harmless(error.smtp_error, login))
    except smtplib.SMTPResponseException as error:
        return LoginCheck(
            "relay",
            f"{relay.host} answered {error.smtp_code} {harmless(error.smtp_error, login)}".rstrip(),
            "Try again later; if it stays, check that this is an SMTP server.",
            int(error.smtp_code),
            will_pass=400 <= int(error.smtp_code) < 500,
        )
    except TimeoutError:
        return _unreachable(relay, "it did not answer in time")
    except (smtplib.SMTPServerDisconnected, ConnectionError) as error:
        # smtplib makes a time-out a disconnection, with the time-out's words.
        is_late = "timed out" in str(error)
        return _unreachable(relay, "it did not answer in time" if is_late else "the connection was refused or closed")
    except (OSError, smtplib.SMTPException, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        return _unreachable(relay, reason or type(error).__name__)


@contextmanager
def connected(relay: Relay, trust: ssl.SSLContext, seconds: float) -> Iterator[smtplib.SMTP]:
    """A connection that is encrypted; however it ends, leaving it raises nothing.

    Raises OSError and what smtplib raises; SMTPNotSupportedError where the server does not offer STARTTLS.
    """
    smtp = _encrypted(relay, trust, seconds)
    try:
        yield smtp
    finally:
        with suppress(OSError, smtplib.SMTPException):
            smtp.quit()
        smtp.close()


def _encrypted(relay: Relay, trust: ssl.SSLContext, seconds: float) -> smtplib.SMTP:
    if relay.security == "ssl":
        smtp: smtplib.SMTP = smtplib.SMTP_SSL(relay.host, relay.port, timeout=seconds, context=trust)
    else:
        smtp = smtplib.SMTP(relay.host, relay.port, timeout=seconds)
    try:
        smtp.ehlo_or_helo_if_needed()
        if relay.security == "ssl":
            return smtp
        smtp.starttls(context=trust)
        smtp.ehlo()
    except BaseException:
        smtp.close()
        raise
    return smtp


def _logged_in(smtp: smtplib.SMTP, login: Login, sender: str | None, relay: Relay) -> LoginCheck:
    offered = smtp.esmtp_features.get("auth", "").upper().split()
    if not {"PLAIN", "LOGIN"} & set(offered):
        return LoginCheck(
            "auth-not-offered",
            f"{relay.host} offers no login" + (f" that we know ({' '.join(offered)[:60]})" if offered else ""),
            "Check host and port (SES: 587, 2587, 465, 2465); ask its operator whether logins from here are allowed.",
        )
    code, words = _authenticated(smtp, login, "PLAIN" if "PLAIN" in offered else "LOGIN")
    said = f"{code} {harmless(words, login)}".rstrip()
    if code != 235:
        return _refused(code, said, relay)
    if sender is not None:
        code, words = smtp.mail(sender)
        smtp.rset()
        if code != 250:
            return LoginCheck(
                "identity",
                f"the login is good, but mail from {sender} is refused: {code} {harmless(words, login)}".rstrip(),
                "Verify this address or its domain where the relay is run, and let the user send from it.",
                code,
                will_pass=400 <= code < 500,
            )
    return LoginCheck(None, f"{relay.host}:{relay.port} accepts the login ({said})", None, 235)


def _authenticated(smtp: smtplib.SMTP, login: Login, how: str) -> tuple[int, bytes]:
    """The answer to one login. Not smtplib.login(): that tries PLAIN and then LOGIN, two failures for one password."""

    def coded(text: str) -> str:
        return base64.b64encode(text.encode()).decode("ascii")

    if how == "PLAIN":
        return smtp.docmd("AUTH", f"PLAIN {coded(f'{chr(0)}{login.username}{chr(0)}{login.password}')}")
    answer = smtp.docmd("AUTH", "LOGIN")
    for secret in (login.username, login.password):
        if answer[0] != 334:  # it asks for nothing more
            break
        answer = smtp.docmd(coded(secret))
    return answer


def _refused(code: int, said: str, relay: Relay) -> LoginCheck:
    """What a refused AUTH means. A 535 does not prove a wrong password (domain: too many failures, blocked address)."""
    words = said.lower()
    if 400 <= code < 500:
        return LoginCheck("relay", f"{relay.host} puts the login off: {said}", "Try again later.", code, will_pass=True)
    if "not subscribed" in words:
        return LoginCheck("identity", f"the login is known, but: {said}", "Sign the account up for SES.", code)
    if any(word in words for word in ("too many", "blocked", "from your ip", "your address")):
        return LoginCheck(
            "connection",
            f"{relay.host} does not take logins from here now: {said}",
            "Wait, or ask its operator; the password may well be right, so do not change it because of this.",
            code,
        )
    if code == 534 or "not supported" in words or "disabled" in words or "mechanism" in words:
        return LoginCheck(
            "auth-not-offered", f"{relay.host} does not allow this kind of login: {said}", "Ask its operator.", code
        )
    if code == 535:
        return LoginCheck(
            "credential",
            f"{relay.host} refuses the login: {said}",
            "Check that the access key exists and is Active, that the password was derived and for this very region,"
            " and that it is no temporary key.",
            code,
        )
    return LoginCheck("relay", f"{relay.host} refuses the login: {said}", "Read its words.", code)


def _not_let_in(relay: Relay, code: int, said: str) -> LoginCheck:
    return LoginCheck(
        "connection",
        f"{relay.host} greets with a refusal: {code} {said}".rstrip(),
        "It does not let this network in, or has too many connections; wait, or ask its operator.",
        code,
        will_pass=400 <= code < 500,
    )


def _unreachable(relay: Relay, why: str) -> LoginCheck:
    return LoginCheck(
        "connection",
        f"{relay.host}:{relay.port} could not be reached: {why}",
        "Check the port, and whether a firewall or your provider blocks it (25 often is; try 587 or 2587).",
        will_pass=True,
    )


def harmless(words: bytes | str, login: Login) -> str:
    """A server's words as one short line, without anything we told it."""
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    for secret in _forms(login):
        text = text.replace(secret, "[hidden]")
    return shortened(printable_line(text), _MAX_REPLY)


def _forms(login: Login) -> list[str]:
    """The ways the password can come back to us, the longest first."""
    plain = base64.b64encode(f"\0{login.username}\0{login.password}".encode()).decode("ascii")
    alone = base64.b64encode(login.password.encode()).decode("ascii")
    return [form for form in (plain, plain.rstrip("="), alone, alone.rstrip("="), login.password) if form]
