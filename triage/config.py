"""Settings: defaults, then triage.toml, then the environment, then the command line; the last one named wins.

Here, and nowhere else, stands what each setting may be: its type, range, choices or form (`triage.setting` holds the
values against it), and its documentation, from which the table in the docs is made. Opens no file but triage.toml,
which lies where somebody else may have put it when it is found in the working folder; whether another file with secrets
is open to others is checked where that file is read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from triage.errors import ConfigError
from triage.own_files import is_open_to_others, read_plain, refuse_strangers, user_folder, working_folder
from triage.setting import Invalid, WrongSetting, checked, from_text, nearest, toml_values

CONFIG_NAME = "triage.toml"
ENV_PREFIX = "TRIAGE_"
CONFIG_VARIABLE = "TRIAGE_CONFIG"  # names the file itself and is therefore no setting

_HOURS_MOST, _DAYS_MOST = 24 * 366 * 20, 366 * 20  # twenty years: Gmail is younger than that


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a command works with. Paths are absolute; the three files lie, unless named, in the settings folder.

    The settings folder is the one triage.toml was found in, else the user's configuration folder, so that a command
    finds the same files from cron as from a terminal.
    """

    database: Path = field(
        metadata={"doc": "The SQLite database with every mail, verdict and action.", "default": "triage.db"}
    )
    credentials: Path = field(
        metadata={"doc": "Google's OAuth client file, as downloaded.", "default": "credentials.json"}
    )
    token: Path = field(metadata={"doc": "The Gmail token that `triage auth` writes.", "default": "token.json"})
    overlap_hours: int = field(
        default=48,
        metadata={
            "doc": "How far each run looks back before the last one, because search can lag.",
            "min": 0,
            "max": _HOURS_MOST,
        },
    )
    since_days: int = field(
        default=30, metadata={"doc": "How far the very first run looks back.", "min": 1, "max": _DAYS_MOST}
    )
    subjects: tuple[str, ...] = field(
        default=(), metadata={"doc": 'More subjects to look for, such as "Unzustellbar", beside the English ones.'}
    )
    label_prefix: str = field(default="Bounce", metadata={"doc": "The Gmail label under which the others are nested."})
    notes: bool = field(
        default=True,
        metadata={"doc": "Explain what failed by a note in the bounce's own thread; nobody else gets it."},
    )
    note_inbox: bool = field(
        default=False, metadata={"doc": "Put the notes into the inbox too, so that the conversation comes up again."}
    )
    note_unread: bool = field(default=False, metadata={"doc": "Leave the notes unread, so that Gmail tells of them."})
    regions: tuple[str, ...] = field(
        default=(),
        metadata={
            "doc": 'The AWS regions you send from, such as "us-east-1": their suppression lists are asked.',
            "form": "region",
        },
    )
    domains: tuple[str, ...] = field(
        default=(),
        metadata={
            "doc": "The domains you send from, for `audit`. By default those of the aliases, else all of SES.",
            "form": "host",
        },
    )
    dns: str | None = field(
        default=None,
        metadata={
            "doc": "The DNS server to ask, as address or address:port, instead of the system's own.",
            "form": "server",
        },
    )
    queue_url: str | None = field(
        default=None, metadata={"doc": "The SQS queue SES publishes its events to; each run empties it.", "form": "url"}
    )
    topics: tuple[str, ...] = field(
        default=(),
        metadata={
            "doc": "The SNS topics of these events, by ARN: then only what SNS signed for them is believed.",
            "form": "arn",
        },
    )
    accounts: tuple[str, ...] = field(
        default=(),
        metadata={
            "doc": "The AWS accounts whose events count. By default those in `queue_url`, `topics`, `smtp_secret`.",
            "form": "account",
        },
    )
    vdm: bool = field(
        default=False,
        metadata={"doc": "Ask SES what became of each mail; needs its Virtual Deliverability Manager, which costs."},
    )
    smtp_user: str | None = field(
        default=None, metadata={"doc": "The IAM user whose access key is the alias's SMTP user name."}
    )
    smtp_secret: str | None = field(
        default=None, metadata={"doc": "The secret in AWS Secrets Manager that holds the SMTP login, by name or ARN."}
    )
    smtp_region: str | None = field(
        default=None,
        metadata={"doc": "The region of the SMTP server and of its secret, such as us-east-1.", "form": "region"},
    )
    probe: bool = field(
        default=False,
        metadata={"doc": "When the alias failed, try the stored login once at its own server. Sends no mail."},
    )
    smtp_host: str | None = field(
        default=None,
        metadata={"doc": "The SMTP server behind the alias, where it is not that of `smtp_region`.", "form": "host"},
    )
    smtp_port: int = field(default=587, metadata={"doc": "Its port, as entered in Gmail.", "min": 1, "max": 65535})
    smtp_security: str | None = field(
        default=None,
        metadata={
            "doc": "How a connection to it begins: starttls or ssl. By default ssl on ports 465 and 2465.",
            "choices": ("starttls", "ssl"),
        },
    )
    smtp_ca_file: Path | None = field(
        default=None, metadata={"doc": "Certificate authorities to trust for it, instead of the system's own."}
    )
    smtp_alias: str | None = field(
        default=None,
        metadata={"doc": "The address Gmail sends from through it, such as admin@example.org.", "form": "address"},
    )
    smtp_patience_seconds: int = field(
        default=180,
        metadata={
            "doc": "How long a new key may be refused before a rotation gives it up.",
            "min": 0,
            "max": 86400,
        },
    )
    rotation_grace_days: int = field(
        default=3,
        metadata={
            "doc": "How long the old key stays Inactive before `finish` may delete it.",
            "min": 1,
            "max": 366,
        },
    )
    rotation_reactivate: bool = field(
        default=False,
        metadata={"doc": "Make the old key Active again by itself when mail from the alias fails in that time."},
    )
    service_account: Path | None = field(
        default=None,
        metadata={"doc": "Google Workspace only: key file of a service account that may change the alias in Gmail."},
    )
    mailbox: str | None = field(
        default=None,
        metadata={"doc": "The Gmail address the service account acts for: the owner of the alias.", "form": "address"},
    )
    alerts: tuple[str, ...] = field(
        default=(),
        repr=False,
        metadata={
            "doc": "Where to tell you about incidents: addresses as Apprise takes them, such as `ntfy://...`. Secret.",
            "secret": True,
        },
    )
    alert_inbox: bool = field(
        default=False, metadata={"doc": "Tell about incidents by a message put into your inbox. Sends no mail."}
    )
    notes_per_day: int = field(
        default=200, metadata={"doc": "Notes written in a day; those about your own side are not limited.", "min": 1}
    )
    alerts_per_day: int = field(
        default=10,
        metadata={"doc": "Alerts about other sides in a day and channel; your own side is not limited.", "min": 1},
    )
    incidents_per_day: int = field(
        default=50,
        metadata={"doc": "Incidents of other sides opened in a day; your own side is not limited.", "min": 1},
    )
    reminder_hours: int = field(
        default=24,
        metadata={
            "doc": "How often to tell about an incident again that waits for you.",
            "min": 1,
            "max": _HOURS_MOST,
        },
    )
    ping_url: str | None = field(
        default=None,
        repr=False,
        metadata={
            "doc": "A watcher's address, called at the start and end of each run as Healthchecks wants it. Secret.",
            "secret": True,
            "form": "url",
        },
    )
    gmail_url: str | None = field(
        default=None,
        metadata={"doc": "Root of the Gmail API on this computer, instead of Google's own (tests).", "form": "google"},
    )


