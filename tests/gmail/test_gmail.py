"""The Gmail client beside mails and labels: aliases, what it costs, and what must not happen."""

from __future__ import annotations

import logging

import pytest

from tests.doubles.gmail import GmailDouble
from tests.doubles.gmail import errors as gmail_errors
from tests.gmail.world import BOUNCE, LONG_AGO, NOTE
from triage.errors import CredentialsDead
from triage.gmail.client import Gmail
from triage.gmail.messages import SendAs
from triage.gmail.query import bounce_query


def test_send_as(double: GmailDouble, gmail: Gmail) -> None:
    double.add_send_as(
        "admin@queenofsandiego.com",
        display_name="Queen",
        host="email-smtp.us-east-1.amazonaws.com",
        verification="pending",
    )
    primary, alias = sorted(gmail.send_as(), key=lambda entry: not entry.is_primary)
    assert (primary.address, primary.is_primary, primary.host, primary.port) == (double.address, True, None, None)
    assert alias == SendAs(
        address="admin@queenofsandiego.com",
        display_name="Queen",
        is_primary=False,
        host="email-smtp.us-east-1.amazonaws.com",
        port=587,
        security="starttls",
        verification="pending",
    )
    assert gmail.quota.units_new == 1


def test_meter_agrees_with_the_double(double: GmailDouble, gmail: Gmail) -> None:
    thread_id = double.messages[double.seed(BOUNCE)].thread_id
    list(gmail.get_raw([ref.id for ref in gmail.list_refs(bounce_query(LONG_AGO))]))
    gmail.add_labels(thread_id, [gmail.label_id("Bounce/Ours")])
    assert gmail.find_in_thread(thread_id, "nobody@example.org") is None
    gmail.insert(NOTE, thread_id)
    gmail.send_as()
    gmail.profile_address()
    assert gmail.quota.units_new == double.quota.units_new > 0
    assert gmail.quota.units_old == double.quota.units_old > 0
    assert gmail.quota.requests == double.quota.http_requests > 0


def test_no_token_in_any_log_or_repr(double: GmailDouble, gmail: Gmail, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    thread_id = double.messages[double.seed(BOUNCE)].thread_id
    double.clock.advance(4000)
    list(gmail.get_raw([ref.id for ref in gmail.list_refs("from:mailer-daemon")]))
    gmail.insert(NOTE, thread_id)
    double.fail("getProfile", error=gmail_errors.scope_insufficient())
    with pytest.raises(CredentialsDead):
        gmail.profile_address()
    told = caplog.text + repr(gmail) + repr(vars(gmail))
    for secret in (*double.oauth.access_tokens, *double.oauth.refresh_tokens):
        assert secret not in told
    assert "Encountered 403 Forbidden" not in caplog.text
