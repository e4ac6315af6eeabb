"""The commands `triage audit` and `triage check-address`: is it us, and will this address take a mail?

Prints, and decides nothing. Heavy imports are inside the commands.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

import click

from triage.cli.manners.output import answers, columns_of_output
from triage.cli.manners.records import AddressRecord, FindingRecord, State
from triage.cli.many import on_each_mailbox
from triage.cli.shared import now, on_terminal, options, read_settings, say, warn, write_record, write_records
from triage.errors import ConfigError, TriageError, UsageError

if TYPE_CHECKING:
    from remediation.audit import Audit, Finding, History, OpenTrouble, Scope
    from remediation.aws import AddressInsights, NotLookedUp
    from triage.config import Settings
    from triage.store import AuditChange


@click.command()
@click.argument("domains", metavar="[DOMAIN]...", nargs=-1)
@click.option(
    "--address", "addresses", metavar="A@B", multiple=True, help="Look up this recipient on the suppression list, too."
)
@click.option("--changes", "only_changes", is_flag=True, help="Show what moved since the last audit, instead of all.")
@click.option(
    "--probe", is_flag=True, help="Log in to the SMTP server once with the login in the secret. Sends nothing."
)
@answers("markdown", "html", "json")
@options
@click.pass_obj
@on_each_mailbox
def audit(
    asked: Any,
    domains: tuple[str, ...],
    addresses: tuple[str, ...],
    only_changes: bool,
    probe: bool,
    form: str,
) -> int:
    """Check what mail depends on: SES, DKIM, SPF, DMARC, aliases, keys. Changes nothing, sends nothing.

    Without DOMAIN: the domains of the settings, else of the "Send mail as" aliases, else all that SES knows. What could
    not be looked up is unknown, never a fault. Without AWS credentials public DNS is still checked.

    Exit code 1: at least one check failed.
    """
    from remediation.audit import audit as look
    from triage.job import limited

    settings = read_settings(asked)
    with limited(settings.run_minutes, "The audit"):
        scope, earlier = _scope(settings, domains, addresses, probe=probe), _earlier(settings)
        made = look(_with(scope, earlier, _troubles(settings)), now())
    if not made.domains:
        raise _no_domain(made)
    changes = _kept(settings, made)
    if form == "json":
        rows = None if changes is None else [change.record() for change in changes]
        write_record({**made.record(), "changes": rows})
    else:
        say(_lines(made, changes, form, only_changes=only_changes))
    return 1 if made.has_failed else 0


def _no_domain(made: Audit) -> UsageError:
    """Nothing was looked at, and that is no audit without faults."""
    from triage.display import shown

    unasked = [row for row in made.findings if row.state == "unknown"]
    why = "".join(f" {row.subject}: {row.answered}." for row in unasked[:3])
    return UsageError(
        f"There is no domain to look at: none is named, and no alias and no identity in SES names one.{shown(why)}",
        "Name one: `triage audit example.org`, or set `domains` in triage.toml.",
    )


def _lines(made: Audit, changes: list[AuditChange] | None, form: str, *, only_changes: bool) -> list[str]:
    from triage.owner.audit_report import audit_html, audit_markdown, audit_text, changes_text

    if only_changes and form == "text":
        if changes is None:
            return ["This is the first audit on record: there is nothing to compare it with."]
        return changes_text(changes, _width())
    if form == "text":
        return audit_text(made, changes, _width())
    return audit_html(made, changes) if form == "html" else audit_markdown(made, changes)


@click.command("check-address")
@click.argument("addresses", metavar="A@B...", nargs=-1, required=True)
@click.option("--insights", is_flag=True, help="Ask SES what it thinks of each address. Amazon charges for each.")
@answers("json", "jsonl")
@options
@click.pass_obj
def check_address(asked: Any, addresses: tuple[str, ...], insights: bool, form: str) -> int:
    """Before sending: is this an address, does its domain take mail, is it suppressed, did it bounce before?

    Asks DNS, SES and our own database; never connects to anybody's mail server.

    Exit code 1: mail to at least one of them would not arrive.
    """
    from remediation.audit import address as checking
    from remediation.dns import Dns
    from triage.owner.audit_report import findings_text

    settings = read_settings(asked)
    dns = Dns(_dns_server(settings))
    has_failed = False
    records: list[AddressRecord] = []
    for address in dict.fromkeys(address.strip() for address in addresses):
        suppressed = _suppressed(settings, address) if checking.domain_of(address) else {}
        opinion = _opinion(settings, address) if insights and checking.domain_of(address) else None
        history = _history(settings, address)
        findings = list(checking.check_address(address, dns.ask, suppressed, history, opinion))
        has_failed |= any(finding.state == "fail" for finding in findings)
        records.append(
            {
                "address": address,
                "state": _worst(findings),
                "findings": [cast("FindingRecord", f.record()) for f in findings],
            }
        )
        if form == "jsonl":
            write_records(records[-1:])
        elif form == "text":
            say([f"{address}: {_verdict(findings)}", *findings_text(findings, _width())])
    if form == "json":
        write_record(records)
    return 1 if has_failed else 0


def _worst(findings: list[Finding]) -> State:
    states = {finding.state for finding in findings}
    worst: tuple[State, ...] = ("fail", "warn", "unknown")
    return next((state for state in worst if state in states), "ok")


def _verdict(findings: list[Finding]) -> str:
    return {
        "fail": "a mail would not arrive",
        "warn": "doubtful",
        "unknown": "nothing against it, but not all could be looked up",
        "ok": "nothing against it (whether the mailbox exists, only a mail can tell)",
    }[_worst(findings)]


# -- what is looked at ----------------------------------------------------------------------------------------------


def _scope(settings: Settings, domains: tuple[str, ...], addresses: tuple[str, ...], *, probe: bool) -> Scope:
    from remediation.audit import Scope, domain_of

    for domain in domains:
        if domain_of(f"x@{domain}") is None:
            raise UsageError(f"{domain!r} is no domain.", "Write it like example.org.")
    for address in addresses:
        if domain_of(address) is None:
            raise UsageError(f"{address!r} is no mail address.", "Write it like NAME@example.org.")
    aliases, mailbox = _aliases(settings)
    server = None
    if settings.smtp_host is not None:
        server = (settings.smtp_host, settings.smtp_port, settings.smtp_security)
    return Scope(
        domains=tuple(dict.fromkeys(name.lower().rstrip(".") for name in domains or settings.domains)),
        regions=settings.regions or ((settings.smtp_region,) if settings.smtp_region else ()),
        aliases=aliases,
        mailbox=mailbox,
        smtp_user=settings.smtp_user,
        secret_id=settings.smtp_secret,
        secret_region=settings.smtp_region,
        addresses=tuple(dict.fromkeys(addresses)),
        dns_server=_dns_server(settings),
        server=server,
        ca_file=settings.smtp_ca_file,
        probe=probe,
        queue_url=settings.queue_url,
        topics=settings.topics,
    )


def _with(scope: Scope, earlier: dict[str, dict[str, float]], troubles: tuple[OpenTrouble, ...]) -> Scope:
    from dataclasses import replace

    return replace(scope, earlier=earlier, troubles=troubles)


def _troubles(settings: Settings) -> tuple[OpenTrouble, ...]:
    """The open incidents, in the audit's words; none where there is no database."""
    from remediation.audit import OpenTrouble
    from triage.incidents import duration_words
    from triage.store import open_incidents, open_readonly

    try:
        db = open_readonly(settings.database)
    except TriageError:
        return ()
    if db is None:
        return ()
    with closing(db):
        return tuple(
            OpenTrouble(one.id, one.cause, one.sender, one.place, f"{one.title}, {duration_words(one)}")
            for one in open_incidents(db)
        )


