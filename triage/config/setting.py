"""Holds a value against what its setting may be, as `settings.py` declares it: type, range, choices, form. Pure.

The types are int, bool, str, Path and tuples of str; `min`, `max`, `choices` and `form` stand in the field's metadata.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import Field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from parsers.ses_hosts import AWS_REGIONS
from triage.addresses import google_or_here
from triage.errors import ConfigError

MOST_SHOWN = 80  # characters of a wrong value that are told again

_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"0", "false", "no", "off"})
_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?|\[?[0-9A-Fa-f:.]{0,45}:[0-9A-Fa-f:.]{0,45}\]?")
_URL = re.compile(r"https?://(?:[^/@\s]*@)?([^/:@\s]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,9}))?(?:[/?#]\S*)?")


class Folder(Protocol):
    """Where relative paths start."""

    def __truediv__(self, relative: str | Path) -> Path: ...


class WrongSetting(NamedTuple):
    """A value that cannot be used: where it stands, what is wrong, what to write instead."""

    where: str
    what: str
    todo: str


class Invalid(Exception):  # noqa: N818 - a value that is told, not a failure of ours
    """A value is not what its setting takes."""

    def __init__(self, what: str, todo: str) -> None:
        super().__init__(what)
        self.what, self.todo = what, todo


def checked(setting: Field[Any], value: Any, folder: Folder) -> Any:
    """The value as the setting's type. Raises Invalid, and says what would do."""
    kind = str(setting.type).partition(" ")[0]
    if kind == "Path" and isinstance(value, str | Path) and str(value):
        return _path(setting, str(value), folder)
    if kind == "bool" and isinstance(value, bool):
        return value
    if kind == "int" and isinstance(value, int) and not isinstance(value, bool):
        return _in_range(setting, value)
    if kind.startswith("tuple") and isinstance(value, list | tuple) and all(isinstance(v, str) and v for v in value):
        return tuple(_text(setting, item) for item in value)
    if kind == "str" and isinstance(value, str) and value.strip("/ "):
        return _text(setting, value.strip("/ ") if setting.name == "label_prefix" else value)
    wanted = {"Path": "a path", "bool": "true or false", "int": "a whole number"}.get(kind, "text")
    wanted = "a list of texts" if kind.startswith("tuple") else wanted
    raise Invalid(f"{_told(setting, value)} is not {wanted}", f"Write {wanted}.")


def from_text(setting: Field[Any], text: str) -> Any:
    """An environment variable's text as the setting's type; lists are separated by commas. Raises Invalid."""
    kind = str(setting.type)
    if kind == "bool":
        if text.strip().lower() in _YES | _NO:
            return text.strip().lower() in _YES
        raise Invalid(f"{_told(setting, text)} is neither yes nor no", "Write true or false.")
    if kind == "int":
        if re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", text):
            return int(text)
        raise Invalid(f"{_told(setting, text)} is no whole number", "Write digits only.")
    if kind.startswith("tuple"):
        return [item.strip() for item in text.split(",") if item.strip()]
    return text


