"""Writes the parts of README.md and docs/*.md that the program itself knows: help texts, tables, catalogue, schema.

    python -m docs.generate            writes
    python -m docs.generate --check    writes nothing, names the files that are out of date, and returns 1

A part stands between `<!-- generated: NAME -->` and `<!-- end -->`; everything else in these files is written by hand.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from docs.man import man_page
from docs.rooms import picture
from docs.schemas import schema_files
from remediation import FAMILIES, REASONS, Cause, load_causes
from triage import store
from triage.cli.manners.help import every_command
from triage.cli.program import EXIT_CODES, cli
from triage.config import load_settings, settings_table
from triage.display import ACTOR_WORDS, SIDE_WORDS, table_row
from triage.judging.files import judge_mails
from triage.judging.rules import load_rules
from triage.letters import LABELS
from triage.mailbox import read_mails
from triage.report.build import read_report
from triage.report.model import Report
from triage.report.text import report_text
from triage.run import run_local
from triage.store import schema_text

ROOT = Path(__file__).resolve().parent.parent
MARKED = re.compile(r"(<!-- generated: ([a-z-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
HELP_WIDTH = 90
STORY_WIDTH = 90

STORY = ROOT / "examples" / "mailbox"
"""Mails from which README.md and docs/labels.md show real output."""
STORY_READ_AT = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
STORY_SETTINGS = {
    "TRIAGE_SMTP_ALIAS": "admin@queenofsandiego.com",
    "TRIAGE_SMTP_HOST": "email-smtp.us-west-2.amazonaws.com",
    "TRIAGE_SMTP_USER": "ses-smtp-admin",
    "TRIAGE_MAILBOX": "jadasailing@gmail.com",
}
"""What the owner of the story has set, so that the fixes name her own things."""

LABEL_MEANINGS: Mapping[str, str] = {
    "smtp-credentials": "Gmail could not hand the mail to the server behind your alias: it never left. You repair it.",
    "ses-refused": "Amazon SES took the connection and refused the mail, or suppressed it. You repair it.",
    "exchange-rejection": "The mail left, and the recipient's Exchange server refused it.",
    "remote-rejection": "The mail left, and another kind of server at the recipient's side refused it.",
    "delayed": "Not failed yet: still being tried.",
    "gmail-refused": "Gmail itself did not send it: a limit of your account, or its filter. It never left.",
    "unknown": "A bounce, but neither side can be named from what it says. `triage explain` shows what it says.",
    "unverified": "Shown to be forged, or not about a mail of yours. Recorded, never acted on, never labelled.",
}


def main(arguments: list[str]) -> int:
    """Bring every file up to date, or with --check say which are not."""
    stale = []
    for path in (*documents(), *(ROOT / name for name in WHOLE)):
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        fresh = whole(path) or filled(text)
        if fresh != text:
            stale.append(path.relative_to(ROOT))
            if "--check" not in arguments:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(fresh, encoding="utf-8")
    for name in stale:
        print(f"{name}: {'out of date (make docs)' if '--check' in arguments else 'written'}")
    return 1 if stale and "--check" in arguments else 0


def documents() -> list[Path]:
    """The files that may have generated parts."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def whole(path: Path) -> str | None:
    """What the file holds where all of it is made; None: parts of it at most."""
    name = path.relative_to(ROOT).as_posix()
    return WHOLE[name]() if name in WHOLE else None


def filled(text: str) -> str:
    """The text with every generated part made anew; KeyError for a part nobody makes."""
    return MARKED.sub(lambda found: f"{found[1]}{PARTS[found[2]]().rstrip()}\n{found[4]}", text)


def command_table() -> str:
    """Each command with its one-line help."""
    rows = [
        f"| [`triage {name}`](#triage-{name}) | {command.get_short_help_str(200)} |"
        for name, command in sorted(cli.commands.items())
    ]
    return _table("| command | what it does |", rows)


def command_helps() -> str:
    """The full help of every command, those within a group included, as the terminal shows it."""
    return "\n\n".join(f"## {name}\n\n```text\n{_help(one, name)}\n```" for name, one in every_command("triage", cli))


def _help(command: click.Command, name: str) -> str:
    # A command takes these from the group it is called through, and keeps the option it made first.
    inherited = {**cli.context_settings, **command.context_settings}
    with click.Context(command, info_name=name, terminal_width=HELP_WIDTH, **inherited) as context:
        return command.get_help(context).rstrip()


def exit_codes() -> str:
    """Exit codes and what they mean."""
    return _table("| code | meaning |", [f"| {code} | {meaning} |" for code, meaning in EXIT_CODES])


def labels() -> str:
    """Category, Gmail label and meaning."""
    rows = [
        f"| {f'`Bounce/{LABELS[category]}`' if category in LABELS else 'none'} | `{category}` | {meaning} |"
        for category, meaning in LABEL_MEANINGS.items()
    ]
    return _table("| Gmail label | category | meaning |", rows)


