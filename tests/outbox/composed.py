"""A draft as Gmail composes one with everything in it, and what of it must arrive byte for byte."""

from __future__ import annotations

import base64
import re
from email.message import EmailMessage

from tests.outbox.world import GMAIL

CHANGES = frozenset({"from", "message-id", "date", "bcc"})
"""The header fields that change on the way; a blind copy goes."""
BY_THE_WAY = frozenset(
    {"return-path", "received", "delivered-to", "x-original-to", "dkim-signature", "feedback-id", "x-ses-outgoing"}
)
"""What the servers on the way put before it."""


def composed(to: str, *, more: str = "", attached: int = 3000, body: str = "") -> bytes:
    """Text and HTML, an inline image, an attachment of so many bytes, names and words of many scripts; CRLF, 7 bits."""
    picture = base64.encodebytes(bytes(range(256))).replace(b"\n", b"\r\n").decode()
    paper = base64.encodebytes(bytes(number * 7 % 256 for number in range(256)) * (attached // 256 + 1))
    paper = paper.replace(b"\n", b"\r\n")
    head = (
        "MIME-Version: 1.0\r\nDate: Tue, 24 Nov 2026 09:00:00 +0000\r\nReferences: <first@client.example>\r\n"
        " <asks@client.example>\r\nIn-Reply-To: <asks@client.example>\r\nMessage-ID: <CAF+d1=x@mail.gmail.com>\r\n"
        "Subject: =?UTF-8?B?UmU6IENoYXJ0ZXIg4oCTIEdyw7zDn2UsIOiIuQ==?=\r\n"
        f"From: =?UTF-8?Q?J=C3=A4da_=E8=88=B9?= <{GMAIL}>\r\n"
        f"Reply-To: =?UTF-8?Q?Cr=C3=A8w?= <crew@queenofsandiego.com>\r\nTo: {to}\r\n{more}"
        'Content-Type: multipart/mixed; boundary="00000000000090cafe"\r\n\r\n--00000000000090cafe\r\n'
        'Content-Type: multipart/related; boundary="00000000000090beef"\r\n\r\n--00000000000090beef\r\n'
        'Content-Type: multipart/alternative; boundary="00000000000090f00d"\r\n\r\n--00000000000090f00d\r\n'
        'Content-Type: text/plain; charset="UTF-8"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n'
        f"Gr=C3=BC=C3=9Fe from the harbour.=20\r\n.\r\n..dots\r\nFrom here: a line that mbox would quote.\r\n{body}\r\n"
        '--00000000000090f00d\r\nContent-Type: text/html; charset="UTF-8"\r\n'
        'Content-Transfer-Encoding: quoted-printable\r\n\r\n<div dir=3D"ltr">Gr=C3=BC=C3=9Fe<img src=3D"cid:ii_1"=\r\n'
        ' alt=3D"=E8=88=B9"></div>\r\n\r\n--00000000000090f00d--\r\n--00000000000090beef\r\n'
        'Content-Type: image/png; name="=?UTF-8?B?6Ii5LnBuZw==?="\r\n'
        'Content-Disposition: inline; filename="=?UTF-8?B?6Ii5LnBuZw==?="\r\nContent-Transfer-Encoding: base64\r\n'
        f"Content-ID: <ii_1>\r\nX-Attachment-Id: ii_1\r\n\r\n{picture}--00000000000090beef--\r\n"
        '--00000000000090cafe\r\nContent-Type: application/pdf; name="=?UTF-8?Q?Vertrag_Gr=C3=BCn=2Epdf?="\r\n'
        'Content-Disposition: attachment; filename="=?UTF-8?Q?Vertrag_Gr=C3=BCn=2Epdf?="\r\n'
        "Content-Transfer-Encoding: base64\r\nX-Attachment-Id: f_1\r\n\r\n"
    )
    return head.encode() + paper + b"--00000000000090cafe--\r\n"


def fields_and_body(raw: bytes) -> tuple[list[tuple[str, bytes]], bytes]:
    """The header fields with all their bytes, those of the way left out, and the body."""
    head, _, body = raw.partition(b"\r\n\r\n")
    fields = re.findall(rb"[^\r\n]+(?:\r\n[ \t][^\r\n]*)*", head)
    named = [(field.partition(b":")[0].decode().lower(), field) for field in fields]
    return [(name, field) for name, field in named if name not in BY_THE_WAY], body


def altered(before: bytes, after: bytes) -> list[str]:
    """What of a composed mail is not, byte for byte and in its order, in what arrived; but for what must change."""
    (fields, body), (new_fields, new_body) = fields_and_body(before), fields_and_body(after)
    kept, new_kept = ([one for one in these if one[0] not in CHANGES] for these in (fields, new_fields))
    found = [f"{one!r} is now {other!r}" for one, other in zip(kept, new_kept, strict=False) if one != other]
    if len(kept) != len(new_kept):
        found.append(f"{len(kept)} fields are now {len(new_kept)}: {[name for name, _ in new_kept]}")
    if body != new_body:
        found.append(f"the body of {len(body)} bytes is another one of {len(new_body)}")
    return found


def words_of(mail: EmailMessage) -> tuple[str, list[str | None]]:
    """What a reader sees: the text, and the names of what is attached."""
    text = mail.get_body(("plain",))
    assert text is not None
    return text.get_content(), [part.get_filename() for part in mail.walk() if part.get_filename()]
