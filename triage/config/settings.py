"""What each setting may be: its type, range, choices or form, and its documentation; here, and nowhere else.

`setting.py` holds values against it; the table in the docs is made from it. Opens no file.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path

from triage.config.setting import default_text

_HOURS_MOST, _DAYS_MOST = 24 * 366 * 20, 366 * 20  # twenty years: Gmail is younger than that


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a command works with. Paths are absolute; the three files lie, unless named, in the settings folder.

    The settings folder is the one triage.toml was found in, else the user's configuration folder, so that a command
    finds the same files from cron as from a terminal.
    """

    database: Path = field(
        metadata={"doc": "The SQLite database with every mail, verdict and action.", "default": "triage.db"}
    )
    credentials: Path = field(
        metadata={"doc": "Google's OAuth client file, as downloaded.", "default": "credentials.json"}
    )
    token: Path = field(metadata={"doc": "The Gmail token that `triage auth` writes.", "default": "token.json"})
    overlap_hours: int = field(
        default=48,
        metadata={
            "doc": "How far each run looks back before the last one, because search can lag.",
            "min": 0,
            "max": _HOURS_MOST,
        },
    )
    run_minutes: int = field(
        default=10,
        metadata={
            "doc": "How long one run may take; then it stops with code 75, and the next one goes on.",
            "min": 1,
            "max": 1440,
        },
    )
    since_days: int = field(
        default=30, metadata={"doc": "How far the very first run looks back.", "min": 1, "max": _DAYS_MOST}
    )
    subjects: tuple[str, ...] = field(
        default=(), metadata={"doc": 'More subjects to look for, such as "Unzustellbar", beside the English ones.'}
    )
    timezone: str | None = field(
        default=None,
        metadata={
            "doc": "The zone times are told in, by IANA name; by default this computer's.",
            "form": "zone",
        },
    )
    label_prefix: str = field(default="Bounce", metadata={"doc": "The Gmail label under which the others are nested."})
    notes: bool = field(
        default=True,
        metadata={"doc": "Explain what failed by a note in the bounce's own thread; nobody else gets it."},
    )
    note_inbox: bool = field(
        default=False, metadata={"doc": "Put the notes into the inbox too, so that the conversation comes up again."}
    )
    note_unread: bool = field(default=False, metadata={"doc": "Leave the notes unread, so that Gmail tells of them."})
    regions: tuple[str, ...] = field(
        default=(),
        metadata={
            "doc": 'The AWS regions you send from, such as "us-east-1": their suppression lists are asked.',
            "form": "region",
        },
    )
    domains: tuple[str, ...] = field(
        default=(),
        metadata={
            "doc": "The domains you send from, for `audit`. By default those of the aliases, else all of SES.",
            "form": "host",
        },
    )
    dns: str | None = field(
        default=None,
        metadata={
            "doc": "The DNS server to ask, as address or address:port, instead of the system's own.",
            "form": "server",
        },
    )
    queue_url: str | None = field(
        default=None, metadata={"doc": "The SQS queue SES publishes its events to; each run empties it.", "form": "url"}
    )
    topics: tuple[str, ...] = field(
        default=(),
        metadata={
            "doc": "The SNS topics of these events, by ARN: then only what SNS signed for them is believed.",
            "form": "arn",
        },
    )
    accounts: tuple[str, ...] = field(
        default=(),
        metadata={
            "doc": "The AWS accounts whose events count. By default those in `queue_url`, `topics`, `smtp_secret`.",
            "form": "account",
        },
    )
    vdm: bool = field(
        default=False,
        metadata={"doc": "Ask SES what became of each mail; needs its Virtual Deliverability Manager, which costs."},
    )
    smtp_user: str | None = field(
        default=None, metadata={"doc": "The IAM user whose access key is the alias's SMTP user name."}
    )
    smtp_secret: str | None = field(
        default=None, metadata={"doc": "The secret in AWS Secrets Manager that holds the SMTP login, by name or ARN."}
    )
    smtp_region: str | None = field(
        default=None,
        metadata={
            "doc": "The region of the SMTP server, such as us-east-1; also of its secret, where that is no ARN.",
            "form": "region",
        },
    )
    probe: bool = field(
        default=False,
        metadata={"doc": "When the alias failed, try the stored login once at its own server. Sends no mail."},
    )
    smtp_host: str | None = field(
        default=None,
        metadata={"doc": "The SMTP server behind the alias, where it is not that of `smtp_region`.", "form": "host"},
    )
    smtp_port: int = field(default=587, metadata={"doc": "Its port, as entered in Gmail.", "min": 1, "max": 65535})
    smtp_security: str | None = field(
        default=None,
        metadata={
            "doc": "How a connection to it begins: starttls or ssl. By default ssl on ports 465 and 2465.",
            "choices": ("starttls", "ssl"),
        },
    )
    smtp_ca_file: Path | None = field(
        default=None, metadata={"doc": "Certificate authorities to trust for it, instead of the system's own."}
    )
    smtp_alias: str | None = field(
        default=None,
        metadata={"doc": "The address Gmail sends from through it, such as admin@example.org.", "form": "address"},
    )
    smtp_patience_seconds: int = field(
        default=180,
        metadata={
            "doc": "How long a new key may be refused before a rotation gives it up.",
            "min": 0,
            "max": 86400,
        },
    )
    rotation_grace_days: int = field(
        default=3,
        metadata={
            "doc": "How long the old key stays Inactive before `finish` may delete it.",
            "min": 1,
            "max": 366,
        },
    )
    rotation_reactivate: bool = field(
        default=False,
        metadata={"doc": "Make the old key Active again by itself when mail from the alias fails in that time."},
    )
    service_account: Path | None = field(
        default=None,
        metadata={"doc": "Google Workspace only: key file of a service account that may change the alias in Gmail."},
    )
    mailbox: str | None = field(
        default=None,
        metadata={"doc": "The Gmail address the service account acts for: the owner of the alias.", "form": "address"},
    )
    alerts: tuple[str, ...] = field(
        default=(),
        repr=False,
        metadata={
            "doc": "Where to tell you about incidents: addresses as Apprise takes them, such as `ntfy://...`. Secret.",
            "secret": True,
        },
    )
    alert_inbox: bool = field(
        default=True, metadata={"doc": "Tell about incidents by a message put into your inbox. Sends no mail."}
    )
    notes_per_day: int = field(
        default=200,
        metadata={"doc": "Notes written in a day; those about your own side are not limited.", "min": 1, "max": 10_000},
    )
    alerts_per_day: int = field(
        default=10,
        metadata={
            "doc": "Alerts about other sides in a day and channel; your own side is not limited.",
            "min": 1,
            "max": 10_000,
        },
    )
    incidents_per_day: int = field(
        default=50,
        metadata={
            "doc": "Incidents of other sides opened in a day; your own side is not limited.",
            "min": 1,
            "max": 10_000,
        },
    )
    reminder_hours: int = field(
        default=24,
        metadata={
            "doc": "How often to tell about an incident again that waits for you.",
            "min": 1,
            "max": _HOURS_MOST,
        },
    )
    ping_url: str | None = field(
        default=None,
        repr=False,
        metadata={
            "doc": "A watcher's address, called at the start and end of each run as Healthchecks wants it. Secret.",
            "secret": True,
            "form": "url",
        },
    )
    metrics_file: Path | None = field(
        default=None,
        metadata={"doc": "A file of figures, written after each run for Prometheus' node_exporter: `NAME.prom`."},
    )
    outbox: bool = field(
        default=False,
        metadata={"doc": "Let `triage outbox` send the drafts you label. Off, it sends nothing (docs/outbox.md)."},
    )
    outbox_from: tuple[str, ...] = field(
        default=(),
        metadata={
            "doc": "The addresses it may send as; the first is used where the conversation names none.",
            "form": "address",
        },
    )
    outbox_label: str = field(
        default="Send via SES", metadata={"doc": "The label you put on a draft, or its conversation, to send it."}
    )
    outbox_delay: int = field(
        default=60,
        metadata={"doc": "Seconds a labelled draft waits unchanged; so long you can undo it.", "min": 10, "max": 86400},
    )
    outbox_poll: int = field(
        default=20, metadata={"doc": "Seconds between two looks of `triage outbox --watch`.", "min": 5, "max": 3600}
    )
    outbox_word: str | None = field(
        default=None,
        metadata={
            "doc": "For apps that cannot label: a Bcc to your Gmail address +WORD asks too. Keep the word to yourself.",
            "form": "word",
        },
    )
    outbox_host: str | None = field(
        default=None,
        metadata={"doc": "Send through this SMTP server (encrypted, with a login) instead of SES.", "form": "host"},
    )
    outbox_port: int = field(
        default=587, metadata={"doc": "Its port: 465 begins with TLS, others with STARTTLS.", "min": 1, "max": 65535}
    )
    outbox_login: Path | None = field(
        default=None,
        metadata={"doc": 'The login for it, a file `{"username": ..., "password": ...}` only you can read.'},
    )
    gmail_url: str | None = field(
        default=None,
        metadata={"doc": "Root of the Gmail API on this computer, instead of Google's own (tests).", "form": "google"},
    )


SETTINGS = {f.name: f for f in fields(Settings)}


def settings_table() -> list[tuple[str, str, str]]:
    """(key, default as written in triage.toml, meaning) of every setting, for the docs."""
    return [
        (name, default_text(f.metadata.get("default", f.default)), f.metadata["doc"]) for name, f in SETTINGS.items()
    ]


def is_secret(name: str) -> bool:
    """Whether the value of a setting is never to be shown."""
    return bool(SETTINGS[name].metadata.get("secret"))
