BEGIN TRANSACTION;
CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
INSERT INTO "_sqlite_migrations" VALUES(1,'triage','m001_mails','2026-11-24 19:15:44.531872+00:00');
INSERT INTO "_sqlite_migrations" VALUES(2,'triage','m002_verdicts','2026-11-24 19:15:44.532315+00:00');
INSERT INTO "_sqlite_migrations" VALUES(3,'triage','m003_actions','2026-11-24 19:15:44.532559+00:00');
INSERT INTO "_sqlite_migrations" VALUES(4,'triage','m004_runs','2026-11-24 19:15:44.532743+00:00');
INSERT INTO "_sqlite_migrations" VALUES(5,'triage','m005_state','2026-11-24 19:15:44.532892+00:00');
INSERT INTO "_sqlite_migrations" VALUES(6,'triage','m006_rotations','2026-11-24 19:15:44.533162+00:00');
INSERT INTO "_sqlite_migrations" VALUES(7,'triage','m007_events','2026-11-24 19:15:44.541731+00:00');
INSERT INTO "_sqlite_migrations" VALUES(8,'triage','m008_evidence','2026-11-24 19:15:44.542527+00:00');
CREATE TABLE actions (
    id INTEGER PRIMARY KEY,
    mail_id INTEGER NOT NULL REFERENCES mails (id),
    kind TEXT NOT NULL,              -- "label"
    target TEXT NOT NULL,            -- what it is done to: the Gmail thread
    payload TEXT NOT NULL,           -- JSON; for a label {"label": NAME}
    state TEXT NOT NULL              -- planned, done, dropped (could not be done and will not be tried again)
        CHECK (state IN ('planned', 'done', 'dropped')),
    tries INTEGER NOT NULL DEFAULT 0,
    error TEXT,                      -- why the last try failed; NULL: it did not, or none was made
    planned_at TEXT NOT NULL,        -- UTC
    done_at TEXT,                    -- UTC; NULL: not done
    UNIQUE (mail_id, kind, target, payload)
);
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,              -- SES's word: Bounce, Complaint, Delivery, DeliveryDelay, Reject, Send
    recipient TEXT NOT NULL,         -- in lower case; an event about several is one row for each
    ses_message_id TEXT NOT NULL,
    event_id TEXT NOT NULL,          -- SES's feedback id, else the time it happened: what makes a repeat a repeat
    at TEXT NOT NULL,                -- UTC: when it happened
    ses_region TEXT,                 -- NULL: the event does not tell
    sent_at TEXT,                    -- UTC: when SES took the mail
    client_id TEXT,                  -- the mail's Message-ID before SES replaced it; NULL: SES left the headers out
    sender TEXT,
    subject TEXT,
    words TEXT,                      -- what happened, in SES's words; NULL: nothing to add to the kind
    notification BLOB,               -- the event as a mail, zlib; NULL: it tells of no failure
    seen_at TEXT NOT NULL,           -- UTC: start of the run that took it from the queue
    verdict_id INTEGER REFERENCES verdicts (id), -- NULL: it tells of no failure, or no verdict is tied to it yet
    UNIQUE (ses_message_id, recipient, kind, event_id)
);
CREATE TABLE evidence (
    id INTEGER PRIMARY KEY,
    verdict_id INTEGER NOT NULL REFERENCES verdicts (id),
    kind TEXT NOT NULL,              -- ses-id, ses-event, suppression-list, ..., own-side; see triage/evidence.py
    place TEXT,                      -- which region, IAM user, alias; NULL: there is only one
    found INTEGER,                   -- 1 there is something, 0 there is nothing; NULL: not looked up
    detail TEXT,                     -- what was found, in words; NULL: not looked up
    result TEXT,                     -- own-side: proven, likely, unknown; live-login: accepted, refused; else NULL
    tries INTEGER NOT NULL DEFAULT 1,
    looked_up_at TEXT NOT NULL,      -- UTC: when it was looked up, or when that was last tried
    not_looked_up_why TEXT           -- the next run tries again; NULL: it was looked up
);
CREATE TABLE mails (
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
);
CREATE TABLE retired_keys (
    key_id TEXT PRIMARY KEY,         -- an access key made Inactive to make room, outside any rotation
    inactive_at TEXT NOT NULL        -- UTC; it may be deleted a grace period later
);
CREATE TABLE rotations (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL              -- what may have been done already; see remediation/rotation.py
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
);
CREATE TABLE runs (
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
, events INTEGER /* SES events not known before */, not_looked_up TEXT /* what AWS did not answer and why; NULL: nothing */);
CREATE TABLE state (
    key TEXT PRIMARY KEY,            -- "cursor": start of the last run that stored all it had listed, UTC
    value TEXT NOT NULL
);
CREATE TABLE verdicts (
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
);
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
CREATE INDEX mails_by_message_id ON mails (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX mails_by_thread ON mails (thread_id) WHERE thread_id IS NOT NULL;
CREATE UNIQUE INDEX mails_from_files ON mails (raw_sha256) WHERE gmail_id IS NULL;
CREATE INDEX mails_not_judged ON mails (state) WHERE state != 'judged';
CREATE INDEX verdicts_by_mail ON verdicts (mail_id);
CREATE INDEX verdicts_by_time ON verdicts (received_at);
CREATE INDEX verdicts_by_recipient ON verdicts (recipient, kind) WHERE recipient IS NOT NULL;
CREATE INDEX verdicts_by_message_id ON verdicts (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX verdicts_by_gmail_message_id ON verdicts (gmail_message_id) WHERE gmail_message_id IS NOT NULL;
CREATE INDEX verdicts_for_report ON verdicts (kind, category, cause, side, actor, genuine, permanent, received_at, superseded_by);
CREATE INDEX actions_planned ON actions (id) WHERE state = 'planned';
CREATE UNIQUE INDEX rotations_under_way ON rotations (iam_user) WHERE state != 'done';
CREATE INDEX events_untied ON events (id) WHERE verdict_id IS NULL AND notification IS NOT NULL;
CREATE INDEX events_by_client_id ON events (client_id) WHERE client_id IS NOT NULL;
CREATE INDEX events_by_recipient ON events (recipient, sent_at);
CREATE INDEX events_by_verdict ON events (verdict_id) WHERE verdict_id IS NOT NULL;
CREATE INDEX verdicts_by_ses_message_id ON verdicts (ses_message_id) WHERE ses_message_id IS NOT NULL;
CREATE INDEX verdicts_by_any_case ON verdicts (lower(recipient));
CREATE INDEX verdicts_by_address_written ON verdicts (lower(original_recipient));
CREATE UNIQUE INDEX evidence_once ON evidence (verdict_id, kind, ifnull(place, ''));
CREATE INDEX evidence_to_look_up ON evidence (verdict_id) WHERE not_looked_up_why IS NOT NULL;
COMMIT;
