"""What leaves is what Gmail composed, whatever is in it and however large; but for what must change."""

from __future__ import annotations

import smtplib
from email.header import Header
from pathlib import Path

import pytest

from remediation.aws import client as aws
from tests.doubles.relay import RelayDouble
from tests.outbox.composed import altered, fields_and_body, words_of
from tests.outbox.composed import composed as compose
from tests.outbox.test_submission import LOGIN, SECRET
from tests.outbox.world import GMAIL, World, opened
from tests.worlds.made_mails import OWNER
from triage.outbox import checks
from triage.outbox.relay import LARGEST_MAIL, ses_relay
from triage.outbox.submission import smtp_way_out

TO = "=?UTF-8?Q?P=C3=A4t?= <pat@client.example>"


def sent(world: World, raw: bytes) -> bytes:
    """What SES was handed for this draft."""
    world.label(world.draft(world.write(raw=raw)))
    world.look()
    told = world.look()
    assert len(world.ses.sent) == 1, told
    return world.ses.sent[0].raw


def test_a_mail_with_everything_in_it_leaves_and_is_filed_byte_for_byte(world: World) -> None:
    thread_id = world.receive(Header("Charter – Grüße, 船", "utf-8").encode())
    raw = compose(TO, more="Cc: Kim <kim@client.example>\r\nBcc: boss@example.org\r\n")
    left = sent(world, raw)
    (copy,) = world.sent_copies()
    assert (altered(raw, left), altered(raw, copy.raw)) == ([], [])
    changed = [name for name, _ in fields_and_body(left)[0] if name in ("from", "message-id", "date", "bcc")]
    assert sorted(changed) == ["date", "from", "message-id"]
    mail = opened(left)
    assert (mail["From"].addresses[0].display_name, mail["From"].addresses[0].addr_spec) == ("Jäda 船", OWNER)
    assert mail["Reply-To"] == "Crèw <crew@queenofsandiego.com>"
    assert (mail["In-Reply-To"], mail["References"]) == (
        "<asks@client.example>",
        "<first@client.example> <asks@client.example>",
    )
    assert words_of(mail) == words_of(opened(raw))
    assert copy.thread_id == thread_id


FOLDED = ("Subject: =?UTF-8?B?4oCTIA==?=\r\n\t=?UTF-8?B?w7w=?=", "To: a@b.example,\r\n c@d.example")


@pytest.mark.parametrize("field", FOLDED)
def test_folded_fields_stay_folded_as_they_were(world: World, field: str) -> None:
    raw = compose(TO)
    name = field.partition(":")[0]
    ours = next(line for line in raw.split(b"\r\n") if line.startswith(name.encode()))
    assert altered(raw.replace(ours, field.encode()), sent(world, raw.replace(ours, field.encode()))) == []


def test_a_mail_of_eight_bits_and_of_many_line_ends_is_left_alone(world: World) -> None:
    raw = compose(TO, body="x").replace(b"Gr=C3=BC=C3=9Fe from", "Grüße\nfrom".encode())
    assert altered(raw, sent(world, raw)) == []


def test_a_large_mail_leaves_and_is_filed_whole(world: World) -> None:
    """Larger than Gmail takes a mail inside JSON; one of almost 40 MB is sent in test_real_outbox.py."""
    raw = compose(TO, attached=4_500_000)
    assert len(raw) > 6_000_000
    assert altered(raw, sent(world, raw)) == []
    (copy,) = world.sent_copies()
    assert altered(raw, copy.raw) == []


def test_more_than_may_be_sent_is_said_before(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks.LARGEST_MAIL == LARGEST_MAIL == 40_000_000
    monkeypatch.setattr(checks, "LARGEST_MAIL", 1_000_000)
    world.label(world.draft(world.write(raw=compose(TO, attached=1_500_000))))
    world.look()
    assert "A mail may have 1 MB, this one has 2." in world.look()[0]
    assert (world.ses.sent, len(world.notes())) == ([], 1)


def test_over_a_slow_line_a_large_mail_has_the_time_it_takes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws, "CONNECT_SECONDS", 0.2)
    world.ses.slow_down(8_000_000)
    raw = compose(TO, attached=6_000_000).replace(GMAIL.encode(), OWNER.encode())
    answer = ses_relay("us-east-1").send(raw, OWNER, ["pat@client.example"])
    assert answer.state == "sent", answer


def test_by_submission_too_it_has_the_time_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed: list[float] = []
    real = smtplib.SMTP.data

    def data(smtp: smtplib.SMTP, mail: bytes) -> tuple[int, bytes]:
        assert smtp.sock is not None
        allowed.append(smtp.sock.gettimeout() or 0)
        return real(smtp, mail)

    monkeypatch.setattr(smtplib.SMTP, "data", data)
    with RelayDouble(tmp_path, keys=lambda: [(LOGIN.username, SECRET)]) as relay:
        way = smtp_way_out(relay.starttls, LOGIN)
        assert way.send(compose(TO, attached=6_000_000), OWNER, ["pat@client.example"]).state != "unknown"
    assert 60 + 6_000_000 * 4 / 3 / 100_000 < allowed[0] < 200
