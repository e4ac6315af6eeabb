"""The first steps of the database schema: mails, verdicts, actions, runs, rotations, events, audits, incidents.

Released, so never edited; what came after is in `migrations.py`.
"""

from __future__ import annotations

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

migrations = Migrations("triage")


@migrations()
def m001_mails(db: Database) -> None:
    """One row per mail ever seen, whatever became of it; the raw bytes stay, so that verdicts can be judged again."""
    db.execute(
        """CREATE TABLE mails (
    id INTEGER PRIMARY KEY,
    gmail_id TEXT UNIQUE,            -- NULL: the mail came from a file
    thread_id TEXT,                  -- NULL: the mail came from a file
    source TEXT NOT NULL,            -- "gmail:GMAIL_ID", "bounces/a.eml", "takeout.mbox#17"
    message_id TEXT,                 -- its own Message-ID, no angle brackets; NULL: it has none, or was never read
    received_at TEXT,                -- UTC; NULL: it came from a file without a usable date, or was never fetched
    seen_at TEXT NOT NULL,           -- UTC, start of the run that first saw it
    state TEXT NOT NULL              -- judged; failed: asked for again; kept: no more, for study; gone from Gmail
        CHECK (state IN ('judged', 'failed', 'kept', 'gone')),
    tries INTEGER NOT NULL,          -- how often it was fetched or judged
    error TEXT,                      -- why it could not be read; NULL: it could
    original_in_sent INTEGER,        -- 1 the returned mail is in Sent, 0 it is not; NULL: not looked for, no need to
    raw BLOB,                        -- the mail, zlib; NULL: never fetched, or no bounce and still in the user's file
    raw_sha256 TEXT                  -- of the bytes before compression; NULL: never fetched
)"""
    )
    db.execute("CREATE INDEX mails_by_message_id ON mails (message_id) WHERE message_id IS NOT NULL")
    db.execute("CREATE INDEX mails_by_thread ON mails (thread_id) WHERE thread_id IS NOT NULL")
    # Two threads may hold the same bytes in Gmail; a file that is imported twice may not.
    db.execute("CREATE UNIQUE INDEX mails_from_files ON mails (raw_sha256) WHERE gmail_id IS NULL")
    db.execute("CREATE INDEX mails_not_judged ON mails (state) WHERE state != 'judged'")


@migrations()
def m002_verdicts(db: Database) -> None:
    """One row per failed recipient; from `kind` on the columns are the keys of `triage classify --jsonl`."""
    db.execute(
        """CREATE TABLE verdicts (
    id INTEGER PRIMARY KEY,
    mail_id INTEGER NOT NULL REFERENCES mails (id),
    position INTEGER NOT NULL,       -- 0 for the first recipient of the mail
    received_at TEXT NOT NULL,       -- UTC: when Gmail received the bounce, else its Date, else the run's start
    superseded_by INTEGER REFERENCES verdicts (id), -- what became of a delayed mail; NULL: not known, or not delayed
    source TEXT NOT NULL,
    kind TEXT NOT NULL,              -- failed, delayed, delivered, auto-reply, feedback, not-a-bounce
    recipient TEXT,                  -- the address that failed; NULL: not named, or not a bounce
    original_recipient TEXT,         -- the address written to; NULL: the same
    category TEXT,                   -- the label a human sees; NULL: nothing failed
    cause TEXT,                      -- NULL: nothing failed
    side TEXT,                       -- own, remote, unknown; NULL: nothing failed
    actor TEXT,                      -- whose move it is; NULL: nobody's
    permanent INTEGER,               -- 1, 0; NULL: not known
    reason TEXT,                     -- Sisimai's word; NULL: nothing failed
    status TEXT,                     -- enhanced status code as reported; NULL: none reported
    reply_code TEXT,                 -- SMTP reply code; NULL: none reported
    diagnostic TEXT,                 -- the refuser's own words; NULL: none reported
    platform TEXT,                   -- what refused; NULL: not recognised
    remote_host TEXT,                -- who refused; NULL: not reported
    reported_by TEXT,                -- who wrote the bounce; NULL: not recognised
    message_id TEXT,                 -- from here to path: the returned mail; NULL: not known
    gmail_message_id TEXT,           -- the Message-ID Gmail first gave it; NULL: SES or nobody replaced it
    ses_message_id TEXT,             -- NULL: it did not pass through SES, or that is not known
    ses_region TEXT,
    ses_id_source TEXT,              -- where the SES id was found
    sent_at TEXT,                    -- UTC
    "from" TEXT,
    subject TEXT,
    path TEXT,                       -- gmail, gmail-alias, ses-smtp, ses-api
    genuine TEXT,                    -- pass, fail, unknown; NULL: not a bounce
    rule TEXT,                       -- the row of rules.toml that decided; NULL: none did
    evidence TEXT,                   -- the literal words it matched; NULL: no rule decided
    fix TEXT NOT NULL,               -- JSON list of steps
    links TEXT NOT NULL,             -- JSON list of addresses
    why TEXT                         -- why it is no bounce; NULL: it is one
)"""
    )
    db.execute("CREATE INDEX verdicts_by_mail ON verdicts (mail_id)")
    db.execute("CREATE INDEX verdicts_by_time ON verdicts (received_at)")
    db.execute("CREATE INDEX verdicts_by_recipient ON verdicts (recipient, kind) WHERE recipient IS NOT NULL")
    db.execute("CREATE INDEX verdicts_by_message_id ON verdicts (message_id) WHERE message_id IS NOT NULL")
    db.execute(
        "CREATE INDEX verdicts_by_gmail_message_id ON verdicts (gmail_message_id) WHERE gmail_message_id IS NOT NULL"
    )
    # The report groups by exactly these: it reads this index from end to end and never the rows.


