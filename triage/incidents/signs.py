"""Looks in Gmail for the sign that an alias works again where SES publishes no events: mail that did not come back.

Asks Gmail only about an alias whose login was accepted after its last failure; everybody else costs nothing. A mail
that was sent after that, an hour ago or more, without a new failure since, ends the incident.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from triage import store
from triage.display import when_words
from triage.errors import TryLater
from triage.gmail import Gmail, Refused, Streak

if TYPE_CHECKING:
    from sqlite_utils import Database

COMES_BACK_WITHIN = timedelta(hours=1)
"""How long a notice from Gmail may take; it usually comes within a minute."""
MOST_SENDS = 5
# It comes out of a mail and goes into a search of ours.
_SEARCHABLE = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")


def look_for_sends(db: Database, gmail: Gmail, at: datetime) -> None:
    """Record the sign for every alias that has it. Raises what concerns all of Gmail."""
    trouble = Streak()
    for incident in store.open_incidents(db, "alias"):
        accepted_at = store.login_accepted_at(db, incident)
        sender = incident.sender or ""
        if accepted_at is None or not _SEARCHABLE.fullmatch(sender):
            continue
        until = at - COMES_BACK_WITHIN
        if until <= accepted_at:
            continue
        query = f"from:{sender} in:sent after:{int(accepted_at.timestamp())} before:{int(until.timestamp())}"
        try:
            refs = [ref.id for ref in islice(gmail.list_refs(query), MOST_SENDS)]
            sent = [copy.sent_at for copy in map(gmail.sent_copy, refs) if copy]
        except Refused:  # Gmail does not like the address: nothing is known, nothing is lost
            continue
        except TryLater as error:
            trouble.met(error)
            continue
        trouble.over()
        sent = [moment for moment in sent if accepted_at < moment <= until]
        if sent:
            moment = min(sent).astimezone(UTC)
            words = f"login accepted {when_words(accepted_at)}, and the mail of {when_words(moment)} did not come back"
            store.add_repair(db, incident.id, "login-and-send", moment, words)
