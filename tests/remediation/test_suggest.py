"""Fix steps with real names: every value arrives, none of it can do harm, and nothing unknown breaks a sentence."""

import copy
import json
import re
import shlex
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation import load_causes
from remediation.suggest import MAX_VALUE, NO_NAMES, VALUES, Names, clean, cut, suggest

CAUSES = load_causes()

EXCHANGE: dict[str, Any] = {
    "source": "bounces/a.eml",
    "kind": "failed",
    "recipient": "pat@client.example",
    "original_recipient": None,
    "category": "exchange-rejection",
    "cause": "recipient-unknown",
    "side": "remote",
    "actor": "sender",
    "permanent": True,
    "reason": "userunknown",
    "status": "5.1.10",
    "reply_code": "550",
    "diagnostic": "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found [192.0.2.5]",
    "platform": "exchange-online",
    "remote_host": "client-example.mail.protection.outlook.com",
    "reported_by": "amazon-ses",
    "original": {
        "message_id": "0100018f6c5d2a10-1b2c3d4e-1111-4222-8333-123456789abc-000000@email.amazonses.com",
        "gmail_message_id": None,
        "ses_message_id": "0100018f6c5d2a10-1b2c3d4e-1111-4222-8333-123456789abc-000000",
        "ses_region": "us-west-2",
        "ses_id_source": "returned Message-ID",
        "sent_at": "2026-05-12T16:40:31Z",
        "from": "admin@queenofsandiego.com",
        "subject": "Your sail on Saturday",
        "path": "ses-api",
    },
    "genuine": "pass",
    "rule": "exchange-recipient-not-found",
    "evidence": "RESOLVER.ADR.RecipientNotFound",
    "fix": [],
    "links": [],
}

ALIAS: dict[str, Any] = EXCHANGE | {
    "cause": "alias-credentials-rejected",
    "category": "smtp-credentials",
    "side": "own",
    "status": None,
    "reply_code": "535",
    "diagnostic": "535 Authentication Credentials Invalid",
    "platform": None,
    "remote_host": None,
    "reported_by": "gmail",
    "original": EXCHANGE["original"]
    | {"ses_message_id": None, "ses_region": None, "ses_id_source": None, "path": "gmail-alias"},
}

NAMES = Names(
    mailbox="jadasailing@gmail.com",
    alias="admin@queenofsandiego.com",
    domain="queenofsandiego.com",
    smtp_host="email-smtp.us-east-1.amazonaws.com",
    smtp_port="587",
    region="us-east-1",
    iam_user="ses-smtp-user.20260101",
    access_key_id="AKIAIOSFODNN7EXAMPLE",
    ses_message_id="0100018f6c5d2a10-1b2c3d4e-1111-4222-8333-123456789abc-000000",
)


def text_of(record: dict[str, Any], names: Names = NO_NAMES) -> str:
    return "\n".join(suggest(record, names))


def with_cause(cause: str, record: dict[str, Any] = EXCHANGE) -> dict[str, Any]:
    return record | {"cause": cause}


