"""Which API method a request means, and what Gmail lets it say: read from Google's own discovery document.

The document is the one bundled with the client, so client and double cannot disagree about paths, parameters or scopes.
Knows nothing of mailboxes.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import unquote

from tests.doubles.gmail_errors import JSON, invalid


@dataclass(frozen=True)
class Route:
    """One method of the API. `name` is Google's without `gmail.users.` and `settings.`: messages.list, sendAs.get."""

    name: str
    http_method: str
    pattern: re.Pattern[str]
    scopes: frozenset[str]
    parameters: JSON
    body_fields: frozenset[str] | None


@cache
def document() -> JSON:
    path = files("googleapiclient") / "discovery_cache" / "documents" / "gmail.v1.json"
    return dict(json.loads(path.read_text("utf-8")))


@cache
def label_palette() -> frozenset[str]:
    """The colours a label may have: the document spells them out in prose (lower case only)."""
    color = document()["schemas"]["LabelColor"]["properties"]["textColor"]
    return frozenset(re.findall(r"#[0-9a-f]{6}", color["description"]))


@cache
def routes() -> tuple[Route, ...]:
    """All methods, literal paths before paths with an id."""
    found = [_route(method) for method in _methods(document())]
    return tuple(sorted(found, key=lambda route: route.pattern.groups))


def find_route(http_method: str, path: str) -> tuple[Route, JSON] | None:
    """The method and its path parameters, or None where Google has no such address."""
    for route in routes():
        if route.http_method == http_method and (found := route.pattern.fullmatch(path)):
            return route, {name: unquote(value) for name, value in found.groupdict().items()}
    return None


def typed_parameters(route: Route, query: dict[str, list[str]]) -> JSON:
    """Query parameters as the types the document gives them; an unknown or malformed one is a 400 as at Google."""
    typed: JSON = {}
    for name, values in query.items():
        if name in document()["parameters"]:
            continue
        schema = route.parameters.get(name)
        if schema is None:
            raise invalid(f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query parameter.')
        converted = [_typed(name, value, schema) for value in values]
        typed[name] = converted if schema.get("repeated") else converted[-1]
    return typed


def checked_body(route: Route, body: bytes) -> JSON:
    """The JSON body; a field Google does not know is a 400."""
    try:
        parsed = json.loads(body or b"{}")
    except ValueError:
        raise invalid("Invalid JSON payload received. Parsing terminated before end of input.") from None
    if not isinstance(parsed, dict):
        raise invalid("Invalid JSON payload received. Expected an object.")
    for name in parsed:
        if route.body_fields is not None and name not in route.body_fields:
            raise invalid(f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.')
    return parsed


def select_fields(answer: Any, mask: str) -> Any:
    """A partial response: `messages(id,threadId),nextPageToken` or `messages/id` (the `fields` parameter)."""
    tree, end = _mask(mask, 0)
    if end != len(mask):
        raise invalid(f"Invalid field selection {mask}")
    return _selected(answer, tree)


def _methods(node: JSON) -> list[JSON]:
    own = list(node.get("methods", {}).values())
    return own + [method for child in node.get("resources", {}).values() for method in _methods(child)]


def _route(method: JSON) -> Route:
    pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape("/" + method["path"]))
    schema = document()["schemas"].get(method.get("request", {}).get("$ref"))
    return Route(
        method["id"].removeprefix("gmail.users.").removeprefix("settings."),
        method["httpMethod"],
        re.compile(pattern),
        frozenset(method.get("scopes", ())),
        method.get("parameters", {}),
        frozenset(schema["properties"]) if schema else None,
    )


def _typed(name: str, value: str, schema: JSON) -> Any:
    if "enum" in schema and value.upper() not in {word.upper() for word in schema["enum"]}:
        raise invalid(f"Invalid value at '{name}' (TYPE_ENUM), \"{value}\"")
    match schema["type"]:
        case "boolean" if value in ("true", "false"):
            return value == "true"
        case "boolean":
            raise invalid(f"Invalid value at '{name}' (TYPE_BOOL), \"{value}\"")
        case "integer" if re.fullmatch(r"-?\d+", value):
            return int(value)
        case "integer":
            raise invalid(f"Invalid value at '{name}' (TYPE_INT32), \"{value}\"")
        case _ if schema.get("format") == "uint64" and not (value.isdigit() and int(value) < 2**64):
            raise invalid(f"Invalid value at '{name}' (TYPE_UINT64), \"{value}\"")
        case _:
            return value


def _mask(text: str, at: int) -> tuple[JSON, int]:
    """`a/b,c(d,e)` as nested dicts; an empty dict means everything below."""
    tree: JSON = {}
    while found := re.compile(r"([\w*/]+)").match(text, at):
        at = found.end()
        node = tree
        for name in found.group().split("/"):
            node = node.setdefault(name, {})
        if text[at : at + 1] == "(":
            inner, at = _mask(text, at + 1)
            node |= inner
            at += 1
        if text[at : at + 1] != ",":
            break
        at += 1
    return tree, at


def _selected(answer: Any, tree: JSON) -> Any:
    if not tree or "*" in tree:
        return answer
    if isinstance(answer, list):
        return [_selected(item, tree) for item in answer]
    if isinstance(answer, dict):
        return {name: _selected(answer[name], inner) for name, inner in tree.items() if name in answer}
    return answer
