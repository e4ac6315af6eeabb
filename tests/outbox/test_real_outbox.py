"""From the label to the maildir: the command, and a real Postfix that takes the mail, delivers it and bounces it.

Runs by `make real-bounces`, root on Debian; `make test` leaves it out and says so.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.outbox.composed import altered, fields_and_body, words_of
from tests.outbox.composed import composed as compose
from tests.outbox.test_outbox_crash import waited
from tests.outbox.world import REGION, World, env_of, opened
from tests.real_mta import install
from tests.real_mta.submission import PASSWORD, PEOPLE, USER, SubmissionPostfix
from tests.real_mta.world import World as MailWorld
from tests.resend.world import aws_env
from tests.worlds.forked import COMMAND, Forked
from tests.worlds.made_mails import OWNER
from triage import store
from triage.outbox.relay import LARGEST_MAIL

pytestmark = pytest.mark.real_mta

PAT, KIM, BOSS = PEOPLE
TO = f"=?UTF-8?Q?P=C3=A4t?= <{PAT}>"
MORE = f"Cc: Kim <{KIM}>\r\nBcc: {BOSS}\r\n"


@pytest.fixture
def postfix() -> Iterator[SubmissionPostfix]:
    if why := install.why_not():
        pytest.skip(f"REAL MAIL SERVERS NOT RUN: {why}")
    with tempfile.TemporaryDirectory(prefix="real-mta-") as folder:
        Path(folder).chmod(0o755)  # the server's own user reads it
        mails = MailWorld(Path(folder) / "postfix", [])
        server = SubmissionPostfix()
        try:
            server.start(mails)
            yield server
        finally:
            server.stop()
            mails.stop()


def triage(world: World, *arguments: str, postfix: SubmissionPostfix | None = None) -> CompletedProcess[str]:
    """The command; with `postfix` its mail leaves through it, without through SES."""
    login, config = world.folder / "outbox.json", world.folder / "triage.toml"
    login.write_text(json.dumps({"username": USER, "password": PASSWORD}))
    login.chmod(0o600)
    server = "" if postfix is None else (
        f'outbox_host = "localhost"\noutbox_port = {postfix.port}\noutbox_login = "outbox.json"\n'
        f'smtp_ca_file = "{postfix.ca_file}"\n'
    )  # fmt: skip
    config.write_text(
        f'outbox = true\noutbox_from = ["{OWNER}"]\nsmtp_region = "{REGION}"\noutbox_delay = 10\n{server}'
        'database = "killed.db"\ntoken = "token.json"\n'
    )
    config.chmod(0o600)
    env = env_of(world.double, aws_env(world.ses))
    return Forked(COMMAND, "--config", str(config), *arguments, cwd=world.folder, env=env).finish(seconds=200)


def send(world: World, raw: bytes, postfix: SubmissionPostfix | None = None) -> None:
    """Write this draft, label it, and let the outbox see it twice."""
    world.label(world.draft(world.write(raw=raw)))
    assert triage(world, "outbox", postfix=postfix).returncode == 0
    waited(world)
    done = triage(world, "outbox", postfix=postfix)
    assert (done.returncode, done.stderr) == (0, "")


def as_ses_hands_on(raw: bytes, ses_id: str) -> bytes:
    """SES sets a Message-ID of its own and adds two fields; it signs last."""
    fields, body = fields_and_body(raw)
    own = [field for name, field in fields if name != "message-id"]
    added = [b"Message-ID: <%s@email.amazonses.com>" % ses_id.encode(), b"Feedback-ID: 1.us-east-1.x:AmazonSES"]
    return b"\r\n".join([*own, *added, b"X-SES-Outgoing: 2026.11.24-192.0.2.1"]) + b"\r\n\r\n" + body


def leave(world: World, postfix: SubmissionPostfix, raw: bytes, way: str) -> None:
    """Send a draft by one of the two ways, as far as Postfix."""
    send(world, raw, postfix if way == "submission" else None)
    if way == "ses":
        (left,) = world.ses.sent
        postfix.signer.hand_over(as_ses_hands_on(left.raw, left.id), OWNER, list(left.recipients))


@pytest.mark.parametrize("way", ["submission", "ses"])
def test_what_arrives_is_what_gmail_composed(world: World, postfix: SubmissionPostfix, way: str) -> None:
    raw = compose(TO, more=MORE)
    leave(world, postfix, raw, way)
    (copy,) = world.sent_copies()
    for person in PEOPLE:
        (arrived,) = postfix.received(person)
        assert altered(raw, arrived) == []
        assert postfix.signer.is_intact(arrived), "the signature does not hold"
        assert not postfix.signer.is_intact(arrived.replace(b"harbour.", b"harbor."))
        mail = opened(arrived)
        assert (mail["From"].addresses[0].addr_spec, mail["From"].addresses[0].display_name) == (OWNER, "Jäda 船")
        assert mail["Message-ID"] == f"<{copy.message_id}>"
        assert words_of(mail) == words_of(opened(raw))
        assert person == BOSS or BOSS.encode() not in arrived, "a blind copy is seen"
        assert mail["Bcc"] is None
    assert altered(raw, copy.raw) == []
    assert opened(copy.raw)["Bcc"] == BOSS


def test_a_refusal_comes_back_as_a_bounce_that_is_judged(world: World, postfix: SubmissionPostfix) -> None:
    send(world, compose("Nobody <nobody@client.example>"), postfix)
    (bounce,) = postfix.bounces()
    world.double.seed(bounce)
    ran = triage(world, "run", postfix=postfix)
    assert ran.returncode == 0, ran.stderr
    db = store.open_store(world.folder / "killed.db")
    (verdict,) = db.query("SELECT recipient, cause, proof, message_id FROM verdicts")
    db.close()
    (copy,) = world.sent_copies()
    assert verdict == {
        "recipient": "nobody@client.example",
        "cause": "recipient-unknown",
        "proof": "sent",
        "message_id": copy.message_id,
    }


@pytest.mark.parametrize("way", ["submission", "ses"])
def test_a_mail_of_almost_forty_megabytes_arrives_whole(world: World, postfix: SubmissionPostfix, way: str) -> None:
    raw = compose(TO, attached=28_500_000)
    assert LARGEST_MAIL - 2_000_000 < len(raw) < LARGEST_MAIL
    leave(world, postfix, raw, way)
    (arrived,) = postfix.received(PAT, seconds=60)
    (copy,) = world.sent_copies()
    assert (altered(raw, arrived), altered(raw, copy.raw)) == ([], [])
    assert postfix.signer.is_intact(arrived)
