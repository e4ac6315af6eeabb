"""Facts made by hand, for tests of the judgement alone."""

from __future__ import annotations

from typing import Any

from parsers.facts import Authenticity, Bounce, Failure, Genuine, Original
from parsers.smtp_reply import innermost_reply, read_reply
from triage.judging.verdict import Verdict, classify

ROW = """
[[rule]]
id = "no-room"
cause = "mailbox-full"
text = "no room"
source = "RFC 3463 3.3"
examples = ["452 4.2.2 no room for pat"]
"""
"""A rule as its file has it."""


def failure(text: str | None = None, **facts: Any) -> Failure:
    """A failure as the parsers make it from a diagnostic; `facts` are added or win."""
    reply = innermost_reply(text) or read_reply(text) if text else None
    inner = innermost_reply(text) if text else None
    made = Failure(
        "failed",
        "pat@client.example",
        status=reply.status if reply else None,
        reply_code=reply.code if reply else None,
        diagnostic=text,
        inner=inner.text if inner else None,
    )
    return made._replace(**facts)


def bounce(*failures: Failure, genuine: Genuine = "pass", **facts: Any) -> Bounce:
    made = Bounce("delivery-status", "postfix", failures, Original(), Authenticity(genuine, "made by hand"))
    return made._replace(**facts)


def judge(one: Failure, **facts: Any) -> Verdict:
    (verdict,) = classify(bounce(one, **facts), "a.eml")
    return verdict
