"""An example or two for the help of every command. Data: a test reads each with the command it is about."""

from __future__ import annotations

from collections.abc import Mapping

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "triage": ("triage classify saved-bounces/", "triage report --since monday"),
    "triage alerts": ("triage alerts test",),
    "triage alerts test": ("triage alerts test",),
    "triage audit": ("triage audit", "triage audit example.org --format html --output audit.html"),
    "triage auth": ("triage auth", "triage auth --headless"),
    "triage backup": ("triage backup", "triage backup ~/triage-before-the-move.db"),
    "triage browse": ("triage browse", "triage browse --port 0 --no-open"),
    "triage check-address": ("triage check-address pat@client.example", "triage check-address --json a@b.example"),
    "triage classify": (
        "triage classify saved-bounces/",
        "triage classify takeout.mbox --bounces-only",
        "triage classify takeout.mbox --jsonl --output verdicts.jsonl",
    ),
    "triage completion": ('eval "$(triage completion bash)"', "triage completion fish"),
    "triage config": ("triage config check", "triage config show"),
    "triage config check": ("triage config check", "triage config check --config other.toml"),
    "triage config show": ("triage config show", "triage config show --json"),
    "triage credentials": ("triage credentials status", "triage credentials check"),
    "triage credentials check": ("triage credentials check", "triage credentials check --sender me@example.org"),
    "triage credentials derive": ("triage credentials derive --region us-east-1",),
    "triage credentials rotate": ("triage credentials rotate start", "triage credentials rotate status"),
    "triage credentials rotate abort": ("triage credentials rotate abort",),
    "triage credentials rotate confirm": ("triage credentials rotate confirm --yes-i-tested",),
    "triage credentials rotate finish": ("triage credentials rotate finish",),
    "triage credentials rotate start": (
        "triage credentials rotate start",
        "triage credentials rotate start --if-older-than 90d",
    ),
    "triage credentials rotate status": ("triage credentials rotate status",),
    "triage credentials status": ("triage credentials status", "triage credentials status --json"),
    "triage doctor": ("triage doctor", "triage doctor --iam-policy triage"),
    "triage explain": (
        "triage explain 12",
        "triage explain saved-bounces/one.eml",
        'triage explain "550 5.1.1 User unknown"',
    ),
    "triage help": ("triage help report", "triage help docs/causes.md"),
    "triage incidents": ("triage incidents", "triage incidents --all --json"),
    "triage incidents close": ('triage incidents close 3 --why "new password entered in Gmail"',),
    "triage incidents show": ("triage incidents show 3",),
    "triage outbox": ("triage outbox --dry-run", "triage outbox migrate"),
    "triage rebuild": ("triage rebuild", "triage rebuild --since 8w"),
    "triage rejudge": ("triage rejudge", "triage rejudge --apply"),
    "triage report": (
        "triage report --since monday",
        "triage report --open",
        "triage report --format csv --output people.csv",
    ),
    "triage resend": ("triage resend --dry-run", "triage resend 3", "triage resend --cause mailbox-full"),
    "triage restore": ("triage restore --list", "triage restore triage.db.backup"),
    "triage retry": ("triage retry --dry-run", "triage retry"),
    "triage run": ("triage run --dry-run", "triage run --since 8w", "triage run --mailbox takeout.mbox"),
    "triage schedule": ("triage schedule", "triage schedule systemd"),
    "triage undo": ("triage undo notes --dry-run", "triage undo labels"),
}
"""Full name of the command -> command lines."""
