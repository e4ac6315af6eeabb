"""The labels' names. Sets those planned on the bounces themselves and records it; one that Gmail lacks is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from triage import store
from triage.errors import TryLater
from triage.gmail import Gmail, Refused, Streak
from triage.letters.writer import not_done
from triage.model import Clock
from triage.rows import ActionRow

if TYPE_CHECKING:
    from sqlite_utils import Database

LABELS: Mapping[str, str] = {
    "smtp-credentials": "Fix your alias",
    "ses-refused": "SES refused",
    "gmail-refused": "Gmail refused",
    "exchange-rejection": "Exchange rejection",
    "remote-rejection": "Remote rejection",
    "delayed": "Delayed",
    "unknown": "Unknown",
}
"""The label of each category, nested under `label_prefix`. `unverified` has none: it is recorded, never acted on."""


def set_labels(gmail: Gmail, db: Database, clock: Clock) -> Iterator[int]:
    """Set the planned labels on the bounces themselves, one call for each, and give how many that were.

    Setting a label twice changes nothing, so a run that was killed in between simply repeats it. What goes wrong with
    one bounce stops no other.
    """
    trouble = Streak()
    by_mail: dict[str, list[ActionRow]] = {}
    for action in store.pending_actions(db, clock()):
        if action["kind"] == "label":
            by_mail.setdefault(action["gmail_id"], []).append(action)
    for gmail_id, actions in by_mail.items():
        action_ids = [action["id"] for action in actions]
        try:
            label_ids = dict.fromkeys(gmail.label_id(action["payload"]["label"]) for action in actions)
            problem = gmail.add_labels(gmail_id, label_ids)
        except (Refused, TryLater) as error:
            not_done(db, action_ids, error, trouble, clock())
            continue
        trouble.over()
        if problem is None:
            # Asked anew: a label that the owner had deleted was made again.
            set_now = {action["id"]: gmail.label_id(action["payload"]["label"]) for action in actions}
            store.finish_labels(db, set_now, clock())
            yield len(actions)
        elif problem.is_passing:
            store.put_off_actions(db, action_ids, problem.why, clock())
        elif problem.gone:
            store.miss_actions(db, action_ids, problem.why, clock())
        else:
            store.fail_actions(db, action_ids, problem.why, clock())