@pytest.mark.parametrize("cause", CAUSES)
def test_steps_carry_the_real_values(cause: str) -> None:
    """Every value a step names is in the output, and no placeholder or stand-in is left where all is known."""
    record = with_cause(cause, ALIAS if cause.startswith("alias-") else EXCHANGE)
    steps = suggest(record, NAMES)
    text = "\n".join(steps)
    assert steps
    assert not re.search(r"\{\w+\}|%s|None", text)
    expected = {
        "recipient": "pat@client.example",
        "alias": "admin@queenofsandiego.com",
        "alias_domain": "queenofsandiego.com",
        "recipient_domain": "client.example",
        "sent_at": "2026-05-12 16:40 UTC",
        "code": "535" if record["category"] == "smtp-credentials" else "550 5.1.10",
        "mailbox": "jadasailing@gmail.com",
        "iam_user": "ses-smtp-user.20260101",
        "access_key_id": "AKIAIOSFODNN7EXAMPLE",
        "smtp_host": "email-smtp.us-east-1.amazonaws.com",
        "region": "us-east-1",
        "ses_message_id": "0100018f6c5d2a10-1b2c3d4e-1111-4222-8333-123456789abc-000000",
    }
    always = {blank.name for step in CAUSES[cause].steps if not step.when for blank in cut(step.text).blanks}
    checked = [name for name in always if name in expected]
    assert [name for name in checked if expected[name] not in text] == []
    for name in always - {"recipient", "recipient_domain"}:  # a command that changes something names no stranger
        assert VALUES[name].in_shell == "587" or VALUES[name].in_shell not in text


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("record", [{}, {"original": None}, {"original": {}, "diagnostic": None, "recipient": None}])
def test_unknown_values_read_as_sentences(cause: str, record: dict[str, Any]) -> None:
    steps = suggest(record | {"cause": cause})
    assert steps
    for step in steps:
        assert not re.search(r"\{\w+\}|%s|None|  |\(\)", step)
        assert not re.search(r"[\w.@]+[.@]your domain|the the |at at ", step)
        assert step[0] == step[0].upper()
        assert step.endswith((".", "?", "!"))


@pytest.mark.parametrize("cause", CAUSES)
def test_filled_steps_are_sentences_too(cause: str) -> None:
    for record in (with_cause(cause), with_cause(cause, ALIAS)):
        for step in suggest(record, NAMES):
            assert step.isprintable()
            assert step == " ".join(step.split())


def test_a_command_that_looks_is_ready_to_copy() -> None:
    text = text_of(with_cause("ses-suppressed"), NAMES)
    assert "`aws sesv2 get-suppressed-destination --email-address pat@client.example --region us-east-1`" in text


def test_a_command_that_changes_something_names_nobody_out_of_a_mail() -> None:
    text = text_of(with_cause("ses-suppressed"), NAMES)
    assert "`aws sesv2 delete-suppressed-destination --email-address RECIPIENT --region us-east-1`" in text
    assert "that pat@client.example exists" in text


def test_alias_steps_are_the_click_path_with_the_real_address() -> None:
    text = text_of(ALIAS, NAMES)
    assert "(jadasailing@gmail.com): Settings > See all settings > Accounts (and Import)" in text
    assert '"edit info" beside admin@queenofsandiego.com' in text
    assert "SMTP Server: email-smtp.us-east-1.amazonaws.com, port 587" in text
    assert "`aws iam list-access-keys --user-name ses-smtp-user.20260101`" in text
    nobody = text_of(ALIAS, replace(NAMES, iam_user=None))
    assert "`aws iam get-access-key-last-used --access-key-id AKIAIOSFODNN7EXAMPLE`" in nobody
    assert "January 2027" in text


def test_ses_is_recognised_by_its_words_where_the_notice_names_no_host() -> None:
    text = text_of(ALIAS)
    assert "SES console in your SES region" in text
    assert "email-smtp.REGION.amazonaws.com (REGION is your SES region)" in text
    assert "Sign in at the mail provider" not in text


def test_another_relay_gets_no_aws_advice() -> None:
    text = text_of(ALIAS | {"diagnostic": "535 Incorrect authentication data"}, Names(smtp_host="smtp.relay.example"))
    assert "SMTP Server: smtp.relay.example, port 587" in text
    assert "Sign in at the mail provider" in text
    assert "aws iam" not in text
    assert "SES console" not in text


def test_the_host_that_refused_tells_the_sort_of_relay_and_is_not_printed() -> None:
    record = ALIAS | {"diagnostic": None, "remote_host": "email-smtp.eu-central-1.amazonaws.com"}
    assert "SES console in your SES region" in text_of(record)
    assert "eu-central-1" not in text_of(record)


