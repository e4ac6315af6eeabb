"""An audit for human eyes: as text, Markdown and one HTML page; the worst first. Pure: an `Audit` in, lines out.

What DNS, AWS and servers said is shown as they said it, made harmless; adds no judgement.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from triage.display import counted, listed, shown, when_words, wrapped

if TYPE_CHECKING:
    from remediation.audit import Audit, Finding
    from triage.store import AuditChange

LONGEST_EVIDENCE = 700
"""Characters of an answer that are shown; three DKIM records with what is wrong with each fit in."""

STATE_WORDS = {"fail": "FAIL", "warn": "warn", "unknown": "unknown", "ok": "ok"}
_HEADINGS = {
    "fail": "TO REPAIR",
    "warn": "TO IMPROVE",
    "unknown": "NOT KNOWN (could not be looked up: no fault by that)",
    "ok": "IN ORDER",
}
# Any text may hold a word of any length, a badge is never broken; on a phone a row is a block and not four columns.
_STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:60em;margin:1em auto;padding:0 1em;overflow-wrap:anywhere}"
    "h1{font-size:1.6em;line-height:1.25}h2{font-size:1.15em;line-height:1.35;margin-top:1.8em}"
    "table{border-collapse:collapse;width:100%}td,th{padding:.3em .5em;text-align:left;vertical-align:top;"
    "border-bottom:1px solid #8888}td:first-child{white-space:nowrap}td:nth-child(2){white-space:nowrap}"
    "ol,ul{padding-left:1.5em}b.s{color:#fff;padding:0 .4em;border-radius:.2em;white-space:nowrap}"
    "@media(max-width:40em){thead{display:none}table,tbody,tr,td{display:block}td,td:nth-child(2){border:0;"
    "padding:.1em 0;white-space:normal}tr{padding:.5em 0;border-bottom:1px solid #8888}}"
)
_COLOURS = {"fail": "#b3261e", "warn": "#8a5300", "unknown": "#5f6368", "ok": "#1e6b32"}


def audit_text(audit: Audit, changes: Sequence[AuditChange] | None = None, width: int = 100) -> list[str]:
    """The audit as lines of at most `width` columns; commands and records are not broken. `changes` None: not asked."""
    lines = [f"Audit of {_where(audit)}, {when_words(audit.at)}"]
    lines += wrapped(audit_summary(audit), width, "  ")
    if changes is not None:
        lines += ["", *changes_text(changes, width)]
    for state, heading in _HEADINGS.items():
        found = [finding for finding in audit.findings if finding.state == state]
        if found:
            lines += ["", heading]
            lines += _table(found, width) if state == "ok" else _details(found, width)
    if audit.not_asked:
        lines += ["", "NOT ASKED"]
        for text in audit.not_asked:
            lines += wrapped(text, width, "  ", "    ")
    return lines


def findings_text(findings: Sequence[Finding], width: int = 100) -> list[str]:
    """Findings one below the other, for a single address."""
    lines = []
    for finding in findings:
        lines += wrapped(
            f"{_mark(finding)}{_title(finding)}: {shown(finding.answered, LONGEST_EVIDENCE)}", width, "  ", "      "
        )
        for number, step in enumerate(finding.fix, 1):
            lines += wrapped(f"{number}. {shown(step, 2000)}", width, "      ", "         ")
    return lines


def audit_summary(audit: Audit) -> str:
    """How many of each, and what it cost."""
    counts = Counter(finding.state for finding in audit.findings)
    words = [
        counted(counts["fail"], "fault"),
        counted(counts["warn"], "warning"),
        f"{counts['unknown']} not known",
        f"{counts['ok']} in order",
    ]
    calls = [f"{number} {service}" for service, number in sorted(audit.calls.items())]
    total = sum(audit.calls.values())
    return f"{', '.join(words)}. {counted(total, 'call')} in {audit.seconds:.1f} s: {', '.join(calls)}."


def changes_text(changes: Sequence[AuditChange], width: int = 100) -> list[str]:
    """What moved since the last audit."""
    if not changes:
        return ["CHANGED SINCE THE LAST AUDIT", "  Nothing."]
    lines = ["CHANGED SINCE THE LAST AUDIT"]
    for change in changes:
        lines += wrapped(audit_change_words(change), width, "  ", "    ")
    return lines


def audit_change_words(change: AuditChange) -> str:
    """One change in one sentence."""
    between = f"seen {when_words(change.at)}"
    if change.since is not None:
        between += f", not yet {when_words(change.since)}"
    now = f"{change.after}: {shown(change.answered)}"
    if change.before is None:
        return f"{change.check} of {shown(change.subject)} is new ({between}): {now}"
    before = f"{change.before}: {shown(change.answered_before)}"
    return f"{change.check} of {shown(change.subject)} ({between}): was {before}; is {now}"


def _where(audit: Audit) -> str:
    domains = listed(audit.domains) if audit.domains else "no domain"
    return f"{domains} in {listed(audit.regions)}" if audit.regions else domains


def _mark(finding: Finding) -> str:
    return f"{STATE_WORDS[finding.state]:<8}"


def _title(finding: Finding) -> str:
    return f"{finding.check} ({shown(finding.subject, 120)})"


def _table(findings: Iterable[Finding], width: int) -> Iterator[str]:
    for finding in findings:
        line = f"  {finding.check:<29} {shown(finding.subject, 60)}: {shown(finding.answered)}"
        yield line if len(line) <= width else f"{line[: width - 3]}..."


def _details(findings: Iterable[Finding], width: int) -> Iterator[str]:
    for number, finding in enumerate(findings, 1):
        yield from wrapped(f"{number}. {_title(finding)}, {finding.severity}", width, "  ", "     ")
        yield from wrapped(finding.meaning, width, "     ")
        yield from wrapped(f"Asked: {shown(finding.asked, LONGEST_EVIDENCE)}", width, "     ", "       ")
        yield from wrapped(f"Came back: {shown(finding.answered, LONGEST_EVIDENCE)}", width, "     ", "       ")
        if finding.leaves_open:
            yield from wrapped(f"Leaves open: {', '.join(finding.leaves_open)}", width, "     ", "       ")
        for step_number, step in enumerate(finding.fix, 1):
            yield from wrapped(f"{step_number}) {shown(step, 2000)}", width, "     ", "        ")
        if finding.by_hand:
            yield from wrapped(f"See for yourself: `{shown(finding.by_hand, 2000)}`", width, "     ", "       ")


# -- Markdown -------------------------------------------------------------------------------------------------------


def audit_markdown(audit: Audit, changes: Sequence[AuditChange] | None = None) -> list[str]:
    """The audit as Markdown: a table of everything, then what there is to do."""
    lines = [f"# Audit of {_where(audit)}", "", f"{when_words(audit.at)}. {audit_summary(audit)}", ""]
    if changes is not None:
        lines += ["## Changed since the last audit", ""]
        lines += [f"- {_md(audit_change_words(change))}" for change in changes] or ["Nothing."]
        lines += [""]
    lines += ["| state | severity | check | subject | came back |", "|---|---|---|---|---|"]
    lines += [
        f"| {STATE_WORDS[f.state]} | {f.severity} | `{f.check}` | {_md(shown(f.subject))} | {_md(shown(f.answered))} |"
        for f in audit.findings
    ]
    for finding in audit.findings:
        if finding.state != "ok":
            lines += ["", f"## {finding.check}: {_md(shown(finding.subject))} ({finding.state})", ""]
            lines += [finding.meaning, "", f"- Asked: {_md(shown(finding.asked, LONGEST_EVIDENCE))}"]
            lines += [f"- Came back: {_md(shown(finding.answered, LONGEST_EVIDENCE))}"]
            if finding.leaves_open:
                lines += [f"- Leaves open: {', '.join(finding.leaves_open)}"]
            if finding.by_hand:
                lines += [f"- See for yourself: `{shown(finding.by_hand, 2000)}`"]
            lines += ["", *(f"{n}. {_md_code(shown(step, 2000))}" for n, step in enumerate(finding.fix, 1))]
    if audit.not_asked:
        lines += ["", "## Not asked", "", *(f"- {text}" for text in audit.not_asked)]
    return lines


def _md(text: str) -> str:
    """A stranger's text inside Markdown: no table, no link, no HTML comes out of it."""
    return "".join(f"\\{char}" if char in "|\\`*_[]#" else _h(char) if char in "<>&" else char for char in text)


