"""Judges whether a mail that calls itself a bounce comes from who it says.

Looks only at what the receiving Gmail stamped on top; what stands below that, or inside another mail, is text a
stranger can write. `pass` means that the domain in From vouches for the mail, and no more: anybody has a domain.
Whether the mail it reports on was ours is a question for the mailbox, not for this module.
Sources: RFC 8601 sections 5 and 7 (whom to believe), RFC 7489 3.1 (alignment).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from parsers.facts import Authenticity
from parsers.genuine.auth_results import MethodResult, read_field, values_of
from parsers.genuine.domains import is_domain, is_same_organization
from parsers.genuine.from_field import author
from parsers.mime import Headers, address
from parsers.text import domain_part, one_line

TRUSTED_AUTHSERV_ID = "mx.google.com"
GMAILS_ADDRESS = "mailer-daemon@googlemail.com"
GMAILS_DOMAIN = "googlemail.com"

# Domains whose every mail is signed, so that a missing pass is a finding and not a gap.
_ALWAYS_SIGNED = (GMAILS_DOMAIN, "google.com", "gmail.com")
# Sign for their regions too (us-west-2.amazonses.com); told here, because the list of public suffixes costs time.
_SIGN_FOR_REGIONS = ("amazonses.com", "amazonaws.com")


class _Form(NamedTuple):
    """A form of mail that only one system writes, and the addresses or @domains it writes from."""

    name: str
    senders: tuple[str, ...]


_FORMS = {
    "gmail-notice": _Form("a Gmail notice", (GMAILS_ADDRESS, "mailer-daemon@google.com", "mailer-daemon@gmail.com")),
    "ses-notification": _Form("a mail of Amazon SNS", ("@sns.amazonaws.com", "@amazonaws.com")),
}

_NOT_STAMPED = "no Authentication-Results: the mail was not received by Gmail, or is a local file"
MAX_HOP = 2048
"""Characters of a Received field that is looked at; a longer one is not Gmail's."""
_TAKEN = " by mx.google.com with "
# QUIRK(Gmail): a mail fetched from another mailbox has "with POP3" here, and below it whatever lay in that mailbox.
_BY_SMTP = ("SMTP ", "SMTPS ", "ESMTP ", "ESMTPS ")
_INSIDE_GMAIL = re.compile(r"by (?:2002:[0-9a-f:]+|10\.[0-9.]+) with SMTP ")
# HELO is the sender's word; the name in the brackets is what Gmail found for the address.
_PLAIN_HELO = re.compile(r"from [A-Za-z0-9._:\[\]-]+ \(")
_PLAIN_SENDER = re.compile(r"<?[A-Za-z0-9!#$%&'*+/=?^_`{|}~.@:-]*>?")
_FROM_GOOGLE = re.compile(r"from [^ ]+ \([a-z0-9-]+\.google\.com\.? \[[0-9A-Fa-f.:]+\]\) by ")


class _Findings(NamedTuple):
    """What there is in Gmail's results."""

    signers: Sequence[str]
    """The domains of the valid signatures, in the order they stand."""
    passes: bool = False
    """DMARC, as is `fails`."""
    fails: bool = False
    judged: str | None = None
    """The domain DMARC was checked for (header.from, RFC 7489 11.1); it may be the one above, which has the policy."""
    doubt: str | None = None
    """Why none of it is to be believed; None where it may be."""


