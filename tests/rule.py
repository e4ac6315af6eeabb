"""What one rule does: its examples, and every mail at hand that it decides (`make rule ID=...`).

For whoever changes, moves or takes out a row. Judges by the rules as they are now; writes nothing.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from parsers import parse
from parsers.facts import Bounce
from triage.errors import TriageError
from triage.judging import also_matched, classify, load_rules
from triage.judging.rules import FOLDER, Rule
from triage.mailbox import LocalMail, read_mails

ROOT = Path(__file__).parents[1]
BOUNCES = ROOT / "tests" / "bounces"


def main(arguments: Sequence[str]) -> int:
    """Print what is known of the rule named first, in our samples and in the further folders; returns the exit code."""
    ident, *folders = arguments or [""]
    rules = {rule.id: rule for rule in load_rules()}
    if ident not in rules:
        near = difflib.get_close_matches(ident, rules, 3)
        print(f"There is no rule {ident!r}." if ident else "Name a rule.", file=sys.stderr)
        wanted = " or ".join(f"make rule ID={name}" for name in near or ["google-dmarc"])
        print(f"{'Did you mean' if near else 'For example:'} {wanted}{'?' if near else ''}", file=sys.stderr)
        return 2
    there = [path for path in map(Path, folders) if path.exists()]
    for path in folders:
        if Path(path) not in there:
            print(f"Not looked at: {path} is not there.", file=sys.stderr)
    try:
        print("\n".join(lines(rules[ident], [BOUNCES, *there])))
    except TriageError as error:
        print(f"{error.what}\n{error.todo}", file=sys.stderr)
        return error.exit_code
    return 0


def lines(rule: Rule, folders: Sequence[Path]) -> Iterator[str]:
    """The place of the rule, its examples, and a line for each failure it decides in these folders."""
    yield f"{rule.id} -> {rule.cause}, {place(rule)}"
    yield from (f'  example: "{example}"' for example in rule.examples)
    for folder in folders:
        found = list(decided(rule, folder))
        yield f"{len(found)} decided in {_short(folder)}"
        yield from (f"  {line}" for line in found)


def decided(rule: Rule, folder: Path) -> Iterator[str]:
    """Mail, recipient and evidence of each failure in a folder that the rule decides, and the next row that fits."""
    for mail in read_mails([folder]):
        found = parse(mail.data) if isinstance(mail, LocalMail) else None
        if not isinstance(found, Bounce):
            continue
        others = also_matched(found)
        for record in [verdict.as_dict() for verdict in classify(found, mail.source)]:
            if record["rule"] == rule.id:
                after = others.get((record["recipient"], rule.id))
                beside = f"; below it: {after[0][0]} ({after[0][1]})" if after else ""
                name = Path(mail.source).name
                yield f'{name}: {record["recipient"] or "nobody by name"}: "{record["evidence"]}"{beside}'


def place(rule: Rule) -> str:
    """The file and line a rule begins at, as editors and terminals open it."""
    path = FOLDER / rule.file
    written = path.read_text(encoding="utf-8") if path.is_file() else ""
    number = written.partition(f'\nid = "{rule.id}"\n')[0].count("\n") + 1
    return f"{_short(path)}:{number}"


def _short(path: Path) -> Path:
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
