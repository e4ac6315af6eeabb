"""Reads what a command printed with `--json`, where it keeps to the schema in docs/schemas/."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

FOLDER = Path(__file__).parents[2] / "docs" / "schemas"


@cache
def validator(name: str) -> Draft202012Validator:
    """The validator for a command, by its words."""
    schema = json.loads((FOLDER / f"{name.replace(' ', '-')}.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def by_schema(name: str, text: str) -> Any:
    """The document, after it was compared with the schema of `triage NAME --json`."""
    found = json.loads(text)
    validator(name).validate(found)
    return found
