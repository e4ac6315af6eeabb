"""A mail out of Sent made ready once more: what changes in its head, and that nothing changes in its body."""

from __future__ import annotations

from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.worlds.made_mails import opened
from triage.resend.mail import MAX_RESENT_REFERENCES, as_draft, read_sent, resend_id, to_send

AT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
ID = "triage.0123@bounce-triage.invalid"


def mail(**headers: str) -> bytes:
    """A mail with an attachment, as Gmail keeps it in Sent."""
    message = EmailMessage(policy=policy.SMTP)
    given = {
        "From": "Queen of San Diego <admin@queenofsandiego.com>",
        "To": "Dana Whitfield <dana@client.example>, pat@client.example",
        "Cc": "=?utf-8?q?J=C3=BCrgen?= <j@client.example>",
        "Bcc": "secret@client.example",
        "Subject": "Re: Charter",
        "Message-ID": "<own@mail.gmail.com>",
        "In-Reply-To": "<theirs@client.example>",
        "References": "<first@mail.gmail.com> <theirs@client.example>",
    }
    for name, value in (given | headers).items():
        if value:
            message[name] = value
    message.set_content("Hello\n")
    message.add_attachment(bytes(range(256)), maintype="image", subtype="png", filename="plan.png")
    return b"X-Gm-Message-State: abc\r\nReceived: by 2002:a05 with HTTP\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\n" + (
        message.as_bytes()
    )


@pytest.mark.parametrize(
    "ready", [lambda sent: as_draft(sent, ["pat@client.example"], ID), lambda sent: to_send(sent, ID, AT)]
)
def test_attachments_and_threading_are_kept_and_stamps_are_not(ready: object) -> None:
    raw = mail()
    made = ready(read_sent(raw))  # type: ignore[operator]
    assert made.partition(b"\r\n\r\n")[2] == raw.partition(b"\r\n\r\n")[2]
    read = opened(made)
    assert next(iter(read.iter_attachments())).get_content() == bytes(range(256))
    assert read["Message-ID"] == f"<{ID}>"
    assert read["In-Reply-To"] == "<theirs@client.example>"
    assert read["References"].split() == ["<first@mail.gmail.com>", "<theirs@client.example>", "<own@mail.gmail.com>"]
    assert (read["Subject"], read["From"].addresses[0].addr_spec) == ("Re: Charter", "admin@queenofsandiego.com")
    assert not {"X-Gm-Message-State", "Received"} & set(read.keys())
    assert len(read.get_all("Message-ID")) == len(read.get_all("From")) == 1


def test_the_first_mail_of_a_conversation_refers_to_itself() -> None:
    read = opened(to_send(read_sent(mail(**{"In-Reply-To": "", "References": ""})), ID, AT))
    assert read["In-Reply-To"] == read["References"] == "<own@mail.gmail.com>"


def test_long_lists_of_references_keep_the_first_and_the_last() -> None:
    many = " ".join(f"<{n}@client.example>" for n in range(100))
    ids = opened(to_send(read_sent(mail(References=many)), ID, AT))["References"].split()
    assert len(ids) == MAX_RESENT_REFERENCES
    assert (ids[0], ids[-2:]) == ("<0@client.example>", ["<99@client.example>", "<own@mail.gmail.com>"])


def test_a_draft_is_to_those_who_were_missed_only() -> None:
    read = opened(as_draft(read_sent(mail()), ["PAT@client.example", "j@client.example"], ID))
    assert [address.addr_spec for address in read["To"].addresses] == ["pat@client.example"]
    assert [address.display_name for address in read["Cc"].addresses] == ["Jürgen"]
    assert read["Bcc"] is None
    assert read["Date"] is None  # Gmail gives it when it is sent


def test_who_had_a_blind_copy_gets_a_blind_copy() -> None:
    read = opened(as_draft(read_sent(mail()), ["secret@client.example"], ID))
    assert (read["To"], read["Cc"], read["Bcc"]) == (None, None, "secret@client.example")


def test_what_is_sent_is_addressed_as_it_was_and_betrays_no_blind_copy() -> None:
    made = to_send(read_sent(mail()), ID, AT)
    read = opened(made)
    assert [address.addr_spec for address in read["To"].addresses] == ["dana@client.example", "pat@client.example"]
    assert b"secret@client.example" not in made
    assert read["Date"].datetime == AT


def test_names_with_commas_and_quotes_stay_names() -> None:
    sent = read_sent(mail(To='"Whitfield, \\"Dana\\"" <dana@client.example>, pat@client.example', Cc=""))
    read = opened(as_draft(sent, ["dana@client.example"], ID))
    assert [(one.display_name, one.addr_spec) for one in read["To"].addresses] == [
        ('Whitfield, "Dana"', "dana@client.example")
    ]


def test_the_id_is_the_same_each_time_and_another_for_each_person_and_way() -> None:
    one = resend_id("own@mail.gmail.com", "Pat@client.example", "ses", "queenofsandiego.com")
    assert one == resend_id("own@mail.gmail.com", "pat@client.example", "ses", "queenofsandiego.com")
    others = {
        resend_id("own@mail.gmail.com", "dana@client.example", "ses", "queenofsandiego.com"),
        resend_id("own@mail.gmail.com", "pat@client.example", "draft", "queenofsandiego.com"),
        resend_id("else@mail.gmail.com", "pat@client.example", "ses", "queenofsandiego.com"),
    }
    assert len(others | {one}) == 4


@given(st.binary(max_size=300))
def test_any_bytes_are_opened_without_a_loss(raw: bytes) -> None:
    sent = read_sent(raw)
    assert b"".join(field for _, field in sent.fields) + sent.body == raw
    assert to_send(sent, ID, AT).endswith(sent.body)
    assert as_draft(sent, ["pat@client.example"], ID).endswith(sent.body)


@given(st.text(max_size=80))
def test_no_value_becomes_a_field_of_its_own(value: str) -> None:
    raw = b"To: " + value.encode("utf-8", "replace").replace(b"\n", b"\n ") + b"\r\nSubject: x\r\n\r\nbody"
    made = as_draft(read_sent(raw), ["pat@client.example"], ID)
    names = [
        line.partition(b":")[0] for line in made.partition(b"\r\n\r\n")[0].split(b"\r\n") if line[:1] not in b" \t"
    ]
    assert set(names) <= {b"To", b"Subject", b"Bcc", b"Message-ID", b"In-Reply-To", b"References"}
