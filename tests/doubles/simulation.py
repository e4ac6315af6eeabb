"""IAM's SimulatePrincipalPolicy, which moto 5.2 lacks: what the inline policies of a user would allow.

Evaluates the policies that were really put there: actions and resources with wildcards, conditions on ses:FromAddress.
"""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import Any

HIDDEN = "MayNotBeAskedFor"
"""A statement of this name in its policy stands for a user of whom nobody may ask."""

_DENIED = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not authorized</Message></Error></ErrorResponse>"


def install() -> None:
    """Teach moto, in this process."""
    from moto.iam.responses import IamResponse

    IamResponse.simulate_principal_policy = _answer  # type: ignore[attr-defined]


def _answer(response: Any) -> Any:
    from moto.core.responses import ActionResult

    user = str(response._get_param("PolicySourceArn")).rpartition("/")[2]
    backend = response.backend
    statements = [
        statement
        for name in backend.list_user_policies(user)
        for statement in _listed(json.loads(backend.get_user_policy(user, name)["policy_document"])["Statement"])
    ]
    if any(statement.get("Sid") == HIDDEN for statement in statements):
        return 403, {"status": 403, "Content-Type": "text/xml"}, _DENIED
    told = {
        str(entry["ContextKeyName"]): [str(value) for value in entry["ContextKeyValues"]]
        for entry in response._get_param("ContextEntries") or ()
    }
    [action] = response._get_param("ActionNames")
    rows = []
    for resource in response._get_param("ResourceArns"):
        decision, missing = _decide(statements, str(action), str(resource), told)
        rows.append(
            {
                "EvalActionName": action,
                "EvalResourceName": resource,
                "EvalDecision": decision,
                "MatchedStatements": [],
                "MissingContextValues": missing,
            }
        )
    return ActionResult({"EvaluationResults": rows, "IsTruncated": False})


def _decide(
    statements: list[dict[str, Any]], action: str, resource: str, told: dict[str, list[str]]
) -> tuple[str, list[str]]:
    decision, missing = "implicitDeny", set()
    for statement in statements:
        actions = [str(name).lower() for name in _listed(statement["Action"])]
        if not any(fnmatchcase(action.lower(), name) for name in actions):
            continue
        if not any(fnmatchcase(resource, str(name)) for name in _listed(statement["Resource"])):
            continue
        wanted = {
            key: _listed(values) for row in statement.get("Condition", {}).values() for key, values in row.items()
        }
        missing |= {key for key in wanted if key not in told}
        if any(not set(told.get(key, ())) & set(values) for key, values in wanted.items()):
            continue
        if statement["Effect"] == "Deny":
            return "explicitDeny", sorted(missing)
        decision = "allowed"
    return decision, sorted(missing)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
