"""The database schema, one step after the other; a step that was released is never edited, the next one is added.

Each table is written as SQL text, because SQLite keeps that text with its comments: the schema in the docs and what
`sqlite3 triage.db .schema` shows are the same words. Knows nothing of mails; the files beside it read and write rows.
"""

from __future__ import annotations

import zlib

from sqlite_utils import Database

from parsers.mime import bare_address
from parsers.text import content_digest
from triage.store.steps.first_steps import migrations
from triage.store.steps.views import VIEWS

__all__ = ["migrations"]


@migrations()
def m020_report(db: Database) -> None:
    """What lets a report over a million verdicts answer at once: how many there are by the hour, kept by triggers."""
    db.execute(
        """CREATE TABLE verdict_hours (
    hour TEXT NOT NULL,              -- UTC, such as 2026-11-24T09: the beginning of received_at
    kind TEXT NOT NULL,
    category TEXT,                   -- NULL: nothing failed
    side TEXT,                       -- NULL: nothing failed
    verdicts INTEGER NOT NULL        -- how many of this sort `verdicts` holds
)"""
    )
    db.execute(
        "CREATE UNIQUE INDEX verdict_hours_once ON verdict_hours (hour, kind, ifnull(category, ''), ifnull(side, ''))"
    )
    db.execute(
        "INSERT INTO verdict_hours (hour, kind, category, side, verdicts)"
        " SELECT substr(received_at, 1, 13), kind, category, side, count(*) FROM verdicts GROUP BY 1, 2, 3, 4"
    )
    count = """INSERT INTO verdict_hours (hour, kind, category, side, verdicts)
        VALUES (substr(new.received_at, 1, 13), new.kind, new.category, new.side, 1)
        ON CONFLICT (hour, kind, ifnull(category, ''), ifnull(side, '')) DO UPDATE SET verdicts = verdicts + 1;"""
    forget = """UPDATE verdict_hours SET verdicts = verdicts - 1
        WHERE hour = substr(old.received_at, 1, 13) AND kind = old.kind
        AND ifnull(category, '') = ifnull(old.category, '') AND ifnull(side, '') = ifnull(old.side, '');"""
    db.execute(f"CREATE TRIGGER verdict_counted AFTER INSERT ON verdicts BEGIN {count} END")
    db.execute(f"CREATE TRIGGER verdict_not_counted AFTER DELETE ON verdicts BEGIN {forget} END")
    db.execute(
        "CREATE TRIGGER verdict_counted_anew AFTER UPDATE OF received_at, kind, category, side ON verdicts"
        f" BEGIN {forget} {count} END"
    )
    db.execute("CREATE INDEX verdicts_by_cause ON verdicts (cause, received_at, category) WHERE cause IS NOT NULL")
    db.execute("CREATE INDEX events_by_time ON events (at, kind)")


@migrations()
def m021_inserts(db: Database) -> None:
    """Messages of ours that go into the mailbox once: written down before Gmail is asked, and again when it is done."""
    db.execute(
        """CREATE TABLE inserts (
    key TEXT PRIMARY KEY,            -- what it is: "report 2026-W48", "copy MESSAGE_ID"
    message_id TEXT NOT NULL UNIQUE, -- the Message-ID we gave it, no angle brackets
    tried_at TEXT NOT NULL,          -- UTC: when Gmail was last about to be asked
    gmail_id TEXT,                   -- NULL: not there yet, as far as is known
    done_at TEXT                     -- UTC; NULL: perhaps inserted, perhaps not: looked for before the next try
)"""
    )


@migrations()
def m022_resends(db: Database) -> None:
    """Mails given to a person once more. A row is written before anything leaves; nothing is sent on a second row."""
    db.execute(
        """CREATE TABLE resends (
    id INTEGER PRIMARY KEY,
    original_id TEXT NOT NULL,       -- Message-ID of the mail in Sent, no angle brackets
    recipient TEXT NOT NULL,         -- in lower case
    way TEXT NOT NULL CHECK (way IN ('draft', 'ses')), -- put back as a draft, or sent through the SES API
    state TEXT NOT NULL              -- started: it may have been done or not; done; refused: certainly not done
        CHECK (state IN ('started', 'done', 'refused')),
    message_id TEXT NOT NULL,        -- the Message-ID we gave it, no angle brackets; a draft may be to several people
    verdict_id INTEGER NOT NULL,     -- the newest verdict that led to it
    thread_id TEXT,                  -- the conversation the draft or the copy is in
    gmail_id TEXT,                   -- the draft, or the copy in Sent; NULL: not there yet
    ses_region TEXT,                 -- NULL: not sent through SES
    ses_message_id TEXT,             -- NULL: not sent through SES, or no answer came
    why TEXT,                        -- why it was refused or is not certain; NULL: neither
    started_at TEXT NOT NULL,        -- UTC
    done_at TEXT,                    -- UTC; NULL: not done
    UNIQUE (original_id, recipient, way)
)"""
    )


