"""Text out of bytes, whatever charset they declare, lie about or keep to themselves."""

from __future__ import annotations

import pytest

from parsers.charsets import decode
from parsers.html import html_to_text
from parsers.mime import MAX_TEXTS_BYTES, address, message_ids, open_mail
from parsers.smtp_reply import read_reply, refused_command
from parsers.text import lower_case
from parsers.words.returned_text import split_original

RUSSIAN = "Сообщение не доставлено: почтовый ящик переполнен"


@pytest.mark.parametrize(
    ("text", "written_in", "declared"),
    [
        ("Boîte pleine", "utf-8", "utf-8"),
        ("Boîte pleine", "utf-8", None),
        ("Boîte pleine", "utf-8", "us-ascii"),
        ("Boîte pleine", "utf-8", "iso-8859-1"),
        ("Boîte pleine", "utf-8", "x-unknown"),
        ("退信", "utf-8", "gb2312"),
        ("Boîte pleine", "latin-1", "iso-8859-1"),
        ("Boîte pleine", "latin-1", None),
        ("Boîte pleine", "utf-16", "utf-16"),
        ("Mailbox full", "ascii", "utf-16"),
        ("Mailbox full", "ascii", "hex"),
        ("Mailbox full", "ascii", "iso-2022-jp\0"),
        ("Mailbox full", "ascii", "unicode_escape"),
        ("“quoted”", "cp1252", "iso-8859-1"),
        (RUSSIAN, "koi8-r", "koi8-r"),
        (RUSSIAN, "koi8-r", None),
        (RUSSIAN, "cp1251", None),
        (RUSSIAN, "cp1251", "us-ascii"),
        ("宛先①", "cp932", "shift_jis"),
        ("宛先①", "cp932", "windows-31j"),
        ("宛先不明", "iso2022_jp", None),
        ("一些", "gbk", "gb2312"),
        ("朱镕基", "gbk", "gb2312"),
        ("뷁", "cp949", "ks_c_5601-1987"),
    ],
)
def test_text_is_read_whatever_is_declared(text: str, written_in: str, declared: str | None) -> None:
    assert decode(text.encode(written_in), declared) == text


@pytest.mark.parametrize("codec", ["shift_jis", "gb2312", "euc-jp", "big5", "iso-2022-jp", "euc-kr"])
def test_a_broken_byte_costs_no_more_than_itself(codec: str) -> None:
    text = "宛先不明 宛先不明" if codec != "euc-kr" else "받는 사람"
    assert decode(text.encode(codec) + b" \xff", codec).startswith(text)


def test_charsets_that_are_traps_are_not_used() -> None:
    for charset in ("punycode", "idna", "utf-7", "unicode_escape", "raw_unicode_escape", "undefined", "rot13"):
        text = decode(b"a+2AA-\\ud800\\q-" + b"a" * 200_000, charset)
        assert b"\\ud800\\q-aaa" in text.encode(), charset


def test_a_line_that_begins_with_the_boundary_is_not_one() -> None:
    body = b"--b\n\none\n--bc\ntwo\n--b- \nthree\n--b \t\n\nfour\n--b-- \nafter\n"
    mail = open_mail(b'Content-Type: multipart/mixed; boundary="b"\n\n' + body)
    assert [part.text().split() for part in mail.texts()] == [["one", "--bc", "two", "--b-", "three"], ["four"]]


def test_all_texts_of_a_mail_together_are_limited() -> None:
    part = b"--b\nContent-Type: text/plain\n\n" + b"x" * 300_000 + b"\n"
    mail = open_mail(b'Content-Type: multipart/mixed; boundary="b"\n\n' + part * 10 + b"--b--\n")
    assert sum(len(part.text()) for part in mail.texts()) == MAX_TEXTS_BYTES


def test_numbers_that_no_character_has() -> None:
    assert html_to_text("a&#" + "1" * 5000 + ";b &amp; c") == "a\ufffdb & c"


def test_addresses_and_ids_lose_the_blanks_in_their_brackets() -> None:
    assert address("Pat < pat@client.example > via x") == "pat@client.example"
    assert message_ids("< 1@a.example > <2@a.example>") == ["1@a.example", "2@a.example"]
    assert message_ids("<  >") == []


@pytest.mark.parametrize(
    "line",
    [
        "------ 原始邮件 ------",
        "元のメッセージ",
        "Ci-dessous une copie du message :",
        "Debajo de esta línea hay una copia del mensaje.",
        "----- Исходное сообщение -----",
        "Ниже приведена копия вашего сообщения:",
        "----- Ursprungligt meddelande -----",
        "Původní zpráva:",
        "Kopia Twojej wiadomości:",
        "------ 원본 메시지 ------",
    ],
)
def test_the_returned_mail_begins_behind_its_title(line: str) -> None:
    words, returned = split_original(f"Nie: 550 no\n\n{line}\n\nFrom: a@b.example\nSubject: x\nDate: y\n\nbody")
    assert words == "Nie: 550 no\n\n"
    assert returned is not None
    assert returned.startswith("From: a@b.example")


@pytest.mark.parametrize("line", ["元のメッセージの詳細", "原始邮件详细信息", "Voici une copie du message d'erreur :"])
def test_a_title_of_the_error_is_no_title_of_the_returned_mail(line: str) -> None:
    text = f"Non délivré\n\n{line}\n\n550 5.1.1 no\n"
    assert split_original(text) == (text, None)


def test_commands_and_replies_in_other_tongues() -> None:
    assert refused_command("SMTP error from remote server for RCPT TO command, host: mx.example.org") == "RCPT"
    assert refused_command("Fehler nach RCPT TO: 550 unbekannt") == "RCPT"
    assert refused_command("look for data in the command line") is None
    reply = read_reply("原始信息：554 5.7.1 拒收")
    assert reply is not None
    assert (reply.code, reply.status) == ("554", "5.7.1")


@pytest.mark.parametrize("letter", ["\u0130", "I", "\u0131", "\u1e9e", "\u03a3"])
def test_returned_headers_are_found_behind_letters_whose_lower_case_is_longer(letter: str) -> None:
    """A Turkish capital I with a dot becomes two characters: every place behind it was one too far."""
    told = f"{letter}letiniz teslim edilemedi.\n" * 9
    block = "From: a@b.example\nSubject: x\nDate: y\nMessage-ID: <1@b.example>\n"
    words, returned = split_original(f"{told}\nBa\u015fl\u0131klar:\n\n{block}\nbody")
    assert words.startswith(told)
    assert returned == block
    assert len(lower_case(told)) == len(told)
    assert lower_case("\u0130LET\u0130") == "ileti"
