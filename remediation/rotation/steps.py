"""Carries out a rotation: look, decide, store, act, and look again, until there is nothing to do but wait.

The stored state is always ahead of what was done, so this may be killed anywhere and called again. Decides nothing
itself (`rotation_next` does), speaks to AWS only through the account it is given, and prints and stores nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import uuid4

from remediation.aws import NotLookedUp
from remediation.credentials import Login, LoginCheck, derive_smtp_password
from remediation.rotation.keys import LIMIT_EXCEEDED, Held, NewKey, secret_values
from remediation.rotation.next import Act, Advance, next_step
from remediation.rotation.state import AwsView, IamKey, Rotation, Stop, Wait, aborted

LOGIN_WAITS = (1, 2, 4, 8, 15, 30)
"""Seconds between two logins with a key that IAM has not told everybody of yet; the last one is repeated."""
PATIENCE = timedelta(minutes=3)
"""How long a new key may be refused before it is given up: usually seconds, rarely more than a minute."""
_MAX_ROUNDS = 60


class AwsSide(Protocol):
    """One IAM user and one secret: what `keys.KeyRing` offers."""

    def observe(self) -> AwsView | NotLookedUp | None: ...
    def read(self, version_id: str, stage: str | None = None) -> Held | NotLookedUp | None: ...
    def create_key(self) -> NewKey | NotLookedUp: ...
    def set_key(self, key_id: str, *, active: bool) -> NotLookedUp | None: ...
    def delete_key(self, key_id: str) -> NotLookedUp | None: ...
    def put_pending(self, version_id: str, values: Mapping[str, Any]) -> NotLookedUp | None: ...
    def move_current(self, *, to: str, away_from: str) -> NotLookedUp | None: ...
    def drop_pending(self, version_id: str) -> NotLookedUp | None: ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a rotation needs of the world around it."""

    aws: AwsSide
    log_in: Callable[[Login], LoginCheck]
    keep: Callable[[Rotation], None]
    """Stores a rotation; returns only when it is safe."""
    clock: Callable[[], datetime]
    sleep: Callable[[float], None]
    grace: timedelta
    patience: timedelta = PATIENCE
    tell: Callable[[str], None] = lambda line: None
    """Told what is being waited for."""


@dataclass(frozen=True, slots=True)
class StepFailed:
    """A step could not be done; the same command takes it up again."""

    why: str
    todo: str
    will_pass: bool
    """Whether waiting may help without anybody doing anything."""
    lacks_permission: bool = False


End = Wait | Stop | StepFailed


def carry_on(rotation: Rotation, around: Surroundings) -> tuple[Rotation, End]:
    """Take a stored rotation as far as it gets now; returns it as it is stored then, and why it went no further."""
    made: NewKey | None = None
    sure: dict[str, IamKey | None] = {}
    facts: AwsView | None = None
    for _ in range(_MAX_ROUNDS):
        if rotation.is_over:
            return rotation, Wait("It is over.")
        if facts is None:
            seen = _observed(rotation, around.aws)
            if isinstance(seen, StepFailed | Stop):
                return rotation, seen
            facts = _with_what_is_sure(seen, sure)
        has_secret = made is not None and made.id == rotation.new_key_id
        step = next_step(rotation, facts, around.clock(), grace=around.grace, has_secret=has_secret)
        if isinstance(step, Wait | Stop):
            return rotation, step
        if isinstance(step, Advance):
            rotation = _with_fresh_version(rotation, step.rotation)
            around.keep(rotation)
            continue  # nothing was done, so the facts still hold
        end: End | None = None
        if step.action == "create-key":
            rotation, made, end = _make_key(rotation, facts, around)
            if made is not None:
                sure[made.id] = IamKey(made.id, True, around.clock(), None)
        elif step.action == "log-in":
            outcome = _log_in_new(rotation, facts, around)
            if isinstance(outcome, Rotation):
                rotation = outcome
                around.keep(rotation)
            else:
                end = outcome
        elif (problem := _acted(step, rotation, facts, around, made)) is not None:
            rotation, end = _denied_early(rotation, problem, facts, around)
        elif key := facts.key(step.key_id):
            is_active = step.action == "reactivate"
            sure[key.id] = replace(key, is_active=is_active) if is_active or step.action == "deactivate" else None
        if end is not None:
            return rotation, end
        facts = None
    return rotation, Stop("The rotation makes no headway.", "See `triage credentials rotate status`, and report it.")