@migrations()
def m030_notes(db: Database) -> None:
    """Actions also write notes into threads, and may be taken back."""
    db.execute("ALTER TABLE actions ADD COLUMN gmail_id TEXT /* the note in Gmail; NULL: no note, or none found */")
    db.execute("ALTER TABLE actions ADD COLUMN undone_at TEXT /* UTC: taken back by `undo`; NULL: it was not */")
    db.execute("CREATE INDEX actions_by_target ON actions (target, kind)")
    db.execute("ALTER TABLE runs ADD COLUMN notes INTEGER /* notes written */")


@migrations()
def m040_views(db: Database) -> None:
    """The questions people ask, for plain sqlite3 and for `triage browse`; the text is in views.py."""
    for name, view in VIEWS.items():
        db.execute(f"CREATE VIEW {name} AS -- {view.description}\n{view.sql}")


@migrations()
def m050_letters(db: Database) -> None:
    """Notes and alerts are in `inserts` too; an earlier version asked Gmail without writing that down there."""
    db.execute("ALTER TABLE inserts ADD COLUMN thread_id TEXT /* where Gmail put it; NULL: not known, or not yet */")
    # A planned note may be in its thread already, and so may a planned alert that was tried: neither goes in twice.
    db.execute(
        "INSERT OR IGNORE INTO inserts (key, message_id, tried_at) SELECT 'note ' || id, id, planned_at FROM"
        " (SELECT json_extract(payload, '$.message_id') AS id, planned_at FROM actions"
        " WHERE kind = 'note' AND state = 'planned')"
    )
    db.execute(
        "INSERT OR IGNORE INTO inserts (key, message_id, tried_at) SELECT 'alert ' || message_id, message_id, tried_at"
        " FROM alerts WHERE channel = 'inbox' AND state = 'planned' AND tried_at IS NOT NULL"
    )


@migrations()
def m060_proof(db: Database) -> None:
    """What proves that a verdict is about a mail of ours. What was judged before is asked again while it is news."""
    for column in (
        "proof TEXT /* sent, ses, alias: may be acted on; given: from a file; NULL: nothing proves it */",
        "proof_why TEXT /* in words; NULL: judged before proofs were kept */",
        "proof_open INTEGER NOT NULL DEFAULT 0 /* 1: Gmail could not be asked yet */",
        "proof_tries INTEGER NOT NULL DEFAULT 0 /* how often it was asked again */",
    ):
        db.execute(f"ALTER TABLE verdicts ADD COLUMN {column}")
    db.execute(
        "UPDATE verdicts SET proof_open = 1 WHERE kind IN ('failed', 'delayed', 'feedback', 'delivered')"
        " AND genuine IS NOT 'fail' AND mail_id IN (SELECT id FROM mails WHERE gmail_id IS NOT NULL)"
    )
    db.execute(
        "UPDATE verdicts SET proof = 'given', proof_why = 'somebody gave the file to be read'"
        " WHERE mail_id IN (SELECT id FROM mails WHERE gmail_id IS NULL AND source NOT LIKE 'ses-event:%')"
    )
    db.execute(
        "UPDATE verdicts SET proof = 'ses', proof_why = 'Amazon SES itself tells of this mail and this recipient'"
        " WHERE mail_id IN (SELECT id FROM mails WHERE source LIKE 'ses-event:%')"
    )
    db.execute("CREATE INDEX verdicts_open_proof ON verdicts (received_at) WHERE proof_open = 1")
    for index in ("verdicts_through_alias", "verdicts_out_of_gmail"):
        db.execute(f"DROP INDEX IF EXISTS {index}")
    db.execute(
        'CREATE INDEX verdicts_through_alias ON verdicts (lower("from"), sent_at)'
        " WHERE ses_message_id IS NOT NULL AND gmail_message_id IS NOT NULL AND proof IS NOT NULL"
    )
    db.execute("CREATE INDEX verdicts_out_of_gmail ON verdicts (sent_at) WHERE path = 'gmail' AND proof IS NOT NULL")
    for name, view in VIEWS.items():
        db.execute(f"DROP VIEW IF EXISTS {name}")
        db.execute(f"CREATE VIEW {name} AS -- {view.description}\n{view.sql}")