def _dns_server(settings: Settings) -> str | None:
    from remediation.dns import BadServerError, server_address

    if settings.dns is not None:
        try:
            server_address(settings.dns)
        except BadServerError:
            raise ConfigError(
                f"dns = {settings.dns!r} is no address of a DNS server.", "Write 192.0.2.1 or 192.0.2.1:5353."
            ) from None
    return settings.dns


def _aliases(settings: Settings) -> tuple[Any, str | None]:
    """The aliases with a server of their own and the mailbox they belong to; a reason where Gmail cannot say."""
    from remediation.audit import Alias
    from remediation.aws import NotLookedUp
    from triage.gmail import connect

    what = "the aliases in Gmail"
    if not settings.token.exists():
        why = f"nobody is signed in to Gmail ({settings.token} is not there; `triage auth`)"
        return NotLookedUp(what, why, "no-credentials", todo="Run `triage auth`."), settings.mailbox
    try:
        with closing(connect(settings.token, url=settings.gmail_url)) as gmail:
            entries = gmail.send_as()
    except TriageError as error:
        return NotLookedUp(what, error.what, "unreachable" if error.exit_code == 75 else "refused"), settings.mailbox
    mailbox = next((entry.address for entry in entries if entry.is_primary), settings.mailbox)
    found = tuple(
        Alias(entry.address, entry.host, entry.port, entry.security, entry.verification)
        for entry in entries
        if entry.host
    )
    return found, mailbox


# -- what is kept ---------------------------------------------------------------------------------------------------


def _earlier(settings: Settings) -> dict[str, dict[str, float]]:
    from triage.store import last_figures, open_store

    try:
        with closing(open_store(settings.database)) as db:
            return last_figures(db)
    except TriageError:
        return {}  # the audit is wanted all the same; that it cannot be stored is said at its end


def _kept(settings: Settings, made: Audit) -> list[AuditChange] | None:
    """Store the audit; what moved since the last one, None where it is the first."""
    from triage.store import changes_of, keep_audit, open_store

    try:
        with closing(open_store(settings.database)) as db:
            return changes_of(db, keep_audit(db, made))
    except TriageError as error:
        warn(f"The audit could not be stored: {error.what}")
        return None


def _suppressed(settings: Settings, address: str) -> dict[str, Any]:
    from remediation.aws import suppressed_destination

    return {region: suppressed_destination(region, address) for region in _regions(settings)}


def _opinion(settings: Settings, address: str) -> tuple[str, AddressInsights | NotLookedUp]:
    from remediation.aws import address_insights

    region = _regions(settings)[0]
    return region, address_insights(region, address)


def _regions(settings: Settings) -> list[str]:
    from remediation.audit import Scope, regions_of

    return regions_of(Scope(regions=settings.regions or ((settings.smtp_region,) if settings.smtp_region else ())))


def _history(settings: Settings, address: str) -> History | None:
    from remediation.audit import History
    from triage.store import bounces_of, last_delivery, open_readonly

    db = open_readonly(settings.database)
    if db is None:
        return None
    with closing(db):
        return History(bounces_of(db, address), last_delivery(db, address))


def _width() -> int:
    return min(columns_of_output(), 120) if on_terminal() else 100
