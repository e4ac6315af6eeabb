"""Judges mails: bytes in, verdicts out, by a table of rules that is data.

In: the bytes of a mail. Out: verdict records, and what one repair would heal. Asks nobody.
May import: `parsers`, `remediation` and the modules of `triage`.
"""

from __future__ import annotations

from triage.judging.files import chunked, json_line, judge_chunk, judge_mails
from triage.judging.incident import key_of, place_of, sender_of
from triage.judging.judgement import (
    SAID,
    Candidate,
    HowItStands,
    Judgement,
    ReadingRow,
    inferred,
    judge_all,
    merged,
    said_by,
)
from triage.judging.mail import judge_stored
from triage.judging.proof import (
    BY_SES,
    GIVEN,
    PROOFS,
    Notice,
    is_acted_on,
    may_be_proven,
    proof_of,
)
from triage.judging.public import RECORD_VERSION, Speaker, judge
from triage.judging.rules import load_rules
from triage.judging.verdict import Verdict, also_matched, classify
from triage.judging.workers import cores, in_order, process_pool

__all__ = [
    "BY_SES",
    "GIVEN",
    "PROOFS",
    "RECORD_VERSION",
    "SAID",
    "Candidate",
    "HowItStands",
    "Judgement",
    "Notice",
    "ReadingRow",
    "Speaker",
    "Verdict",
    "also_matched",
    "chunked",
    "classify",
    "cores",
    "in_order",
    "inferred",
    "is_acted_on",
    "json_line",
    "judge",
    "judge_all",
    "judge_chunk",
    "judge_mails",
    "judge_stored",
    "key_of",
    "load_rules",
    "may_be_proven",
    "merged",
    "place_of",
    "process_pool",
    "proof_of",
    "said_by",
    "sender_of",
]