def _with_what_is_sure(facts: AwsView, sure: Mapping[str, IamKey | None]) -> AwsView:
    """The facts with the keys as IAM said they are when we changed them (None: deleted): its lists come late."""
    keys: dict[str, IamKey | None] = {key.id: key for key in facts.keys}
    keys |= sure
    return replace(facts, keys=tuple(key for key in keys.values() if key is not None))


def _make_key(
    rotation: Rotation, facts: AwsView, around: Surroundings
) -> tuple[Rotation, NewKey | None, StepFailed | None]:
    """Have a new key made: the rotation as it is stored then, the key, and why it goes no further."""
    # Stored first: a key that comes up from now on is recognised as ours by this time.
    rotation = replace(rotation, asked_at=around.clock())
    around.keep(rotation)
    answer = around.aws.create_key()
    if isinstance(answer, NewKey):
        rotation = replace(rotation, state="staging", new_key_id=answer.id)
        around.keep(rotation)
        return rotation, answer, None
    problem = could_not(answer)
    if answer.code == LIMIT_EXCEEDED:
        # Where there are news, a request of ours arrived twice, or IAM was late in listing a key.
        return rotation, None, None if _brings_news(facts, around.aws) else problem
    if not problem.will_pass:
        # AWS said no, so none was made: it is over, lest a key somebody makes by hand now is taken for a lost one of
        # ours. Where the answer itself was lost, the next try finds out.
        not_begun = f"it was not begun: {problem.why}"
        rotation = replace(rotation, state="done", ended_at=around.clock(), reason=not_begun)
        around.keep(rotation)
    return rotation, None, problem


def _observed(rotation: Rotation, aws: AwsSide) -> AwsView | StepFailed | Stop:
    facts = aws.observe()
    if facts is None:
        return Stop(f"There is no IAM user {rotation.iam_user}.", "Check `smtp_user`; this program makes no users.")
    return could_not(facts) if isinstance(facts, NotLookedUp) else facts


def _with_fresh_version(before: Rotation, after: Rotation) -> Rotation:
    """A new attempt gets a new version id: AWS refuses other content under one that was used."""
    return replace(after, version_id=str(uuid4())) if after.attempt != before.attempt else after


def _brings_news(before: AwsView, aws: AwsSide) -> bool:
    now = aws.observe()
    return isinstance(now, AwsView) and {key.id for key in now.keys} != {key.id for key in before.keys}


def _acted(
    step: Act, rotation: Rotation, facts: AwsView, around: Surroundings, made: NewKey | None
) -> StepFailed | Stop | None:
    """Do one thing at AWS; None when it is done."""
    aws, key_id = around.aws, step.key_id or ""
    answer: NotLookedUp | None
    match step.action:
        case "stage":
            assert made is not None
            login = Login(made.id, derive_smtp_password(made.secret, rotation.region))
            values = secret_values(
                login,
                user=rotation.iam_user,
                region=rotation.region,
                host=rotation.host,
                port=rotation.port,
                created_at=rotation.asked_at,  # not the time now: AWS takes the same content only a second time
            )
            answer = aws.put_pending(rotation.version_id, values)
        case "promote":
            answer = aws.move_current(to=rotation.version_id, away_from=rotation.old_version_id)
        case "restore":
            answer = aws.move_current(to=rotation.old_version_id, away_from=rotation.version_id)
        case "drop-pending":
            answer = aws.drop_pending(rotation.version_id)
        case "reactivate":
            answer = aws.set_key(key_id, active=True)
        case "delete-orphan" | "discard-new":
            answer = aws.delete_key(key_id)
        case "deactivate":
            if problem := _kept_does_not_work(rotation, facts, around):
                return problem
            answer = aws.set_key(key_id, active=False)
        case "delete":
            if rotation.offered_at is not None and (problem := _kept_does_not_work(rotation, facts, around)):
                return problem
            answer = aws.delete_key(key_id)
        case _:  # pragma: no cover - the two others are carried out in carry_on
            raise AssertionError(step)
    return None if answer is None else could_not(answer)


