"""Fix steps with real names: every value arrives, none of it can do harm, and nothing unknown breaks a sentence."""

import copy
import json
import re
import shlex
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation import load_causes
from remediation.suggest import MAX_VALUE, VALUES, clean, cut, suggest

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

FACTS = {
    "mailbox": "jadasailing@gmail.com",
    "smtp_host": "email-smtp.us-east-1.amazonaws.com",
    "smtp_port": 587,
    "smtp_user": "AKIAIOSFODNN7EXAMPLE",
    "iam_user": "ses-smtp-user.20260101",
    "configuration_set": "default-set",
}


def text_of(record: dict[str, Any], facts: dict[str, Any] | None = None) -> str:
    return "\n".join(suggest(record, facts))


def with_cause(cause: str, record: dict[str, Any] = EXCHANGE) -> dict[str, Any]:
    return record | {"cause": cause}


@pytest.mark.parametrize("cause", CAUSES)
def test_steps_carry_the_real_values(cause: str) -> None:
    """Every value a step names is in the output, and no placeholder or stand-in is left where all is known."""
    record = with_cause(cause, ALIAS if cause.startswith("alias-") else EXCHANGE)
    steps = suggest(record, FACTS)
    text = "\n".join(steps)
    assert steps
    assert not re.search(r"\{\w+\}|%s|None", text)
    expected = {
        "recipient": "pat@client.example",
        "alias": "admin@queenofsandiego.com",
        "alias_domain": "queenofsandiego.com",
        "recipient_domain": "client.example",
        "subject": '"Your sail on Saturday"',
        "sent_at": "2026-05-12 16:40 UTC",
        "diagnostic": str(record["diagnostic"]),
        "code": "535" if record["category"] == "smtp-credentials" else "550 5.1.10",
        "mailbox": "jadasailing@gmail.com",
        "iam_user": "ses-smtp-user.20260101",
        "access_key_id": "AKIAIOSFODNN7EXAMPLE",
        "smtp_host": "email-smtp.us-east-1.amazonaws.com",
        "configuration_set": "default-set",
        "sending_ip": "192.0.2.5",
    }
    always = {blank.name for step in CAUSES[cause].steps if not step.when for blank in cut(step.text).blanks}
    checked = [name for name in always if name in expected]
    assert [name for name in checked if expected[name] not in text] == []
    for name in always - {"remote_host"}:
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
        for step in suggest(record, FACTS):
            assert step.isprintable()
            assert step == " ".join(step.split())


def test_suppression_command_is_ready_to_copy() -> None:
    text = text_of(with_cause("ses-suppressed"))
    assert "`aws sesv2 get-suppressed-destination --email-address pat@client.example --region us-west-2`" in text


def test_alias_steps_are_the_click_path_with_the_real_address() -> None:
    text = text_of(ALIAS, FACTS)
    assert "(jadasailing@gmail.com): Settings > See all settings > Accounts (and Import)" in text
    assert '"edit info" beside admin@queenofsandiego.com' in text
    assert "server email-smtp.us-east-1.amazonaws.com, port 587" in text
    assert "`aws iam list-access-keys --user-name ses-smtp-user.20260101`" in text
    assert "`aws iam get-access-key-last-used --access-key-id AKIAIOSFODNN7EXAMPLE`" in text
    assert "January 2027" in text


def test_ses_is_recognised_by_its_words_where_the_notice_names_no_host() -> None:
    text = text_of(ALIAS)
    assert "SES console in your SES region" in text
    assert "email-smtp.REGION.amazonaws.com (REGION is your SES region)" in text
    assert "Sign in at the mail provider" not in text


def test_another_relay_gets_no_aws_advice() -> None:
    text = text_of(ALIAS | {"diagnostic": "535 Incorrect authentication data"}, {"smtp_host": "smtp.relay.example"})
    assert "server smtp.relay.example, port 587" in text
    assert "Sign in at the mail provider" in text
    assert "aws iam" not in text
    assert "SES console" not in text


