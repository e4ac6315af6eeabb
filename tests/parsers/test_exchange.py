"""Exchange reports made of words only: four generations, several languages, the page of Exchange Online.

The mails are written for these tests; from real reports only the phrases and the punctuation are taken.
"""

from __future__ import annotations

import time

import pytest

from parsers.facts import Failure
from parsers.mime import open_mail
from parsers.readers.exchange import exchange_text, read_exchange

OWNER = "admin@queenofsandiego.com"


def failures(
    body: str, subject: str = "Undeliverable: Saturday", sender: str = "postmaster@client.example"
) -> list[Failure]:
    head = f"Return-Path: <>\nFrom: {sender}\nTo: {OWNER}\nSubject: {subject}\nMIME-Version: 1.0\n"
    kind = "text/html" if body.startswith("<html") else "text/plain"
    reading = read_exchange(open_mail(f"{head}Content-Type: {kind}; charset=utf-8\n\n{body}".encode()))
    return [] if reading is None else list(reading.failures)


EARLY = """Your message

  To:      Pat
  Subject: Saturday
  Sent:    Mon, 23 Nov 2026 10:00:00 +0000

did not reach the following recipient(s):

pat@client.example on Mon, 23 Nov 2026 10:00:05 +0000
    The recipient name is not recognized
\tThe MTS-ID of the original message is: c=us;a= ;p=client;l=MAIL1-261123100005Z-77
    MSEXCH:IMS:Client:HQ:MAIL1 0 (000C05A6) Unknown Recipient
kim@client.example on Mon, 23 Nov 2026 10:00:06 +0000
    The message size exceeds the limit
    MSEXCH:IMS:Client:HQ:MAIL1 3550 (000B099C) 552 5.3.4 Message too big
"""


def test_early_exchange() -> None:
    first, second = failures(EARLY, sender="System Administrator <postmaster@client.example>")
    assert (first.recipient, second.recipient) == ("pat@client.example", "kim@client.example")
    assert (
        first.diagnostic
        == "The recipient name is not recognized MSEXCH:IMS:Client:HQ:MAIL1 0 (000C05A6) Unknown Recipient"
    )
    assert first.platform == "exchange"
    assert first.kind == "failed"
    assert "000B099C" in (second.diagnostic or "") or (second.status, second.reply_code) == ("5.3.4", "552")


def test_exchange_2003_names_the_host_in_brackets() -> None:
    (failure,) = failures(
        "Your message did not reach some or all of the intended recipients.\n\n      Subject:\tSaturday\n"
        "      Sent:\t11/23/2026 10:00 AM\n\nThe following recipient(s) could not be reached:\n\n"
        "      pat@client.example on 11/23/2026 10:01 AM\n"
        "            The e-mail account does not exist at the organization this message was sent to.\n"
        "            <mail.client.example #5.1.1 smtp;550 5.1.1 no such account>\n"
    )
    assert failure.recipient == "pat@client.example"
    assert (failure.status, failure.remote_host) == ("5.1.1", "mail.client.example")


@pytest.mark.parametrize(
    "heading",
    [
        "Delivery has failed to these recipients or groups:\n\n{to}\nNo such mailbox.\n\nDiagnostic information for"
        " administrators:\n\nGenerating server: mail1.client.example\n\n",
        "Échec de la remise aux destinataires ou groupes suivants :\n\n{to}\nAdresse introuvable.\n\n"
        "Informations de diagnostic pour les administrateurs :\n\nServeur de génération : mail1.client.example\n\n",
        "Recapito non riuscito per i seguenti destinatari o liste di distribuzione:\n\n{to}\n\n"
        "Informazioni di diagnostica per gli amministratori:\n\nServer di generazione: mail1.client.example\n\n",
        "Kan niet bezorgen bij de volgende geadresseerden:\n\n{to}\n\nDiagnostische gegevens voor beheerders:\n\n"
        "Bronserver: mail1.client.example\n\n",
        "Não foi possível entregar:\n\n{to}\n\nInformações para administradores:\n\n"
        "Servidor de origem: mail1.client.example\n\n",
    ],
    ids=["en", "fr", "it", "nl", "pt"],
)
def test_exchange_2007_in_several_languages(heading: str) -> None:
    body = heading.format(to="pat@client.example<mailto:pat@client.example>")
    body += "pat@client.example\n#550 5.1.1 RESOLVER.ADR.RecipNotFound; not found ##\n\nOriginal message headers:\n\n"
    body += f"Received: from x\nFrom: {OWNER}\nTo: pat@client.example\nMessage-ID: <sail-1@queenofsandiego.com>\n"
    (failure,) = failures(body, subject="Onbestelbaar: Saturday")
    assert failure.recipient == "pat@client.example"
    assert failure.diagnostic == "550 5.1.1 RESOLVER.ADR.RecipNotFound; not found"
    assert (failure.status, failure.reply_code, failure.platform) == ("5.1.1", "550", "exchange")


