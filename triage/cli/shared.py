"""What the modules of the command line beside `cli.py` share: global options, settings, printing, exit codes.

Must import next to nothing: `triage --help` pays for it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from triage.cli.manners.output import columns_of_output, write_utf8
from triage.errors import ConfigError, CredentialsDead, TriageError, TryLater

if TYPE_CHECKING:
    from remediation.rotation import StepFailed
    from triage.config import Settings
    from triage.model import Progress, RunSummary

PROGRESS_AFTER_SECONDS = 1.0


def _keep(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Global options count before the command and after it."""
    if value and ctx.obj is not None:
        setattr(ctx.obj, param.name or "", value)


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options every command has."""
    config = click.option(
        "--config",
        type=click.Path(path_type=Path),
        help="Settings file, instead of ./triage.toml.",
        expose_value=False,
        callback=_keep,
    )
    verbose = click.option(
        "--verbose",
        is_flag=True,
        help="Say more, and show the details of an error.",
        expose_value=False,
        callback=_keep,
    )
    mailbox = click.option(
        "--mailbox-name",
        metavar="NAME",
        help="Of several mailboxes in the settings file, this one.",
        expose_value=False,
        callback=_keep,
    )
    return config(mailbox(verbose(command)))


def on_database(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option of commands that can look at another database than that of the settings."""
    return click.option(
        "--database",
        type=click.Path(path_type=Path),  # what it is is for the store to refuse, in one way for all
        metavar="FILE",
        help="Use this database, instead of that of the settings.",
        expose_value=False,
        callback=_keep,
    )(command)


def read_settings(asked: Any, **overrides: Any) -> Settings:
    """The settings for this command; `overrides` are its options, None where not given."""
    import os

    from triage.config import load_settings

    if asked is not None and asked.verbose:
        import logging

        logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    config, mailbox = (asked.config, asked.mailbox_name) if asked is not None else (None, None)
    overrides = {"database": getattr(asked, "database", None), **overrides}
    settings = load_settings(config, os.environ, overrides, mailbox)
    _tell_times_of(settings)
    return settings


def _tell_times_of(settings: Settings) -> None:
    """Tell times in the zone of the settings, else in that of this computer."""
    from triage.display import tell_times_in

    if settings.timezone is None:
        tell_times_in(None)
    else:
        from zoneinfo import ZoneInfo

        tell_times_in(ZoneInfo(settings.timezone))


def now() -> datetime:
    """The present time in whole seconds, as it is stored."""
    return datetime.now(UTC).replace(microsecond=0)


class Monitors:
    """Those who are told how a run ended: a log, a file of figures, whoever reads the JSON on standard output."""

    def __init__(self, log_file: Path | None, *, as_json: bool = False) -> None:
        self.settings: Settings | None = None
        """None until they could be read."""
        self._log_file, self._as_json, self._began_at = log_file, as_json, now()

    def tell(self, outcome: RunSummary | TriageError) -> int:
        """Tell them; 1 where one of them could not be told, which is warned of."""
        from triage.monitor import run_record, tell_monitors

        ended_at = now()
        if self._as_json:
            import json

            write_json(json.dumps(run_record(outcome, self._began_at, ended_at), ensure_ascii=False) + "\n")
        problems = tell_monitors(self.settings, outcome, self._began_at, ended_at, log_file=self._log_file)
        for problem in problems:
            warn(f"Not told: {problem}")
        return 1 if problems else 0

    @contextmanager
    def told_of_failure(self, asked: Any) -> Iterator[None]:
        """Whatever ends the work inside they hear of, too."""
        try:
            yield
        except Exception as error:
            from triage.cli.manners.trouble import told_of

            self.tell(told_of(error, asked))
            raise


def say(lines: Iterable[str]) -> None:
    """Lines on standard output."""
    from parsers.text import printable

    for line in lines:  # values come from settings, AWS and servers: nothing of them reaches the terminal's controls
        click.echo(printable(line))


def warn(line: str) -> None:
    """A line on standard error."""
    from triage.display import shown

    click.echo(shown(line, 600), err=True)


def no_database(path: Path) -> ConfigError:
    """There is nothing to tell of yet: the same words whatever was asked for."""
    return ConfigError(f"There is no database {path} yet.", "Run `triage run` first, or set `database`.")


def need_database(settings: Settings) -> Settings:
    """The settings, where their database is there. Raises ConfigError where it is not."""
    try:
        settings.database.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise no_database(settings.database) from None
    except OSError:
        pass  # it cannot be looked at: whoever opens it says why
    return settings


def as_error(failed: StepFailed) -> TriageError:
    """What a step that could not be done ends the command with."""
    if failed.will_pass:
        return TryLater(failed.why, failed.todo)
    return (CredentialsDead if failed.lacks_permission else ConfigError)(failed.why, failed.todo)


def write_record(record: Any) -> None:
    """One JSON document."""
    import json

    write_json(json.dumps(record, ensure_ascii=False, indent=2) + "\n")


def write_records(records: Iterable[Any]) -> None:
    """One JSON object a line."""
    import json

    for record in records:
        write_json(json.dumps(record, ensure_ascii=False) + "\n")


def write_json(text: str) -> None:
    """JSON is UTF-8 (RFC 8259 8.1), whatever the terminal; a lone surrogate becomes the escape it has in ASCII."""
    write_utf8(text)


def on_terminal() -> bool:
    """Whether somebody reads along; cron does not."""
    return sys.stdout.isatty()


def width_of_screen() -> int:
    """Columns of the terminal or file, 80 without one; longer lines than 100 do not read well."""
    return min(columns_of_output(), 100)


@contextmanager
def progress_bar(what: str, *, is_wanted: bool = True) -> Iterator[Progress]:
    """Shows a bar on a terminal once the work has become long; it draws on standard error and touches nothing else."""
    if not (is_wanted and sys.stderr.isatty()):
        yield lambda done, total: None
        return
    started = time.monotonic()
    bars: list[Any] = []

    def show(done: int, total: int | None) -> None:
        if not bars and time.monotonic() - started > PROGRESS_AFTER_SECONDS:
            # Something endless stands for work of which nobody knows how long it is.
            bars.append(click.progressbar(count(), length=total, label=what, show_pos=True, file=sys.stderr))
            bars[0].render_progress()
        for bar in bars:
            bar.length = total
            bar.update(done - bar.pos)

    try:
        yield show
    finally:
        for bar in bars:
            bar.render_finish()
