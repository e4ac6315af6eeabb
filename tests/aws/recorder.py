"""What our program asks of AWS, noted as the IAM actions it takes."""

from __future__ import annotations

import pytest
from botocore.client import BaseClient

SERVICES = {"sesv2": "ses", "monitoring": "cloudwatch"}
ACTIONS = {
    # The Service Authorization Reference has other words for these than the API.
    "sqs:DeleteMessageBatch": {"sqs:DeleteMessage"},
    "sts:GetCallerIdentity": set(),
    "ses:SendEmail": {"ses:SendEmail", "ses:SendRawEmail"},  # which of the two depends on what the mail is given as
}


def record_actions(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The actions of every call that clients of ours make from now on; those of the test's own do not count."""
    actions: set[str] = set()
    whole = BaseClient._make_api_call

    def noted(client: BaseClient, operation: str, parameters: object) -> object:
        if client.meta.config.user_agent_extra == "bounce-triage":
            service = client.meta.service_model.service_name
            action = f"{SERVICES.get(service, service)}:{operation}"
            actions.update(ACTIONS.get(action, {action}))
        return whole(client, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", noted)
    return actions