@migrations()
def m070_held(db: Database) -> None:
    """What the limits of a day held back in a run."""
    for column, what in (
        ("held_notes", "notes not written"),
        ("held_alerts", "openings told to nobody by a channel"),
        ("held_incidents", "bounces that opened no incident"),
    ):
        db.execute(f"ALTER TABLE runs ADD COLUMN {column} INTEGER /* {what}: too many in a day; NULL: not counted */")
    db.execute("CREATE INDEX actions_by_done ON actions (done_at) WHERE kind = 'note' AND done_at IS NOT NULL")


@migrations()
def m070_later(db: Database) -> None:
    """What failed for a reason that passes waits for its turn; what was about to be fetched is known after a kill."""
    db.execute(
        """CREATE TABLE fetches (
    gmail_id TEXT PRIMARY KEY,       -- a mail that was about to be fetched and is not stored yet
    tries INTEGER NOT NULL,          -- how many runs ended in the middle of it
    began_at TEXT NOT NULL           -- UTC, start of the last of them; empty: it broke off without harm
)"""
    )
    for table in ("mails", "actions"):
        for column in (
            "put_off INTEGER NOT NULL DEFAULT 0 /* how often Gmail's own trouble was in the way */",
            "try_after TEXT /* UTC: not tried before; NULL: at once */",
            "missing_at TEXT /* UTC: when Gmail first said that it is not there; NULL: it did not */",
        ):
            db.execute(f"ALTER TABLE {table} ADD COLUMN {column}")
    db.execute("ALTER TABLE runs ADD COLUMN dropped INTEGER /* labels, notes and mails given up: `triage retry` */")


@migrations()
def m080_unsaid(db: Database) -> None:
    """A run whose output is closed or on a full disk does its work all the same, and keeps what it could not say."""
    db.execute("ALTER TABLE runs ADD COLUMN unsaid TEXT /* what could not be printed; NULL: all was */")


