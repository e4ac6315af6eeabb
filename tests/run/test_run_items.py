"""One bad item stops nothing else, Gmail's own trouble counts against none, and what is given up is told."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from tests.doubles.gmail import GmailDouble
from tests.doubles.gmail.account import Account, StoredMessage
from tests.doubles.gmail.errors import ApiError, by_status
from tests.worlds.made_mails import NOW, refusal
from tests.worlds.run_world import Query, Work, at, seed, user_labels
from triage import run as worker
from triage.config import Settings
from triage.errors import TryLater
from triage.owner import rejudge, retry
from triage.owner.doctor import examine


def mails(number: int) -> list[bytes]:
    """Bounces of mails of their own, in conversations of their own."""
    return [refusal(one, original_id=f"mail-{one}@example.org") for one in range(1, number + 1)]


def poison(monkeypatch: pytest.MonkeyPatch, message_id: str, status: int = 503) -> None:
    """Let Gmail answer an error to whatever is asked about this one message."""
    real = Account.message

    def message(self: Account, given: str) -> StoredMessage:
        if given == message_id:
            raise by_status(status)
        return real(self, given)

    monkeypatch.setattr(Account, "message", message)


@pytest.mark.parametrize("place", range(3))
def test_a_mail_gmail_never_gives_stops_no_other(
    gmail: GmailDouble, settings: Settings, query: Query, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    ids = seed(gmail, *mails(3))
    poison(monkeypatch, ids[place])
    summary = worker.run(settings, at)
    assert (summary.judged, summary.failed, summary.actions) == (2, 1, 2)
    for day in range(1, 9):  # it is never given up for what is Gmail's trouble, and comes last
        worker.run(settings, partial(at, days=day))
    assert query("SELECT state, tries FROM mails WHERE error IS NOT NULL") == [{"state": "failed", "tries": 0}]
    monkeypatch.undo()
    assert worker.run(settings, partial(at, days=10)).judged == 1


def test_a_thread_gmail_never_labels_stops_no_other(
    gmail: GmailDouble, settings: Settings, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = seed(gmail, *mails(3))
    modify = gmail.account.change_labels

    def change(message: StoredMessage, *more: Any) -> None:
        if message.id == ids[0]:
            raise by_status(503)
        modify(message, *more)

    monkeypatch.setattr(gmail.account, "change_labels", change)
    for day in range(9):
        assert worker.run(settings, partial(at, days=day)).actions == (0 if day else 2)
    assert query("SELECT state, tries, put_off FROM actions WHERE state != 'done'") == [
        {"state": "planned", "tries": 0, "put_off": 9}
    ]
    monkeypatch.undo()
    assert worker.run(settings, partial(at, days=10)).actions == 1
    assert user_labels(gmail, ids[0]) == {"Bounce/Remote rejection"}


@pytest.mark.parametrize("status", [400, 403, 404, 410])
@pytest.mark.parametrize("nth", [1, 2])
def test_a_refused_search_for_bounces_is_for_the_next_run(
    gmail: GmailDouble, settings: Settings, query: Query, status: int, nth: int
) -> None:
    """The first is the search itself, the second asks which mails are large; none is about a mail."""
    seed(gmail, *mails(2))
    how: dict[str, Any] = {"error": ApiError(403, "Forbidden", "forbidden")} if status == 403 else {"status": status}
    gmail.fail("messages.list", nth, **how)
    with pytest.raises(TryLater, match="refused to search the mailbox"):
        worker.run(settings, at)
    assert query("SELECT * FROM state WHERE key = 'cursor'") == []
    assert worker.run(settings, partial(at, minutes=15)).judged == 2


@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_refused_request_for_ten_is_made_one_by_one(gmail: GmailDouble, work: Work, status: int) -> None:
    seed(gmail, *mails(3))
    gmail.fail("batch", status=status)
    assert (work().judged, gmail.quota.calls["messages.get"]) == (3, 3)


def test_the_search_of_sent_for_one_mail_stops_no_other(
    gmail: GmailDouble, work: Work, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed(gmail, *mails(5))
    from tests.doubles.gmail import api

    real = api.compile_query

    def compiled(text: str) -> Any:
        if "mail-2@" in text or "mail-3@" in text:
            raise by_status(503)
        return real(text)

    monkeypatch.setattr(api, "compile_query", compiled)
    assert work().actions == 3
    assert query("SELECT count(*) AS n FROM verdicts WHERE proof_open = 1") == [{"n": 2}]


@pytest.mark.parametrize("trouble", [503, 429, "forbidden", "hang"])
def test_gmails_own_trouble_costs_no_label_and_no_note(
    gmail: GmailDouble, settings: Settings, query: Query, trouble: Any
) -> None:
    seed(gmail, *mails(2))
    settings = with_notes(settings)
    how: dict[str, Any] = {"status": trouble}
    if trouble == "forbidden":
        how = {"status": 403}
    elif trouble == "hang":
        how = {"connection": "hang"}
    for method in ("messages.modify", "messages.insert"):
        gmail.fail(method, times=None, **how)
    for hour in range(12):
        with contextlib.suppress(TryLater):
            worker.run(settings, partial(at, hours=hour))
    assert query("SELECT state, tries FROM actions") == [{"state": "planned", "tries": 0}] * 4
    gmail.clear_faults()
    done = worker.run(settings, partial(at, days=3))
    assert (done.actions, done.notes) == (2, 2)


def with_notes(settings: Settings) -> Settings:
    from dataclasses import replace

    return replace(settings, notes=True)


def test_several_items_in_a_row_end_the_part_and_the_run_says_so(
    gmail: GmailDouble, settings: Settings, query: Query
) -> None:
    seed(gmail, *mails(8))
    gmail.fail("messages.modify", times=None, status=503)
    with pytest.raises(TryLater):
        worker.run(with_notes(settings), at)
    assert gmail.quota.calls["messages.modify"] == 3 * 4, "three bounces, four tries each"
    assert query("SELECT count(*) AS n FROM actions WHERE kind = 'note' AND state = 'done'") == [{"n": 8}]
    (run,) = query("SELECT new, judged, notes, error FROM runs")
    assert (run["new"], run["judged"], run["notes"]) == (8, 8, 8)
    assert run["error"]
    assert len(query("SELECT * FROM state WHERE key = 'cursor'")) == 1, "all that was listed is stored"


def test_one_time_out_ends_the_part(gmail: GmailDouble, settings: Settings, query: Query) -> None:
    seed(gmail, *mails(8))
    gmail.fail("messages.insert", times=None, connection="hang")
    with pytest.raises(TryLater):
        worker.run(with_notes(settings), at)
    assert gmail.quota.calls["messages.insert"] == 1
    assert query("SELECT count(*) AS n FROM actions WHERE kind = 'label' AND state = 'done'") == [{"n": 8}]


def test_a_longer_span_is_remembered_until_it_is_done(gmail: GmailDouble, settings: Settings, query: Query) -> None:
    for days in range(1, 90, 3):
        gmail.seed(refusal(days), received_at=NOW - timedelta(days=days))
    worker.run(settings, at)
    assert query("SELECT count(*) AS n FROM mails") == [{"n": 10}]
    gmail.fail("batch", nth=2, times=None, status=503)
    gmail.fail("messages.get", nth=11, times=None, status=503)
    with pytest.raises(TryLater):
        worker.run(settings, at, since=NOW - timedelta(days=90))
    gmail.clear_faults()
    worker.run(settings, partial(at, minutes=15))
    assert query("SELECT count(*) AS n FROM mails WHERE state = 'judged'") == [{"n": 30}]
    assert query("SELECT key FROM state WHERE key != 'sign_in'") == [{"key": "cursor"}]


# Given up


@pytest.fixture
def refused(gmail: GmailDouble, settings: Settings) -> Callable[[int], Any]:
    """Runs on the days after one another in which Gmail says no to a label."""
    seed(gmail, refusal(1))
    gmail.fail("messages.modify", times=None, status=400)
    return lambda day: worker.run(settings, partial(at, days=day))


def test_what_is_given_up_is_told_and_taken_up_again(
    gmail: GmailDouble, settings: Settings, refused: Callable[[int], Any], query: Query
) -> None:
    assert [refused(day).dropped for day in range(6)] == [0, 0, 0, 0, 1, 0]
    (told,) = [check for check in examine(settings.token.parent / "triage.toml", {}, NOW) if check.name == "given up"]
    assert told.state == "warn"
    assert "1 label given up" in told.words
    assert "triage retry" in (told.todo or "")
    gmail.clear_faults()
    assert [(one.kind, one.number) for one in retry.take_up(settings, apply=False)] == [("label", 1)]
    assert refused(6).actions == 0, "looking changes nothing"
    retry.take_up(settings, apply=True)
    assert refused(7).actions == 1
    assert retry.take_up(settings, apply=True) == []


def test_a_mail_given_up_without_bytes_is_fetched_again_after_rejudge(
    gmail: GmailDouble, settings: Settings, query: Query
) -> None:
    seed(gmail, refusal(1))
    gmail.fail("messages.get", times=None, status=400)
    for day in range(6):
        worker.run(settings, partial(at, days=day))
    assert query("SELECT state, raw FROM mails") == [{"state": "kept", "raw": None}]
    gmail.clear_faults()
    assert rejudge.judge_again(settings, NOW, apply=True).without_bytes == 1
    assert worker.run(settings, partial(at, days=7)).judged == 1


def test_a_label_of_a_mail_that_came_back_is_set(gmail: GmailDouble, settings: Settings, query: Query) -> None:
    (message_id,) = seed(gmail, refusal(1))
    gmail.fail("messages.modify", times=2, status=404)
    for minutes in (0, 61):
        worker.run(settings, partial(at, minutes=minutes))
    assert query("SELECT state FROM actions") == [{"state": "dropped"}]
    worker.run(settings, partial(at, minutes=75))
    assert user_labels(gmail, message_id) == {"Bounce/Remote rejection"}