def _md_code(text: str) -> str:
    """A step whose commands and records stand between backticks, which stay as they are."""
    parts = text.split("`")
    return "".join(f"`{part}`" if number % 2 else _md(part) for number, part in enumerate(parts))


# -- HTML -----------------------------------------------------------------------------------------------------------


def audit_html(audit: Audit, changes: Sequence[AuditChange] | None = None) -> list[str]:
    """The audit as one page without script or anything from outside."""
    title = _h(f"Audit of {_where(audit)}")
    lines = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{title}</title>",
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>{title}</h1>",
        f"<p>{_h(when_words(audit.at))}. {_h(audit_summary(audit))}</p>",
    ]
    if changes is not None:
        lines += ["<h2>Changed since the last audit</h2>"]
        items = "".join(f"<li>{_h(audit_change_words(change))}</li>" for change in changes)
        lines += [f"<ul>{items}</ul>" if items else "<p>Nothing.</p>"]
    lines += ["<table><thead><tr><th>state</th><th>check</th><th>subject</th><th>came back</th></tr></thead><tbody>"]
    lines += [
        f"<tr><td>{_badge(f)}</td><td>{_h(f.check)}</td><td>{_h(shown(f.subject))}</td>"
        f"<td>{_h(shown(f.answered))}</td></tr>"
        for f in audit.findings
    ]
    lines += ["</tbody></table>"]
    for finding in audit.findings:
        if finding.state != "ok":
            lines += _section(finding)
    if audit.not_asked:
        lines += ["<h2>Not asked</h2>", f"<ul>{''.join(f'<li>{_h(text)}</li>' for text in audit.not_asked)}</ul>"]
    return [*lines, "</body></html>"]


def _section(finding: Finding) -> Iterator[str]:
    yield f"<h2>{_badge(finding)} {_h(finding.check)}: {_h(shown(finding.subject))}</h2><p>{_h(finding.meaning)}</p>"
    yield f"<p>Asked: {_h(shown(finding.asked, LONGEST_EVIDENCE))}<br>"
    yield f"Came back: {_h(shown(finding.answered, LONGEST_EVIDENCE))}"
    yield f"<br>Leaves open: {_h(', '.join(finding.leaves_open))}</p>" if finding.leaves_open else "</p>"
    if finding.fix:
        yield f"<ol>{''.join(f'<li>{_code(shown(step, 2000))}</li>' for step in finding.fix)}</ol>"
    if finding.by_hand:
        yield f"<p>See for yourself: <code>{_h(shown(finding.by_hand, 2000))}</code></p>"


def _badge(finding: Finding) -> str:
    return f'<b class="s" style="background:{_COLOURS[finding.state]}">{STATE_WORDS[finding.state]}</b>'


def _code(text: str) -> str:
    """A step whose commands and records stand between backticks."""
    parts = text.split("`")
    return "".join(f"<code>{_h(part)}</code>" if number % 2 else _h(part) for number, part in enumerate(parts))


def _h(text: str) -> str:
    return html.escape(text)
