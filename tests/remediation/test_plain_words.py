"""The fixes in the owner's words: first what she does, commands under the name of who types them, short sentences.

A linter over causes.toml; the last tests show that it would find what it looks for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from remediation import FOR_OTHERS, CatalogueError, Cause, is_for_others, load_causes, read_causes
from remediation.suggest import suggest

CAUSES = load_causes()
LONGEST_STEP = 290
"""Characters of a step of the owner's before its blanks are filled: three lines of a phone's mail program."""
MOST_WORDS = 32
"""Of a sentence; a path through menus counts as one word for each stop."""

# What nobody can be expected to know who only reads mail; each stands in the steps of those who do.
JARGON = re.compile(
    r"`|\b(CNAME|TXT|MX|PTR|A record|STARTTLS|SMTP AUTH|EHLO|RFC|NXDOMAIN|SERVFAIL|envelope|tenant|AccessKeyId|SigV2"
    r"|MessageId|API parameter|\w+Status|\w+Enabled|SendQuota|MaxSendRate|\d\.\d\.\d+)\b|\((mailbox-owner|aws-admin|dns"
    r"-admin|recipient-admin)\)"
)
# A condition says "If": not "It is:", "AWS did:", "You need more:", "Urgent:", nor a question that is none.
VEILED_IF = re.compile(
    r"(?:It|They|You|Your|Nothing|Not|None|No|Is|Are|Was|Does|Did|Do you|Somebody|Something|Written|Urgent|Missing|AWS"
    r"|Signed|Mailbox|Tenant|Reason|All|Today|Plain mails)\b[^.,]{0,70}[:?]"
)
# Every way a step's condition may turn out.
RECORDS: tuple[Mapping[str, Any], ...] = tuple(
    {
        "recipient": "pat@client.example",
        "remote_host": host,
        "platform": platform,
        "diagnostic": words,
        "original": {"path": path, "ses_message_id": ses_id, "from": "admin@queenofsandiego.com"},
    }
    for host in (
        None,
        "email-smtp.us-east-1.amazonaws.com",
        "smtp.office365.com",
        "smtp.gmail.com",
        "mx.client.example",
    )
    for platform in (None, "exchange", "google", "amazon-ses")
    for words in (None, "refused [192.0.2.7]")
    for path, ses_id in ((None, None), ("gmail", None), ("ses-smtp", "0101"))
)


def own_steps(cause: Cause) -> list[str]:
    return [step.text for step in cause.steps if not is_for_others(step.text)]


def complaints(text: str) -> list[str]:
    """What is wrong with a step of the owner's."""
    bare = re.sub(r"`triage [^`]*`", "it", text)
    found = [f"a word to look up: {word[0]}" for word in JARGON.finditer(bare)]
    if VEILED_IF.match(text):
        found.append("a condition without If")
    if len(text) > LONGEST_STEP:
        found.append(f"{len(text)} characters")
    found += [
        f"{len(sentence.split())} words: {sentence}"
        for sentence in re.split(r"(?<=[.?!:;])\s", re.sub(r"\{\w+\}", "it", text))
        if len(re.sub(r" > ", " ", sentence).split()) > MOST_WORDS
    ]
    return found


@pytest.mark.parametrize("id_", CAUSES)
def test_an_owner_can_read_her_steps(id_: str) -> None:
    for text in own_steps(CAUSES[id_]):
        assert complaints(text) == [], text


@pytest.mark.parametrize("id_", CAUSES)
@pytest.mark.parametrize("kind", ["failed", "delayed"])
def test_the_first_step_is_the_owners_whatever_is_known(id_: str, kind: str) -> None:
    for record in RECORDS:
        steps = suggest({**record, "cause": id_, "kind": kind})
        assert steps
        assert not is_for_others(steps[0]), record


@pytest.mark.parametrize("id_", CAUSES)
def test_a_command_stands_under_the_name_of_who_types_it(id_: str) -> None:
    for step in CAUSES[id_].steps:
        if re.search(r"`(?:aws|dig|nc|openssl|Set-|Get-)", step.text):
            assert is_for_others(step.text), step.text


@pytest.mark.parametrize("id_", CAUSES)
def test_no_title_and_no_meaning_names_an_actor_by_his_code(id_: str) -> None:
    words = " ".join([CAUSES[id_].title, CAUSES[id_].meaning, *CAUSES[id_].fix])
    assert not re.search(r"\((mailbox-owner|aws-admin|dns-admin|recipient-admin|sender|nobody)\)", words)


def test_every_name_of_a_reader_is_used() -> None:
    steps = [step.text for cause in CAUSES.values() for step in cause.steps]
    assert {name for name, words in FOR_OTHERS.items() if any(step.startswith(words) for step in steps)} == set(
        FOR_OTHERS
    )


def test_an_unknown_reader_is_refused() -> None:
    toml = """[causes.x]
title = "T"
meaning = "M."
side = "own"
actor = "nobody"
permanence = "depends"
reason = "undefined"
fix = [{ for = "awz", text = "Do." }]
links = ["https://support.google.com/"]
"""
    with pytest.raises(CatalogueError, match="unknown for 'awz', did you mean 'aws'"):
        read_causes(toml)
    assert read_causes(toml.replace("awz", "aws"))["x"].fix == ("For whoever looks after AWS: Do.",)


@pytest.mark.parametrize(
    "text",
    [
        "See it: `dig +short MX {recipient_domain}`.",
        "It is: the fault is theirs.",
        "You need more: ask for it.",
        "Does the domain exist? Look.",
        "AWS did: read the mail.",
        "Publish the three CNAME records.",
        "The next move is yours (mailbox-owner).",
        "Click " + "and click " * 40,
        "This is a sentence " + "with words " * 20,
    ],
)
def test_the_linter_finds_what_it_looks_for(text: str) -> None:
    assert complaints(text)
