"""Ways to break a mail: what happens to bounces on their way, and what a stranger could do to one on purpose.

`MUTILATIONS` are functions of a mail and a source of chance that return another mail, so that any number can follow
each other. Knows nothing of our readers. With the `Random` of hypothesis, it looks for the smallest mail that fails.
"""

from __future__ import annotations

import re
from base64 import encodebytes
from collections.abc import Callable
from pathlib import Path
from quopri import encodestring
from random import Random

Mutilation = Callable[[bytes, Random], bytes]

SAMPLES = {path.stem: path.read_bytes() for path in sorted((Path(__file__).parents[1] / "bounces").glob("*.eml"))}

CHARSETS = (
    "us-ascii", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "utf-7", "iso-2022-jp", "shift_jis", "gb2312",
    "gb18030", "big5", "koi8-r", "cp037", "windows-1252", "hz", "idna", "punycode", "unicode_escape",
    "raw_unicode_escape", "undefined", "hex", "zip", "x-none", "../x", "é",
    "", "a" * 5000, "iso-2022-jp\0",
)  # fmt: skip
ENCODINGS = (
    "7bit", "8bit", "binary", "base64", "quoted-printable", "x-uuencode", "gzip", "", "base64 quoted-printable",
)  # fmt: skip
TYPES = (
    "text/plain", "text/html", "text/rfc822-headers", "message/rfc822", "message/global", "message/delivery-status",
    "message/global-delivery-status", "message/feedback-report", "multipart/mixed", "multipart/report",
    "multipart/digest", "multipart/", "application/octet-stream", "/", "text",
)  # fmt: skip
STRANGERS = (
    "\0", "\0\0\0\0", "\x07", "\x1b[31m", "\x1b$B", "\x1b(J", "\x7f", "\x80", "\x85", "\x9b", "\xa0", "\xad", "\u200b",
    "\u202e", "\u2028", "\u2066", "\ufeff", "\ufffe", "\ue000", "\U0001f92f", "\U000e0041", "é", "\n", "\r", "\r\n",
    "\n\n", "\t", "\v", "\f", "\x1c", "\n.\n", "\nFrom ", "\n--", "--\n", ":", ";", "<", ">", "@", '"', "\\", "{", "=",
    "=?", "?=", "=?utf-7?q?+2AA-?=", "&#0;", "&#xd800;", "\\x{D800}", "5.1.1", "550 ", "550-",
)  # fmt: skip
"""Characters that do not belong where they will stand, and the marks that mails are made of."""
LINE_ENDS = (b"\n", b"\r\n", b"\r", b"\n\r", b"\r\r\n", b"\0\n")
MOST_BYTES = 200_000
"""Of a mail after any mutilation: more is the business of benchmarks/hostile_mails.py."""

_LINE_END = re.compile(rb"\r\n|\n|\r")
# Every field, whether of the mail, of a part or of a report.
_FIELD = re.compile(rb"^([!-9;-~]{1,60}):[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*\r?\n?", re.MULTILINE)
_BOUNDARY = re.compile(rb'boundary="?([^"\s;]+)', re.IGNORECASE)
_ENCODING = re.compile(rb"^(content-transfer-encoding:)[^\r\n]*", re.IGNORECASE | re.MULTILINE)
_TYPE = re.compile(rb"^(content-type:[ \t]*)[^\s;]*", re.IGNORECASE | re.MULTILINE)
_CHARSET = re.compile(rb'(charset=)"?[^"\s;]*"?', re.IGNORECASE)


def mutilate(mail: bytes, random: Random, most: int = 4) -> tuple[bytes, list[str]]:
    """Break a mail 1 to `most` times; also the names of what was done, in order."""
    chosen = [random.choice(MUTILATIONS) for _ in range(random.randint(1, most))]
    for change in chosen:
        mail = change(mail, random)[:MOST_BYTES]
    return mail, [change.__name__ for change in chosen]


# Bytes


def flip_bits(mail: bytes, random: Random) -> bytes:
    flipped = bytearray(mail)
    for _ in range(random.randint(1, 20) if mail else 0):
        flipped[random.randrange(len(mail))] ^= 1 << random.randrange(8)
    return bytes(flipped)


def change_bytes(mail: bytes, random: Random) -> bytes:
    start, stop = _span(mail, random, 20)
    return mail[:start] + bytes(random.randrange(256) for _ in range(stop - start)) + mail[stop:]