def authenticity(headers: Headers, reader: str | None = None) -> Authenticity:
    """Judge the headers of a bounce: pass and fail need evidence, everything else is unknown.

    `reader` is the one that understood the mail: what has the form of a mail that only one system writes must come from
    there, with that system's signature.
    """
    field = headers.raw("authentication-results")
    form = _FORMS.get(reader or "")
    if field is None and form is None:
        return Authenticity("unknown", _NOT_STAMPED)
    sender = author(headers)
    if form is not None and not _is_one_of(sender, form.senders):
        shown = sender or one_line((headers.raw("from") or "")[:100]) or "no address at all"
        return Authenticity("fail", f"has the form of {form.name}, but comes from {shown}")
    if field is None:
        return Authenticity("unknown", _NOT_STAMPED)
    server, results = read_field(field)
    if server != TRUSTED_AUTHSERV_ID:
        return Authenticity("unknown", "the Authentication-Results on top are not Gmail's own")
    found = _findings(field, results)
    if found.fails:
        return Authenticity("fail", f"DMARC fails for {sender.rpartition('@')[2] if sender else 'its From address'}")
    hops = headers.all_above("received", "authentication-results")
    if not all(map(_is_gmails, hops)):
        return Authenticity("unknown", "the Authentication-Results stand below a Received that Gmail did not write")
    if not _is_plain_envelope(headers, hops):
        found = found._replace(
            doubt="the envelope sender or the HELO name could end Gmail's words and go on with its own"
        )
    return _judge(headers, sender or "", found, hops, must_be_signed=form is not None)


def _judge(headers: Headers, sender: str, found: _Findings, hops: Sequence[str], must_be_signed: bool) -> Authenticity:
    """Judge by what Gmail found."""
    domain = sender.rpartition("@")[2]
    doubt = found.doubt or _doubt(headers, domain, found.judged)
    if doubt is not None:
        is_imitation = must_be_signed or _names_google(headers) or _outside_return_path(headers) is not None
        return Authenticity("fail" if is_imitation else "unknown", doubt)
    signer = next((other for other in found.signers if _vouches(other, domain)), None)
    if signer is None and (must_be_signed or domain in _ALWAYS_SIGNED):
        return Authenticity("fail", f"says it comes from {domain}, but carries no valid signature of {domain}")
    has_dmarc = found.passes and found.judged == domain
    if signer is None and not has_dmarc:
        signer = next((other for other in found.signers if is_same_organization(other, domain)), None)
    if signer is not None:
        by_gmail = sender == GMAILS_ADDRESS and bool(hops) and _is_from_google(hops[-1])
        return Authenticity("pass", f"signed by {signer} (DKIM pass)", signer, by_gmail)
    if has_dmarc:
        return Authenticity("pass", f"DMARC pass for {domain}")
    return_path = _outside_return_path(headers)
    if return_path is not None:
        return Authenticity("fail", f"a bounce has an empty Return-Path; this one has {return_path}")
    return Authenticity("unknown", f"neither DKIM nor DMARC speaks for {domain}, and SPF says nothing about a From")


def second_hand(outer: Headers, inner: Authenticity) -> Authenticity:
    """What is left of the authenticity of a bounce that came inside another mail: no pass, and a fail stays one."""
    if inner.result == "fail":
        return Authenticity("fail", inner.why)
    field = outer.raw("authentication-results") or ""
    server, results = read_field(field)
    if server == TRUSTED_AUTHSERV_ID and _findings(field, results).fails:
        return Authenticity("fail", "arrived as an attachment of a mail that fails DMARC")
    return Authenticity("unknown", "arrived as an attachment of another mail, so nothing proves that it is unchanged")


def _is_one_of(sender: str | None, senders: tuple[str, ...]) -> bool:
    return sender is not None and (sender in senders or sender[sender.rfind("@") :] in senders)


def _names_google(headers: Headers) -> bool:
    """Whether a domain whose every mail is signed stands anywhere in From, where it may be taken for the author's."""
    shown = " ".join(headers.all("from"))[:4096].lower()
    return any("@" + domain in shown for domain in _ALWAYS_SIGNED)


def _doubt(headers: Headers, domain: str, judged: str | None) -> str | None:
    """Why the results prove nothing about this From, in words; None where they may."""
    if not domain:
        count = len(headers.all("from"))
        return f"it has {count} From fields" if count > 1 else "its From cannot be read as one address and no other"
    if judged is not None and judged != domain and not domain.endswith("." + judged):  # the policy of the one above
        return f"DMARC was checked for another From than {domain}"
    return None


