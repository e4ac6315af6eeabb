"""Which parts of a refusal say why: the clause behind a general prefix, and what is said to be so, not only possible.

Works on a lower-case text and keeps the places of its words, so that evidence can be cut out of the text as written.
Knows words, and nothing of rules.
"""

from __future__ import annotations

import re

from parsers.text import lower_case

# A name says nothing: full@, spam@ and blocked@ are names of people and of tests.
_IN_BRACKETS = re.compile(r"(?<=<)[\w.+=-]{1,64}@")
_LETTERS = re.compile(r"[^\W_]")
# Postfix begins every refusal at RCPT with these words, whatever its restriction looked at; the clause behind says why.
_GENERAL = re.compile(
    r"\b(?:all )?recipient address(?:es)? rejected ?: ?(?=\W{0,3}[^\W\d_]{2})"
    r"|\brequested (?:mail )?action not taken: mailbox unavailable[.;:]? (?=[^\W\d_]{2})"
)
# Who asks the sender's server whether the sender exists quotes that server's answer, which is about nobody else.
_ASKS_FOR_SENDER = re.compile(
    r"\bsender address rejected: ?(?:undeliverable|unverifi)|\bsender verif(?:y|ication) fail"
    r"|\bcould not verify sender|\bsender call(?:out|back)"
)
_POSSIBLE = re.compile(r"\b(?:may|might|could)\b")
_SENTENCE = re.compile(r"(?:[^.;!?]|[.;!?](?!\s)){1,1000}[.;!?]?")


def without_names(lower: str, recipient: str | None) -> str:
    """The text, as long as before, with the names of the recipient and of addresses in brackets made meaningless."""
    if "@" not in lower:
        return lower
    local = recipient.lower().rpartition("@")[0] + "@" if recipient and "@" in recipient else "@"
    if len(local) > 1 and local in lower:
        lower = lower.replace(local, _meaningless(local))
    return _IN_BRACKETS.sub(lambda found: _meaningless(found[0]), lower) if "<" in lower else lower


def _meaningless(name: str) -> str:
    return _LETTERS.sub("x", name)


def end_of_general(lower: str) -> int:
    """Where the clause begins that stands behind a general prefix; 0 where there is none, or nothing behind it."""
    found = _GENERAL.search(lower) if "rejected" in lower or "not taken" in lower else None
    return found.end() if found is not None else 0


def asks_for_sender(text: str | None) -> bool:
    """Whether a refusal quotes what another server said of the sender."""
    lower = (text or "").lower()
    return "sender" in lower and _ASKS_FOR_SENDER.search(lower) is not None


def without_possibilities(lower: str) -> str:
    """The text with every sentence blanked out that says what may be, where it lists more than one possibility."""
    if len(_POSSIBLE.findall(lower)) < 2:
        return lower
    return _SENTENCE.sub(
        lambda found: " " * len(found[0]) if _POSSIBLE.search(found[0]) is not None else found[0], lower
    )


def is_possibility(phrase: str) -> bool:
    """Whether a phrase of a row says itself what may be: such a row has read the list."""
    return _POSSIBLE.search(phrase) is not None


def is_general(text: str) -> bool:
    """Whether words of a text were left out at the first reading, so that a status code may say more than they."""
    lower = lower_case(text)
    return end_of_general(lower) > 0 or len(_POSSIBLE.findall(lower)) > 1
