"""Accepts what the golden tests wrote: every NAME.got.json replaces its NAME.json. Read the diff first.

Judges nothing and runs no test: `make test` writes the .got.json files, `make golden` shows the fields that move and
takes them over.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def main() -> int:
    """Take over every .got.json below tests/, printing each field that changes; returns the exit code."""
    found = sorted(FOLDER.rglob("*.got.json"))
    for got in found:
        wanted = got.with_name(got.name.removesuffix(".got.json") + ".json")
        print(wanted.relative_to(FOLDER))
        for line in differences(_read(wanted) if wanted.exists() else [], _read(got)):
            print("  " + line)
        got.replace(wanted)
    print(f"{len(found)} accepted" if found else "nothing to accept: no *.got.json (run `make test` first)")
    return 0


def differences(wanted: Any, got: Any, at: str = "") -> list[str]:
    """One line for each leaf that differs between two JSON values: `[0].cause: "a" -> "b"`."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        keys = list(dict.fromkeys([*wanted, *got]))
        return [
            line
            for key in keys
            for line in differences(wanted.get(key), got.get(key), f"{at}.{key}" if at else str(key))
        ]
    if isinstance(wanted, list) and isinstance(got, list) and len(wanted) == len(got):
        return [
            line
            for number, (one, other) in enumerate(zip(wanted, got, strict=True))
            for line in differences(one, other, f"{at}[{number}]")
        ]
    if wanted == got:
        return []
    return [f"{at or 'all'}: {json.dumps(wanted, ensure_ascii=False)} -> {json.dumps(got, ensure_ascii=False)}"]


def as_text(records: list[dict[str, Any]]) -> str:
    """The form in which expected records are kept: one key a line, so that a diff shows one fact."""
    return json.dumps(records, indent=2, ensure_ascii=False) + "\n"


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.exit(main())
