BEGIN TRANSACTION;
CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
INSERT INTO "_sqlite_migrations" VALUES(1,'triage','m001_mails','2026-11-24 19:15:46.157391+00:00');
INSERT INTO "_sqlite_migrations" VALUES(2,'triage','m002_verdicts','2026-11-24 19:15:46.157890+00:00');
INSERT INTO "_sqlite_migrations" VALUES(3,'triage','m003_actions','2026-11-24 19:15:46.158151+00:00');
INSERT INTO "_sqlite_migrations" VALUES(4,'triage','m004_runs','2026-11-24 19:15:46.158312+00:00');
INSERT INTO "_sqlite_migrations" VALUES(5,'triage','m005_state','2026-11-24 19:15:46.158459+00:00');
INSERT INTO "_sqlite_migrations" VALUES(6,'triage','m006_rotations','2026-11-24 19:15:46.158734+00:00');
INSERT INTO "_sqlite_migrations" VALUES(7,'triage','m007_events','2026-11-24 19:15:46.159167+00:00');
INSERT INTO "_sqlite_migrations" VALUES(8,'triage','m008_evidence','2026-11-24 19:15:46.159826+00:00');
INSERT INTO "_sqlite_migrations" VALUES(9,'triage','m009_audits','2026-11-24 19:15:46.160103+00:00');
INSERT INTO "_sqlite_migrations" VALUES(10,'triage','m010_incidents','2026-11-24 19:15:46.170237+00:00');
INSERT INTO "_sqlite_migrations" VALUES(11,'triage','m020_report','2026-11-24 19:15:46.170802+00:00');
INSERT INTO "_sqlite_migrations" VALUES(12,'triage','m021_inserts','2026-11-24 19:15:46.170975+00:00');
INSERT INTO "_sqlite_migrations" VALUES(13,'triage','m022_resends','2026-11-24 19:15:46.171138+00:00');
INSERT INTO "_sqlite_migrations" VALUES(14,'triage','m030_notes','2026-11-24 19:15:46.174199+00:00');
INSERT INTO "_sqlite_migrations" VALUES(15,'triage','m040_views','2026-11-24 19:15:46.174791+00:00');
CREATE TABLE actions (
    id INTEGER PRIMARY KEY,
    mail_id INTEGER NOT NULL REFERENCES mails (id),
    kind TEXT NOT NULL,              -- "label", "note"
    target TEXT NOT NULL,            -- what it is done to: the Gmail thread
    payload TEXT NOT NULL,           -- JSON; for a label {"label": NAME}, for a note see triage/note.py, Place
    state TEXT NOT NULL              -- planned, done, dropped (could not be done and will not be tried again)
        CHECK (state IN ('planned', 'done', 'dropped')),
    tries INTEGER NOT NULL DEFAULT 0,
    error TEXT,                      -- why the last try failed; NULL: it did not, or none was made
    planned_at TEXT NOT NULL,        -- UTC
    done_at TEXT, gmail_id TEXT /* the note in Gmail; NULL: no note, or none found */, undone_at TEXT /* UTC: taken back by `undo`; NULL: it was not */,                    -- UTC; NULL: not done
    UNIQUE (mail_id, kind, target, payload)
);
CREATE TABLE alerts (
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
);
CREATE TABLE audits (
    id INTEGER PRIMARY KEY,
    at TEXT NOT NULL,                -- UTC, its start
    domains TEXT NOT NULL,           -- JSON list
    regions TEXT NOT NULL,           -- JSON list
    calls TEXT NOT NULL,             -- JSON: service -> how often it was asked
    seconds REAL NOT NULL,
    not_asked TEXT NOT NULL          -- JSON list: what was left out, and which setting changes that
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
    sender TEXT,                     -- in lower case: who sent it, as SES was told
    subject TEXT,
    path TEXT,                       -- gmail-alias: it came through Gmail's relay connection; NULL: no headers to tell
    caller TEXT,                     -- the IAM user whose credentials sent it; NULL: the event does not tell
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
CREATE TABLE findings (
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
);
CREATE TABLE incidents (
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
    closed_by TEXT,                  -- what shows it, see triage/incidents.py; NULL: it is open
    closed_why TEXT,                 -- the same in words; NULL: it is open
    noticed_at TEXT                  -- UTC: start of the run that saw it closed; NULL: it is open
);
CREATE TABLE inserts (
    key TEXT PRIMARY KEY,            -- what it is: "report 2026-W48", "copy MESSAGE_ID"
    message_id TEXT NOT NULL UNIQUE, -- the Message-ID we gave it, no angle brackets
    tried_at TEXT NOT NULL,          -- UTC: when Gmail was last about to be asked
    gmail_id TEXT,                   -- NULL: not there yet, as far as is known
    done_at TEXT                     -- UTC; NULL: perhaps inserted, perhaps not: looked for before the next try
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
CREATE TABLE repairs (
    id INTEGER PRIMARY KEY,
    incident_id INTEGER NOT NULL REFERENCES incidents (id),
    kind TEXT NOT NULL CHECK (kind IN ('by-hand', 'login-and-send')), -- other signs are read off events and verdicts
    at TEXT NOT NULL,                -- UTC
    words TEXT NOT NULL,
    UNIQUE (incident_id, kind, at)
);
CREATE TABLE resends (
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
, events INTEGER /* SES events not known before */, not_looked_up TEXT /* what AWS did not answer and why; NULL: nothing */, opened INTEGER /* incidents that opened */, closed INTEGER /* incidents that closed */, alerts INTEGER /* alerts delivered */, not_told TEXT /* why alerts could not be delivered; NULL: none failed */, notes INTEGER /* notes written */);
CREATE TABLE state (
    key TEXT PRIMARY KEY,            -- "cursor": start of the last run that stored all it had listed, UTC
    value TEXT NOT NULL
);
CREATE TABLE verdict_hours (
    hour TEXT NOT NULL,              -- UTC, such as 2026-11-24T09: the beginning of received_at
    kind TEXT NOT NULL,
    category TEXT,                   -- NULL: nothing failed
    side TEXT,                       -- NULL: nothing failed
    verdicts INTEGER NOT NULL        -- how many of this sort `verdicts` holds
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
, incident_id INTEGER REFERENCES incidents (id) /* NULL: in none */);
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
CREATE INDEX actions_planned ON actions (id) WHERE state = 'planned';
CREATE UNIQUE INDEX rotations_under_way ON rotations (iam_user) WHERE state != 'done';
CREATE INDEX events_untied ON events (id) WHERE verdict_id IS NULL AND notification IS NOT NULL;
CREATE INDEX events_by_client_id ON events (client_id) WHERE client_id IS NOT NULL;
CREATE INDEX events_by_recipient ON events (recipient, sent_at);
CREATE INDEX events_of_sender ON events (sender, at) WHERE kind IN ('Send', 'Delivery');
CREATE INDEX events_by_verdict ON events (verdict_id) WHERE verdict_id IS NOT NULL;
CREATE INDEX verdicts_by_ses_message_id ON verdicts (ses_message_id) WHERE ses_message_id IS NOT NULL;
CREATE INDEX verdicts_by_any_case ON verdicts (lower(recipient));
CREATE INDEX verdicts_by_address_written ON verdicts (lower(original_recipient));
CREATE UNIQUE INDEX evidence_once ON evidence (verdict_id, kind, ifnull(place, ''));
CREATE INDEX evidence_to_look_up ON evidence (verdict_id) WHERE not_looked_up_why IS NOT NULL;
CREATE INDEX audits_by_time ON audits (at);
CREATE INDEX findings_by_check ON findings ("check", subject, audit_id);
CREATE INDEX findings_by_audit ON findings (audit_id);
CREATE INDEX incidents_open ON incidents (id) WHERE state = 'open';
CREATE INDEX verdicts_by_incident ON verdicts (incident_id, received_at) WHERE incident_id IS NOT NULL;
CREATE INDEX alerts_planned ON alerts (id) WHERE state = 'planned';
CREATE INDEX events_accepted ON events (sender, path, sent_at) WHERE kind IN ('Send', 'Delivery');
CREATE INDEX events_delivered ON events (substr(recipient, instr(recipient, '@') + 1), at) WHERE kind = 'Delivery';
CREATE INDEX verdicts_through_alias ON verdicts (lower("from"), sent_at) WHERE ses_message_id IS NOT NULL AND gmail_message_id IS NOT NULL AND genuine = 'pass';
CREATE INDEX verdicts_out_of_gmail ON verdicts (sent_at) WHERE path = 'gmail' AND genuine = 'pass';
CREATE INDEX verdicts_delivered ON verdicts (lower(substr(recipient, instr(recipient, '@') + 1)), received_at) WHERE kind = 'delivered';
CREATE UNIQUE INDEX verdict_hours_once ON verdict_hours (hour, kind, ifnull(category, ''), ifnull(side, ''));
CREATE TRIGGER verdict_counted AFTER INSERT ON verdicts BEGIN INSERT INTO verdict_hours (hour, kind, category, side, verdicts)
        VALUES (substr(new.received_at, 1, 13), new.kind, new.category, new.side, 1)
        ON CONFLICT (hour, kind, ifnull(category, ''), ifnull(side, '')) DO UPDATE SET verdicts = verdicts + 1; END;
CREATE TRIGGER verdict_not_counted AFTER DELETE ON verdicts BEGIN UPDATE verdict_hours SET verdicts = verdicts - 1
        WHERE hour = substr(old.received_at, 1, 13) AND kind = old.kind
        AND ifnull(category, '') = ifnull(old.category, '') AND ifnull(side, '') = ifnull(old.side, ''); END;
CREATE TRIGGER verdict_counted_anew AFTER UPDATE OF received_at, kind, category, side ON verdicts BEGIN UPDATE verdict_hours SET verdicts = verdicts - 1
        WHERE hour = substr(old.received_at, 1, 13) AND kind = old.kind
        AND ifnull(category, '') = ifnull(old.category, '') AND ifnull(side, '') = ifnull(old.side, ''); INSERT INTO verdict_hours (hour, kind, category, side, verdicts)
        VALUES (substr(new.received_at, 1, 13), new.kind, new.category, new.side, 1)
        ON CONFLICT (hour, kind, ifnull(category, ''), ifnull(side, '')) DO UPDATE SET verdicts = verdicts + 1; END;
CREATE INDEX verdicts_by_cause ON verdicts (cause, received_at, category) WHERE cause IS NOT NULL;
CREATE INDEX events_by_time ON events (at, kind);
CREATE INDEX actions_by_target ON actions (target, kind);
CREATE VIEW this_week AS -- Every verdict on a mail received in the last seven days, the newest first.
SELECT v.id AS verdict, v.received_at, v.recipient, v.kind, v.category, v.cause, v.side,
 v.actor AS next_move, v.subject, v.sent_at, v.remote_host AS refused_by, v.diagnostic AS words, v.ses_message_id,
 iif(m.thread_id IS NULL, NULL, 'https://mail.google.com/mail/#all/' || m.thread_id) AS conversation
FROM verdicts v JOIN mails m ON m.id = v.mail_id
WHERE v.received_at >= strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-7 days')
ORDER BY v.received_at DESC, v.id DESC;
CREATE VIEW by_cause AS -- How often each cause was met, and how lately; forged bounces are left out.
SELECT cause, side, actor AS next_move, count(*) AS bounces, count(DISTINCT lower(recipient)) AS people,
 count(*) FILTER (WHERE received_at >= strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-7 days')) AS this_week,
 min(received_at) AS first_at, max(received_at) AS last_at
FROM verdicts WHERE cause IS NOT NULL AND category IS NOT 'unverified'
GROUP BY cause, side, actor ORDER BY bounces DESC, cause;
CREATE VIEW by_recipient_domain AS -- Which domains send mails back, and why; what our own side kept back is left out, for no domain is to blame.
SELECT lower(substr(recipient, instr(recipient, '@') + 1)) AS domain, count(*) AS bounces,
 count(DISTINCT lower(recipient)) AS people, group_concat(DISTINCT cause) AS causes,
 group_concat(DISTINCT platform) AS platforms, max(received_at) AS last_at
FROM verdicts WHERE recipient LIKE '%@%' AND kind = 'failed' AND side IS NOT 'own' AND genuine IS NOT 'fail'
GROUP BY domain ORDER BY bounces DESC, domain;
CREATE VIEW unreached_people AS -- Who still lacks a mail of yours, those your own side kept back first: triage resend gives it once more.
SELECT v.recipient, count(DISTINCT coalesce(v.gmail_message_id, v.message_id, v.id)) AS mails,
 max(v.received_at) AS last_bounce_at, v.subject, v.sent_at, v.cause, v.side, v.actor AS next_move,
 iif(m.thread_id IS NULL, NULL, 'https://mail.google.com/mail/#all/' || m.thread_id) AS conversation, v.id AS verdict
FROM verdicts v JOIN mails m ON m.id = v.mail_id
WHERE v.kind = 'failed' AND v.genuine IS NOT 'fail' AND v.category IS NOT 'unverified' AND v.recipient IS NOT NULL
 AND NOT EXISTS (SELECT 1 FROM verdicts d WHERE d.recipient = v.recipient AND d.kind = 'delivered'
   AND d.genuine IS NOT 'fail' AND (d.message_id = v.message_id OR d.gmail_message_id = v.gmail_message_id))
 AND NOT EXISTS (SELECT 1 FROM events e WHERE e.recipient = lower(v.recipient) AND e.kind = 'Delivery'
   AND (e.ses_message_id = v.ses_message_id OR e.client_id IN (v.gmail_message_id, v.message_id)))
 AND NOT EXISTS (SELECT 1 FROM resends r WHERE r.recipient IN (lower(v.recipient), lower(v.original_recipient))
   AND r.way = 'ses' AND r.state = 'done' AND r.original_id IN (v.gmail_message_id, v.message_id))
GROUP BY lower(v.recipient) ORDER BY v.side IS NOT 'own', last_bounce_at DESC;
CREATE VIEW ses_mismatch AS -- Where Amazon SES and the bounces do not tell the same story.
SELECT 'the bounce says refused, SES says delivered' AS mismatch, v.recipient, v.received_at AS at,
 v.ses_message_id, v.diagnostic AS words, v.id AS verdict
FROM verdicts v JOIN events e ON e.ses_message_id = v.ses_message_id AND e.recipient = lower(v.recipient)
WHERE v.kind = 'failed' AND v.genuine IS NOT 'fail' AND e.kind = 'Delivery'
UNION ALL
SELECT 'the bounce says it never left, SES knows the mail', v.recipient, v.received_at, e.ses_message_id,
 v.diagnostic, v.id
FROM verdicts v JOIN events e ON e.client_id = v.gmail_message_id AND e.recipient = lower(v.recipient)
WHERE v.category = 'smtp-credentials' AND v.genuine IS NOT 'fail' AND e.kind IN ('Send', 'Delivery')
UNION ALL
SELECT 'SES tells of a failure, and no verdict is tied to it', recipient, at, ses_message_id, words, NULL
FROM events WHERE verdict_id IS NULL AND notification IS NOT NULL
UNION ALL
SELECT 'it left through SES, and its SES id is not known', recipient, received_at, NULL, diagnostic, id
FROM verdicts WHERE path IN ('ses-smtp', 'ses-api') AND ses_message_id IS NULL AND genuine IS NOT 'fail'
ORDER BY at DESC;
COMMIT;
