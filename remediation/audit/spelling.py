"""Whether a domain is one slip of a finger away from a mailbox provider everybody knows. Pure.

The table is ours: the domains the large providers give mailboxes under, as their sign-up pages name them (November
2026). A domain that is missing only costs a question. No library: those that suggest domains (mailcheck and its kin)
had their last releases years ago, and one slip is told by a dozen lines; a ratio as difflib's also takes two for one.
"""

from __future__ import annotations

_NAMES = """
gmail.com googlemail.com
outlook.com outlook.fr outlook.de outlook.es hotmail.com hotmail.co.uk hotmail.fr hotmail.it hotmail.es hotmail.de
live.com live.co.uk live.fr live.nl msn.com
yahoo.com yahoo.co.uk yahoo.fr yahoo.de yahoo.it yahoo.es yahoo.ca yahoo.co.in yahoo.co.jp yahoo.com.br yahoo.com.au
ymail.com rocketmail.com aol.com
icloud.com me.com mac.com
proton.me protonmail.com pm.me tuta.com tutanota.com fastmail.com zoho.com hey.com
gmx.com gmx.net gmx.de gmx.at gmx.ch web.de t-online.de freenet.de mail.com email.com mail.de posteo.de mailbox.org
comcast.net verizon.net att.net sbcglobal.net bellsouth.net cox.net charter.net earthlink.net
btinternet.com sky.com virginmedia.com talktalk.net
orange.fr wanadoo.fr free.fr laposte.net sfr.fr libero.it tiscali.it virgilio.it alice.it
telenet.be skynet.be ziggo.nl kpnmail.nl bluewin.ch
yandex.ru yandex.com mail.ru rambler.ru bk.ru inbox.ru list.ru
qq.com 163.com 126.com sina.com naver.com hanmail.net daum.net rediffmail.com
uol.com.br bol.com.br terra.com.br bigpond.com optusnet.com.au shaw.ca rogers.com sympatico.ca
"""
BIG_DOMAINS = frozenset(_NAMES.split())
_SHORTEST = 5
"""Letters before the first dot: of a shorter name too many others are a letter away."""


def meant_instead(domain: str) -> str | None:
    """The well-known domain this one is a slip of; None: it is one itself, or of none, or of several."""
    if domain in BIG_DOMAINS:
        return None
    near = sorted(big for big in BIG_DOMAINS if len(big.partition(".")[0]) >= _SHORTEST and _is_one_slip(domain, big))
    return near[0] if len(near) == 1 else None


def _is_one_slip(typed: str, meant: str) -> bool:
    """Whether one letter was left out, put in, exchanged, or two neighbours swapped."""
    if abs(len(typed) - len(meant)) > 1:
        return False
    start = next((n for n, (a, b) in enumerate(zip(typed, meant, strict=False)) if a != b), min(len(typed), len(meant)))
    rest, other = typed[start:], meant[start:]
    return (
        rest[1:] == other
        or rest == other[1:]
        or rest[1:] == other[1:]
        or (rest[:2] == other[1::-1] and rest[2:] == other[2:] and len(other) >= 2)
    )
