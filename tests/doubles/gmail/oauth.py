"""Google's OAuth endpoints for a desktop client: consent, code exchange with PKCE, refresh, expiry.

Consents by itself, so a scripted browser needs to open one address only. Knows nothing of mail.
Sources: developers.google.com/identity/protocols/oauth2/native-app, RFC 6749, RFC 7636, domain/gmail.md 3.2.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlencode

from tests.doubles.gmail.errors import no_credentials

JSON = dict[str, Any]
Form = dict[str, str]

GMAIL_MODIFY = "https://www.googleapis.com/auth/gmail.modify"
CLIENT_ID = "123456789012-double.apps.googleusercontent.com"
CLIENT_SECRET = "GOCSPX-not-a-secret-of-anyone"
LIFETIME = 3599
"""Seconds an access token lives, as Google says it in `expires_in`."""
SEVEN_DAYS = 604_799
"""Seconds a refresh token of an app in status Testing lives, as Google says it."""


@dataclass
class OAuth:
    """The tokens of one account and one client."""

    refresh_tokens: dict[str, list[str]] = field(default_factory=dict)
    """The scopes granted with each."""
    access_tokens: dict[str, tuple[list[str], float]] = field(default_factory=dict)
    """Scopes and end of each."""
    deny_consent: bool = False
    granted_scopes: list[str] | None = None
    """What the user ticks on the consent page; None grants all that is asked for."""
    is_testing: bool = False
    """The app is in status Testing: refresh tokens end after seven days, and every answer says so."""
    _codes: dict[str, tuple[Form, list[str]]] = field(default_factory=dict)
    _serial: int = 0

    def authorize(self, query: Form) -> str:
        """The address the browser is sent to after consent (or refusal)."""
        scopes = query["scope"].split() if self.granted_scopes is None else self.granted_scopes
        if self.deny_consent:
            answer = {"error": "access_denied"}
        else:
            answer = {"code": self._new("4/0Double"), "scope": " ".join(scopes)}
            self._codes[answer["code"]] = query, scopes
        return f"{query['redirect_uri']}?{urlencode({'state': query['state']} | answer)}"

    def token(self, form: Form, authorization: str | None, now: float) -> tuple[int, JSON]:
        """Answer the token endpoint: status and JSON. The client may name itself by Basic or in the form."""
        client = _basic(authorization) or (form.get("client_id"), form.get("client_secret"))
        if client != (CLIENT_ID, CLIENT_SECRET):
            return _refused("invalid_client", "The OAuth client was not found.", 401)
        answer = (self._refresh if form["grant_type"] == "refresh_token" else self._exchange)(form, now)
        if answer[0] == 200 and self.is_testing:
            answer[1]["refresh_token_expires_in"] = SEVEN_DAYS
        return answer

    def kill_refresh_tokens(self) -> None:
        """What a "Testing" app meets after seven days: invalid_grant; access tokens live on for their hour."""
        self.refresh_tokens.clear()

    def scopes_of(self, authorization: str | None, now: float) -> list[str]:
        """The scopes behind a Bearer header; raises the 401 Gmail gives for none, an unknown or an expired one."""
        scopes, ends_at = self.access_tokens.get((authorization or "").removeprefix("Bearer "), ([], 0.0))
        if ends_at <= now:
            raise no_credentials(authorization)
        return scopes

    def issue(self, scopes: list[str], now: float) -> tuple[str, str]:
        """A fresh (access token, refresh token) pair, as after a consent."""
        refresh = self._new("1//double")
        self.refresh_tokens[refresh] = scopes
        return self._access(scopes, now), refresh

    def _refresh(self, form: Form, now: float) -> tuple[int, JSON]:
        granted = self.refresh_tokens.get(form["refresh_token"])
        if granted is None:
            return _refused("invalid_grant", "Token has been expired or revoked.")
        scopes = form["scope"].split() if form.get("scope") else granted
        if not set(scopes) <= set(granted):
            return _refused("invalid_scope", "Bad Request")
        return 200, _granted(self._access(scopes, now), scopes)

    def _exchange(self, form: Form, now: float) -> tuple[int, JSON]:
        asked, scopes = self._codes.pop(form["code"], ({}, []))  # a code works once
        if not asked:
            return _refused("invalid_grant", "Malformed auth code.")
        if form["redirect_uri"] != asked["redirect_uri"]:
            return _refused("redirect_uri_mismatch", "Bad Request")
        if asked["code_challenge"] != _challenge(form.get("code_verifier", "")):
            return _refused("invalid_grant", "Invalid code verifier.")
        # Without both, Google gives a refresh token at the first consent only.
        is_lasting = (asked.get("access_type"), asked.get("prompt")) == ("offline", "consent")
        access, refresh = self.issue(scopes, now)
        return 200, _granted(access, scopes) | ({"refresh_token": refresh} if is_lasting else {})

    def _access(self, scopes: list[str], now: float) -> str:
        access = self._new("ya29.double")
        self.access_tokens[access] = scopes, now + LIFETIME
        return access

    def _new(self, prefix: str) -> str:
        self._serial += 1
        return f"{prefix}-{self._serial}"


def _granted(access: str, scopes: list[str]) -> JSON:
    return {"access_token": access, "expires_in": LIFETIME, "scope": " ".join(scopes), "token_type": "Bearer"}


def _refused(error: str, description: str, status: int = 400) -> tuple[int, JSON]:
    return status, {"error": error, "error_description": description}


def _basic(authorization: str | None) -> tuple[str, str] | None:
    if not authorization or not authorization.startswith("Basic "):
        return None
    user, _, password = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
    return unquote(user), unquote(password)


def _challenge(verifier: str) -> str:
    """RFC 7636 4.2, method S256."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
