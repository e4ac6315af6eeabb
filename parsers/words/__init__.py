"""What bounces say in words: phrases, transcripts, who spoke, where the returned mail begins.

In: text. Out: failures, replies and marks found in it. Reads no mail as a whole.
May import: the modules of `parsers`.
"""

from __future__ import annotations

from parsers.words.addresses import find_addresses
from parsers.words.bounce_marks import AWAY_SUBJECTS, AWAY_WORDS, BOUNCE_SUBJECTS, BOUNCE_WORDS, DAEMON_NAMES, DAEMONS
from parsers.words.failure_text import MAX_RECIPIENTS, recipient_reason, says, spoken_to, told_failures
from parsers.words.letter_marks import (
    CHALLENGES,
    FAILURE_SENTENCES,
    FORWARDED,
    LURES,
    OWNERS_BOX,
    PARCEL_WORDS,
)
from parsers.words.other_matters import HELD_SUBJECTS, INCOMING, INTRODUCED, RECALL_SUBJECTS, SUMMARY_SUBJECTS
from parsers.words.prose_tables import (
    BY_SENDER,
    BY_TEXT,
    DELAY_TITLES,
    DELAY_WORDS,
    DELAY_WORDS_ABROAD,
    DELIVERED_TITLES,
    DELIVERED_WORDS,
    FINAL_WORDS,
    WENT_WRONG,
)
from parsers.words.relay import is_by_relay, is_unnamed, tells_of_login, told_speaker
from parsers.words.returned_text import split_original
from parsers.words.speaker import host_in
from parsers.words.submission_hosts import is_submission_host
from parsers.words.transcript import ADDRESS, Told

__all__ = [
    "ADDRESS",
    "AWAY_SUBJECTS",
    "AWAY_WORDS",
    "BOUNCE_SUBJECTS",
    "BOUNCE_WORDS",
    "BY_SENDER",
    "BY_TEXT",
    "CHALLENGES",
    "DAEMONS",
    "DAEMON_NAMES",
    "DELAY_TITLES",
    "DELAY_WORDS",
    "DELAY_WORDS_ABROAD",
    "DELIVERED_TITLES",
    "DELIVERED_WORDS",
    "FAILURE_SENTENCES",
    "FINAL_WORDS",
    "FORWARDED",
    "HELD_SUBJECTS",
    "INCOMING",
    "INTRODUCED",
    "LURES",
    "MAX_RECIPIENTS",
    "OWNERS_BOX",
    "PARCEL_WORDS",
    "RECALL_SUBJECTS",
    "SUMMARY_SUBJECTS",
    "WENT_WRONG",
    "Told",
    "find_addresses",
    "host_in",
    "is_by_relay",
    "is_submission_host",
    "is_unnamed",
    "recipient_reason",
    "says",
    "split_original",
    "spoken_to",
    "tells_of_login",
    "told_failures",
    "told_speaker",
]
