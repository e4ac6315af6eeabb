"""A server that takes mail by SMTP instead of SES: the same way out, the same care, the same answers."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from remediation.credentials import Login, Relay, derive_smtp_password
from tests.doubles.relay import RelayDouble
from tests.outbox.test_outbox_crash import command
from tests.outbox.world import World
from tests.worlds.made_mails import OWNER
from triage.errors import ConfigError
from triage.outbox.submission import read_login, smtp_way_out

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
LOGIN = Login("AKIAIOSFODNN7EXAMPLE", derive_smtp_password(SECRET, "us-east-1"))
MAIL = b"From: a@example.org\r\nSubject: x\r\n\r\n.dot\r\nhello\r\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RelayDouble]:
    with RelayDouble(tmp_path, keys=lambda: [("AKIAIOSFODNN7EXAMPLE", SECRET)]) as relay:
        yield relay


@pytest.mark.parametrize("port", ["starttls", "tls"])
def test_a_mail_goes_to_all_of_the_envelope_byte_for_byte(server: RelayDouble, port: str) -> None:
    way = smtp_way_out(getattr(server, port), LOGIN)
    answer = way.send(MAIL, OWNER, ["pat@client.example", "boss@example.org"])
    assert answer.state == "sent", answer
    (mail,) = server.mails
    assert (mail.mail_from, mail.rcpt_tos) == (OWNER, ["pat@client.example", "boss@example.org"])
    assert mail.original_content == MAIL


def test_a_labelled_draft_leaves_through_it(world: World, server: RelayDouble) -> None:
    world.relay = smtp_way_out(server.starttls, LOGIN)
    world.receive()
    world.label(world.draft(world.write()))
    world.look()
    world.look()
    (mail,) = server.mails
    (copy,) = world.sent_copies()
    content = mail.original_content
    assert isinstance(content, bytes)
    assert f"Message-ID: <{copy.message_id}>".encode() in content


def test_a_wrong_login_is_a_refusal_and_tells_no_password(server: RelayDouble) -> None:
    server.mode = "chatty"
    answer = smtp_way_out(server.starttls, Login("AKIAIOSFODNN7EXAMPLE", "hunter2hunter2")).send(
        MAIL, OWNER, ["a@b.example"]
    )
    assert answer.state == "refused"
    assert "hunter2" not in answer.words
    assert server.mails == []


@pytest.mark.parametrize(("mode", "state"), [("put-off", "later"), ("no-starttls", "later"), ("closed", "later")])
def test_what_ends_before_the_mail_is_handed_over_is_tried_again(server: RelayDouble, mode: Any, state: str) -> None:
    server.mode = mode
    assert smtp_way_out(server.starttls, LOGIN).send(MAIL, OWNER, ["a@b.example"]).state == state
    assert server.mails == []


def test_nobody_at_the_port_is_for_later() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert smtp_way_out(Relay("localhost", port), LOGIN).send(MAIL, OWNER, ["a@b.example"]).state == "later"


def test_a_connection_lost_after_the_mail_leaves_it_unknown(
    monkeypatch: pytest.MonkeyPatch, server: RelayDouble
) -> None:
    import smtplib

    def lost(smtp: smtplib.SMTP) -> Any:
        smtp.close()
        raise smtplib.SMTPServerDisconnected("gone")

    real = smtplib.SMTP.data

    def data(smtp: smtplib.SMTP, msg: Any) -> Any:
        real(smtp, msg)
        return lost(smtp)

    monkeypatch.setattr(smtplib.SMTP, "data", data)
    assert smtp_way_out(server.starttls, LOGIN).send(MAIL, OWNER, ["a@b.example"]).state == "unknown"
    assert len(server.mails) == 1


def test_the_login_lies_in_a_file_nobody_else_can_read(tmp_path: Path) -> None:
    path = tmp_path / "outbox.json"
    path.write_text('{"username": "u", "password": "p"}')
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="can be read by others"):
        read_login(path)
    path.chmod(0o600)
    assert read_login(path) == Login("u", "p")
    path.write_text('{"password": "hunter2"}')
    with pytest.raises(ConfigError) as told:
        read_login(path)
    assert "hunter2" not in f"{told.value.what} {told.value.todo}"


def test_watching_it_ends_cleanly_between_two_looks(world: World) -> None:
    process = command(world, "--watch")
    done: list[Any] = []
    thread = threading.Thread(target=lambda: done.append(process.finish()))
    thread.start()
    for _ in range(200):
        if world.double.quota.calls["messages.list"]:
            break
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGTERM)
    thread.join(20)
    assert [(one.returncode, one.stderr) for one in done] == [(0, "")]
