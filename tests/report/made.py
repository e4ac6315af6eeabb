"""Reports made to order: hand-made rows at a fixed time, and the stories the golden tests and the browser show."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from remediation import Cause, Step
from triage.report.build import Counts, build_report, reading_of
from triage.report.model import Drift, IncidentLine, MailboxRead, Rate, Renewal, Report, SuppressionList
from triage.report.outside import Outside

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)  # a Monday
SINCE = NOW - timedelta(days=7)
HOSTILE = "\x1b]0;owned\x07\u202e\n"


def cause(name: str, title: str, side: Any, actor: Any, decide: str | None = None) -> Cause:
    """A cause with little text, so that these tests do not move with the catalogue."""
    meaning = (
        f"What {name} means, in a sentence or two that is long enough to be wrapped on a terminal of eighty columns."
    )
    return Cause(name, title, meaning, side, actor, "permanent", "onhold", None, (Step("Do it."),), (), decide, ())


CAUSES = {
    one.id: one
    for one in (
        cause(
            "alias-credentials-rejected",
            "The alias's SMTP login was refused",
            "own",
            "mailbox-owner",
            "Save the settings.",
        ),
        cause("recipient-unknown", "The address does not exist", "remote", "sender"),
        cause("mailbox-full", "The recipient's mailbox is full", "remote", "recipient"),
        cause("unknown", "Not understood", "unknown", "sender"),
    )
}


def row(number: int, **changes: Any) -> dict[str, Any]:
    """A verdict as the store gives it: an alias failure unless changed; `fix` and `links` are kept apart there."""
    at = NOW - timedelta(hours=number)
    verdict: dict[str, Any] = {
        "id": number,
        "source": f"gmail:{number}",
        "kind": "failed",
        "recipient": f"p{number}@client.example",
        "original_recipient": None,
        "category": "smtp-credentials",
        "cause": "alias-credentials-rejected",
        "side": "own",
        "actor": "mailbox-owner",
        "permanent": True,
        "diagnostic": "535 Authentication Credentials Invalid",
        "remote_host": None,
        "genuine": "pass",
        "proof": "sent",
        "proof_why": "the mail is in Sent, with this recipient",
        "fix": ["Open the settings.", "Enter the password.", f"Send it to p{number}@client.example again."],
        "links": ["https://support.google.com/mail/answer/22370"],
        "received_at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "superseded_by": None,
        "message_id": f"m{number}@mail.gmail.com",
        "gmail_message_id": None,
        "sent_at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "sender": "admin@queenofsandiego.com",
        "subject": f"Sunset charter {number}",
        "ses_region": None,
        "thread_id": None,
        "over_at": None,
        "over_by": None,
        "over_why": None,
    }
    assert set(changes) <= set(verdict)
    return verdict | changes


UNKNOWN_ADDRESS = {
    "cause": "recipient-unknown",
    "category": "exchange-rejection",
    "side": "remote",
    "actor": "sender",
    "diagnostic": "550 5.1.10 RESOLVER.ADR.RecipientNotFound",
    "remote_host": "mx.client.example",
    "links": [],
}
DELAYED = {
    "kind": "delayed",
    "category": "delayed",
    "cause": "mailbox-full",
    "side": "remote",
    "actor": "recipient",
    "permanent": False,
}


def counts_of(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What `store.day_counts` says about these rows, one group for each row."""
    keys = ("kind", "category", "side")
    return [{"day": one["received_at"][:10], "verdicts": 1, **{key: one[key] for key in keys}} for one in rows]


def report_of(rows: Sequence[dict[str, Any]], **more: Any) -> Report:
    """The report over these rows, newest first."""
    steps = {one["id"]: (tuple(one["fix"]), tuple(one["links"])) for one in rows}
    given: dict[str, Any] = {"since": SINCE, "now": NOW, "causes": CAUSES, "first_seen": {}}
    given |= {"reading": more["reading"]} if "reading" in more else {}
    given |= {"counts": Counts(counts_of(rows)), "steps_of": lambda ids: steps}
    runs = more.get("runs", ())
    good = [run for run in runs if run["finished_at"] and not run["error"]]
    given.setdefault("reading", reading_of(next(iter(runs), None), next(iter(good), None), has_read_files=True))
    return build_report(rows, **(given | more))