@migrations()
def m090_judgement(db: Database) -> None:
    """What each source says of a failure, what a verdict was before, until when an answer may still change."""
    db.execute(
        """CREATE TABLE readings (
    id INTEGER PRIMARY KEY,
    verdict_id INTEGER NOT NULL REFERENCES verdicts (id),
    source TEXT NOT NULL,            -- mail, ses-event, message-insights, suppression-list, access-keys, later-sends
    place TEXT,                      -- which one: an event, a region; NULL: there is only one
    cause TEXT,                      -- what this source takes for the cause; NULL: it names none
    at TEXT,                         -- UTC: when what it tells of happened; NULL: it does not tell
    words TEXT NOT NULL,             -- what it says, short
    said TEXT NOT NULL,              -- JSON: the columns of the verdict as this source would have them
    denies INTEGER NOT NULL,         -- 1: it says that it cannot have been so
    standing TEXT NOT NULL           -- beside what is believed: believed, agrees, says less, contradicts
)"""
    )
    db.execute("CREATE UNIQUE INDEX readings_once ON readings (verdict_id, source, ifnull(place, ''))")
    db.execute(
        """CREATE TABLE verdict_changes (
    id INTEGER PRIMARY KEY,
    verdict_id INTEGER NOT NULL REFERENCES verdicts (id),
    at TEXT NOT NULL,                -- UTC: start of the run that changed it
    old_category TEXT,
    old_cause TEXT,
    new_category TEXT,
    new_cause TEXT,
    why TEXT NOT NULL,               -- who is believed now, and why
    corrected_at TEXT                -- UTC: label and note are planned anew; NULL: not yet
)"""
    )
    db.execute("CREATE INDEX verdict_changes_by_verdict ON verdict_changes (verdict_id)")
    db.execute("CREATE INDEX verdict_changes_to_correct ON verdict_changes (verdict_id) WHERE corrected_at IS NULL")
    db.execute("ALTER TABLE actions ADD COLUMN withdrawn_at TEXT /* UTC: the verdict changed; taken back by a run */")
    db.execute("CREATE INDEX actions_withdrawn ON actions (id) WHERE withdrawn_at IS NOT NULL AND undone_at IS NULL")
    db.execute("ALTER TABLE evidence ADD COLUMN ask_until TEXT /* UTC: no answer changes later; NULL: it stands */")
    db.execute("ALTER TABLE evidence ADD COLUMN ask_again_at TEXT /* UTC: asked again from then on; NULL: it stands */")
    db.execute(
        "UPDATE evidence SET ask_again_at = looked_up_at, ask_until ="
        " (SELECT replace(datetime(v.received_at, '+14 days'), ' ', 'T') || 'Z' FROM verdicts v"
        " WHERE v.id = evidence.verdict_id)"
        " WHERE not_looked_up_why IS NOT NULL"
    )
    db.execute("DROP INDEX IF EXISTS evidence_to_look_up")
    db.execute("CREATE INDEX evidence_to_look_up ON evidence (verdict_id, ask_again_at) WHERE ask_again_at IS NOT NULL")
    db.execute(
        """CREATE TABLE denials (
    service TEXT NOT NULL,
    region TEXT NOT NULL,
    question TEXT NOT NULL,          -- keys, changes, versions, suppressed, insights
    what TEXT NOT NULL,              -- what was to be looked up, in words
    why TEXT NOT NULL,
    at TEXT NOT NULL,                -- UTC: when AWS last said so; asked again a day later, once for all verdicts
    PRIMARY KEY (service, region, question)
)"""
    )
    for row_id, recipient in db.execute("SELECT id, recipient FROM events WHERE recipient LIKE '%<%@%>%'").fetchall():
        db.execute("UPDATE OR IGNORE events SET recipient = ? WHERE id = ?", [bare_address(recipient).lower(), row_id])
    for column in ("recipient", "original_recipient"):
        rows = db.execute(f"SELECT id, {column} FROM verdicts WHERE {column} LIKE '%<%@%>%'").fetchall()  # noqa: S608
        for row_id, address in rows:
            db.execute(f"UPDATE verdicts SET {column} = ? WHERE id = ?", [bare_address(address), row_id])  # noqa: S608


@migrations()
def m100_outbox(db: Database) -> None:
    """Drafts that leave another way than through Gmail: written down before, so that none is lost and none doubled."""
    db.execute(
        """CREATE TABLE outbox (
    id INTEGER PRIMARY KEY,
    draft_id TEXT NOT NULL,
    gmail_id TEXT NOT NULL,          -- the draft's message: another one after each change
    thread_id TEXT NOT NULL,
    asked_by TEXT NOT NULL,          -- label: the label; word: the address among its blind copies
    state TEXT NOT NULL,             -- waiting, taken, sending, sent, returning; done, refused, withdrawn are the ends
    seen_at TEXT NOT NULL,           -- UTC: since when this version asks to be sent
    sha256 TEXT,                     -- of its bytes as they were taken
    message_id TEXT,                 -- the Message-ID it was given
    sender TEXT,
    recipients TEXT,                 -- JSON list: the envelope
    bcc TEXT,                        -- for the copy in Sent
    raw BLOB,                        -- what leaves, byte for byte; NULL: not taken yet, or its copy is in Sent
    is_trashed INTEGER NOT NULL DEFAULT 0, -- 1: we are about to move the draft to Trash, or did
    mark TEXT,                       -- the label by which we tell other computers that it is ours
    relay TEXT,                      -- where it was handed to
    relay_id TEXT,                   -- what that calls it; NULL: it did not say
    seen_id TEXT,                    -- the Message-ID its recipients see
    ends_as TEXT,                    -- while returning: waiting, refused, withdrawn
    kind TEXT,                       -- why it was not sent, in a word or two
    why TEXT,                        -- in a sentence; while sending: why nobody knows whether it left
    started_at TEXT,                 -- UTC: when it was taken
    done_at TEXT                     -- UTC
)"""
    )
    db.execute(
        "CREATE UNIQUE INDEX outbox_open ON outbox (gmail_id)"
        " WHERE state IN ('waiting', 'taken', 'sending', 'sent', 'returning')"
    )
    db.execute("CREATE INDEX outbox_by_draft ON outbox (draft_id)")


