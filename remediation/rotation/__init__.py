"""Renews the SES SMTP login: states, what may come next, and the steps at AWS.

In: a rotation and what AWS says now. Out: the next state, a wait, or why it stops. Keeps nothing itself.
May import: `remediation.aws` and the modules of `remediation`.
"""

from __future__ import annotations

from remediation.rotation.keys import Held, KeyRing
from remediation.rotation.state import (
    AwsView,
    Plan,
    Rotation,
    Stop,
    Wait,
    aborted,
    begin,
    confirmed,
    finished,
    needed_again,
    removable,
)
from remediation.rotation.steps import End, StepFailed, Surroundings, carry_on, could_not
from remediation.rotation.words import (
    age_warnings,
    hand_over,
    login_lines,
    reminder_due,
    rotation_note,
    where_it_stands,
)

__all__ = [
    "AwsView",
    "End",
    "Held",
    "KeyRing",
    "Plan",
    "Rotation",
    "StepFailed",
    "Stop",
    "Surroundings",
    "Wait",
    "aborted",
    "age_warnings",
    "begin",
    "carry_on",
    "confirmed",
    "could_not",
    "finished",
    "hand_over",
    "login_lines",
    "needed_again",
    "reminder_due",
    "removable",
    "rotation_note",
    "where_it_stands",
]