RUN = {
    "source": "gmail",
    "started_at": "2026-11-23T07:45:00Z",
    "finished_at": "2026-11-23T07:45:02Z",
    "error": None,
    "new": 2,
    "judged": 2,
    "not_bounces": 0,
    "failed": 0,
    "actions": 1,
    "units_new": 56,
    "units_old": 26,
    "requests": 4,
}
STORY = [
    row(1),
    row(2),
    row(3, **UNKNOWN_ADDRESS),
    row(4, **DELAYED),
    row(5, cause="unknown", category="unknown", side="unknown", actor="sender", diagnostic=None, fix=[], links=[]),
    row(6, category="unverified", genuine="fail"),
    row(
        7,
        kind="auto-reply",
        category=None,
        cause=None,
        side=None,
        actor=None,
        message_id=None,
        sender=None,
        subject=None,
        sent_at=None,
    ),
]
REPAIRED = {
    "over_at": "2026-11-21T10:00:00Z",
    "over_by": "ses-event",
    "over_why": "SES took the mail to p9@client.example (Send event)",
}
UNREADABLE = [
    {"source": "gmail:18c", "state": "failed", "tries": 2, "error": "HTTP 500"},
    {"source": "gmail:18d", "state": "kept", "tries": 5, "error": "KeyError: 'x'"},
]
TEXTS = {
    "story": report_of(
        STORY,
        first_seen={"alias-credentials-rejected": "2026-11-03T08:00:00Z"},
        unreadable=UNREADABLE,
        runs=[
            RUN,
            RUN | {"error": "Gmail cannot be reached: timed out"},
            RUN | {"finished_at": None, "started_at": "2026-11-22T07:45:00Z"},
        ],
    ),
    "quiet": report_of([], runs=[RUN | {"new": 0, "judged": 0, "actions": 0, "units_new": 6, "units_old": 6}]),
    "stopped": report_of([], runs=[RUN | {"started_at": "2026-11-20T07:45:00Z"}]),
    "one-refusal": report_of([row(3, **UNKNOWN_ADDRESS, genuine="unknown")], runs=[RUN]),
    "repaired": report_of(
        [row(number, **REPAIRED) for number in (70, 71)],
        runs=[RUN],
        findings={70: "Key AKIA…KV was made inactive on 21 Nov 06:02 UTC; first failure 21 Nov 08:40 UTC."},
        mailbox="jadasailing@gmail.com",
    ),
    "never-read": report_of([], reading=MailboxRead(is_mailbox=True, read_at=None, stopped_why=None)),
}


# -- everything a report can hold, in words as long as real ones ----------------------------------------------------