def default_text(default: object) -> str:
    """A default as it is written in triage.toml, for the docs."""
    if default is None:
        return "none"
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, tuple):
        return "[" + ", ".join(f'"{item}"' for item in default) + "]"
    return f'"{default}"' if isinstance(default, str) else str(default)


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that is most like this one."""
    return difflib.get_close_matches(name, list(known), n=1, cutoff=0.0)[0]


def toml_values(text: str) -> tuple[dict[str, Any], dict[str, int]]:
    """What a TOML text sets, and the line of each key. A byte order mark before it is no fault.

    Raises ValueError (tomllib's own, or that a number has too many digits) and RecursionError.
    """
    import tomllib

    text = text.removeprefix("\ufeff")
    values = tomllib.loads(text)
    return values, dict(_lines(text.replace("\r\n", "\n").split("\n"), values))


def _lines(lines: Sequence[str], names: Iterable[str]) -> Iterable[tuple[str, int]]:
    """(key, number of its line), each once. A line inside a text or a list of several lines is none."""
    import tomllib

    left = set(names)
    for number, line in enumerate(lines, start=1):
        found = re.match(r"""[ \t]*(?:\[{1,2}[ \t]*)?["']?([^"'=.\]\s]+)["']?\s*(?:=|\.|\])""", line)
        if found is None or found[1] not in left:
            continue
        try:
            tomllib.loads("\n".join(lines[: number - 1]))
        except ValueError:
            continue  # something before it is not closed
        left.discard(found[1])
        yield found[1], number


def _told(setting: Field[Any], value: Any) -> str:
    """The setting with its wrong value, which is left out where it is a secret."""
    if setting.metadata.get("secret"):
        return setting.name
    try:
        shown = repr(value)
    except ValueError:  # an integer of thousands of digits
        shown = "a huge number"
    return f"{setting.name} = {shown if len(shown) <= MOST_SHOWN else shown[:MOST_SHOWN] + '...'}"


def _in_range(setting: Field[Any], value: int) -> int:
    least, most = setting.metadata["min"], setting.metadata["max"]
    if value < least:
        raise Invalid(f"{_told(setting, value)} is too small", f"The least is {least}.")
    if value > most:
        raise Invalid(f"{_told(setting, value)} is too large", f"The most is {most}.")
    return value


def _path(setting: Field[Any], text: str, folder: Folder) -> Path:
    if "\x00" in text:
        raise Invalid(f"{_told(setting, text)} is not a path", "Take the NUL out of it.")
    try:
        return folder / Path(text).expanduser()
    except RuntimeError:
        raise Invalid(
            f"{_told(setting, text)}: there is no such user, or no home folder", "Write the path in full."
        ) from None


def _text(setting: Field[Any], text: str) -> str:
    if not text.isprintable():
        raise Invalid(f"{_told(setting, text)} holds a character that cannot be seen", "Write it in one plain line.")
    choices = setting.metadata.get("choices")
    if choices and text not in choices:
        near = nearest(text.lower(), choices)
        raise Invalid(f"{_told(setting, text)} is none of {', '.join(choices)}", f"Did you mean {near!r}?")
    form = setting.metadata.get("form")
    if form:
        FORMS[form](setting, text)
    return text


def _form(fits: Callable[[str], bool], wanted: str) -> Callable[[Field[Any], str], None]:
    def check(setting: Field[Any], text: str) -> None:
        if not fits(text):
            raise Invalid(f"{_told(setting, text)} is not {wanted.partition(', such as ')[0]}", f"Write {wanted}.")

    return check


def _is_url(text: str) -> bool:
    found = _URL.fullmatch(text)
    return found is not None and 0 < int(found[2] or 80) <= 65535


def _is_server(text: str) -> bool:
    """An IP address, with or without a port."""
    import ipaddress

    found = re.fullmatch(r"\[([^\]]*)\](?::(\d{1,9}))?|([^:]*)(?::(\d{1,9}))?|(.*)", text)
    host, port = (found[1] or found[3] or found[5], found[2] or found[4] or "53") if found else ("", "")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return 0 < int(port) <= 65535


def _region(setting: Field[Any], text: str) -> None:
    if text not in AWS_REGIONS:
        # Several are as near: of us-est-1 nobody knows whether it was to be us-east-1 or us-west-1.
        near = difflib.get_close_matches(text.lower(), AWS_REGIONS, n=2, cutoff=0.85)
        meant = " or ".join(map(repr, near or [nearest(text.lower(), AWS_REGIONS)]))
        raise Invalid(f"{_told(setting, text)}: AWS has no such region", f"Did you mean {meant}?")


def _google(setting: Field[Any], text: str) -> None:
    try:
        google_or_here(text, setting.name)
    except ConfigError as error:
        raise Invalid(error.what, error.todo) from None


def _is_zone(text: str) -> bool:
    """A time zone this computer knows, by its IANA name."""
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
        return False
    return True


FORMS: Mapping[str, Callable[[Field[Any], str], None]] = {
    "region": _region,
    "google": _google,
    "host": _form(lambda text: _HOST.fullmatch(text) is not None, "a host name, such as smtp.example.com"),
    "address": _form(
        lambda text: text.count("@") == 1 and " " not in text and all(text.split("@")),
        "a mail address, such as admin@example.org",
    ),
    "word": _form(
        lambda text: re.fullmatch(r"[a-z0-9]{6,30}", text) is not None,
        "6 to 30 small letters and digits nobody guesses, such as gulls42harbour",
    ),
    "zone": _form(_is_zone, "a time zone, such as America/Los_Angeles"),
    "url": _form(_is_url, "a web address, such as https://example.com/queue"),
    "server": _form(_is_server, "an address of a DNS server, such as 192.0.2.1 or 192.0.2.1:5353"),
    "account": _form(
        lambda text: re.fullmatch(r"\d{12}", text) is not None, "an AWS account, such as 123456789012, in quotes"
    ),
    "arn": _form(
        lambda text: re.fullmatch(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:\S+", text) is not None,
        "the ARN of a topic, such as arn:aws:sns:us-east-1:123456789012:bounces",
    ),
}
"""What the text of a setting looks like, by the word its field has as `form`."""
