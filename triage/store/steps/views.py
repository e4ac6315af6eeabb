"""The questions people ask of the database, as views: for plain sqlite3, and as the named queries of `triage browse`.

A view that was released is changed by a new step in `migrations.py` that drops it and makes it anew, for a database
keeps the text it was made with. Knows nothing of Datasette.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class View:
    """A question with its answer in SQL."""

    title: str
    description: str
    columns: Mapping[str, str]
    """Column -> what it says, with its unit."""
    facets: tuple[str, ...]
    """Columns worth counting by."""
    sql: str


VIEWS: Mapping[str, View] = {
    "this_week": View(
        "This week",
        "Every verdict on a mail received in the last seven days, the newest first.",
        {
            "verdict": "Its number, for triage explain.",
            "received_at": "When the bounce came (UTC).",
            "recipient": "Whom the mail did not reach.",
            "kind": "failed, delayed, delivered, auto-reply, feedback (reported as spam), not-a-bounce.",
            "category": "Who refused; empty where nothing failed.",
            "cause": "Why; docs/causes.md tells what to do.",
            "side": "Where it was stopped: own (yours), remote (theirs), unknown.",
            "next_move": "Who can do something about it.",
            "subject": "Of the mail that came back.",
            "sent_at": "When that mail was sent (UTC).",
            "refused_by": "The server that refused.",
            "words": "What it said.",
            "ses_message_id": "The id Amazon SES gave that mail; empty: none, or not known.",
            "conversation": "The thread in Gmail.",
        },
        ("category", "cause", "side", "next_move", "kind"),
        """SELECT v.id AS verdict, v.received_at, v.recipient, v.kind, v.category, v.cause, v.side,
 v.actor AS next_move, v.subject, v.sent_at, v.remote_host AS refused_by, v.diagnostic AS words, v.ses_message_id,
 iif(m.thread_id IS NULL, NULL, 'https://mail.google.com/mail/#all/' || m.thread_id) AS conversation