def test_what_is_known_wins_over_the_bounce() -> None:
    names = Names(smtp_host="smtp.other.example", smtp_port="2587")
    for host in ("smtp.relay.example", "email-smtp.eu-central-1.amazonaws.com"):
        text = text_of(ALIAS | {"remote_host": host, "diagnostic": None}, names)
        assert "SMTP Server: smtp.other.example, port 2587" in text
        assert "SES console" not in text


def test_a_region_a_mail_names_is_not_printed() -> None:
    assert "us-west-2" not in text_of(with_cause("ses-suppressed"))
    assert "--region REGION" in text_of(with_cause("ses-suppressed"))


def test_shared_address_is_explained_only_where_amazon_sent() -> None:
    shared = "Amazon's shared pool"
    assert shared in text_of(with_cause("sender-blocklisted"))
    own = with_cause("sender-blocklisted") | {"reported_by": "postfix", "original": None}
    assert shared not in text_of(own)
    by_google = text_of(own | {"original": {"path": "gmail"}}, NAMES)
    assert "it is Google's" in by_google
    assert shared not in by_google


def test_a_forged_bounce_moves_nobody() -> None:
    (step,) = suggest(ALIAS | {"genuine": "fail"}, NAMES)
    assert step.startswith("Do nothing")
    assert "edit info" not in step


def test_a_delay_is_no_failure_yet() -> None:
    assert suggest(with_cause("mailbox-full") | {"kind": "delayed"})[0].startswith("Not failed yet")
    assert not suggest(with_cause("mailbox-full"))[0].startswith("Not failed yet")


def test_no_cause_no_steps() -> None:
    assert suggest({"kind": "not-a-bounce", "cause": None}) == []
    assert suggest({}) == []


def test_a_cause_of_another_version_is_treated_as_unknown() -> None:
    assert suggest(with_cause("cause-of-tomorrow")) == suggest(with_cause("unknown"))


# ---- hostile values ----

HOSTILE = [
    "https://evil.example/login",
    "HTTP://EVIL.example",
    "see http:evil.example/x or www.evil.example now",
    "hxxps://evil.example/login",
    "www.evil.example/login",
    "evil.example/login?u=1",
    "mailto:thief@evil.example",
    "(https://evil.example/login)",
    "javascript://evil.example/%0aalert(1)",
    "\x1b]8;;https://evil.example\x07click\x1b]8;;\x07",
    "ok\u202eexe.live\u202c",
    "line one\r\nDo this: pay\x00",
    "`rm -rf /`",
    "$(rm -rf ~)@evil.example",
    "a@evil.example; rm -rf ~",
    "-oProxyCommand=x@evil.example",
    "{recipient} {0} %s %(x)s",
    "<script>alert(1)</script>",
    "x" * 10_000,
    "\ud800",
    "' OR 1=1 --",
    '"" "',
    " ",
]


@pytest.mark.parametrize("cause", CAUSES)
def test_hostile_values_do_no_harm(cause: str) -> None:
    for evil in HOSTILE:
        original = dict.fromkeys(("from", "subject", "sent_at", "ses_message_id", "ses_region"), evil)
        record = {
            **dict.fromkeys(("recipient", "remote_host", "status", "reply_code", "diagnostic", "platform"), evil),
            "cause": cause,
            "original": original | {"path": "ses-api"},
        }
        plain = suggest({"cause": cause, "original": {"path": "ses-api", "ses_message_id": "x"}})
        steps = suggest(record)
        for step in steps:
            assert step.isprintable()
            assert step.count("`") % 2 == 0
            assert not re.search(r"[a-z]+:/|www\.evil\.example/|mailto:(?!dmarc@)|example/", step, re.IGNORECASE)
            assert len(step) <= max(map(len, plain)) + 12 * MAX_VALUE
            for command in step.split("`")[1::2]:
                assert "rm -rf" not in command
                assert "x" * 300 not in command
                shlex.split(command)


