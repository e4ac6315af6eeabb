"""Settings: defaults, then triage.toml, then the environment, then the command line; the last one named wins.

Opens no file but triage.toml, which lies where somebody else may have put it when it is found in the working folder;
whether another file with secrets is open to others is checked where that file is read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triage.config.mailboxes import (
    TABLES,
    MailboxSettings,
    SettingsFile,
    named_table,
    own_values,
    tables_by_name,
)
from triage.config.setting import Invalid, WrongSetting, checked, from_text, nearest, toml_values
from triage.config.settings import SETTINGS, Settings, is_secret
from triage.errors import ConfigError
from triage.own_files import is_open_to_others, read_plain, refuse_strangers, user_folder, working_folder

CONFIG_NAME = "triage.toml"
ENV_PREFIX = "TRIAGE_"
CONFIG_VARIABLE = "TRIAGE_CONFIG"  # names the file itself and is therefore no setting
COMMAND_LINE = "command line"


@dataclass(frozen=True, slots=True)
class Sourced:
    """The settings, and of each where its value comes from: `default`, `FILE line N`, a variable, `command line`."""

    settings: Settings
    origins: Mapping[str, str]
    config_file: Path | None
    """The triage.toml that counted; None: there is none."""


def load_settings(
    config_path: Path | None,
    env: Mapping[str, str],
    overrides: Mapping[str, Any] | None = None,
    mailbox: str | None = None,
) -> Settings:
    """Collect the settings; `overrides` are the command line's, in which None means "not given".

    `config_path` (or TRIAGE_CONFIG) must exist when named; otherwise ./triage.toml, which must be ours and out of
    others' reach, and the user's configuration folder are tried. Relative paths count from the file that names them,
    else from the working folder. Raises ConfigError, which tells all that is wrong at once.
    """
    return source_settings(config_path, env, overrides, mailbox).settings


def source_settings(
    config_path: Path | None,
    env: Mapping[str, str],
    overrides: Mapping[str, Any] | None = None,
    mailbox: str | None = None,
) -> Sourced:
    """As `load_settings`, and where each value comes from."""
    file = read_file(config_path, env)
    table = named_table(file.tables, mailbox, file.path)
    return _sourced(file, env, overrides, table)


def mailbox_settings(config_path: Path | None, env: Mapping[str, str]) -> list[MailboxSettings]:
    """The settings of every mailbox that triage.toml names by a `[[mailbox]]` table; none where it names none.

    What is wrong with one of them is an error in its place. Raises ConfigError where the file itself cannot be used.
    """
    file = read_file(config_path, env)
    taken: dict[Path, str] = {}
    found: list[MailboxSettings] = []
    for name, table in file.tables.items():
        try:
            settings = _sourced(file, env, None, (name, table)).settings
            if (other := taken.setdefault(settings.database, name)) != name:
                raise ConfigError(
                    f"The mailboxes {other} and {name} have the same database, {settings.database}.",
                    "Give each a `database` of its own, or leave it out.",
                )
            found.append(MailboxSettings(name, settings))
        except ConfigError as error:
            found.append(MailboxSettings(name, error))
    return found


def read_file(config_path: Path | None, env: Mapping[str, str]) -> SettingsFile:
    """The triage.toml that counts, and what stands in it."""
    path = find_config(config_path, env)
    if path is None:
        return SettingsFile(None, {}, {}, {})
    found, lines = _read_toml(path, is_found=not (config_path or env.get(CONFIG_VARIABLE)))
    is_several = isinstance(found.get(TABLES), list)
    tables = tables_by_name(found.pop(TABLES), path) if is_several else {}
    return SettingsFile(path, found, lines, tables)


def _sourced(
    file: SettingsFile,
    env: Mapping[str, str],
    overrides: Mapping[str, Any] | None,
    table: tuple[str, Mapping[str, Any]] | None,
) -> Sourced:
    config_file = file.path
    beside = _Beside(config_file)
    values: dict[str, Any] = {
        name: beside / f.metadata["default"] for name, f in SETTINGS.items() if "default" in f.metadata
    }
    origins = dict.fromkeys(SETTINGS, "default")
    faults: list[WrongSetting] = []

    def take(name: str, value: Any, where: str, folder: _Beside, *, text: bool = False) -> None:
        if name not in SETTINGS:
            faults.append(_unknown(where, name, nearest(name, SETTINGS)))
            return
        try:
            values[name] = checked(SETTINGS[name], from_text(SETTINGS[name], value) if text else value, folder)
            origins[name] = where
        except Invalid as invalid:
            faults.append(WrongSetting(where, invalid.what, invalid.todo))

    for name, value in file.found.items():
        where = f"{config_file} line {file.lines[name]}" if name in file.lines else f"{config_file}"
        take(name, value, where, beside)
    for name, value in own_values(*table).items() if table else ():
        take(name, value, f"{config_file} [[mailbox]] {table[0] if table else ''}", beside)
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
        if value is not None:
            take(name, value, COMMAND_LINE, here)
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
    tables = values.get(TABLES)
    places = [values, *(table for table in tables if isinstance(table, dict))] if isinstance(tables, list) else [values]
    secrets = [n for place in places for n, value in place.items() if value and n in SETTINGS and is_secret(n)]
    if secrets and is_open_to_others(found):
        mode = stat.S_IMODE(found.st_mode)
        raise ConfigError(
            f"Others can read {config_file} (mode {mode:03o}), and `{secrets[0]}` in it is a secret.",
            f"Run `chmod 600 {config_file}`.",
        )
    return values, lines
