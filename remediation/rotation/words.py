"""What a human is told about a rotation: the clicks of the hand-over, where it stands, when it is due again.

Pure. The password is in a text only where it is given for that very purpose; a text for a note, a log or a report is
made without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from parsers.times import minute_text
from remediation.rotation.state import Rotation, RotationState
from remediation.vendor_limits import ALIASES_END, ALIASES_END_LINK, ALIASES_END_MONTH, OTHER_WAYS, SUCCESSOR

REMIND_EVERY = timedelta(days=1)
OLD_KEY = timedelta(days=90)
"""From this age on a key is due, as AWS advises."""
_STANDS: dict[RotationState, str] = {
    "creating": "A new key is being made. Gmail is not touched by this yet.",
    "staging": "The new key exists, its password is being stored. Gmail is not touched by this yet.",
    "verifying": "The new password is stored and is being tested. Gmail is not touched by this yet.",
    "promoting": "The new login works; it is being made the current one of the secret.",
    "waiting": "Both logins work. The new one has to be entered in Gmail.",
    "retiring": "You confirmed that Gmail uses the new login; the old key is being made Inactive.",
    "grace": "The old key is Inactive, and can be made Active again at once.",
    "deleting": "The old key is being deleted.",
    "aborting": "It is being aborted; the old state is being restored.",
    "done": "It is over.",
}
_STANDS_BACK: dict[RotationState, str] = {
    "waiting": "It was aborted. Both logins work; Gmail must have the old one again.",
    "retiring": "It was aborted, and Gmail has the old login; the new key is being made Inactive.",
    "grace": "It was aborted. The new key is Inactive, and can be made Active again at once.",
    "deleting": "It was aborted; the new key is being deleted.",
    "done": "It was aborted, and the old state is restored.",
}
_NEXT: dict[RotationState, str] = {
    "waiting": "Next: enter the new login in Gmail, send a test mail, then `triage credentials rotate confirm`.",
    "grace": "Next: `triage credentials rotate finish`, not before {until}; if mail fails: `rotate abort`.",
}
_NEXT_BACK: dict[RotationState, str] = {
    "waiting": "Next: make sure that Gmail has the old login, then `triage credentials rotate abort --gmail-has-old`.",
    "grace": "Next: `triage credentials rotate finish`, not before {until}.",
}
_GO_ON = "Next: `triage credentials rotate start` takes it up where it stopped; `rotate abort` turns back."


def hand_over(rotation: Rotation, now: datetime, *, password: str | None = None) -> list[str]:
    """The clicks that bring the login to be kept into Gmail, with the real values; one paragraph each.

    `password` None: the text says where to get it instead.
    """
    alias = rotation.alias or "the address that uses this server"
    old = rotation.keeps == "old"
    secret = password or "shown by `triage credentials rotate status --show`"
    if old and password is None:
        secret += "; if the secret never held it, only Gmail has it: then change nothing there"
    first, *rest = login_lines(rotation, secret)
    return [
        f"Gmail has to use the {'old' if old else 'new'} login for {alias}. Both logins work meanwhile.",
        "1. Open https://mail.google.com/mail/#settings/accounts on a computer (gear > See all settings > Accounts and"
        ' Import; in Google Workspace "Accounts").',
        f'2. Under "Send mail as", at {alias}, click "edit info", then "Next Step".',
        f"3. {first}",
        *(f"   {line}" for line in rest),
        '4. Click "Save Changes". Gmail logs in at once, so a mistake shows here and nothing is lost.',
        f"5. Send a mail from {alias} to another address of yours and see it arrive.",
        "6. Run: "
        + ("triage credentials rotate abort --gmail-has-old" if old else "triage credentials rotate confirm"),
        *aliases_end(now),
    ]


def login_lines(rotation: Rotation, password: str) -> list[str]:
    """The login to be kept, in the words of Gmail's form; `password` may be words instead of one."""
    return [
        f"SMTP Server: {rotation.host}",
        f"Port: {rotation.port}",
        f"Username: {rotation.kept_key_id}",
        f"Password: {password}",
        f"Secured connection using {'SSL' if rotation.security == 'ssl' else 'TLS'}",
    ]


def aliases_end(now: datetime) -> list[str]:
    """That outside servers leave "Send mail as", and the ways out."""
    when = "has ended" if now >= ALIASES_END else f"ends in {ALIASES_END_MONTH}"
    return [
        f'For personal Google accounts "Send mail as" through an outside server {when} ({ALIASES_END_LINK}).'
        f" An account of Google Workspace keeps it. {SUCCESSOR}. Other ways out: {OTHER_WAYS}."
    ]


def where_it_stands(rotation: Rotation, grace: timedelta) -> list[str]:
    """The state of a rotation in a few lines, and what is next."""
    back = rotation.keeps == "old"
    lines = [(_STANDS_BACK if back else {}).get(rotation.state) or _STANDS[rotation.state]]
    lines.append(
        f"Started {_when(rotation.started_at)} for IAM user {rotation.iam_user}"
        + (f", alias {rotation.alias}" if rotation.alias else "")
        + f". Old key {rotation.old_key_id}, new key {rotation.new_key_id or 'not made yet'}."
    )
    if rotation.reason:
        lines.append(f"Why: {rotation.reason}")
    if rotation.evidence:
        confirmed = f"Confirmed {_when(rotation.confirmed_at)}" if rotation.confirmed_at else "Not confirmed yet"
        lines.append(f"{confirmed}: {rotation.evidence}")
    if rotation.is_over:
        lines.append(f"Ended {_when(rotation.ended_at)}.")
    else:
        following = (_NEXT_BACK if back else _NEXT).get(rotation.state, _GO_ON)
        until = _when(rotation.inactive_at + grace) if rotation.inactive_at else ""
        lines.append(following.format(until=until))
    return lines


def rotation_note(rotation: Rotation | None, now: datetime, failures: int = 0) -> str | None:
    """What a run or a report says about a rotation, in one line; None when there is nothing to say.

    `failures` is how many alias failures arrived since it began.
    """
    if rotation is None or rotation.is_over:
        return None
    days = (now - rotation.started_at).days
    since = "today" if days == 0 else f"{days} day{'s' if days > 1 else ''} ago"
    stands = (_STANDS_BACK if rotation.keeps == "old" else {}).get(rotation.state) or _STANDS[rotation.state]
    counted = f"{failures} alias failures" if failures > 1 else "1 alias failure"
    attached = f" {counted} since then may come from it." if failures else ""
    return f"A rotation of the SMTP login began {since}. {stands}{attached}"


def reminder_due(rotation: Rotation | None, now: datetime) -> bool:
    """Whether the owner should hear of it again: daily, as long as it is not over; a broken off one is his move too."""
    if rotation is None or rotation.is_over:
        return False
    last = rotation.reminded_at or rotation.confirmed_at or rotation.offered_at or rotation.started_at
    return now - last >= REMIND_EVERY


def age_warnings(ages: Sequence[tuple[str, timedelta]], due: timedelta = OLD_KEY) -> list[str]:
    """What to say about keys by (id, age), two weeks before they are due and after."""
    warnings = []
    for key_id, age in ages:
        if age >= due:
            warnings.append(f"Key {key_id} is {age.days} days old: rotate it (triage credentials rotate start).")
        elif age >= due - timedelta(days=14):
            warnings.append(f"Key {key_id} will be {due.days} days old in {(due - age).days} days; rotate it then.")
    return warnings


def _when(at: datetime | None) -> str:
    return minute_text(at) if at else "not known"
