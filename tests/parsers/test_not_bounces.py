"""What is told apart from bounces: automatic replies, receipts, reports of other kinds, people, lists, phishing."""

from __future__ import annotations

import pytest

from parsers.mime import open_mail
from parsers.not_bounces import why_no_bounce
from parsers.signs import has_null_sender, is_daemon, looks_like_bounce

OWNER = "admin@queenofsandiego.com"
REPORT = (
    "--b\nContent-Type: text/plain\n\nfailed\n--b\nContent-Type: message/delivery-status\n\n"
    "Reporting-MTA: dns; x.example\n\nFinal-Recipient: rfc822; pat@client.example\n"
    "Action: failed\nStatus: 5.1.1\n--b--\n"
)


def mail(
    body: str = "Hello.\n",
    sender: str = "Pat <pat@client.example>",
    subject: str = "Saturday",
    return_path: str | None = "<pat@client.example>",
    extra: str = "",
    kind: str = "text/plain; charset=utf-8",
) -> bytes:
    head = f"Return-Path: {return_path}\n" if return_path is not None else ""
    return f"{head}From: {sender}\nTo: {OWNER}\nSubject: {subject}\n{extra}Content-Type: {kind}\n\n{body}".encode()


@pytest.mark.parametrize(
    "subject",
    [
        "Automatic reply: Saturday",
        "Auto reply: Saturday",
        "Auto: Saturday",
        "Out of Office: Saturday",
        "Re: out of the office",
        "Away until May 5",
        "Automatische Antwort: Samstag",
        "Abwesenheitsnotiz",
        "Réponse automatique : Samedi",
        "Absence du bureau",
        "Respuesta automática: sábado",
        "Resposta automática: sábado",
        "Risposta automatica: sabato",
        "Automatisch antwoord: zaterdag",
        "Autosvar: lördag",
        "Automaattinen vastaus: lauantai",
        "Odpowiedź automatyczna: sobota",
        "Автоответ: суббота",
        "自動応答: 土曜日",
        "不在通知",
        "自动回复: 星期六",
        "자동 회신: 토요일",
    ],
)
@pytest.mark.parametrize("return_path", ["<>", "<pat@client.example>", None])
def test_away_subjects(subject: str, return_path: str | None) -> None:
    found = why_no_bounce(open_mail(mail(subject=subject, return_path=return_path)))
    assert found is not None
    assert found.kind == "auto-reply"
    assert found.why == "an automatic reply (its subject)"
    assert found.sender == "pat@client.example"


@pytest.mark.parametrize(
    "header",
    ["Auto-Submitted: auto-replied", "X-Autoreply: yes", "X-Autorespond: Saturday", "Precedence: auto_reply"],
)
def test_away_headers(header: str) -> None:
    found = why_no_bounce(open_mail(mail("I am at sea.\n", extra=f"{header}\n")))
    assert found is not None
    assert found.kind == "auto-reply"
    assert header.partition(":")[0] in found.why