def settings() -> str:
    """The keys of triage.toml."""
    rows = [
        f"| `{name}` | `TRIAGE_{name.upper()}` | `{default}` | {meaning} |"
        for name, default, meaning in settings_table()
    ]
    return _table("| key | environment variable | default | meaning |", rows)


def schema() -> str:
    """The database schema with its comments."""
    return f"```sql\n{schema_text()}```"


def catalogue() -> str:
    """Every cause: what it means, whose move it is, what to do."""
    causes = load_causes()
    rows = [f"| [`{c.id}`](#{c.id}) | {c.title} | {c.side} | {c.actor} | {c.permanence} |" for c in causes.values()]
    overview = _table("| cause | in plain words | side | next move | lasting |", rows)
    return "\n".join([overview, *(line for cause in causes.values() for line in _cause(cause))])


def _cause(cause: Cause) -> Iterator[str]:
    yield from ("", f"## {cause.id}", "", f"**{cause.title}.** {cause.meaning}", "")
    yield f"- Side: {SIDE_WORDS[cause.side]}"
    yield f"- The next move is up to {ACTOR_WORDS[cause.actor]}"
    yield f"- Lasting: {cause.permanence}. Sisimai's word: `{cause.reason}`."
    if cause.decide:
        yield f"- Not certain: {cause.decide}"
    yield from ("", "What to do:", "")
    for number, step in enumerate(cause.steps, 1):
        condition = f"*({step.when})* " if step.when else ""
        yield f"{number}. {condition}{step.text}"
    if cause.links:
        yield from ("", *(f"- <{link}>" for link in cause.links))


def reasons() -> str:
    """Each word of `reason`, what it stands for, and its name in the two vocabularies of Sisimai."""
    causes = load_causes()
    rows = []
    for word, reason in REASONS.items():
        own = [f"[`{cause.id}`](#{cause.id})" for cause in causes.values() if cause.reason == word]
        rows.append(f"| `{word}` | {reason.meaning} | `{word}` | `{reason.since_5_6 or word}` | {', '.join(own)} |")
    head = "| reason | meaning | Sisimai 5.0 to 5.5 | Sisimai 5.6 and later | causes it is the word of |"
    families = [f"- {name}: {', '.join(f'`{word}`' for word in sorted(words))}" for name, words in FAMILIES.items()]
    return "\n".join(
        [_table(head, rows), "", "Words of one family, of which a rule may choose the finer:", "", *families]
    )


def numbers() -> str:
    """How much the program knows."""
    rules = load_rules()
    examples = sum(len(rule.examples) for rule in rules)
    mails = len(list((ROOT / "tests" / "bounces").glob("*.eml")))
    return (
        f"At present {len(load_causes())} causes, {len(rules)} rules with {examples} example replies, and {mails}"
        " sample mails, each with the verdict it must get."
    )


def index_page() -> str:
    """The README as a package index shows it: nothing there can follow a link into the clone, or see its picture."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.sub(r"!?\[([^\]\n]{1,200})\]\((?!https?:)[^)\s]{1,200}\)", r"\1", text)


def story_table() -> str:
    """What `triage classify` says about the mails of the story."""
    text = "".join(block.text for block in judge_mails(read_mails([STORY]), _story_row))
    return f"```text\n$ triage classify {STORY.relative_to(ROOT)}\n{text}```"


def _story_row(record: dict[str, object]) -> str:
    return table_row({**record, "source": Path(str(record["source"])).relative_to(ROOT)}, STORY_WIDTH)


def story_report() -> str:
    """What `triage report` says about them."""
    lines = report_text(story(), STORY_WIDTH).splitlines()
    return "\n".join(["```text", "$ triage report", *lines, "```"])


def story() -> Report:
    """The report over the mails of the story, as its owner reads it three days later; README.md has a picture of it."""
    with tempfile.TemporaryDirectory() as folder:
        made = load_settings(None, {"TRIAGE_DATABASE": os.path.join(folder, "triage.db"), **STORY_SETTINGS})
        run_local(made, lambda: STORY_READ_AT, [STORY])
        db = store.open_readonly(made.database)
        assert db is not None
        report = read_report(db, made, since=STORY_READ_AT - timedelta(days=7), now=STORY_READ_AT)
        db.close()
    return report


def _table(head: str, rows: list[str]) -> str:
    return "\n".join([head, re.sub(r"[^|]+", "---", head), *rows])


PARTS: Mapping[str, Callable[[], str]] = {
    "commands": command_table,
    "help": command_helps,
    "exit-codes": exit_codes,
    "labels": labels,
    "settings": settings,
    "schema": schema,
    "causes": catalogue,
    "reasons": reasons,
    "numbers": numbers,
    "rooms": picture,
    "story-table": story_table,
    "story-report": story_report,
}

WHOLE: Mapping[str, Callable[[], str]] = {
    "docs/triage.1": man_page,
    "docs/bounce-triage.1": lambda: ".so man1/triage.1\n",
    "docs/index-page.txt": index_page,
    **schema_files(),
}
"""Files that are made from their first line to their last."""

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