def put_strangers_in(mail: bytes, random: Random) -> bytes:
    """NUL, C1, bidi, surrogates to be and other characters, as bytes of UTF-8 or of Latin-1."""
    for _ in range(random.randint(1, 8)):
        at, stranger = random.randint(0, len(mail)), random.choice(STRANGERS)
        mail = mail[:at] + _encoded(stranger, random) * random.choice((1, 1, 3)) + mail[at:]
    return mail


def lose_bytes(mail: bytes, random: Random) -> bytes:
    start, stop = _span(mail, random)
    return mail[:start] + mail[stop:]


def repeat_bytes(mail: bytes, random: Random) -> bytes:
    start, stop = _span(mail, random)
    return mail[:start] + mail[start:stop] * random.randint(2, 5) + mail[stop:]


def swap_bytes(mail: bytes, random: Random) -> bytes:
    a, b, c, d = sorted(random.randint(0, len(mail)) for _ in range(4))
    return mail[:a] + mail[c:d] + mail[b:c] + mail[a:b] + mail[d:]


def cut_off(mail: bytes, random: Random) -> bytes:
    return mail[: random.randint(0, len(mail))]


def splice(mail: bytes, random: Random) -> bytes:
    """The beginning of one mail and the end of another."""
    other = random.choice(list(SAMPLES.values()))
    return mail[: random.randint(0, len(mail))] + other[random.randint(0, len(other)) :]


# Lines


def end_lines_otherwise(mail: bytes, random: Random) -> bytes:
    end = random.choice(LINE_ENDS)
    return _LINE_END.sub(lambda _: end, mail)


def mix_line_ends(mail: bytes, random: Random) -> bytes:
    """Some lines end otherwise, and some not at all."""
    ends = [random.choice((*LINE_ENDS, b"", b" ")) for _ in range(random.randint(2, 7))]
    lines = _LINE_END.split(mail)
    return b"".join(line + ends[number % len(ends)] for number, line in enumerate(lines))


def lose_lines(mail: bytes, random: Random) -> bytes:
    lines = mail.splitlines(keepends=True)
    for _ in range(min(len(lines), random.randint(1, 20))):
        del lines[random.randrange(len(lines))]
    return b"".join(lines)


def shuffle_lines(mail: bytes, random: Random) -> bytes:
    lines = mail.splitlines(keepends=True)
    start, stop = _span(lines, random, 20)
    some = lines[start:stop]
    random.shuffle(some)
    return b"".join(lines[:start] + some + lines[stop:])


def join_lines(mail: bytes, random: Random) -> bytes:
    """Lines that were wrapped are one long line; the header stands apart or not."""
    start, stop = _span(mail, random)
    return mail[:start] + _LINE_END.sub(b" ", mail[start:stop]) + mail[stop:]


def quote_lines(mail: bytes, random: Random) -> bytes:
    """As an answer quotes it, as an mbox does, or as SMTP stuffs dots."""
    mark = random.choice((b"> ", b">", b">From ", b"| ", b".", b" ", b"\t"))
    start, stop = _span(mail, random)
    return mail[:start] + _LINE_END.sub(lambda end: end[0] + mark, mail[start:stop]) + mail[stop:]


def put_into_mbox(mail: bytes, random: Random) -> bytes:
    line = random.choice((b"From mailer-daemon Tue Nov 24 09:00:00 2026", b">From x", b"From ", b"From - \0"))
    return line + random.choice(LINE_ENDS) + mail


# Header fields, those of parts and of reports too


def lose_fields(mail: bytes, random: Random) -> bytes:
    return _on_fields(mail, random, lambda field: b"")


def repeat_field(mail: bytes, random: Random) -> bytes:
    times = random.choice((2, 3, 50))
    return _on_fields(mail, random, lambda field: field * times)


def empty_field(mail: bytes, random: Random) -> bytes:
    rest = random.choice((b":\n", b": \n", b":\n \n", b"\n", b" : <>\n", b": ;\n"))
    return _on_fields(mail, random, lambda field: field.split(b":")[0] + rest)


