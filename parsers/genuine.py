"""Judges whether a mail that calls itself a bounce comes from who it says.

Looks only at what the receiving Gmail stamped on top; what stands below that, or inside the returned mail, is text an
attacker can write. Whether the returned mail was ours is a question for the mailbox, not for this module.
Source: RFC 8601 (Authentication-Results), section 5 on trust boundaries.
"""

from __future__ import annotations

import re

from parsers.facts import Authenticity
from parsers.mime import Headers, address

TRUSTED_AUTHSERV_ID = "mx.google.com"

# Senders whose every mail is signed, so that a missing pass is a finding and not a gap.
_ALWAYS_SIGNED = ("googlemail.com", "google.com", "gmail.com")
_RESULT = re.compile(r"\b(dkim|spf|dmarc)=(\w+)", re.IGNORECASE)
_SIGNER = re.compile(r"\bdkim=pass\b[^;]{0,200}?header\.[id]=@?([\w.-]+)", re.IGNORECASE)
_FROM = re.compile(r"header\.from=([\w.-]+)", re.IGNORECASE)


def authenticity(headers: Headers, claims_gmail: bool = False) -> Authenticity:
    """Judge the headers of a bounce: pass and fail need evidence, everything else is unknown.

    `claims_gmail` says that the mail has the form of a notice only Gmail writes, whatever its From address.
    """
    sender = (address(headers.raw("from")) or "").rpartition("@")[2].lower()
    if claims_gmail and sender not in _ALWAYS_SIGNED:
        return Authenticity("fail", f"has the form of a Gmail notice, but comes from {sender or 'no address at all'}")
    stamped = headers.raw("authentication-results")
    if stamped is None:
        return Authenticity(
            "unknown", "no Authentication-Results: the mail was not received by Gmail, or is a local file"
        )
    if stamped.partition(";")[0].strip().lower() != TRUSTED_AUTHSERV_ID:
        return Authenticity("unknown", "the Authentication-Results on top are not Gmail's own")
    results = {name.lower(): result.lower() for name, result in reversed(_RESULT.findall(stamped))}
    signers = [domain.lower() for domain in _SIGNER.findall(stamped)]
    signed_by = next(
        (d for d in signers if sender and (sender == d or sender.endswith("." + d) or d.endswith("." + sender))), None
    )
    if results.get("dmarc") == "fail":
        return Authenticity("fail", f"DMARC fails for {sender or 'its From address'}")
    if sender in _ALWAYS_SIGNED:
        if signed_by and results.get("dmarc") in ("pass", None):
            return Authenticity("pass", f"signed by {signed_by} (DKIM pass)")
        return Authenticity("fail", f"says it comes from {sender}, but carries no valid signature of {sender}")
    if signed_by:
        return Authenticity("pass", f"signed by {signed_by} (DKIM pass)")
    if results.get("dmarc") == "pass":
        return Authenticity("pass", f"DMARC pass for {sender}")
    return_path = address(headers.raw("return-path"))
    if return_path and _is_outsider(return_path, sender):
        return Authenticity("fail", f"a bounce has an empty Return-Path; this one has {return_path}")
    if results.get("spf") == "pass":
        return Authenticity("pass", "SPF pass for the server that sent it")
    return Authenticity("unknown", "neither DKIM nor SPF speaks for it")


def _is_outsider(return_path: str, sender: str) -> bool:
    """Whether a non-empty Return-Path belongs to a domain other than the From address.

    QUIRK(SNS, list software, some gateways): honest reports with a Return-Path of their own domain exist.
    """
    domain = return_path.rpartition("@")[2].lower()
    shorter, longer = sorted((domain, sender), key=len)
    return not (longer == shorter or longer.endswith("." + shorter))