@migrations()
def m003_actions(db: Database) -> None:
    """What a verdict makes us do outside the database: planned with the verdict, recorded again once it is done."""
    db.execute(
        """CREATE TABLE actions (
    id INTEGER PRIMARY KEY,
    mail_id INTEGER NOT NULL REFERENCES mails (id),
    kind TEXT NOT NULL,              -- "label", "note"
    target TEXT NOT NULL,            -- what it is done to: the Gmail thread
    payload TEXT NOT NULL,           -- JSON; for a label {"label": NAME}, for a note see triage/letters/note.py, Place
    state TEXT NOT NULL              -- planned, done, dropped (could not be done and will not be tried again)
        CHECK (state IN ('planned', 'done', 'dropped')),
    tries INTEGER NOT NULL DEFAULT 0,
    error TEXT,                      -- why the last try failed; NULL: it did not, or none was made
    planned_at TEXT NOT NULL,        -- UTC
    done_at TEXT,                    -- UTC; NULL: not done
    UNIQUE (mail_id, kind, target, payload)
)"""
    )
    db.execute("CREATE INDEX actions_planned ON actions (id) WHERE state = 'planned'")


@migrations()
def m004_runs(db: Database) -> None:
    """One row per run of the worker, written at its start and again at its end."""
    db.execute(
        """CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,            -- "gmail", or the paths that were read
    started_at TEXT NOT NULL,        -- UTC
    finished_at TEXT,                -- UTC; NULL: it is at work, or was killed
    error TEXT,                      -- what stopped it; NULL: nothing did, or it was killed
    new INTEGER,                     -- mails not seen before; NULL here and below: it did not come to its end
    judged INTEGER,                  -- verdicts on recipients
    not_bounces INTEGER,             -- mails that are none
    failed INTEGER,                  -- mails that could not be read
    actions INTEGER,                 -- labels set
    units_new INTEGER,               -- Gmail quota used, by the table for projects made since May 2026
    units_old INTEGER,               -- the same by the older table
    requests INTEGER                 -- HTTP requests
)"""
    )


@migrations()
def m005_state(db: Database) -> None:
    """Single values that outlive a run."""
    db.execute(
        """CREATE TABLE state (
    key TEXT PRIMARY KEY,            -- "cursor": start of the last run that stored all it had listed, UTC
    value TEXT NOT NULL
)"""
    )


