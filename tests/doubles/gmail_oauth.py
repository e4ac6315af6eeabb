"""Google's OAuth endpoints for a desktop client: consent, code exchange with PKCE, refresh, revocation, expiry.

Consents by itself, so a scripted browser needs to open one address only. Knows nothing of mail.
Sources: developers.google.com/identity/protocols/oauth2/native-app, RFC 6749, RFC 7636, domain/gmail.md 3.2.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from urllib.parse import unquote, urlencode, urlsplit

from tests.doubles.gmail_errors import JSON, invalid_credentials, login_required

GMAIL_MODIFY = "https://www.googleapis.com/auth/gmail.modify"
CLIENT_ID = "123456789012-double.apps.googleusercontent.com"
CLIENT_SECRET = "GOCSPX-not-a-secret-of-anyone"
LIFETIME = 3599
"""Seconds an access token lives, as Google says it in `expires_in`."""

SEVEN_DAYS = 604_799
"""Seconds a refresh token of an app in status Testing lives, as Google says it."""

Form = dict[str, str]


@dataclass
class OAuth:
    """The tokens of one account and one client."""

    refresh_tokens: dict[str, JSON] = field(default_factory=dict)
    access_tokens: dict[str, JSON] = field(default_factory=dict)
    codes: dict[str, JSON] = field(default_factory=dict)
    serial: int = 0
    deny_consent: bool = False
    granted_scopes: list[str] | None = None
    """What the user ticks on the consent page; None grants all that is asked for."""
    is_testing: bool = False
    """The app is in status Testing: refresh tokens end after seven days, and every answer says so."""

    def authorize(self, query: Form) -> str:
        """The address the browser is sent to after consent (or refusal)."""
        back = {"state": query["state"]} if "state" in query else {}
        if self.deny_consent:
            return f"{query['redirect_uri']}?{urlencode(back | {'error': 'access_denied'})}"
        asked = query["scope"].split()
        scopes = asked if self.granted_scopes is None else self.granted_scopes
        offline = query.get("access_type") == "offline" and (
            query.get("prompt") == "consent" or not self.refresh_tokens  # without it only the first consent counts
        )
        code = self._new("4/0Double")
        self.codes[code] = {
            "redirect_uri": query["redirect_uri"],
            "challenge": query.get("code_challenge"),
            "method": query.get("code_challenge_method", "plain"),
            "scopes": scopes,
            "offline": offline,
        }
        return f"{query['redirect_uri']}?{urlencode(back | {'code': code, 'scope': ' '.join(scopes)})}"

    def token(self, form: Form, authorization: str | None, now: float) -> tuple[int, JSON]:
        """Answer the token endpoint: status and JSON. The client may name itself by Basic or in the form."""
        client = _basic(authorization) or (form.get("client_id"), form.get("client_secret"))
        if client != (CLIENT_ID, CLIENT_SECRET):
            return _refused("invalid_client", "The OAuth client was not found.", 401)
        match form.get("grant_type"):
            case "refresh_token":
                status, answer = self._refresh(form, now)
            case "authorization_code":
                status, answer = self._exchange(form, now)
            case other:
                return _refused("unsupported_grant_type", f"Invalid grant_type: {other}")
        ends = {"refresh_token_expires_in": SEVEN_DAYS} if self.is_testing and status == 200 else {}
        return status, answer | ends

    def revoke(self, token: str) -> tuple[int, JSON]:
        """Revoke a refresh token, or the one behind an access token, with all that came from it."""
        refresh = self.access_tokens.get(token, {}).get("refresh", token)
        if refresh not in self.refresh_tokens:
            return _refused("invalid_token", "Token expired or revoked")
        del self.refresh_tokens[refresh]
        self.access_tokens = {key: held for key, held in self.access_tokens.items() if held["refresh"] != refresh}
        return 200, {}

    def kill_refresh_tokens(self) -> None:
        """What a "Testing" app meets after seven days: invalid_grant; access tokens live on for their hour."""
        self.refresh_tokens.clear()

    def scopes_of(self, authorization: str | None, now: float) -> list[str]:
        """The scopes behind a Bearer header; raises the 401 Gmail gives for none, an unknown or an expired one."""
        if not authorization:
            raise login_required()
        held = self.access_tokens.get(authorization.removeprefix("Bearer ").strip())
        if held is None or held["expires_at"] <= now:
            raise invalid_credentials()
        return list(held["scopes"])

    def issue(self, scopes: list[str], now: float) -> tuple[str, str]:
        """A fresh (access token, refresh token) pair, as after a consent."""
        refresh = self._new("1//double")
        self.refresh_tokens[refresh] = {"scopes": scopes}
        return self._access(scopes, refresh, now), refresh

    def _refresh(self, form: Form, now: float) -> tuple[int, JSON]:
        refresh = form.get("refresh_token", "")
        held = self.refresh_tokens.get(refresh)
        if held is None:
            return _refused("invalid_grant", "Token has been expired or revoked.")
        scopes = form["scope"].split() if form.get("scope") else held["scopes"]
        if not set(scopes) <= set(held["scopes"]):
            return _refused("invalid_scope", "Bad Request")
        return 200, _granted(self._access(scopes, refresh, now), scopes)

    def _exchange(self, form: Form, now: float) -> tuple[int, JSON]:
        held = self.codes.pop(form.get("code", ""), None)  # a code works once
        if held is None:
            return _refused("invalid_grant", "Malformed auth code.")
        redirect_uri = form.get("redirect_uri", "")
        if redirect_uri != held["redirect_uri"] or not _is_loopback(redirect_uri):
            return _refused("redirect_uri_mismatch", "Bad Request")
        if held["challenge"] and held["challenge"] != _challenge(form.get("code_verifier", ""), held["method"]):
            return _refused("invalid_grant", "Invalid code verifier.")
        access, refresh = self.issue(held["scopes"], now)
        granted = _granted(access, held["scopes"])
        return 200, granted | ({"refresh_token": refresh} if held["offline"] else {})

    def _access(self, scopes: list[str], refresh: str, now: float) -> str:
        access = self._new("ya29.double")
        self.access_tokens[access] = {"scopes": scopes, "refresh": refresh, "expires_at": now + LIFETIME}
        return access

    def _new(self, prefix: str) -> str:
        self.serial += 1
        return f"{prefix}-{self.serial}"


def _granted(access: str, scopes: list[str]) -> JSON:
    return {"access_token": access, "expires_in": LIFETIME, "scope": " ".join(scopes), "token_type": "Bearer"}


def _refused(error: str, description: str, status: int = 400) -> tuple[int, JSON]:
    return status, {"error": error, "error_description": description}


def _basic(authorization: str | None) -> tuple[str, str] | None:
    if not authorization or not authorization.startswith("Basic "):
        return None
    user, _, password = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
    return unquote(user), unquote(password)


def _is_loopback(address: str) -> bool:
    return urlsplit(address).hostname in ("localhost", "127.0.0.1", "::1")


def _challenge(verifier: str, method: str) -> str:
    if method != "S256":
        return verifier
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