SETTINGS = {f.name: f for f in fields(Settings)}
COMMAND_LINE = "command line"


@dataclass(frozen=True, slots=True)
class Sourced:
    """The settings, and of each where its value comes from: `default`, `FILE line N`, a variable, `command line`."""

    settings: Settings
    origins: Mapping[str, str]
    config_file: Path | None
    """The triage.toml that counted; None: there is none."""


def load_settings(
    config_path: Path | None, env: Mapping[str, str], overrides: Mapping[str, Any] | None = None
) -> Settings:
    """Collect the settings; `overrides` are the command line's, in which None means "not given".

    `config_path` (or TRIAGE_CONFIG) must exist when named; otherwise ./triage.toml, which must be ours and out of
    others' reach, and the user's configuration folder are tried. Relative paths count from the file that names them,
    else from the working folder. Raises ConfigError, which tells all that is wrong at once.
    """
    return source_settings(config_path, env, overrides).settings


def source_settings(
    config_path: Path | None, env: Mapping[str, str], overrides: Mapping[str, Any] | None = None
) -> Sourced:
    """As `load_settings`, and where each value comes from."""
    config_file = find_config(config_path, env)
    beside = _Beside(config_file)
    values: dict[str, Any] = {
        name: beside / f.metadata["default"] for name, f in SETTINGS.items() if "default" in f.metadata
    }
    origins = dict.fromkeys(SETTINGS, "default")
    faults: list[WrongSetting] = []

    def take(name: str, value: Any, where: str, folder: _Beside, *, text: bool = False) -> None:
        try:
            values[name] = checked(SETTINGS[name], from_text(SETTINGS[name], value) if text else value, folder)
            origins[name] = where
        except Invalid as invalid:
            faults.append(WrongSetting(where, invalid.what, invalid.todo))

    if config_file:
        is_named = bool(config_path or env.get(CONFIG_VARIABLE))
        found, lines = _read_toml(config_file, is_found=not is_named)
        for name, value in found.items():
            where = f"{config_file} line {lines[name]}" if name in lines else f"{config_file}"
            if name in SETTINGS:
                take(name, value, where, beside)
            else:
                faults.append(_unknown(where, name, nearest(name, SETTINGS)))
    here = _Beside(None, "a working folder")
    for variable, text in env.items():
        if variable.startswith(ENV_PREFIX) and variable != CONFIG_VARIABLE and text:  # set to nothing: not set
            name = variable.removeprefix(ENV_PREFIX).lower()
            if name in SETTINGS:
                take(name, text, variable, here, text=True)
            else:
                near = ENV_PREFIX + nearest(name, SETTINGS).upper()
                faults.append(_unknown(f"environment variable {variable}", variable, near))
    for name, value in (overrides or {}).items():
        if value is not None and name in SETTINGS:
            take(name, value, COMMAND_LINE, here)
        elif value is not None:
            faults.append(_unknown(COMMAND_LINE, name, nearest(name, SETTINGS)))
    if faults:
        raise _all_told(faults)
    return Sourced(Settings(**values), origins, config_file)