@migrations()
def m006_rotations(db: Database) -> None:
    """Rotations of SES SMTP credentials. A state is written before AWS is told anything; no secret is ever in here."""
    db.execute(
        """CREATE TABLE rotations (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL              -- what may have been done already; see remediation/rotation/state.py
        CHECK (state IN ('creating', 'staging', 'verifying', 'promoting', 'waiting', 'retiring', 'grace', 'deleting',
            'aborting', 'done')),
    keeps TEXT NOT NULL CHECK (keeps IN ('new', 'old')), -- which key stays: the new one, or, aborted, the old one
    iam_user TEXT NOT NULL,
    secret_id TEXT NOT NULL,         -- name or ARN in Secrets Manager
    region TEXT NOT NULL,            -- of the relay and the secret
    host TEXT NOT NULL,              -- the relay
    port INTEGER NOT NULL,
    security TEXT NOT NULL,          -- starttls, ssl
    alias TEXT,                      -- the address Gmail sends from; NULL: not named
    old_key_id TEXT NOT NULL,
    old_version_id TEXT NOT NULL,    -- the secret's version with the old login
    new_key_id TEXT,                 -- NULL: none made yet, or its id was lost in a crash
    version_id TEXT NOT NULL,        -- the secret's version for the new login
    keys_before TEXT NOT NULL,       -- JSON list: every key the user had at the start
    attempt INTEGER NOT NULL,
    started_at TEXT NOT NULL,        -- UTC, as all times
    asked_at TEXT NOT NULL,          -- when IAM was last about to be asked for a key
    offered_at TEXT,                 -- from when on Gmail may have the new login; NULL: it certainly has not
    confirmed_at TEXT,               -- the owner said that Gmail uses the login to be kept
    inactive_at TEXT,                -- the other key is Inactive since; the grace period counts from here
    ended_at TEXT,                   -- NULL: not over
    reminded_at TEXT,
    evidence TEXT,                   -- what the confirmation rested on
    reason TEXT                      -- why it was aborted or rolled back; NULL: it was not
)"""
    )
    db.execute("CREATE UNIQUE INDEX rotations_under_way ON rotations (iam_user) WHERE state != 'done'")
    db.execute(
        """CREATE TABLE retired_keys (
    key_id TEXT PRIMARY KEY,         -- an access key made Inactive to make room, outside any rotation
    inactive_at TEXT NOT NULL        -- UTC; it may be deleted a grace period later
)"""
    )


@migrations()
def m007_events(db: Database) -> None:
    """What SES itself says happened to each recipient, from the queue; also the good news, which ends an incident."""
    db.execute(
        """CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,              -- SES's word: Bounce, Complaint, Delivery, DeliveryDelay, Reject, Send
    recipient TEXT NOT NULL,         -- in lower case; an event about several is one row for each
    ses_message_id TEXT NOT NULL,
    event_id TEXT NOT NULL,          -- SES's feedback id, else the time it happened: what makes a repeat a repeat
    at TEXT NOT NULL,                -- UTC: when it happened
    ses_region TEXT,                 -- NULL: the event does not tell
    sent_at TEXT,                    -- UTC: when SES took the mail
    client_id TEXT,                  -- the mail's Message-ID before SES replaced it; NULL: SES left the headers out
    sender TEXT,                     -- in lower case: who sent it, as SES was told
    subject TEXT,
    path TEXT,                       -- gmail-alias: it came through Gmail's relay connection; NULL: no headers to tell
    caller TEXT,                     -- the IAM user whose credentials sent it; NULL: the event does not tell
    words TEXT,                      -- what happened, in SES's words; NULL: nothing to add to the kind
    notification BLOB,               -- the event as a mail, zlib; NULL: it tells of no failure
    seen_at TEXT NOT NULL,           -- UTC: start of the run that took it from the queue
    verdict_id INTEGER REFERENCES verdicts (id), -- NULL: it tells of no failure, or no verdict is tied to it yet
    UNIQUE (ses_message_id, recipient, kind, event_id)
)"""
    )
    db.execute("CREATE INDEX events_untied ON events (id) WHERE verdict_id IS NULL AND notification IS NOT NULL")
    db.execute("CREATE INDEX events_by_client_id ON events (client_id) WHERE client_id IS NOT NULL")
    db.execute("CREATE INDEX events_by_recipient ON events (recipient, sent_at)")
    db.execute("CREATE INDEX events_of_sender ON events (sender, at) WHERE kind IN ('Send', 'Delivery')")
    db.execute("CREATE INDEX events_by_verdict ON events (verdict_id) WHERE verdict_id IS NOT NULL")
    db.execute("CREATE INDEX verdicts_by_ses_message_id ON verdicts (ses_message_id) WHERE ses_message_id IS NOT NULL")
    # An address is written in any case; these two are how an event finds its verdict.
    db.execute("CREATE INDEX verdicts_by_any_case ON verdicts (lower(recipient))")
    db.execute("CREATE INDEX verdicts_by_address_written ON verdicts (lower(original_recipient))")


