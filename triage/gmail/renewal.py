"""What Google says about a sign-in when it gives or renews it: what is allowed, and until when.

Pure but for reading the token file. Sends nothing; keeps no token.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from triage.own_files import read_plain

ENDS_AT = "refresh_token_ends_at"
"""Our own key in the token file."""
MOST_SECONDS = 10**9
"""No token lives longer: thirty years."""


@dataclass(frozen=True, slots=True)
class RenewedSignIn:
    """What Google said when it renewed the sign-in."""

    scopes: tuple[str, ...]
    """The permissions granted; empty where the answer does not name them."""
    ends_at: datetime | None
    """When Google will end the sign-in whatever happens; None: it names no end."""
    google_time: datetime | None
    """Google's clock at that moment, aware; None: the answer does not tell."""


def read_renewal(headers: Mapping[str, str], body: bytes, now: datetime) -> RenewedSignIn | None:
    """What an answer of the token endpoint says; None where it is no success. `headers` have lower-case names."""
    try:
        answer = json.loads(body)
        scope = str(answer.get("scope") or "")
        if "access_token" not in answer:
            return None
    except (ValueError, AttributeError):
        return None
    try:
        google_time = parsedate_to_datetime(headers["date"]) if headers.get("date") else None
    except ValueError:
        google_time = None
    return RenewedSignIn(tuple(scope.split()), ends_at(answer, now), google_time)


def is_token(body: bytes) -> bool:
    """Whether a success of the token endpoint is one (RFC 6749 5.1): a JSON object with a token and a usable life."""
    try:
        answer = json.loads(body)
        return (
            isinstance(answer["access_token"], str)
            and bool(answer["access_token"])
            and 0 <= int(answer.get("expires_in") or 0) < MOST_SECONDS
            and isinstance(answer.get("refresh_token") or "", str)
            and isinstance(answer.get("scope") or "", str)
        )
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError):
        return False


def is_refusal(body: bytes) -> bool:
    """Whether a refusal of the token endpoint can be read as one (RFC 6749 5.2): a JSON object, or no JSON at all."""
    try:
        return isinstance(json.loads(body), dict)
    except UnicodeDecodeError:
        return False
    except ValueError:
        return True  # the library takes a page for what it is
    except RecursionError:
        return False


def ends_at(answer: Mapping[str, Any], now: datetime) -> datetime | None:
    """When Google ends a sign-in, by an answer of its token endpoint; None: it names no end."""
    # Not in Google's reference, but in every answer to an app in status Testing: "refresh_token_expires_in": 604799.
    seconds = answer.get("refresh_token_expires_in")
    return now + timedelta(seconds=seconds) if isinstance(seconds, int) and 0 < seconds < MOST_SECONDS else None


def sign_in_ends_at(path: Path) -> datetime | None:
    """When Google ends the saved sign-in, as far as it ever said so; None: it did not, or the file cannot be read."""
    try:
        return datetime.fromisoformat(json.loads(read_plain(path)[0])[ENDS_AT])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