class _Beside:
    """A folder that relative paths start from.

    A configuration that is a link has its files where it really lies, or, as they were put there before, beside the
    link: what is there counts, at the real place first.
    """

    def __init__(self, config_file: Path | None, what: str = "") -> None:
        self._file, self._what = config_file, what

    def __truediv__(self, relative: str | Path) -> Path:
        if Path(relative).is_absolute():
            return Path(relative)
        if self._file is None:
            return (working_folder() if self._what else user_folder()) / relative
        real = Path(os.path.realpath(self._file)).parent / relative
        linked = self._file.parent / relative
        return linked if not os.path.lexists(real) and os.path.lexists(linked) else real


def _all_told(faults: list[WrongSetting]) -> ConfigError:
    if len(faults) == 1:
        [fault] = faults
        return ConfigError(f"{fault.where}: {fault.what}", fault.todo)
    return ConfigError(
        f"{len(faults)} settings cannot be used as they are:",
        "Mend these, then look again: triage config check",
        (f"{fault.where}: {fault.what}. {fault.todo}" for fault in faults),
    )


def _unknown(where: str, name: str, near: str) -> WrongSetting:
    return WrongSetting(where, f"there is no setting {name!r}", f"Did you mean {near!r}?")


def settings_table() -> list[tuple[str, str, str]]:
    """(key, default as written in triage.toml, meaning) of every setting, for the docs."""
    return [
        (name, _default_text(f.metadata.get("default", f.default)), f.metadata["doc"]) for name, f in SETTINGS.items()
    ]


def _default_text(default: object) -> str:
    if default is None:
        return "none"
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, tuple):
        return "[" + ", ".join(f'"{item}"' for item in default) + "]"
    return f'"{default}"' if isinstance(default, str) else str(default)


def find_config(config_path: Path | None, env: Mapping[str, str]) -> Path | None:
    """The triage.toml that counts, None without one. Raises ConfigError for one that is named and not there."""
    named = config_path or (Path(env[CONFIG_VARIABLE]) if env.get(CONFIG_VARIABLE) else None)
    if named:
        try:
            named = named.expanduser()
            named = named if named.is_absolute() else working_folder() / named
            named.stat()
        except (OSError, ValueError, RuntimeError) as error:  # not there, not readable, a NUL, ~nobody
            why = "no such configuration file" if isinstance(error, FileNotFoundError) else _why_unusable(error)
            raise ConfigError(f"{str(named)!r}: {why}", "Name an existing file, or leave it out.") from None
        return named
    try:
        candidates = [Path.cwd() / CONFIG_NAME]
    except OSError:  # the working folder is gone, and nothing lies in it
        candidates = []
    for candidate in (*candidates, user_folder() / CONFIG_NAME):
        if os.path.lexists(candidate):  # a pipe, or a link that leads nowhere, is no reason to look further
            return candidate
    return None


def _why_unusable(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _read_toml(config_file: Path, *, is_found: bool) -> tuple[dict[str, Any], dict[str, int]]:
    """What the file sets, and in which lines; `is_found`: nobody named it, it lay where we look."""
    try:
        text, found = read_plain(config_file)
        if is_found and config_file.parent == Path.cwd():
            refuse_strangers(config_file, found)
        values, lines = toml_values(text)
    except OSError as error:
        raise ConfigError(f"{config_file}: {error.strerror}", "Make it a file that this user can read.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{config_file}: not TOML: it is not UTF-8", "Save it as UTF-8.") from error
    except (ValueError, RecursionError) as error:  # tomllib's own error is a ValueError too
        raise ConfigError(f"{config_file}: not TOML: {error}"[:600], "Mend the line it names.") from error
    secrets = [name for name, value in values.items() if value and name in SETTINGS and is_secret(name)]
    if secrets and is_open_to_others(found):
        mode = stat.S_IMODE(found.st_mode)
        raise ConfigError(
            f"Others can read {config_file} (mode {mode:03o}), and `{secrets[0]}` in it is a secret.",
            f"Run `chmod 600 {config_file}`.",
        )
    return values, lines


def is_secret(name: str) -> bool:
    """Whether the value of a setting is never to be shown."""
    return bool(SETTINGS[name].metadata.get("secret"))
