"""Scores our reading against public bounces with labels, field by field and family by family.

    python -m benchmarks.corpus FOLDER [--verbose]

FOLDER holds mails and a `labels.jsonl`, one line a mail: `file`, `kind`, `recipients` (each with `recipient`, `reason`,
`status`, `reply_code`, `message_id`, `remote_host`; null is not scored). The labels are another program's opinion; each
disagreement is listed with our reason for it where `benchmarks/disagreements.toml` gives one. The list quotes addresses
of the samples, so it is written to `.accuracy/`, which is not part of the repository.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from parsers import parse
from parsers.second_opinion import differences, second_opinion
from triage.judging.verdict import classify

HERE = Path(__file__).parent
# Sisimai makes a status up where the mail has none (its codes end in 9nn); no mail says so, and neither do we.
INVENTED = re.compile(r"\.9\d\d$")
FIELDS = ("kind", "recipient", "reason", "status", "reply_code", "message_id", "remote_host")


def main(arguments: list[str]) -> int:
    """Score FOLDER, print the table, write the disagreements; 2 where there is nothing to score."""
    folders = [a for a in arguments if not a.startswith("-")]
    labels = Path(folders[0]) / "labels.jsonl" if folders else None
    if labels is None or not labels.exists():
        print(f"No labels.jsonl in {folders[0] if folders else '(no folder given)'}: nothing was scored.")
        print("Name a folder of labelled mails: make corpus CORPUS=path/to/folder")
        return 2
    scores: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    doubts: dict[str, list[str]] = {}
    disagreements: list[tuple[str, str, str, str]] = []
    for line in labels.read_text().splitlines():
        label = json.loads(line)
        name = label["file"]
        family = re.sub(r"-\d+\.eml$", "", name)
        mail = (labels.parent / name).read_bytes()
        found = parse(mail)
        opinion = second_opinion(mail)
        doubts[name] = ["it stumbles over the mail"] if opinion is None else list(differences(found, opinion))
        got = [v.as_dict() for v in classify(found, name)]
        for field, expected, actual in compare(label, got):
            right = expected == actual
            for group in ("all", family):
                scores[group][field][0] += right
                scores[group][field][1] += 1
            if not right:
                disagreements.append((name, field, str(expected), str(actual)))
    report(scores, disagreements, doubts, "--verbose" in arguments)
    return 0


def compare(label: dict[str, Any], got: list[dict[str, Any]]) -> list[tuple[str, Any, Any]]:
    """(field, expected, actual) for each labelled field of one mail."""
    rows: list[tuple[str, Any, Any]] = []
    kinds = {r["kind"] for r in got}
    if label["kind"] is not None:
        rows.append(("kind", label["kind"], label["kind"] if label["kind"] in kinds else "+".join(sorted(kinds))))
    by_recipient = {(r["recipient"] or "").lower(): r for r in got}
    by_original = {(r["original_recipient"] or "").lower(): r for r in got if r["original_recipient"]}
    for expected in label["recipients"] or []:
        address = expected["recipient"].lower()
        record = by_recipient.get(address) or by_original.get(address)
        rows.append(("recipient", address, address if record else f"none of {sorted(by_recipient)}"))
        if record is None:
            continue
        for field in ("reason", "status", "reply_code"):
            wanted = expected[field]
            if wanted and not (field == "status" and INVENTED.search(wanted)):
                rows.append((field, wanted, record[field]))
        if expected["message_id"]:
            rows.append(("message_id", expected["message_id"], (record["original"] or {}).get("message_id")))
        if expected["remote_host"]:
            rows.append(("remote_host", expected["remote_host"].lower(), record["remote_host"]))
    return rows


def report(
    scores: dict[str, dict[str, list[int]]],
    disagreements: list[tuple[str, str, str, str]],
    doubts: dict[str, list[str]],
    verbose: bool,
) -> None:
    """Print the totals; write every family and every disagreement to .accuracy/accuracy.md.

    `doubts`: by mail what flufl.bounce, which is asked for the recipients only, sees otherwise.
    """
    reasons = tomllib.loads((HERE / "disagreements.toml").read_text())
    lines = ["| family | " + " | ".join(FIELDS) + " |", "|---" * (len(FIELDS) + 1) + "|"]
    for group in sorted(scores, key=lambda g: (g != "all", g)):
        cells = [f"{s[0]}/{s[1]}" if (s := scores[group].get(field)) else "" for field in FIELDS]
        lines.append(f"| {group} | " + " | ".join(cells) + " |")
    lines += ["", "| mail | field | label | ours | why |", "|---|---|---|---|---|"]
    explained: Counter[str] = Counter()
    for name, field, expected, actual in disagreements:
        why = reasons.get(name, {}).get(field, "")
        explained[field] += bool(why)
        lines.append(f"| {name} | {field} | {expected} | {actual} | {why} |")
    lines += ["", "| mail | what flufl.bounce sees otherwise |", "|---|---|"]
    lines += [f"| {name} | {doubt} |" for name, told in doubts.items() for doubt in told]
    target = Path(".accuracy")
    target.mkdir(exist_ok=True)
    (target / "accuracy.md").write_text("\n".join(lines) + "\n")
    for field in FIELDS:
        right, total = scores["all"][field]
        if total:
            print(
                f"{field:12} {right:4} of {total:4} as labelled  {100 * right / total:5.1f} %"
                f"   {explained[field]:3} of {total - right:3} others explained"
            )
    same = sum(not told for told in doubts.values())
    print(f"flufl.bounce, the second opinion, names the same recipients in {same} of {len(doubts)} mails")
    print(f"{len(disagreements)} disagreements, each with our reason for it, in {target / 'accuracy.md'}")
    if verbose:
        for row in disagreements:
            print("  ", " | ".join(row))
        for name, told in doubts.items():
            for doubt in told:
                print("  ", name, "| flufl.bounce:", doubt)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