@migrations()
def m110_label_ids(db: Database) -> None:
    """A label is taken off again whatever it is called by then."""
    db.execute("ALTER TABLE actions ADD COLUMN label_id TEXT /* the label that was set in Gmail; NULL: not known */")


@migrations()
def m120_run_times(db: Database) -> None:
    """What a slow run waited for: told by the run itself, so that nobody has to guess."""
    db.execute("ALTER TABLE runs ADD COLUMN retries INTEGER /* requests to Gmail made again */")
    db.execute("ALTER TABLE runs ADD COLUMN waited INTEGER /* seconds waited before them */")
    db.execute("ALTER TABLE runs ADD COLUMN seconds TEXT /* JSON: how long each part took, in seconds */")


@migrations()
def m130_told_and_known(db: Database) -> None:
    """A dead sign-in is told of too, so that a new occasion need not be a new table; one mail is one mail wherever
    it was read."""
    db.execute("ALTER TABLE alerts RENAME TO old_alerts")
    db.execute("DROP INDEX alerts_planned")
    db.execute(
        """CREATE TABLE alerts (
    id INTEGER PRIMARY KEY,
    incident_id INTEGER REFERENCES incidents (id), -- NULL: about a renewal of the SMTP login, or a dead sign-in
    opening INTEGER NOT NULL,        -- the number in incidents.openings it belongs to; 0 for what is no incident
    occasion TEXT NOT NULL,          -- opened, reminder, closed, rotation, sign-in
    number INTEGER NOT NULL,         -- counts the reminders; 0 for the others
    channel TEXT NOT NULL,           -- "inbox", or kind and fingerprint of an address in `alerts`, which is a secret
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    message_id TEXT NOT NULL,        -- of the mail in the inbox, no angle brackets; other channels have no use for it
    state TEXT NOT NULL              -- planned, done, dropped (no longer worth telling)
        CHECK (state IN ('planned', 'done', 'dropped')),
    tries INTEGER NOT NULL DEFAULT 0,
    tried_at TEXT,                   -- UTC, written before each try; NULL: none was made
    error TEXT,                      -- why the last try failed, or why it was dropped; NULL: neither
    planned_at TEXT NOT NULL,        -- UTC
    done_at TEXT,                    -- UTC; NULL: not delivered
    UNIQUE (incident_id, opening, occasion, number, channel)
)"""
    )
    columns = (
        "id, incident_id, opening, occasion, number, channel, title, body, message_id, state, tries, tried_at, error,"
        " planned_at, done_at"
    )
    db.execute(f"INSERT INTO alerts ({columns}) SELECT {columns} FROM old_alerts")  # noqa: S608
    db.execute("DROP TABLE old_alerts")
    db.execute("CREATE INDEX alerts_planned ON alerts (id) WHERE state = 'planned'")


@migrations()
def m140_sending_states(db: Database) -> None:
    """What SES says of its own sending: a stop that is known before the first mail comes back."""
    db.execute(
        """CREATE TABLE sending_states (
    id INTEGER PRIMARY KEY,
    region TEXT NOT NULL,
    resource TEXT NOT NULL,          -- the ARN it is about, such as a tenant's; "account": it names none
    is_enabled INTEGER NOT NULL,     -- 0: SES sends nothing from then on
    at TEXT NOT NULL,                -- UTC: when it happened
    words TEXT,                      -- who changed it, and why, in SES's words; NULL: SES does not say
    seen_at TEXT NOT NULL,           -- UTC: when the queue was read
    UNIQUE (region, resource, is_enabled, at)
)"""
    )
    db.execute("CREATE INDEX events_taken_in ON events (ses_region, sent_at) WHERE kind IN ('Send', 'Delivery')")


@migrations()
def m131_content(db: Database) -> None:
    """One mail is one mail wherever it was read: what follows its headers tells, without what an mbox changes."""
    db.execute("ALTER TABLE mails ADD COLUMN content TEXT /* digest of what follows the headers; NULL: not known */")
    for (mail_id,) in db.execute("SELECT id FROM mails WHERE raw IS NOT NULL").fetchall():
        (raw,) = db.execute("SELECT raw FROM mails WHERE id = ?", [mail_id]).fetchone()
        digest = content_digest(zlib.decompress(raw))
        db.execute("UPDATE mails SET content = ? WHERE id = ?", [digest, mail_id])
    db.execute("CREATE INDEX mails_by_content ON mails (content) WHERE content IS NOT NULL")
