"""Writes a JSON Schema (2020-12) for what each command answers with `--json`, from the types the program is written in.

https://json-schema.org/draft/2020-12/json-schema-core
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

from remediation.rotation import Rotation
from triage.cli.manners import records
from triage.report import Report
from triage.rows import VerdictRecord

FOLDER = "docs/schemas"

ANSWERS: Mapping[str, Any] = {
    "audit": records.AuditRecord,
    "check-address": list[records.AddressRecord],
    "classify": list[VerdictRecord],
    "config show": records.ConfigRecord,
    "credentials check": records.LoginRecord,
    "credentials rotate status": Rotation | None,
    "credentials status": records.KeysRecord,
    "doctor": records.DoctorRecord,
    "incidents": list[records.IncidentRecord],
    "incidents show": records.IncidentRecord,
    "outbox": list[records.DraftRecord] | list[records.StepRecord],
    "rejudge": records.RejudgedRecord,
    "report": Report,
    "resend": list[records.ResendRecord],
    "restore": list[records.CopyRecord],
    "retry": list[records.GivenUpRecord],
    "undo": list[records.UndoingRecord],
}
"""Command -> the type of the document it prints; where that is a list, `--jsonl` prints its items."""

MORE: Mapping[type, Mapping[str, Any]] = {Rotation: {"alias_failures": list[int]}}
"""Keys that a command adds to what a type has."""

_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null", datetime: "string"}


def schema_files() -> dict[str, Callable[[], str]]:
    """File -> what makes its text."""
    return {f"{FOLDER}/{name.replace(' ', '-')}.json": _maker(name) for name in ANSWERS}


def schema_of(name: str) -> dict[str, Any]:
    """The schema of what a command prints with `--json`."""
    shapes: dict[str, Any] = {}
    found = _schema(ANSWERS[name], shapes)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"triage {name} --json"}
    return {**head, **found, **({"$defs": dict(sorted(shapes.items()))} if shapes else {})}


def _maker(name: str) -> Callable[[], str]:
    return lambda: json.dumps(schema_of(name), indent=2, ensure_ascii=False) + "\n"


def _schema(kind: Any, shapes: dict[str, Any]) -> dict[str, Any]:
    """The schema of one type; what has a name of its own is put into `shapes`."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind in (Any, object):
        return {}
    if kind in _PLAIN:
        return {"type": _PLAIN[kind]}
    if origin is Literal:
        return {"enum": list(inner)}
    if origin in (Union, types.UnionType):
        parts = [_schema(part, shapes) for part in inner]
        names = [part["type"] for part in parts if set(part) == {"type"}]
        return {"type": names} if len(names) == len(parts) else {"anyOf": parts}
    if origin in (list, Sequence):
        return {"type": "array", "items": _schema(inner[0], shapes)}
    if origin is tuple:
        if inner[1:] == (Ellipsis,):
            return {"type": "array", "items": _schema(inner[0], shapes)}
        return {"type": "array", "prefixItems": [_schema(part, shapes) for part in inner], "items": False}
    if origin in (dict, Mapping):
        return {"type": "object", "additionalProperties": _schema(inner[1], shapes)}
    if is_typeddict(kind) or is_dataclass(kind):
        if kind.__name__ not in shapes:
            shapes[kind.__name__] = {}  # it may hold itself
            shapes[kind.__name__] = _object(kind, shapes)
        return {"$ref": f"#/$defs/{kind.__name__}"}
    raise TypeError(f"no schema for {kind}")


def _object(kind: Any, shapes: dict[str, Any]) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    if is_dataclass(kind):
        hints = {field.name: hints[field.name] for field in fields(kind)}
    hints |= MORE.get(kind, {})
    optional = {name for name, hint in hints.items() if get_origin(hint) is NotRequired}
    plain = {name: get_args(hint)[0] if name in optional else hint for name, hint in hints.items()}
    return {
        "description": " ".join((kind.__doc__ or "").split()),
        "type": "object",
        "properties": {name: _schema(hint, shapes) for name, hint in plain.items()},
        "required": [name for name in plain if name not in optional],
        "additionalProperties": False,
    }