def _kept_does_not_work(rotation: Rotation, facts: AwsView, around: Surroundings) -> StepFailed | Stop | None:
    """Log in with what is to be the only login left. None when it works, or when only Gmail knows its password."""
    assert facts.current is not None  # else next_step would not have come this far
    held = around.aws.read(facts.current.id, "AWSCURRENT")
    if isinstance(held, NotLookedUp):
        return could_not(held)
    if held is None or held.username != rotation.kept_key_id:
        return Stop("The secret was changed in this very moment.", "Run the same command again.")
    if held.login is None:
        return None  # a secret this program made for an old key: IAM says it is Active, more cannot be known
    check = around.log_in(held.login)
    if check.is_good:
        return None
    if check.fault == "credential":
        return Stop(
            f"The login that is to be kept does not work: {check.why}. The other key stays.",
            "Wait a minute and try again; if it stays so, run `triage credentials rotate abort`.",
        )
    return StepFailed(f"The login to be kept could not be tested: {check.why}", check.todo or "", check.will_pass)


def _log_in_new(rotation: Rotation, facts: AwsView, around: Surroundings) -> Rotation | StepFailed | Stop:
    """Log in with the new key until it is taken. What to store then: it goes on, or is rolled back."""
    held = around.aws.read(rotation.version_id, "AWSPENDING")
    if isinstance(held, NotLookedUp):
        return could_not(held)
    if held is None or held.login is None:
        return _rolled_back(rotation, "the new version of the secret cannot be read")
    give_up_at = around.clock() + around.patience
    attempt = 0
    while True:
        check = around.log_in(held.login)
        if check.is_good:
            return replace(rotation, state="promoting", offered_at=around.clock())
        if check.fault != "credential":
            same = (
                "" if check.will_pass else " A rotation keeps the server it began with; for another one: rotate abort."
            )
            return StepFailed(
                f"The new login cannot be tested: {check.why}", f"{check.todo or ''}{same}", check.will_pass
            )
        wait = LOGIN_WAITS[min(attempt, len(LOGIN_WAITS) - 1)]
        attempt += 1
        if around.clock() + timedelta(seconds=wait) > give_up_at:
            break
        around.tell(f"The relay does not know the new key yet ({check.reply_code}); asking again in {wait} s.")
        around.sleep(wait)
    return _refused_for_good(rotation, facts, around, check)


def _refused_for_good(
    rotation: Rotation, facts: AwsView, around: Surroundings, check: LoginCheck
) -> Rotation | StepFailed | Stop:
    """Roll back, unless the old login is refused as well: then it is not the key."""
    old_key = facts.key(rotation.old_key_id)
    if old_key is None:  # there is no old state to go back to
        return StepFailed(
            f"The relay does not take the new key: {check.why}",
            "Run `triage credentials rotate start` again; or end it: triage credentials rotate abort",
            will_pass=True,
        )
    held = around.aws.read(rotation.old_version_id, "AWSCURRENT")
    if old_key.is_active and isinstance(held, Held) and held.login:
        control = around.log_in(held.login)
        if not control.is_good:
            return StepFailed(
                f"The relay refuses the old login as well ({control.why}), so the new key is not at fault.",
                "Find out what is wrong with the relay (`triage credentials check`), then run this again; or abort.",
                control.will_pass,
            )
    return _rolled_back(rotation, f"the relay does not take the new key: {check.why}")


def _denied_early(
    rotation: Rotation, problem: StepFailed | Stop, facts: AwsView, around: Surroundings
) -> tuple[Rotation, End | None]:
    """Undo by ourselves what cannot go on and was given to nobody: a key that cannot be stored must not stay."""
    if (
        rotation.state != "staging"
        or rotation.keeps == "old"
        or not isinstance(problem, StepFailed)
        or problem.will_pass
    ):
        return rotation, problem
    if facts.key(rotation.old_key_id) is None:
        return rotation, problem  # there is no old state to go back to
    rotation = _rolled_back(rotation, problem.why)
    around.keep(rotation)
    return rotation, None


def _rolled_back(rotation: Rotation, why: str) -> Rotation:
    turned = aborted(rotation, f"rolled back: {why}")
    assert isinstance(turned, Rotation)
    return turned


def could_not(answer: NotLookedUp) -> StepFailed:
    """What to tell the owner about a question or an order that AWS did not carry out."""
    todo = answer.todo or {
        "denied": "Allow it: `triage doctor --iam-policy rotation` prints the policy. Then run the same command again.",
        "unsupported": "Check the region.",
        "misdirected": "Take it out, and ask who put it there.",
        "refused": "Mend what it names, then run the same command again; it takes up where this one stopped.",
    }.get(answer.kind, "Run the same command again; it takes up where this one stopped.")
    lacks_permission = answer.kind in ("denied", "bad-credentials", "no-credentials")
    return StepFailed(f"{answer.what}: {answer.why}", todo, answer.will_pass, lacks_permission)
