"""Settings: defaults, then triage.toml, then the environment, then the command line; the last one named wins.

Every setting carries its own documentation, from which the table in the docs is made. Opens no file but triage.toml,
which lies where somebody else may have put it when it is found in the working folder; whether another file with secrets
is open to others is checked where that file is read.
"""

from __future__ import annotations

import difflib
import os
import stat
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from triage.addresses import google_or_here
from triage.errors import ConfigError
from triage.own_files import is_open_to_others, read_plain, refuse_strangers

CONFIG_NAME = "triage.toml"
ENV_PREFIX = "TRIAGE_"
CONFIG_VARIABLE = "TRIAGE_CONFIG"  # names the file itself and is therefore no setting

_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"0", "false", "no", "off"})


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
        metadata={"doc": "How far each run looks back before the last one, because search can lag.", "min": 0},
    )
    since_days: int = field(default=30, metadata={"doc": "How far the very first run looks back.", "min": 1})
    subjects: tuple[str, ...] = field(
        default=(), metadata={"doc": 'More subjects to look for, such as "Unzustellbar", beside the English ones.'}
    )
    timezone: str | None = field(
        default=None,
        metadata={"doc": "The zone times are told in, such as `America/Los_Angeles`; by default this computer's."},
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
        metadata={"doc": 'The AWS regions you send from, such as "us-east-1": their suppression lists are asked.'},
    )
    domains: tuple[str, ...] = field(
        default=(),
        metadata={"doc": "The domains you send from, for `audit`. By default those of the aliases, else all of SES."},
    )
    dns: str | None = field(
        default=None,
        metadata={"doc": "The DNS server to ask, as address or address:port, instead of the system's own."},
    )
    queue_url: str | None = field(
        default=None, metadata={"doc": "The SQS queue SES publishes its events to; each run empties it."}
    )
    topics: tuple[str, ...] = field(
        default=(),
        metadata={"doc": "The SNS topics of these events, by ARN: then only what SNS signed for them is believed."},
    )
    accounts: tuple[str, ...] = field(
        default=(),
        metadata={
            "doc": "The AWS accounts whose events count. By default those in `queue_url`, `topics`, `smtp_secret`."
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
        default=None, metadata={"doc": "The region of the SMTP server and of its secret, such as us-east-1."}
    )
    probe: bool = field(
        default=False,
        metadata={"doc": "When the alias failed, try the stored login once at its own server. Sends no mail."},
    )
    smtp_host: str | None = field(
        default=None, metadata={"doc": "The SMTP server behind the alias, where it is not that of `smtp_region`."}
    )
    smtp_port: int = field(default=587, metadata={"doc": "Its port, as entered in Gmail.", "min": 1})
    smtp_security: str | None = field(
        default=None,
        metadata={"doc": "How a connection to it begins: starttls or ssl. By default ssl on ports 465 and 2465."},
    )
    smtp_ca_file: Path | None = field(
        default=None, metadata={"doc": "Certificate authorities to trust for it, instead of the system's own."}
    )
    smtp_alias: str | None = field(
        default=None, metadata={"doc": "The address Gmail sends from through it, such as admin@example.org."}
    )
    smtp_patience_seconds: int = field(
        default=180, metadata={"doc": "How long a new key may be refused before a rotation gives it up.", "min": 0}
    )
    rotation_grace_days: int = field(
        default=3, metadata={"doc": "How long the old key stays Inactive before `finish` may delete it.", "min": 1}
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
        default=None, metadata={"doc": "The Gmail address the service account acts for: the owner of the alias."}
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
        default=True, metadata={"doc": "Tell about incidents by a message put into your inbox. Sends no mail."}
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
        default=24, metadata={"doc": "How often to tell about an incident again that waits for you.", "min": 1}
    )
    ping_url: str | None = field(
        default=None,
        repr=False,
        metadata={
            "doc": "A watcher's address, called at the start and end of each run as Healthchecks wants it. Secret.",
            "secret": True,
        },
    )
    gmail_url: str | None = field(
        default=None, metadata={"doc": "Root of the Gmail API on this computer, instead of Google's own (tests)."}
    )


SETTINGS = {f.name: f for f in fields(Settings)}


def load_settings(
    config_path: Path | None, env: Mapping[str, str], overrides: Mapping[str, Any] | None = None
) -> Settings:
    """Collect the settings; `overrides` are the command line's, in which None means "not given".

    `config_path` (or TRIAGE_CONFIG) must exist when named; otherwise ./triage.toml, which must be ours and out of
    others' reach, and the user's configuration folder are tried. Relative paths count from the file that names them,
    else from the working folder. Raises ConfigError.
    """
    config_file = find_config(config_path, env)
    folder = config_file.parent if config_file else _user_folder()
    values: dict[str, Any] = {
        name: folder / f.metadata["default"] for name, f in SETTINGS.items() if "default" in f.metadata
    }
    if config_file:
        is_named = bool(config_path or env.get(CONFIG_VARIABLE))
        for name, value in _read_toml(config_file, is_found=not is_named).items():
            values[name] = _checked(name, value, f"{config_file}", folder)
    for variable, text in env.items():
        if variable.startswith(ENV_PREFIX) and variable != CONFIG_VARIABLE and text:  # set to nothing: not set
            name = variable.removeprefix(ENV_PREFIX).lower()
            _refuse_unknown(name, f"environment variable {variable}", spell=lambda known: ENV_PREFIX + known.upper())
            values[name] = _checked(name, _from_text(name, text, variable), variable, Path.cwd())
    for name, value in (overrides or {}).items():
        if value is not None:
            _refuse_unknown(name, "command line", spell=str)
            values[name] = _checked(name, value, "command line", Path.cwd())
    return Settings(**values)


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


def _user_folder() -> Path:
    import platformdirs

    return platformdirs.user_config_path("bounce-triage", appauthor=False)


def find_config(config_path: Path | None, env: Mapping[str, str]) -> Path | None:
    """The triage.toml that counts, None without one. Raises ConfigError for one that is named and not there."""
    named = config_path or (Path(env[CONFIG_VARIABLE]) if env.get(CONFIG_VARIABLE) else None)
    if named:
        named = named.expanduser().absolute()
        if not named.exists():
            raise ConfigError(f"{named}: no such configuration file", "Name an existing file, or leave it out.")
        return named
    for candidate in (Path.cwd() / CONFIG_NAME, _user_folder() / CONFIG_NAME):
        if os.path.lexists(candidate):  # a pipe, or a link that leads nowhere, is no reason to look further
            return candidate
    return None


def _read_toml(config_file: Path, *, is_found: bool) -> dict[str, Any]:
    """What the file sets; `is_found`: nobody named it, it lay where we look."""
    try:
        text, found = read_plain(config_file)
        if is_found and config_file.parent == Path.cwd():
            refuse_strangers(config_file, found)
        values = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{config_file}: {error.strerror}", "Make it a file that this user can read.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{config_file}: not TOML: {error}", "Mend the line it names.") from error
    for name in values:
        _refuse_unknown(name, f"{config_file}", spell=str)
    secrets = [name for name, value in values.items() if value and SETTINGS[name].metadata.get("secret")]
    if secrets and is_open_to_others(found):
        mode = stat.S_IMODE(found.st_mode)
        raise ConfigError(
            f"Others can read {config_file} (mode {mode:03o}), and `{secrets[0]}` in it is a secret.",
            f"Run `chmod 600 {config_file}`.",
        )
    return values


def _refuse_unknown(name: str, where: str, spell: Callable[[str], str]) -> None:
    if name in SETTINGS:
        return
    nearest = difflib.get_close_matches(name, SETTINGS, n=1, cutoff=0.0)[0]
    raise ConfigError(f"{where}: there is no setting {spell(name)!r}", f"Did you mean {spell(nearest)!r}?")


def _from_text(name: str, text: str, variable: str) -> Any:
    """An environment variable's text as the setting's type; lists are separated by commas."""
    kind = str(SETTINGS[name].type)
    if kind == "bool":
        if text.strip().lower() in _YES | _NO:
            return text.strip().lower() in _YES
        raise ConfigError(f"{variable}: {text!r} is neither yes nor no", "Write true or false.")
    if kind == "int":
        try:
            return int(text)
        except ValueError:
            raise ConfigError(f"{variable}: {text!r} is no whole number", "Write digits only.") from None
    if kind.startswith("tuple"):
        return [item.strip() for item in text.split(",") if item.strip()]
    return text


def _checked(name: str, value: Any, where: str, folder: Path) -> Any:
    """The value as the setting's type, or ConfigError; `folder` is where relative paths start."""
    setting = SETTINGS[name]
    kind = str(setting.type)
    if kind.startswith("Path") and isinstance(value, str | Path) and str(value):
        return folder / Path(value).expanduser()
    if kind == "bool" and isinstance(value, bool):
        return value
    if kind == "int" and isinstance(value, int) and not isinstance(value, bool):
        if value >= setting.metadata["min"]:
            return value
        raise ConfigError(f"{where}: {name} = {value} is too small", f"The least is {setting.metadata['min']}.")
    if kind.startswith("tuple") and isinstance(value, list | tuple) and all(isinstance(v, str) and v for v in value):
        return tuple(value)
    if kind.startswith("str") and isinstance(value, str) and value.strip("/ "):
        if name == "timezone":
            return _zone_name(value, f"{where}: {name}")
        if name == "gmail_url":
            return google_or_here(value, f"{where}: {name}")
        return value.strip("/ ") if name == "label_prefix" else value
    wanted = {"Path": "a path", "bool": "true or false", "int": "a whole number"}.get(kind.partition(" ")[0], "text")
    wanted = "a list of texts" if kind.startswith("tuple") else wanted
    told = name if setting.metadata.get("secret") else f"{name} = {value!r}"
    raise ConfigError(f"{where}: {told} is not {wanted}", f"Write {wanted}.")


def _zone_name(name: str, where: str) -> str:
    """The name of a time zone this computer knows (IANA), or ConfigError."""
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (ValueError, OSError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise ConfigError(f"{where}: {name!r} is no time zone", "Write one such as America/Los_Angeles.") from error
    except KeyError:
        raise ConfigError(
            f"{where}: this computer knows no time zone {name!r}", "Write one such as America/Los_Angeles."
        ) from None
    return name