@migrations()
def m008_evidence(db: Database) -> None:
    """What is known of a verdict beyond its bounce, piece by piece, also what could not be looked up and why."""
    db.execute(
        """CREATE TABLE evidence (
    id INTEGER PRIMARY KEY,
    verdict_id INTEGER NOT NULL REFERENCES verdicts (id),
    kind TEXT NOT NULL,              -- ses-id, ses-event, suppression-list, ..., own-side; see triage/ses/evidence.py
    place TEXT,                      -- which region, IAM user, alias; NULL: there is only one
    found INTEGER,                   -- 1 there is something, 0 there is nothing; NULL: not looked up
    detail TEXT,                     -- what was found, in words; NULL: not looked up
    result TEXT,                     -- own-side: proven, likely, unknown; live-login: accepted, refused; else NULL
    tries INTEGER NOT NULL DEFAULT 1,
    looked_up_at TEXT NOT NULL,      -- UTC: when it was looked up, or when that was last tried
    not_looked_up_why TEXT           -- the next run tries again; NULL: it was looked up
)"""
    )
    db.execute("CREATE UNIQUE INDEX evidence_once ON evidence (verdict_id, kind, ifnull(place, ''))")
    db.execute("CREATE INDEX evidence_to_look_up ON evidence (verdict_id) WHERE not_looked_up_why IS NOT NULL")
    db.execute("ALTER TABLE runs ADD COLUMN events INTEGER /* SES events not known before */")
    db.execute("ALTER TABLE runs ADD COLUMN not_looked_up TEXT /* what AWS did not answer and why; NULL: nothing */")


@migrations()
def m009_audits(db: Database) -> None:
    """Every audit with all its findings, so that it can be seen what changed before a mail was refused."""
    db.execute(
        """CREATE TABLE audits (
    id INTEGER PRIMARY KEY,
    at TEXT NOT NULL,                -- UTC, its start
    domains TEXT NOT NULL,           -- JSON list
    regions TEXT NOT NULL,           -- JSON list
    calls TEXT NOT NULL,             -- JSON: service -> how often it was asked
    seconds REAL NOT NULL,
    not_asked TEXT NOT NULL          -- JSON list: what was left out, and which setting changes that
)"""
    )
    db.execute("CREATE INDEX audits_by_time ON audits (at)")
    db.execute(
        """CREATE TABLE findings (
    id INTEGER PRIMARY KEY,
    audit_id INTEGER NOT NULL REFERENCES audits (id),
    "check" TEXT NOT NULL,           -- what was looked at, a name such as dkim-records
    subject TEXT NOT NULL,           -- the domain, region, address, host or user
    state TEXT NOT NULL              -- unknown: could not be looked up, which says nothing about the subject
        CHECK (state IN ('ok', 'warn', 'fail', 'unknown')),
    severity TEXT NOT NULL,          -- high, medium, low: how much it matters where it is not ok
    asked TEXT NOT NULL,             -- the evidence: what was asked
    answered TEXT NOT NULL,          -- and what came back
    meaning TEXT NOT NULL,
    fix TEXT NOT NULL,               -- JSON list of steps
    by_hand TEXT NOT NULL,           -- the command that shows the same; empty: there is none
    leaves_open TEXT NOT NULL,       -- JSON list of checks that could not be judged for the same reason
    figures TEXT NOT NULL            -- JSON: numbers the next audit compares with
)"""
    )
    db.execute('CREATE INDEX findings_by_check ON findings ("check", subject, audit_id)')
    db.execute("CREATE INDEX findings_by_audit ON findings (audit_id)")