def _findings(field: str, results: Sequence[MethodResult] | None) -> _Findings:
    """What Gmail's results say; in a field that cannot be read, the words "dmarc=fail" count wherever they stand."""
    if results is None:
        why = "the Authentication-Results cannot be read without doubt: something in them breaks the grammar"
        return _Findings((), fails="dmarc=fail" in field.lower(), doubt=why)
    signers, dmarc, judged, spf = [], [], None, 0
    for method, result, properties in results:
        if method == "spf":
            spf += 1
        elif method == "dmarc":
            dmarc.append(result)
            judged = (values_of(properties).get("header.from") or "").lower() or None
        elif method == "dkim" and result == "pass":
            signer = _signer(values_of(properties))
            if signer is not None:
                signers.append(signer)
    if spf > 1 or len(dmarc) > 1:
        why = "the Authentication-Results hold two answers to one question"
        return _Findings((), fails="fail" in dmarc, doubt=why)
    return _Findings(signers, dmarc == ["pass"], dmarc == ["fail"], judged)


def _signer(values: dict[str, str | None]) -> str | None:
    """The domain of a valid signature: d=, and i= at or below it (RFC 6376 3.5); None where that is not plain."""
    signer = values.get("header.d", "")
    if "header.i" in values:
        local, at, identity = (values["header.i"] or "").rpartition("@")
        signer = signer or identity
        if not at or "@" in local or not f".{identity}".lower().endswith(f".{signer}".lower()):
            return None
    signer = (signer or "").lower()
    return signer if is_domain(signer) else None


def _vouches(signer: str, domain: str) -> bool:
    """Whether a signer speaks for a From domain beyond doubt: the same, or Amazon for its regions."""
    return signer == domain or (signer in _SIGN_FOR_REGIONS and domain.endswith(f".{signer}"))


def _is_gmails(hop: str) -> bool:
    """Whether a Received field is one that Gmail writes: the server that took the mail, or one behind it."""
    if len(hop) > MAX_HOP:
        return False
    if hop.startswith("by "):
        return _INSIDE_GMAIL.match(hop) is not None
    # A HELO name may pretend to be the rest of the field: then it says twice by whom the mail was taken.
    is_plain = hop.startswith("from ") and hop.count(" by ") == 1 and "\t" not in hop
    return is_plain and hop.partition(_TAKEN)[2].startswith(_BY_SMTP)


def _is_plain_envelope(headers: Headers, hops: Sequence[str]) -> bool:
    """Whether the sender's words that Gmail repeats inside the results cannot break out of them.

    How Gmail quotes an odd one there is not known; but it repeats them here, too, and honest ones are plain.
    """
    sender = headers.raw("return-path")
    if sender is not None and (len(sender) > MAX_HOP or _PLAIN_SENDER.fullmatch(sender) is None):
        return False
    return not hops or hops[-1].startswith("by ") or _PLAIN_HELO.match(hops[-1]) is not None


def _is_from_google(hop: str) -> bool:
    """Whether Gmail took the mail from a server of Google's own: not forwarded, not sent again by somebody else."""
    return _FROM_GOOGLE.match(hop) is not None


def _outside_return_path(headers: Headers) -> str | None:
    """A Return-Path whose domain is another than that of From, for showing; None where it is empty or its own.

    QUIRK(SNS, list software, some gateways): honest reports with a Return-Path of their own domain exist.
    """
    return_path = address(headers.raw("return-path"))
    if return_path is None:
        return None
    domains = (return_path, address(headers.raw("from")) or "")
    shorter, longer = sorted((domain_part(found) or "" for found in domains), key=len)
    return None if longer == shorter or longer.endswith("." + shorter) else one_line(return_path[:100])