FROM verdicts v JOIN mails m ON m.id = v.mail_id
WHERE v.received_at >= strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-7 days')
ORDER BY v.received_at DESC, v.id DESC""",
    ),
    "by_cause": View(
        "By cause",
        "How often each cause was met, and how lately; forged bounces are left out.",
        {
            "cause": "Why; docs/causes.md tells what to do.",
            "side": "Where it was stopped: own (yours), remote (theirs), unknown.",
            "next_move": "Who can do something about it.",
            "bounces": "How many.",
            "people": "How many different recipients.",
            "this_week": "How many bounces in the last seven days.",
            "first_at": "The oldest (UTC).",
            "last_at": "The newest (UTC).",
        },
        ("side", "next_move"),
        """SELECT cause, side, actor AS next_move, count(*) AS bounces, count(DISTINCT lower(recipient)) AS people,
 count(*) FILTER (WHERE received_at >= strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-7 days')) AS this_week,
 min(received_at) AS first_at, max(received_at) AS last_at
FROM verdicts WHERE cause IS NOT NULL AND category IS NOT 'unverified'
GROUP BY cause, side, actor ORDER BY bounces DESC, cause""",
    ),
    "by_recipient_domain": View(
        "By recipient domain",
        "Which domains send mails back, and why; what our own side kept back is left out, for no domain is to blame.",
        {
            "domain": "Behind the @ of the recipient.",
            "bounces": "How many.",
            "people": "How many different recipients.",
            "causes": "Why, each cause once.",
            "platforms": "What their mail runs on, as far as the bounces tell.",
            "last_at": "The newest (UTC).",
        },
        ("platforms",),
        """SELECT lower(substr(recipient, instr(recipient, '@') + 1)) AS domain, count(*) AS bounces,
 count(DISTINCT lower(recipient)) AS people, group_concat(DISTINCT cause) AS causes,
 group_concat(DISTINCT platform) AS platforms, max(received_at) AS last_at
FROM verdicts WHERE recipient LIKE '%@%' AND kind = 'failed' AND side IS NOT 'own' AND proof IS NOT NULL
GROUP BY domain ORDER BY bounces DESC, domain""",
    ),
    "unreached_people": View(
        "Unreached people",
        "Who still lacks a mail of yours, those your own side kept back first: triage resend gives it once more.",
        {
            "recipient": "Whom the mails did not reach.",
            "mails": "How many different ones.",
            "last_bounce_at": "The newest bounce (UTC); subject, cause and the rest are those of that one.",
            "subject": "Of the mail that came back.",
            "sent_at": "When it was sent (UTC).",
            "cause": "Why; docs/causes.md tells what to do.",
            "side": "Where it was stopped: own (yours), remote (theirs), unknown.",
            "next_move": "Who can do something about it.",
            "conversation": "The thread in Gmail.",
            "verdict": "Its number, for triage explain.",
        },
        ("side", "cause", "next_move"),
        """SELECT v.recipient, count(DISTINCT coalesce(v.gmail_message_id, v.message_id, v.id)) AS mails,
 max(v.received_at) AS last_bounce_at, v.subject, v.sent_at, v.cause, v.side, v.actor AS next_move,
 iif(m.thread_id IS NULL, NULL, 'https://mail.google.com/mail/#all/' || m.thread_id) AS conversation, v.id AS verdict
FROM verdicts v JOIN mails m ON m.id = v.mail_id
WHERE v.kind = 'failed' AND v.proof IS NOT NULL AND v.recipient IS NOT NULL
 AND NOT EXISTS (SELECT 1 FROM verdicts d WHERE d.recipient = v.recipient AND d.kind = 'delivered'
   AND d.proof IS NOT NULL AND (d.message_id = v.message_id OR d.gmail_message_id = v.gmail_message_id))
 AND NOT EXISTS (SELECT 1 FROM events e WHERE e.recipient = lower(v.recipient) AND e.kind = 'Delivery'
   AND (e.ses_message_id = v.ses_message_id OR e.client_id IN (v.gmail_message_id, v.message_id)))
 AND NOT EXISTS (SELECT 1 FROM resends r WHERE r.recipient IN (lower(v.recipient), lower(v.original_recipient))
   AND r.way = 'ses' AND r.state = 'done' AND r.original_id IN (v.gmail_message_id, v.message_id))
GROUP BY lower(v.recipient) ORDER BY v.side IS NOT 'own', last_bounce_at DESC""",
    ),
    "ses_mismatch": View(
        "SES mismatch",
        "Where Amazon SES and the bounces do not tell the same story.",
        {
            "mismatch": "What does not fit.",
            "recipient": "Whom the mail was for.",
            "at": "When the bounce came, or SES's event happened (UTC).",
            "ses_message_id": "The id Amazon SES gave the mail.",
            "words": "What was said.",
            "verdict": "Its number, for triage explain; empty: there is none.",
        },
        ("mismatch",),
        """SELECT 'the bounce says refused, SES says delivered' AS mismatch, v.recipient, v.received_at AS at,
 v.ses_message_id, v.diagnostic AS words, v.id AS verdict
FROM verdicts v JOIN events e ON e.ses_message_id = v.ses_message_id AND e.recipient = lower(v.recipient)
WHERE v.kind = 'failed' AND v.proof IS NOT NULL AND e.kind = 'Delivery'
UNION ALL
SELECT 'the bounce says it never left, SES knows the mail', v.recipient, v.received_at, e.ses_message_id,
 v.diagnostic, v.id
FROM verdicts v JOIN events e ON e.client_id = v.gmail_message_id AND e.recipient = lower(v.recipient)
WHERE v.category = 'smtp-credentials' AND v.proof IS NOT NULL AND e.kind IN ('Send', 'Delivery')
UNION ALL
SELECT 'SES tells of a failure, and no verdict is tied to it', recipient, at, ses_message_id, words, NULL
FROM events WHERE verdict_id IS NULL AND notification IS NOT NULL
UNION ALL
SELECT 'it left through SES, and its SES id is not known', recipient, received_at, NULL, diagnostic, id
FROM verdicts WHERE path IN ('ses-smtp', 'ses-api') AND ses_message_id IS NULL AND genuine IS NOT 'fail'
ORDER BY at DESC""",
    ),
}


STORY = """WITH thread AS (
 SELECT m.id FROM mails m, verdicts asked JOIN mails its ON its.id = asked.mail_id
 WHERE asked.id = :verdict AND (m.id = its.id OR m.thread_id = its.thread_id)),
told AS (SELECT * FROM verdicts WHERE mail_id IN (SELECT id FROM thread))
SELECT sent_at AS at, 'you sent the mail' AS what, recipient AS who, subject AS words
 FROM told WHERE sent_at IS NOT NULL
UNION SELECT received_at, 'a mail came: ' || kind, recipient,
 ifnull(cause, 'nothing failed') || ifnull(': ' || diagnostic, '') FROM told
UNION SELECT e.at, 'Amazon SES said: ' || e.kind, e.recipient, e.words FROM events e JOIN told t
 ON e.recipient IN (lower(t.recipient), lower(t.original_recipient))
 AND (e.ses_message_id = t.ses_message_id OR e.client_id IN (t.gmail_message_id, t.message_id))
UNION SELECT e.looked_up_at, 'looked up: ' || e.kind || ifnull(' in ' || e.place, ''), t.recipient,
 ifnull(e.detail, 'not known yet: ' || e.not_looked_up_why) FROM evidence e JOIN told t ON t.id = e.verdict_id
UNION SELECT c.at, 'judged anew', t.recipient,
 ifnull(c.old_cause, 'nothing') || ', now ' || ifnull(c.new_cause, 'nothing') || ': ' || c.why
 FROM verdict_changes c JOIN told t ON t.id = c.verdict_id
UNION SELECT coalesce(undone_at, done_at, planned_at),
 kind || iif(undone_at IS NOT NULL, ' taken back', iif(state = 'done', ' added', ' ' || state)), NULL,
 ifnull(json_extract(payload, '$.label'), error) FROM actions WHERE mail_id IN (SELECT id FROM thread)
UNION SELECT ifnull(done_at, started_at), 'given again as ' || iif(way = 'ses', 'a mail: ', 'a draft: ') || state,
 recipient, why FROM resends WHERE verdict_id IN (SELECT id FROM told)
ORDER BY at"""
"""What happened in the conversation of one verdict, by time; no view, because it asks for a number."""