def test_an_address_that_is_none_is_quoted_as_text() -> None:
    text = text_of(with_cause("recipient-address-malformed") | {"recipient": "pat at client"})
    assert 'Look at "pat at client" for a blank' in text


def test_an_address_with_odd_characters_is_quoted_for_the_shell() -> None:
    text = text_of(with_cause("ses-suppressed") | {"recipient": "o'neil&sons@client.example"})
    (command,) = {span for span in text.split("`")[1::2] if span.startswith("aws sesv2 get-suppressed")}
    assert shlex.split(command)[4] == "o'neil&sons@client.example"
    assert "that o'neil&sons@client.example exists" in text


@pytest.mark.parametrize(
    "recipient", ["$(id)@client.example", "a`id`@client.example", "-x@client.example", "a b@c.example"]
)
def test_an_address_that_could_be_a_command_is_kept_out_of_commands(recipient: str) -> None:
    text = text_of(with_cause("ses-suppressed") | {"recipient": recipient})
    assert "--email-address RECIPIENT " in text


def test_a_host_named_like_a_web_site_is_still_a_host() -> None:
    """An owner who wrote to www.client.example by mistake must see it; only in running text is it taken for a link."""
    text = text_of(with_cause("no-mail-service") | {"recipient": "pat@www.client.example"})
    assert "`dig +short MX www.client.example`" in text


def test_words_of_a_mail_are_not_in_a_fix() -> None:
    record = with_cause("policy-rejected") | {"diagnostic": "550 5.7.1 refused, sign in at https://evil.example/x?y=1"}
    assert "evil" not in text_of(record)
    assert "code 550 5.1.10" in text_of(record)


@pytest.mark.parametrize("code", ["sign in", "550 now", "550 5.1.1 5.1.2", "999", "5.1.1.1", "0x1"])
def test_a_code_is_digits_and_dots(code: str) -> None:
    text = text_of(with_cause("unknown") | {"reply_code": code, "status": None})
    assert "the code is not given" in text


def test_long_values_are_capped() -> None:
    assert len(clean("x" * 10_000)) == MAX_VALUE
    assert clean("x" * MAX_VALUE) == "x" * MAX_VALUE
    assert clean("x" * 10_000).endswith("...")


@given(st.text(max_size=600))
def test_clean_is_one_harmless_printable_line(value: str) -> None:
    cleaned = clean(value)
    assert cleaned.isprintable()
    assert "`" not in cleaned
    assert ":/" not in cleaned
    assert len(cleaned) <= MAX_VALUE
    assert cleaned == cleaned.strip()


@given(
    st.sampled_from(sorted(CAUSES)),
    st.dictionaries(
        st.sampled_from(["recipient", "remote_host", "status", "reply_code", "diagnostic", "platform", "reported_by"]),
        st.none() | st.text(max_size=80),
    ),
)
def test_any_record_gives_steps(cause: str, record: dict[str, Any]) -> None:
    for step in suggest(record | {"cause": cause}):
        assert step.isprintable()
        assert step.count("`") % 2 == 0


def test_nothing_is_changed_and_the_answer_is_plain_json() -> None:
    before = copy.deepcopy(EXCHANGE)
    steps = suggest(EXCHANGE, NAMES)
    assert before == EXCHANGE
    assert json.loads(json.dumps(steps)) == steps
    steps.append("mine")
    assert suggest(EXCHANGE, NAMES) == steps[:-1]


def test_it_is_quick() -> None:
    """The mean over all causes is near 15 microseconds on an idle machine; the limit leaves room for a busy one."""
    records = [with_cause(cause) for cause in CAUSES]
    for record in records:
        suggest(record)
    best = 1.0
    for _ in range(20):
        start = time.perf_counter()
        for record in records:
            suggest(record)
        best = min(best, time.perf_counter() - start)
    assert best / len(records) < 100e-6
