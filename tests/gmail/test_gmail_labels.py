"""The Gmail client and labels: made once, found again, and what the user does to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doubles.gmail import GmailDouble
from tests.gmail.world import BOUNCE, NOTE, mail
from triage.errors import ConfigError
from triage.gmail.client import Gmail, connect
from triage.gmail.messages import Unavailable


def test_label_is_made_with_its_parents_and_kept(double: GmailDouble, gmail: Gmail) -> None:
    label_id = gmail.label_id("Bounce/Ours/Credentials")
    assert double.label_names() == {"Bounce", "Bounce/Ours", "Bounce/Ours/Credentials"}
    assert gmail.label_id("Bounce/Ours/Credentials") == label_id
    assert gmail.label_names()[label_id] == "Bounce/Ours/Credentials"
    assert double.quota.calls == {"labels.list": 2, "labels.create": 3}


def test_label_is_found_without_regard_to_case(double: GmailDouble, gmail: Gmail) -> None:
    seeded = double.seed(mail(1), labels=["bounce", "BOUNCE/exchange"])
    assert gmail.label_id("Bounce/Exchange") in double.labels_of(seeded)
    gmail.label_id("Bounce/Unknown")
    assert double.label_names() == {"bounce", "BOUNCE/exchange", "bounce/Unknown"}


def test_label_made_by_somebody_else_meanwhile(double: GmailDouble, gmail: Gmail) -> None:
    gmail.label_id("Bounce")
    seeded = double.seed(mail(1), labels=["bounce/exchange"])
    assert gmail.label_id("Bounce/Exchange") in double.labels_of(seeded)
    assert double.label_names() == {"Bounce", "bounce/exchange"}


@pytest.mark.parametrize("trouble", [{"connection": "reset"}, {"connection": "drop"}, {"status": 503}])
def test_label_whose_making_was_not_answered_is_not_made_twice(
    double: GmailDouble, gmail: Gmail, trouble: dict[str, str]
) -> None:
    double.fail("labels.create", when="after", **trouble)  # type: ignore[arg-type]
    label_id = gmail.label_id("Bounce")
    assert gmail.label_names()[label_id] == "Bounce"
    assert double.label_names() == {"Bounce"}


@pytest.mark.parametrize(
    ("name", "made"), [("Muted", {"triage-Muted"}), ("Sent/Bounce", {"triage-Sent", "triage-Sent/Bounce"})]
)
def test_reserved_name_gets_a_prefix(double: GmailDouble, tmp_path: Path, name: str, made: set[str]) -> None:
    ids = [connect(tmp_path / "token.json", url=double.url).label_id(name) for _ in range(2)]
    assert ids[0] == ids[1]
    assert double.label_names() == made


@pytest.mark.parametrize("name", ["", " / "])
def test_label_without_a_name_is_a_configuration_error(gmail: Gmail, name: str) -> None:
    with pytest.raises(ConfigError):
        gmail.label_id(name)


def test_thread_labels_are_added_and_taken_off(double: GmailDouble, gmail: Gmail) -> None:
    first = double.messages[double.seed(BOUNCE)]
    second = double.seed(NOTE, thread_id=first.thread_id)
    ours, other = gmail.label_id("Bounce/Ours"), gmail.label_id("Bounce/Other")
    before = gmail.quota.units_new
    assert gmail.add_labels(first.thread_id, [ours, other, ours]) is None
    assert gmail.quota.units_new - before == 5
    assert {ours, other} <= double.labels_of(first.id)
    assert not {ours, other} & double.labels_of(second), "only the bounce itself; its conversation shows it"
    assert gmail.remove_thread_labels(first.thread_id, [other]) is None
    assert double.label_names_of_thread(first.thread_id) == {"INBOX", "UNREAD", "Bounce/Ours"}


def test_label_change_may_be_repeated(double: GmailDouble, gmail: Gmail) -> None:
    thread_id = double.messages[double.seed(BOUNCE)].thread_id
    label_id = gmail.label_id("Bounce")
    double.fail("messages.modify", when="after", connection="reset")
    assert gmail.add_labels(thread_id, [label_id]) is None
    assert "Bounce" in double.label_names_of_thread(thread_id)


def test_no_labels_are_no_request(gmail: Gmail) -> None:
    assert gmail.add_labels("1badc0de", []) is None
    assert gmail.quota.requests == 0


def test_label_renamed_by_the_user_is_still_the_one(double: GmailDouble, gmail: Gmail) -> None:
    thread_id = double.messages[double.seed(BOUNCE)].thread_id
    label_id = gmail.label_id("Bounce")
    double.account.labels[label_id]["name"] = "Problems"
    assert gmail.add_labels(thread_id, [label_id]) is None
    assert "Problems" in double.label_names_of_thread(thread_id)


def test_label_deleted_by_the_user_is_made_again(double: GmailDouble, gmail: Gmail) -> None:
    thread_id = double.messages[double.seed(BOUNCE)].thread_id
    kept, deleted = gmail.label_id("Bounce/Kept"), gmail.label_id("Bounce/Exchange")
    double.account.delete_label(deleted)
    assert gmail.add_labels(thread_id, [kept, deleted]) is None
    assert {"Bounce/Kept", "Bounce/Exchange"} <= double.label_names_of_thread(thread_id)
    assert gmail.label_id("Bounce/Exchange") != deleted


def test_label_deleted_by_the_user_needs_no_taking_off(double: GmailDouble, gmail: Gmail) -> None:
    thread_id = double.messages[double.seed(BOUNCE)].thread_id
    label_id = gmail.label_id("Bounce")
    double.account.delete_label(label_id)
    assert gmail.remove_thread_labels(thread_id, [label_id]) is None
    assert double.label_names() == set()


def test_label_id_nobody_knows_is_a_value(double: GmailDouble, gmail: Gmail) -> None:
    thread_id = double.messages[double.seed(BOUNCE)].thread_id
    answer = gmail.add_labels(thread_id, ["Label_77"])
    assert answer == Unavailable(thread_id, "there is no label Label_77 any more", gone=False)


def test_label_gmail_does_not_let_us_touch_is_a_value(double: GmailDouble, gmail: Gmail) -> None:
    thread_id = double.messages[double.seed(BOUNCE)].thread_id
    answer = gmail.add_labels(thread_id, ["SENT"])
    assert isinstance(answer, Unavailable)
    assert not answer.gone
    assert "SENT" in answer.why


def test_thread_that_is_gone_is_a_value(gmail: Gmail) -> None:
    label_id = gmail.label_id("Bounce")
    for change in (gmail.add_labels, gmail.remove_thread_labels):
        answer = change("1badc0de", [label_id])
        assert isinstance(answer, Unavailable)
        assert answer.gone