def test_exchange_2010_passes_on_what_the_next_host_said() -> None:
    (told,) = exchange_text(
        "Generating server: mail1.client.example\n\npat@other.example\n"
        "mx.other.example #<mx.other.example #5.7.1 smtp;530 5.7.1 Client was not authenticated> #SMTP#\n"
    )
    assert told.recipient == "pat@other.example"
    assert told.host == "mx.other.example"
    assert "530 5.7.1 Client was not authenticated" in (told.words or "")


def test_exchange_2013_quotes_the_remote_server() -> None:
    (first, second) = failures(
        "mx.client.example rejected your message to the following email addresses:\n\npat (pat@client.example)\n"
        "kim (kim@other.example)\n\nmx.client.example gave this error:\nSPF check failed\n\n"
        "Diagnostic information for administrators:\n\nGenerating server: AB1.eurprd01.prod.outlook.com\n\n"
        "pat@client.example\nmx.client.example\n"
        "Remote Server returned '550 5.7.23 SPF check failed for 'example.net''\n\n"
        "kim@other.example\nmx.other.example\nRemote Server returned '452 4.2.2 Over quota <kim@other.example>'\n\n"
        "Original message headers:\n\nReceived: from x\nMessage-ID: <1@x>\nFrom: a@x.example\n"
    )
    assert (first.recipient, first.status, first.remote_host) == ("pat@client.example", "5.7.23", "mx.client.example")
    assert (second.recipient, second.reply_code, second.remote_host) == ("kim@other.example", "452", "mx.other.example")


ONLINE_PLAIN = """Your message to pat@client.example couldn't be delivered.

pat wasn't found at client.example.

admin       Office 365      pat
Action Required             Recipient

How to Fix It
The address may be misspelled or may not exist.

More Info for Email Admins
Status code: 550 5.1.10

Original Message Details
Created Date:\t11/23/2026 10:00:00 AM
Sender Address:\t0100018f-0000@amazonses.com
Recipient Address:\tpat@client.example
Subject:\tSaturday

Error Details
Reported error:\t550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP
address lookup
DSN generated by:\tAB1.eurprd01.prod.outlook.com
"""
ONLINE_HTML = (
    "<html><head><style>p {color: red}</style></head><body><p>Your message to "
    "<a href='mailto:pat@client.example'>pat@client.example</a> couldn't be delivered.</p>"
    "<table><tr><td>Recipient Address:</td><td> pat@client.example</td></tr></table>"
    "<p><b>Reported error:</b> 550 5.7.708 Service unavailable. Access denied, traffic not accepted from this IP.</p>"
    "<p>DSN generated by: AB1.eurprd01.prod.outlook.com</p><p>Remote server: mx.client.example</p></body></html>"
)


def test_exchange_online_page() -> None:
    (plain,) = failures(ONLINE_PLAIN, sender="Microsoft Outlook <postmaster@outlook.com>")
    assert plain.recipient == "pat@client.example"
    assert plain.diagnostic == "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup"
    (html,) = failures(ONLINE_HTML)
    assert (html.recipient, html.status, html.remote_host) == ("pat@client.example", "5.7.708", "mx.client.example")


def test_reporter_is_named() -> None:
    online = read_exchange(open_mail(f"From: postmaster@outlook.com\n\n{ONLINE_PLAIN}".encode()))
    early = read_exchange(open_mail(f"From: System Administrator\nTo: {OWNER}\n\n{EARLY}".encode()))
    assert online is not None
    assert online.reported_by == "exchange-online"
    assert early is not None
    assert early.reported_by == "exchange"


def test_other_bounces_are_left_alone() -> None:
    assert (
        failures(
            "This is the mail system at host out.example.net.\n\n<pat@client.example>: host mx said: 550 5.1.1 no\n"
        )
        == []
    )
    assert failures("") == []


@pytest.mark.parametrize(
    "body",
    [
        "Generating server: a.b\n" + "a@b.example\n" * 5000,
        "Generating server: a.b\n" + "a@b.example\n#" + "#" * 30000,
        "Generating server: a.b\n" + "a@b.example\n'550 x" * 3000,
        " #5.1.1 " + "<a.b #5.1.1 " * 3000,
        "DSN generated by:" + "Recipient Address: a@b.example\n" * 3000 + "Reported error: " * 3000,
        "MSEXCH:" * 5000,
    ],
    ids=["addresses", "hashes", "quotes", "brackets", "labels", "marks"],
)
def test_hostile_reports_are_bounded(body: str) -> None:
    started = time.perf_counter()
    failures(body)
    assert time.perf_counter() - started < 2