def lengthen_field(mail: bytes, random: Random) -> bytes:
    """Far beyond the 998 characters of RFC 5322, or only beyond what we keep."""
    filling = _encoded(random.choice(("x", "x ", "a@b.example, ", "<a@b.example> ", *STRANGERS)), random)
    more = filling * (random.choice((300, 1000, 1100, 20_000)) // len(filling))
    return _on_fields(mail, random, lambda field: field.rstrip(b"\r\n") + more + b"\n")


def give_field_of_another(mail: bytes, random: Random) -> bytes:
    """A value where another kind of value is expected."""
    values = [found[0].partition(b":")[2] for found in _FIELD.finditer(random.choice((mail, *SAMPLES.values())))]
    value = random.choice(values) if values else b"\n"
    return _on_fields(mail, random, lambda field: field.split(b":")[0] + b":" + value)


def fold_fields(mail: bytes, random: Random) -> bytes:
    """Fold where RFC 5322 lets nobody fold, and unfold what should begin a line."""
    for _ in range(random.randint(1, 8)):
        found = list(_FIELD.finditer(mail))
        if not found:
            return mail
        chosen = random.choice(found)
        at = random.randint(chosen.start(), chosen.end())
        mail = mail[:at] + random.choice((b"\n ", b"\r\n\t", b"\n \n ", b"\r ")) + mail[at:]
    return mail


# Parts


def lose_part(mail: bytes, random: Random) -> bytes:
    return _on_parts(mail, random, lambda parts: parts.pop(random.randrange(len(parts))))


def repeat_part(mail: bytes, random: Random) -> bytes:
    return _on_parts(mail, random, lambda parts: parts.extend([random.choice(parts)] * random.choice((1, 2, 30))))


def shuffle_parts(mail: bytes, random: Random) -> bytes:
    return _on_parts(mail, random, random.shuffle)


def rename_boundary(mail: bytes, random: Random) -> bytes:
    """In one of the places it stands, or in all of them."""
    boundary = _boundary(mail, random)
    pieces = mail.split(boundary)
    other = random.choice((b"", b"x", b"-", boundary[:-1], boundary + b"x", b" ", b"b" * 5000, b"\xff", boundary * 2))
    changed = random.randrange(len(pieces) + 1)
    ends = [other if changed in (number, len(pieces)) else boundary for number in range(len(pieces) - 1)]
    return b"".join(piece + end for piece, end in zip(pieces, [*ends, b""], strict=True))


def reuse_boundary(mail: bytes, random: Random) -> bytes:
    """Lines that end or begin a part stand inside of parts."""
    boundary = _boundary(mail, random)
    for _ in range(random.randint(1, 6)):
        at = random.randint(0, len(mail))
        mail = mail[:at] + b"\n--" + boundary + random.choice((b"\n", b"--\n", b"\n\n", b" \n", b"x\n")) + mail[at:]
    return mail


def nest(mail: bytes, random: Random) -> bytes:
    """Inside of a multipart, deeply sometimes, as a mail or as what it is not."""
    for depth in range(random.choice((1, 1, 2, 3, 15, 60))):
        boundary = random.choice((b"n", b"n%d" % depth, b"n%d" % depth, _boundary(mail, random)))
        around = random.choice(("mixed", "mixed", "report", "digest", "alternative")).encode()
        kind = random.choice((b"message/rfc822", b"message/rfc822", random.choice(TYPES).encode()))
        mail = (
            b'From: pat@client.example\nSubject: Fwd: this\nContent-Type: multipart/%b; boundary="%b"\n\n'
            b"--%b\nContent-Type: text/plain\n\nSee below.\n--%b\nContent-Type: %b\n\n%b\n--%b--\n"
        ) % (around, boundary, boundary, boundary, kind, mail, boundary)[:7]
    return mail


def put_into_mail(mail: bytes, random: Random) -> bytes:
    """The whole of it as the body of another, with no multipart around: a mail, its headers, a report, a text."""
    for _ in range(random.choice((1, 1, 2, 5, 60))):
        kind = random.choice(TYPES).encode()
        mail = b"From: mailer-daemon@example.org\nSubject: Undelivered\nContent-Type: " + kind + b"\n\n" + mail
    return mail


# What parts say of themselves


def lie_about_encoding(mail: bytes, random: Random) -> bytes:
    return _on_declared(mail, random, _ENCODING, b"Content-Transfer-Encoding: ", ENCODINGS)


def encode_in_silence(mail: bytes, random: Random) -> bytes:
    """A piece of the mail is base64, quoted-printable or UTF-16, and nothing says so."""
    start, stop = _span(mail, random)
    encode = random.choice((encodebytes, encodestring, _utf16))
    return mail[:start] + encode(mail[start:stop]) + mail[stop:]


def encode_body(mail: bytes, random: Random) -> bytes:
    """All behind the header is encoded as it says, so that the readers see what is inside; or as it does not say."""
    header, _, body = mail.partition(b"\n\n")
    encode, name = random.choice(((encodebytes, b"base64"), (encodestring, b"quoted-printable")))
    return _ENCODING.sub(b"", header).rstrip(b"\n") + b"\nContent-Transfer-Encoding: " + name + b"\n\n" + encode(body)


def lie_about_charset(mail: bytes, random: Random) -> bytes:
    return _on_declared(mail, random, _CHARSET, b"Content-Type: text/plain; charset=", CHARSETS)


def lie_about_type(mail: bytes, random: Random) -> bytes:
    return _on_declared(mail, random, _TYPE, b"Content-Type: ", TYPES)


def use_encoded_words(mail: bytes, random: Random) -> bytes:
    """RFC 2047 in any field, in a charset that may not be, holding what a field may not hold."""
    charset = random.choice(CHARSETS).encode()
    inside = _encoded("".join(random.choice(STRANGERS) for _ in range(random.randint(1, 4))), random)
    text = b"+2AA-" + inside if random.random() < 0.3 else inside + b"user@client.example"
    word = b"=?" + charset + (b"?b?" + encodebytes(text) if random.random() < 0.5 else b"?q?" + encodestring(text))
    word = word.replace(b"\n", b"").replace(b" ", b"_") + b"?="
    return _on_fields(mail, random, lambda field: field.split(b":")[0] + b": " + word * random.choice((1, 3)) + b"\n")


MUTILATIONS: tuple[Mutilation, ...] = (
    *(flip_bits, change_bytes, put_strangers_in, lose_bytes, repeat_bytes, swap_bytes, cut_off, splice),
    *(end_lines_otherwise, mix_line_ends, lose_lines, shuffle_lines, join_lines, quote_lines, put_into_mbox),
    *(lose_fields, repeat_field, empty_field, lengthen_field, give_field_of_another, fold_fields),
    *(lose_part, repeat_part, shuffle_parts, rename_boundary, reuse_boundary, nest, put_into_mail),
    *(lie_about_encoding, encode_in_silence, encode_body, lie_about_charset, lie_about_type, use_encoded_words),
)


def _span(mail: bytes | list[bytes], random: Random, most: int | None = None) -> tuple[int, int]:
    """Where a piece begins and ends; it has at most `most` elements, is short more often than long, or empty."""
    start = random.randint(0, len(mail))
    longest = min(len(mail) - start, random.choice((10, 300, len(mail))) if most is None else most)
    return start, start + random.randint(0, longest)


def _encoded(text: str, random: Random) -> bytes:
    """UTF-8, or Latin-1 where that can write it."""
    return text.encode("latin-1" if max(text) <= "\xff" and random.random() < 0.5 else "utf-8")


def _utf16(data: bytes) -> bytes:
    return data.decode("latin-1").encode("utf-16")


def _on_fields(mail: bytes, random: Random, change: Callable[[bytes], bytes]) -> bytes:
    """Change one to five fields, more often of the first thirty: the mail's own."""
    for _ in range(random.randint(1, 5)):
        found = list(_FIELD.finditer(mail))
        if not found:
            return mail
        chosen = random.choice(found if random.random() < 0.5 else found[:30])
        mail = (mail[: chosen.start()] + change(chosen[0]) + mail[chosen.end() :])[:MOST_BYTES]
    return mail


def _boundary(mail: bytes, random: Random) -> bytes:
    found: list[bytes] = _BOUNDARY.findall(mail)
    return random.choice(found or [b"b"])


def _on_parts(mail: bytes, random: Random, change: Callable[[list[bytes]], object]) -> bytes:
    """Change the list of what stands between the boundaries of one multipart."""
    delimiter = b"\n--" + _boundary(mail, random)
    head, *parts = mail.split(delimiter)
    if parts:
        change(parts)
    return delimiter.join([head, *parts])


def _on_declared(mail: bytes, random: Random, pattern: re.Pattern[bytes], field: bytes, lies: tuple[str, ...]) -> bytes:
    """Put a lie in one of the places that declare it, in all of them, or first of all where there is none."""
    lie = random.choice(lies).encode()
    found = list(pattern.finditer(mail))
    if not found:
        return field + lie + b"\n" + mail
    for chosen in reversed(found if random.random() < 0.4 else [random.choice(found)]):
        mail = mail[: chosen.end(1)] + lie + mail[chosen.end() :]
    return mail