ALIAS_FIX = [
    "See whether the access key behind the alias still exists and is Active: `aws iam list-access-keys --user-name"
    " ses-smtp-admin`. Gmail's user name for admin@queenofsandiego.com must be one of the AccessKeyId values it prints;"
    " a key that is missing or Inactive explains every one of these bounces.",
    "No working key, or its password is lost: SES console in us-east-1 > SMTP settings > Create SMTP credentials, and"
    " keep the page open. The SMTP password is not the IAM secret key: it is derived from it for one region, has 44"
    " characters and starts with B.",
    "On a computer open Gmail as jadasailing@gmail.com: Settings (the gear) > See all settings > Accounts and Import >"
    ' Send mail as > "edit info" beside admin@queenofsandiego.com > Next Step > SMTP Server:'
    " email-smtp.us-east-1.amazonaws.com; Port: 587; the new user name and password > Save Changes.",
    'Then send "Re: Sunset charter 28 November: final headcount" to dana@harborview-events.example again: it never left'
    " your side.",
]
REAL_CAUSES = {
    **CAUSES,
    **{
        one.id: one
        for one in (
            Cause(
                "alias-credentials-rejected",
                "The alias's SMTP login was refused",
                'Gmail tried to hand your mail to the server behind your "Send mail as" address, and that server'
                " refused the stored user name or password (SMTP AUTH, usually 535). The mail never left; the recipient"
                " has nothing to do with it, and one repair heals every mail from this address.",
                *("own", "mailbox-owner", "permanent", "securityerror", None, (Step("Do it."),), ()),
                "535 may also mean: too many failed logins, or the relay blocks Google's address. Test: save the alias"
                " settings in Gmail again, which logs in. Accepted = the password is right.",
                (),
            ),
            Cause(
                "recipient-unknown",
                "The address does not exist",
                "The recipient's server knows no mailbox of this name (550 5.1.1 or 5.1.10): a typing error, or the"
                " person has left. Sending again to the same address will not help.",
                *("remote", "sender", "permanent", "userunknown", None, (Step("Do it."),), (), None, ()),
            ),
            Cause(
                "spam-rejected",
                "Their filter took the mail for spam",
                "The recipient's server judged the content or the sender as spam. The address is right.",
                *("remote", "recipient-admin", "depends", "spamdetected", None, (Step("Do it."),), (), None, ()),
            ),
        )
    },
}
_PEOPLE = (
    ("dana@harborview-events.example", "Re: Sunset charter 28 November: final headcount", 1, 30),
    ("office@la-jolla-weddings.example", "Re: Deposit for the 5 December sail", 2, 52),
    ("m.okafor@client.example", "Your quote: private sail for twelve", 3, 75),
    ("captain.reyes@marina-services.example", "Slip fees, and the haul-out in January", 4, 98),
)
EVERYTHING_ROWS = [
    *(
        row(hours, id=number, recipient=who, subject=subject, thread_id=f"19a{number}b77cc01", fix=ALIAS_FIX,
            remote_host="email-smtp.us-east-1.amazonaws.com",
            links=["https://support.google.com/mail/answer/22370", "https://docs.aws.amazon.com/ses/latest/dg/smtp.html"])
        for who, subject, number, hours in _PEOPLE
    ),
    row(20, id=11, **UNKNOWN_ADDRESS | {"remote_host": "client-example.mail.protection.outlook.com"},
        recipient="jordan.smyth@client.example", subject="Invitation: spring season",
        thread_id="19a0000000000011",
        fix=["Compare the address letter by letter with how you got it.", "Ask by telephone for the right one.",
             "Take the old one out of your list.", "Write to the new one."]),
    row(26, id=12, **UNKNOWN_ADDRESS, recipient="info@old-pier.example", subject="Invitation: spring season",
        fix=["Compare the address letter by letter with how you got it."]),
    row(60, id=13, **UNKNOWN_ADDRESS | {"cause": "spam-rejected", "category": "remote-rejection", "permanent": False,
        "diagnostic": "550 5.7.1 Message rejected as spam by Content Filtering.", "actor": "recipient-admin"},
        recipient="bookings@a-very-long-name-for-a-company-that-rents-boats.example",
        subject="Autumn offers " + "and more " * 8,
        fix=["Ask the recipient by telephone to allow admin@queenofsandiego.com.", "Send the text without the links."]),
    row(70, id=14, **DELAYED, recipient="harbormaster@port.example", subject="Mooring plan"),
    row(80, id=15, cause="unknown", category="unknown", side="unknown", actor="sender",
        diagnostic="554 Transaction failed", fix=[], links=[], recipient="pat@somewhere.example", subject=None,
        sent_at=None),
    row(90, id=16, category="unverified", genuine="fail"),
]  # fmt: skip
EVERYTHING = report_of(
    EVERYTHING_ROWS,
    causes=REAL_CAUSES,
    counts=Counts(
        [
            *counts_of(EVERYTHING_ROWS),
            *(
                {"day": f"2026-11-{day}", "kind": "failed", "category": category, "side": side, "verdicts": number}
                for day, category, side, number in (
                    ("17", "remote-rejection", "remote", 3),
                    ("18", "exchange-rejection", "remote", 5),
                    ("18", "unknown", "unknown", 1),
                    ("21", "remote-rejection", "remote", 2),
                )
            ),
        ],
        [
            {"day": "2026-11-12", "kind": "failed", "category": category, "side": side, "verdicts": number}
            for category, side, number in (
                ("exchange-rejection", "remote", 4),
                ("remote-rejection", "remote", 9),
                ("delayed", "remote", 2),
            )
        ],
        "2026-05-12T14:02:00Z",
    ),
    first_seen={"alias-credentials-rejected": "2026-11-16T03:11:00Z"},
    resent={("office@la-jolla-weddings.example", "m52@mail.gmail.com"): "draft"},
    outside=Outside(
        incidents=(
            IncidentLine(7, "The alias's SMTP login was refused", "admin@queenofsandiego.com at"
                     " email-smtp.us-east-1.amazonaws.com", "2026-11-19T06:00:00Z", None, 4, "own", None),
            IncidentLine(6, "The domain's DMARC record forbids it", "client.example", "2026-11-17T10:00:00Z",
                     "2026-11-18T09:30:00Z", 2, "remote", "a later mail was delivered there"),
        ),
        renewals=(Renewal("admin@queenofsandiego.com", "waiting", "2026-11-23T07:10:00Z"),),
        rates=(Rate("us-east-1", 412, True, 12, 0, 0.021), Rate("us-west-2", 64, False, 5, 0, None)),
        suppression=(SuppressionList("us-east-1", 31, "2026-11-22T05:00:00Z", 27, "2026-11-15T05:00:00Z"),),
        drift=(
            Drift("2026-11-22T05:00:00Z", "smtp-keys", "ses-smtp-admin", "ok", "fail", "one active key, AKIA...7Q, from"
                  " 12 May 2026", "no active key: AKIA...7Q is Inactive since 19 Nov 2026"),
        ),
        audited_at="2026-11-22T05:00:00Z",
    ),
    unreadable=UNREADABLE,
    runs=TEXTS["story"].runs,
)  # fmt: skip
TEXTS["everything"] = EVERYTHING