@pytest.mark.parametrize(
    "data",
    [
        mail(
            "no\n",
            sender="MAILER-DAEMON@x.example",
            subject="Re: Saturday",
            extra="Auto-Submitted: auto-replied\n",
            return_path="<>",
        ),
        mail("no\n", subject="Undeliverable: Saturday", extra="Auto-Submitted: auto-replied\n", return_path="<>"),
        mail("no\n", extra="Auto-Submitted: auto-replied\nX-Failed-Recipients: pat@client.example\n"),
        mail(
            "Your message could not be delivered to pat@client.example\n",
            extra="Auto-Submitted: auto-replied\n",
            return_path="<>",
        ),
        mail("no\n", extra="Auto-Submitted: auto-replied\nX-MS-Exchange-Message-Is-Ndr:\n", return_path="<>"),
        mail(
            REPORT,
            subject="Automatic reply",
            kind='multipart/report; boundary="b"',
            extra="Auto-Submitted: auto-replied\n",
        ),
        mail(
            "no\n",
            sender="postmaster@client.example",
            subject="Delivery failed",
            extra="List-Unsubscribe: <x>\n",
            return_path="<>",
        ),
        mail(
            "<a href='https://x.example'>help</a>",
            sender="postmaster@client.example",
            return_path="<>",
            kind="text/html",
        ),
    ],
    ids=["daemon", "subject", "x-failed", "words", "exchange", "report", "list header", "null sender with links"],
)
def test_bounces_pass(data: bytes) -> None:
    opened = open_mail(data)
    assert why_no_bounce(opened) is None
    assert looks_like_bounce(opened) is not None


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (
            mail(
                "--b\nContent-Type: text/plain\n\nread\n--b\nContent-Type: message/disposition-notification\n\n--b--\n",
                subject="Gelesen: Samstag",
                return_path="<>",
                kind='multipart/report; report-type=disposition-notification; boundary="b"',
            ),
            "read receipt",
        ),
        (mail(subject="Not read: Saturday"), "read receipt"),
        (mail(subject="Report Domain: queenofsandiego.com Submitter: client.example Report-ID: <1>"), "DMARC"),
        (
            mail(
                "--b\nContent-Type: application/zip;"
                " name=client.example!queenofsandiego.com!1795392000!1795478399.zip\n\nUEs=\n--b--\n",
                sender="noreply@client.example",
                kind='multipart/mixed; boundary="b"',
            ),
            "DMARC",
        ),
        (mail(extra="TLS-Report-Domain: queenofsandiego.com\n"), "TLS report"),
        (
            mail(
                "--b\nContent-Type: text/plain\n\nyes\n--b\nContent-Type: text/calendar; method=REPLY\n\nx\n--b--\n",
                subject="Accepted: Saturday",
                kind='multipart/alternative; boundary="b"',
            ),
            "text/calendar",
        ),
        (
            mail("> This is the mail system at host x.example.\n", subject="Re: Undeliverable: Saturday"),
            "an answer or a forwarded",
        ),
        (mail("<pat@client.example>: 550 5.1.1 no\n", subject="Fwd: failure notice"), "an answer or a forwarded"),
        (mail("", subject="WG: Unzustellbar"), "an answer or a forwarded"),
        (mail(extra="List-Id: <crew.example.org>\n", subject="delivery failed again"), "mailing list"),
        (mail(extra="List-Unsubscribe: <https://x.example>\n", subject="10 tips against returned mail"), "newsletter"),
        (
            mail(
                '<html><a href="https://evil.example/login">Release messages</a></html>',
                sender='"Mail Delivery Subsystem" <it@evil.example>',
                subject="Undelivered mail",
                return_path="<it@evil.example>",
                kind="text/html",
            ),
            "claims to be a failed delivery",
        ),
        (
            mail(
                '<html><a href="https://evil.example/login">Retry</a></html>',
                sender="mailer-daemon@googlemail.com",
                subject="Message blocked",
                return_path="<x@evil.example>",
                kind="text/html",
            ),
            "claims to be a failed delivery",
        ),
    ],
    ids=[
        "mdn",
        "mdn subject",
        "dmarc",
        "dmarc file",
        "tls",
        "calendar",
        "re",
        "fwd",
        "wg",
        "list",
        "newsletter",
        "phish",
        "phish domain",
    ],
)
def test_other_mail(data: bytes, why: str) -> None:
    found = why_no_bounce(open_mail(data))
    assert found is not None
    assert found.kind == "not-a-bounce"
    assert why in found.why


@pytest.mark.parametrize(
    ("sender", "daemon"),
    [
        ("Mail Delivery Subsystem <mailer-daemon@googlemail.com>", True),
        ("MAILER-DAEMON <>", True),
        ("mailer-daemon", True),
        ("postmaster@client.example", True),
        ("post_master@client.example", True),
        ("Mail.Delivery.System@x.example", True),
        ("System Administrator", True),
        ("Pat <pat@client.example>", False),
        ("Mail Delivery Subsystem <it@evil.example>", False),
        ("postmasters-friend@client.example", False),
        ("", False),
        (None, False),
    ],
)
def test_daemons(sender: str | None, daemon: bool) -> None:
    assert is_daemon(sender) is daemon


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (mail(extra="X-Failed-Recipients: pat@client.example\n"), "X-Failed-Recipients"),
        (mail(sender="MAILER-DAEMON@x.example"), "From"),
        (mail(return_path="<>", sender="no-reply@carrier.example", subject="Mail"), "Return-Path"),
        (mail(subject="Onbestelbaar: zaterdag"), "subject"),
        (mail(subject="メール送信エラー"), "subject"),
        (mail("Your letter was not delivered to pat@client.example\n", sender="robot@x.example"), "it says"),
    ],
)
def test_looks_like_a_bounce(data: bytes, why: str) -> None:
    assert why in (looks_like_bounce(open_mail(data)) or "")


@pytest.mark.parametrize(
    "data", [mail(), mail("", subject="", sender="", return_path=None), b"", b"\xff\xfe\x00" * 1000]
)
def test_ordinary_mail_looks_like_nothing(data: bytes) -> None:
    opened = open_mail(data)
    assert why_no_bounce(opened) is None
    assert looks_like_bounce(opened) is None


def test_null_sender() -> None:
    assert has_null_sender(open_mail(b"Return-Path: <>\n\n"))
    assert has_null_sender(open_mail(b"Return-Path: <MAILER-DAEMON>\n\n"))
    assert not has_null_sender(open_mail(b"Return-Path: <pat@client.example>\n\n"))
    assert not has_null_sender(open_mail(b"From: pat@client.example\n\n"))
