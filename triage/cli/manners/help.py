"""Help: sections instead of one long list, whole sentences, examples, and `triage help [COMMAND | docs/PAGE.md]`.

Must import next to nothing: `triage --help` pays for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from triage.cli.manners.examples import EXAMPLES
from triage.errors import UsageError

SECTIONS = {
    "See what bounced": ("run", "report", "explain", "incidents", "browse", "classify"),
    "Repair it": ("resend", "credentials", "outbox", "audit", "check-address", "undo", "retry"),
    "Set it up": ("auth", "doctor", "config", "alerts", "schedule", "completion", "help"),
    "Look after the database": ("backup", "restore", "rebuild", "rejudge"),
}
"""The commands of `triage --help`, in the order somebody meets them."""

_PAGES = "share/doc/bounce-triage"
"""Where a wheel puts docs/*.md, below the environment it is installed in."""


class Family(click.Group):
    """A group of commands whose help tells whole sentences, in sections where there are many."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a line or more for each command, cut nowhere."""
        in_sections = {name for names in SECTIONS.values() for name in names}
        sections = SECTIONS if in_sections >= set(self.commands) else {"Commands": tuple(sorted(self.commands))}
        for title, names in sections.items():
            with formatter.section(title):
                formatter.write_dl([(name, self.commands[name].get_short_help_str(1000)) for name in names])


def every_command(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """A command with its full name, and after it all that are within it."""
    yield name, command
    if isinstance(command, click.Group):
        for part, inner in sorted(command.commands.items()):
            yield from every_command(f"{name} {part}", inner)


def give_examples(root: click.Group) -> None:
    """Put the examples below the help of each command."""
    for name, command in every_command("triage", root):
        lines = EXAMPLES.get(name, ())
        # Click rewraps no paragraph that begins with \b.
        command.epilog = "\n".join(["\b", "Example:" if len(lines) == 1 else "Examples:", *(f"  {x}" for x in lines)])


@click.command("help")
@click.argument("words", metavar="[COMMAND | docs/PAGE.md]", nargs=-1)
@click.pass_context
def help_(ctx: click.Context, words: tuple[str, ...]) -> int:
    """Show the help of a command, or a page of the documents that messages name."""
    if len(words) == 1 and words[0].endswith(".md"):
        click.echo(_page(words[0]))
        return 0
    root = ctx.find_root()
    context = root
    for word in words:
        found = context.command.get_command(context, word) if isinstance(context.command, click.Group) else None
        if found is None:
            raise UsageError(f"There is no command '{' '.join(words)}'.", "`triage help` lists the commands.")
        # A command takes how wide and by which names it shows help from the group it is in.
        context = click.Context(found, parent=context, info_name=word, **found.context_settings)
    click.echo(context.get_help())
    if not words:
        click.echo(f"\nPages (triage help docs/NAME.md): {', '.join(sorted(page.stem for page in pages_at_hand()))}")
    return 0


def _page(name: str) -> str:
    wanted = Path(name).name
    for page in pages_at_hand():
        if page.name == wanted:
            return page.read_text(encoding="utf-8").rstrip()
    names = ", ".join(sorted(f"docs/{page.name}" for page in pages_at_hand()))
    raise UsageError(f"There is no page {name!r}.", f"These are there: {names or 'none; they were not installed'}.")


def pages_at_hand() -> list[Path]:
    """The documents, in a clone or where the wheel put them; none where somebody left them out."""
    clone = Path(__file__).parents[3] / "docs"
    if (clone / "generate.py").is_file():
        return sorted([*clone.glob("*.md"), clone.parent / "README.md"])
    from importlib.metadata import PackageNotFoundError, files

    try:
        listed = files("bounce-triage") or []
    except PackageNotFoundError:
        return []
    found = (Path(str(one.locate())) for one in listed if _PAGES in one.as_posix() and one.suffix == ".md")
    return sorted(path.resolve() for path in found if path.is_file())
