"""The words of `reason`: Sisimai's, so that other tools can read our output, and which of them mean the same thing.

A reason follows from the cause of a failure. A rule may name a finer word for what it read, but only one of the same
family: two words that say the same thing, one of them more exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Reason(NamedTuple):
    """What a word of Sisimai stands for. https://libsisimai.org/en/reason/"""

    meaning: str
    since_5_6: str | None = None
    """The word of Sisimai 5.6 (February 2026) and later where it is another one. Ours stays: it tells more."""


REASONS: Mapping[str, Reason] = MappingProxyType(
    {
        "authfailure": Reason("the mail cannot prove its sender by SPF, DKIM or DMARC"),
        "badreputation": Reason("the sending address or domain has a bad name at this provider"),
        "blocked": Reason("the sending host was turned away by its address or name, or asked to come back"),
        "contenterror": Reason("something in the header or the body is not taken"),
        "delivered": Reason("no failure: delivered"),
        "exceedlimit": Reason("bigger than this mailbox takes", "emailtoolarge"),
        "expired": Reason("tried until the time was up, or no answer in time"),
        "failedstarttls": Reason("no encrypted connection"),
        "feedback": Reason("the recipient complained"),
        "filtered": Reason("the server took the address and refused it after DATA, or by the recipient's own filter"),
        "hasmoved": Reason("the recipient has another address"),
        "hostunknown": Reason("there is no such domain"),
        "mailboxfull": Reason("the mailbox is full"),
        "mailererror": Reason("a program that delivers on the last machine failed"),
        "mesgtoobig": Reason("bigger than the server takes", "emailtoolarge"),
        "networkerror": Reason("no way to the server: look-up, route, connection or a loop"),
        "norelaying": Reason("the server is not responsible for the address"),
        "notaccept": Reason("the domain or host takes no mail at all"),
        "notcompliantrfc": Reason("the mail is not built as the standard demands"),
        "onhold": Reason("a server said something, and nothing that names a reason"),
        "policyviolation": Reason("against a rule of the recipient's side"),
        "rejected": Reason("refused because of the sender's address"),
        "requireptr": Reason("the sending host has no proper name"),
        "securityerror": Reason("not without a login, a right or encryption"),
        "spamdetected": Reason("taken for spam"),
        "speeding": Reason("too many mails in a while", "ratelimited"),
        "suppressed": Reason("the sending service keeps the address on a list and did not send"),
        "suspend": Reason("the mailbox exists and is switched off"),
        "syntaxerror": Reason("the two servers misunderstood a command"),
        "systemerror": Reason("the server has a problem of its own"),
        "systemfull": Reason("the server, not one mailbox, is full"),
        "toomanyconn": Reason("too many connections or recipients at once", "ratelimited"),
        "undefined": Reason("nothing says why"),
        "userunknown": Reason("there is nobody of this name"),
        "vacation": Reason("no failure: an answer written by a machine"),
        "virusdetected": Reason("a virus was found"),
    }
)

FAMILIES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "nobody of this name": frozenset({"userunknown", "filtered"}),
        "the domain was not found": frozenset({"hostunknown", "networkerror"}),
        "the domain takes no mail": frozenset({"notaccept", "hostunknown"}),
        "no way to the server": frozenset({"networkerror", "expired"}),
        "the host it came from": frozenset({"blocked", "badreputation", "requireptr"}),
        "the sender, or a sender without login": frozenset({"rejected", "securityerror"}),
        "a rule": frozenset({"policyviolation", "securityerror"}),
        "what the mail holds": frozenset({"contenterror", "policyviolation", "virusdetected"}),
        "too big": frozenset({"mesgtoobig", "exceedlimit"}),
        "too fast": frozenset({"toomanyconn", "speeding"}),
        "not passed on, or not without login": frozenset({"norelaying", "securityerror"}),
        "encryption": frozenset({"failedstarttls", "securityerror"}),
        "trouble at the server": frozenset({"systemerror", "mailererror", "systemfull"}),
        "nothing understood": frozenset({"undefined", "onhold"}),
    }
)
"""What several words say together -> these words. A word in no family has no finer one."""


def is_finer(reason: str, of_cause: str) -> bool:
    """Whether a rule may say `reason` where the cause's own word is `of_cause`: the same word, or one of its family."""
    return reason == of_cause or any({reason, of_cause} <= family for family in FAMILIES.values())
