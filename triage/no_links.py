"""Makes a stranger's words unlinkable: what mail programs, chats and browsers turn into a link by themselves is broken.

Pure. Gmail makes `evil.example/x`, `www.evil.example` and `https:evil` clickable wherever they stand, also in code and
in plain text, so nothing a bounce brought in may leave for a note, an alert or a report with its dots and colons whole.
They are broken so that people still read them, `https[:]//evil[.]example`, and so that a command still runs.

An e-mail address stays as it is, because it is what the owner came for: the most a click on it opens is an empty mail.
Words of our own are not for this module; within a fix they are recognised, for a fix has both in one sentence.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache

from remediation import load_causes
from remediation.suggest import clean

# A dot with a label after it that has a letter: what makes a domain. "5.1.1" has none. The other dots are those that
# become a plain one when a browser reads an international name (UTS 46), and when a program normalises text (NFKC).
_DOT = re.compile(r"(?<=[^\s.])[.。．｡․﹒](?=[\w-]*[^\W\d_])")
_IPV4_DOT = re.compile(r"(?<![\w.])(\d{1,3}(?:\.\d{1,3}){2})\.(?=\d{1,3}(?!\w|\.\d))")  # one is enough: 198.51.100[.]7
# The colon of a scheme. Not that of a time or a port: "10:05", "[192.0.2.1]:25".
_COLON = re.compile(r"(?<=[\w+.-])[:：﹕︓](?=[^\s\d])|(?<=[A-Za-z+.-])[:：﹕︓](?=\d)|[:：﹕︓](?=[/\\／＼])")
_ENCODED = re.compile(r"%(?=2[5EeFf]|3[Aa]|40|5[Cc])")  # of % . / : @ and the backslash

_AROUND = "\"'<>()[]{},;:.!?“”‘’"
# Nothing but ASCII, and a letter, digit or the like right before the @: a program that takes fewer characters for an
# address than we do would make a link of the rest.
_ADDRESS = re.compile(
    r"\A(?![^@]*www\.)[a-z0-9_+=-]+(?:\.[a-z0-9_+=-]+)*@[a-z0-9-]+(?:\.[a-z0-9-]+)+", re.IGNORECASE | re.ASCII
)
_IPV6 = re.compile(r"\A(?=[0-9A-Fa-f:]*[0-9])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}")
_AMAZON = re.compile(
    r"(?:email-smtp|email-smtp-fips|feedback-smtp)\.(?:REGION|[a-z]{2}(?:-[a-z]{2,12}){1,2}-\d)"
    r"\.(?:amazonaws|amazonses)\.com(?:\.cn)?(?::\d{1,5})?"
)
# What Exchange calls its reasons; none of them ends as the name of a website can.
_REASON = re.compile(
    r"(?:RESOLVER|ROUTING|SMTPSEND|STOREDRV|TRANSPORT|QUEUE)(?:\.(?:ADR|RST|FWD|GRP|DNS|RULES|Deliver|Submit|Submission"
    r"|Exception|NotFound|RecipientNotFound|RecipNotFound|ExRecipNotFound|RecipLimit|RecipSizeLimit|SendSizeLimit"
    r"|Sender|InvalidInSmtp|InvalidAddress|BadPrimary|Ambiguous|NotAuthorized|AuthRequired|RejectMessage|MxLoopback"
    r"|RestrictedToRecipientsPermission|SenderNotAuthenticatedForMailbox|NonExistentDomain|Expired)){1,4}"
)
_PORT = re.compile(r":\d{1,5}\Z")
_HOST = re.compile(r"\A[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
# What may stand before a domain of our own: names below it, or the beginning of an address in it.
_BEFORE_OWN = re.compile(r"\A(?:(?:[a-z0-9_-]+\.)*|[a-z0-9_=:+-]*@)")
_IS_COMMAND = re.compile(r"\A[a-z]+ ")
_BLANK = re.compile(r"\{\w+\}")


def unlinked(text: str) -> str:
    """A stranger's text with nothing in it that a program would make a link of, but for an e-mail address.

    Also kept are the names of Amazon's mail servers, which nobody else can have, and Exchange's words for its reasons.

    Takes what `display.shown` or `suggest.clean` has made printable: an invisible character could hide a dot.
    """
    return "".join(part if number % 2 else _broken(part) for number, part in enumerate(_words(text)))


def told(value: object) -> str:
    """A stranger's value as it may stand in a line of ours: short, printable, without a link."""
    return unlinked(clean(value))


def unlinked_step(step: str, own: Collection[str] = ()) -> str:
    """A step of a fix, in which words of our catalogue and strangers' names stand side by side.

    Kept are, beside what `unlinked` keeps, links of the catalogue, and names in `own` (domains and hosts that are
    the owner's, for certain) with what lies below them. What stands between backticks and is a command still runs when
    it is copied: a shell reads `client.''example` as one word.
    """
    pieces = step.split("`")
    has_code = len(pieces) % 2 == 1
    mine = {name.lower() for name in own if _HOST.fullmatch(name)}
    done = []
    for number, piece in enumerate(pieces):
        is_command = has_code and number % 2 == 1 and _IS_COMMAND.match(piece) is not None
        words = _words(piece)
        words[::2] = [word if _is_ours(word, mine) else _broken(word, is_command=is_command) for word in words[::2]]
        done.append("".join(words))
    return "`".join(done)


def own_domain(address: str | None) -> str:
    """What lies behind the @, for the names in `own`; empty for what is no address."""
    return address.rpartition("@")[2] if address and _ADDRESS.fullmatch(address) else ""


def _words(text: str) -> list[str]:
    """Words and the space between them by turns."""
    return re.split(r"(\s+)", text)


def _broken(word: str, *, is_command: bool = False) -> str:
    bare = word.strip(_AROUND)
    if any(pattern.fullmatch(bare) for pattern in (_ADDRESS, _AMAZON, _REASON, _IPV6)):
        return word
    if is_command:
        word = _DOT.sub(lambda dot: f"{dot[0]}''", _IPV4_DOT.sub(r"\1.''", word))
        return _ENCODED.sub("%''", _COLON.sub(lambda colon: f"{colon[0]}''", word))
    return _ENCODED.sub("[%]", _COLON.sub("[:]", _DOT.sub("[.]", _IPV4_DOT.sub(r"\1[.]", word))))


def _is_ours(word: str, own: Collection[str]) -> bool:
    bare = word.strip(_AROUND).lower()
    host = _PORT.sub("", bare)
    return bare in _catalogue() or any(
        host.endswith(name) and _BEFORE_OWN.fullmatch(host[: -len(name)]) for name in own
    )


@cache
def _catalogue() -> frozenset[str]:
    """The words of every fix that stand there whole, without a value in them."""
    steps = (step.text.replace("`", " ") for cause in load_causes().values() for step in cause.steps)
    words = (word for step in steps for word in step.split() if not _BLANK.search(word))
    return frozenset(word.strip(_AROUND).lower() for word in words)