def test_the_host_that_refused_an_alias_is_its_relay() -> None:
    record = ALIAS | {"diagnostic": None, "remote_host": "email-smtp.eu-central-1.amazonaws.com"}
    assert "SES console in eu-central-1" in text_of(record)


def test_facts_win_over_the_bounce() -> None:
    record = ALIAS | {"remote_host": "smtp.relay.example"}
    assert "server smtp.other.example, port 2587" in text_of(
        record, {"smtp_host": "smtp.other.example", "smtp_port": "2587"}
    )


def test_the_region_of_the_mail_wins_over_the_configured_one() -> None:
    text = text_of(with_cause("ses-suppressed"), {"region": "eu-west-1"})
    assert "--region us-west-2" in text
    assert "eu-west-1" not in text
    assert "--region eu-west-1" in text_of(with_cause("ses-suppressed") | {"original": None}, {"region": "eu-west-1"})


@pytest.mark.parametrize(
    ("diagnostic", "expected"),
    [
        (
            "554 Access denied: User `arn:aws:iam::123456789012:user/mail/ses-smtp' is not authorized to perform "
            "`ses:SendRawEmail' on resource `arn:aws:ses:eu-west-2:123456789012:identity/queenofsandiego.com'",
            ["--user-name ses-smtp ", "in eu-west-2"],
        ),
        (
            "554 Message rejected: Email address is not verified. The following identities failed the check in region "
            "AP-SOUTHEAST-2: admin@queenofsandiego.com",
            ["ap-southeast-2"],
        ),
    ],
)
def test_ses_answers_name_user_and_region(diagnostic: str, expected: list[str]) -> None:
    cause = "ses-access-denied" if "arn:" in diagnostic else "ses-identity-not-verified"
    text = text_of({"cause": cause, "diagnostic": diagnostic})
    assert [piece for piece in expected if piece not in text] == []


def test_missing_configuration_set_is_named() -> None:
    record = {
        "cause": "ses-configuration-set-missing",
        "diagnostic": "554 Transaction failed: Configuration set <weekly-news> does not exist.",
    }
    assert "--configuration-set-name weekly-news" in text_of(record)


@pytest.mark.parametrize(
    ("diagnostic", "address"),
    [
        ("550 5.7.1 Client host [203.0.113.9] blocked", "203.0.113.9"),
        ("550 5.7.25 the sending IPv6 address [2001:db8::1f] must have a reverse DNS record", "2001:db8::1f"),
        ("550 5.7.1 no PTR for 203.0.113.9.", "203.0.113.9"),
        ("550 5.7.25 no name, version 1.2.3, at 12:30:15", None),
        ("550 5.7.25 see 203.0.113.9.example", None),
    ],
)
def test_sending_address_comes_from_the_answer(diagnostic: str, address: str | None) -> None:
    text = text_of({"cause": "ptr-missing", "diagnostic": diagnostic})
    assert (f"`dig +short -x {address}`" in text) if address else ("dig +short -x" not in text)


def test_shared_address_is_explained_only_where_amazon_sent() -> None:
    shared = "Amazon's shared pool"
    assert shared in text_of(with_cause("sender-blocklisted"))
    own = with_cause("sender-blocklisted") | {"reported_by": "postfix", "original": None}
    assert shared not in text_of(own)
    by_google = text_of(own | {"original": {"path": "gmail"}}, FACTS)
    assert "it is Google's" in by_google
    assert shared not in by_google


def test_a_forged_bounce_moves_nobody() -> None:
    (step,) = suggest(ALIAS | {"genuine": "fail"}, FACTS)
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


def test_diagnostic_is_shown_without_its_links() -> None:
    record = with_cause("policy-rejected") | {
        "diagnostic": "550 5.7.1 refused, sign in at https://evil.example/x?y=1 or www.evil.example to fix"
    }
    assert '"550 5.7.1 refused, sign in at (link left out) or (link left out) to fix"' in text_of(record)


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
    steps = suggest(EXCHANGE, FACTS)
    assert before == EXCHANGE
    assert json.loads(json.dumps(steps)) == steps
    steps.append("mine")
    assert suggest(EXCHANGE, FACTS) == steps[:-1]


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
