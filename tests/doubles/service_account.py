"""Google's token endpoint for a service account with domain-wide delegation, in front of a Gmail double.

    with ServiceAccount(gmail) as account:
        key_file = account.write_key(folder)      # 0600, as downloaded
        gmail.account.delegation = True           # what the administrator allows

The signed request is verified with the account's own key: who signs, for whom, with which scopes.
Source: https://developers.google.com/identity/protocols/oauth2/service-account
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from tests.doubles.gmail import GmailDouble
from tests.doubles.loopback import Loopback, Reply, Request, json_reply

CLIENT_EMAIL = "alias-keeper@example.iam.gserviceaccount.com"
CLIENT_ID = "112233445566778899001"
AUDIENCE = "https://oauth2.googleapis.com/token"
"""Google's own address, whatever the key file names."""
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class ServiceAccount(Loopback):
    """One service account, which acts for the owner of one mailbox."""

    def __init__(self, gmail: GmailDouble) -> None:
        from cryptography.hazmat.primitives.asymmetric import rsa

        super().__init__(self._answer)
        self._gmail = gmail
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def write_key(self, folder: Path) -> Path:
        """The key file, readable by its owner only."""
        from cryptography.hazmat.primitives import serialization

        private = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path = folder / "service-account.json"
        info = {
            "type": "service_account",
            "project_id": "example",
            "private_key_id": "1",
            "private_key": private.decode(),
            "client_email": CLIENT_EMAIL,
            "client_id": CLIENT_ID,
            "token_uri": f"{self.url}/token",
        }
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            json.dump(info, file)
        return path

    def _answer(self, request: Request) -> Reply:
        form = {name: values[-1] for name, values in parse_qs(request.body.decode()).items()}
        claims = self._verified(form.get("assertion", ""))
        if form.get("grant_type") != GRANT or claims is None or claims.get("aud") != AUDIENCE:
            return json_reply(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
        if not self._gmail.account.delegation or claims.get("sub") != self._gmail.address:
            text = "Client is unauthorized to retrieve access tokens using this method."
            return json_reply(401, {"error": "unauthorized_client", "error_description": text})
        access, _ = self._gmail.oauth.issue(claims["scope"].split(), self._gmail.clock.now())
        return json_reply(200, {"access_token": access, "expires_in": 3599, "token_type": "Bearer"})

    def _verified(self, assertion: str) -> dict[str, Any] | None:
        import base64

        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        def decoded(text: str) -> bytes:
            return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

        head, _, rest = assertion.partition(".")
        body, _, signature = rest.partition(".")
        try:
            self._key.public_key().verify(
                decoded(signature), f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        except InvalidSignature:
            return None
        claims: dict[str, Any] = json.loads(decoded(body))
        return claims if claims.get("iss") == CLIENT_EMAIL else None