@migrations()
def m010_incidents(db: Database) -> None:
    """Many bounces that one repair heals, what shows that it was made, and what humans were told about it."""
    db.execute(
        """CREATE TABLE incidents (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,        -- what one repair heals: "alias ADDRESS", "remote DOMAIN CAUSE", ...
    kind TEXT NOT NULL CHECK (kind IN ('alias', 'ses', 'gmail', 'remote')),
    state TEXT NOT NULL CHECK (state IN ('open', 'closed')),
    cause TEXT NOT NULL,             -- from here to path: as in the newest bounce
    sender TEXT,                     -- our address, in lower case; NULL: not known
    place TEXT,                      -- the relay, the SES region, the domain that refused; NULL: not known
    path TEXT,                       -- how the mail went, as in verdicts
    openings INTEGER NOT NULL,       -- how often it was seen to open; the times below are those of the last time
    first_at TEXT NOT NULL,          -- UTC: the first bounce since something last got through
    last_at TEXT NOT NULL,           -- UTC: the newest bounce
    detected_at TEXT NOT NULL,       -- UTC: start of the run that saw it open
    closed_at TEXT,                  -- UTC: when something got through; NULL: it is open
    closed_by TEXT,                  -- what shows it, see triage/incidents/incidents.py; NULL: it is open
    closed_why TEXT,                 -- the same in words; NULL: it is open
    noticed_at TEXT                  -- UTC: start of the run that saw it closed; NULL: it is open
)"""
    )
    db.execute("CREATE INDEX incidents_open ON incidents (id) WHERE state = 'open'")
    db.execute("ALTER TABLE verdicts ADD COLUMN incident_id INTEGER REFERENCES incidents (id) /* NULL: in none */")
    db.execute("CREATE INDEX verdicts_by_incident ON verdicts (incident_id, received_at) WHERE incident_id IS NOT NULL")
    db.execute(
        """CREATE TABLE repairs (
    id INTEGER PRIMARY KEY,
    incident_id INTEGER NOT NULL REFERENCES incidents (id),
    kind TEXT NOT NULL CHECK (kind IN ('by-hand', 'login-and-send')), -- other signs are read off events and verdicts
    at TEXT NOT NULL,                -- UTC
    words TEXT NOT NULL,
    UNIQUE (incident_id, kind, at)
)"""
    )
    db.execute(
        """CREATE TABLE alerts (
    id INTEGER PRIMARY KEY,
    incident_id INTEGER REFERENCES incidents (id), -- NULL: about a rotation of the SMTP login
    opening INTEGER NOT NULL,        -- the number in incidents.openings it belongs to; 0 for a rotation
    occasion TEXT NOT NULL CHECK (occasion IN ('opened', 'reminder', 'closed', 'rotation')),
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
    db.execute("CREATE INDEX alerts_planned ON alerts (id) WHERE state = 'planned'")
    # What got through: how an incident finds the first sign that it is over.
    db.execute("CREATE INDEX events_accepted ON events (sender, path, sent_at) WHERE kind IN ('Send', 'Delivery')")
    db.execute(
        "CREATE INDEX events_delivered ON events (substr(recipient, instr(recipient, '@') + 1), at)"
        " WHERE kind = 'Delivery'"
    )
    db.execute(
        """CREATE INDEX verdicts_through_alias ON verdicts (lower("from"), sent_at)"""
        " WHERE ses_message_id IS NOT NULL AND gmail_message_id IS NOT NULL AND genuine = 'pass'"
    )
    db.execute("CREATE INDEX verdicts_out_of_gmail ON verdicts (sent_at) WHERE path = 'gmail' AND genuine = 'pass'")
    db.execute(
        "CREATE INDEX verdicts_delivered ON verdicts (lower(substr(recipient, instr(recipient, '@') + 1)), received_at)"
        " WHERE kind = 'delivered'"
    )
    db.execute("ALTER TABLE runs ADD COLUMN opened INTEGER /* incidents that opened */")
    db.execute("ALTER TABLE runs ADD COLUMN closed INTEGER /* incidents that closed */")
    db.execute("ALTER TABLE runs ADD COLUMN alerts INTEGER /* alerts delivered */")
    db.execute("ALTER TABLE runs ADD COLUMN not_told TEXT /* why alerts could not be delivered; NULL: none failed */")
