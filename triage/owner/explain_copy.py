"""What a copied text cannot show, and what to ask for: the last lines of `triage explain "550 5.1.1 ..."`.

Pure: facts and verdicts in, lines out.
"""

from __future__ import annotations

from collections.abc import Sequence

from parsers.facts import Bounce
from remediation import load_causes
from triage.display import wrapped
from triage.judging import Speaker, Verdict

_WHOLE = (
    "Not known from a copy: whether the mail is genuine, which mail of yours it is about, and when. In Gmail choose "
    "Download message in the menu of the bounce, then run: triage explain FILE"
)


def not_in_a_copy(
    found: Bounce, verdicts: Sequence[Verdict], as_relay: Sequence[Verdict], said_by: Speaker | None, width: int
) -> list[str]:
    """Lines about who spoke and what else is not known.

    `as_relay` are the verdicts if the server behind an alias spoke; `said_by` is what the person said about that.
    """
    lines = ["", "What a copy does not show"]
    for words in (*_who_spoke(found, verdicts, as_relay, said_by), _WHOLE):
        lines += wrapped(words, width, "  ")
    return lines


def _who_spoke(
    found: Bounce, verdicts: Sequence[Verdict], as_relay: Sequence[Verdict], said_by: Speaker | None
) -> Sequence[str]:
    if said_by is not None or found.notice is not None or found.reported_by == "amazon-ses":
        return ()
    if found.failures[0].at_relay:
        return (
            "Read as said by the server behind your alias, because as a rule only a server that you log in to says this"
            ". If it was the recipient's, run the same with --said-by recipient.",
        )
    if found.failures[0].remote_host is not None or as_relay[0].cause == verdicts[0].cause:
        return ()
    cause = load_causes()[as_relay[0].cause or "unknown"]
    return (
        "Who said it? It was read as said by the recipient's server. If Gmail's notice speaks of 'Send mail as', it was"
        f" the one behind your alias: {cause.title} ({cause.id}). Then run the same with --said-by relay.",
    )
