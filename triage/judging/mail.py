"""One mail to its verdict records. Asks nobody, writes nothing, and knows no label."""

from __future__ import annotations

from dataclasses import replace

import parsers
from parsers.facts import Bounce
from triage.errors import TriageError, why_failed
from triage.judging.verdict import classify
from triage.model import Failed, Judged, StoredMail


def judge_stored(mail: StoredMail) -> Judged | Failed:
    """Parse and classify a mail that has its bytes.

    Whatever our code trips over is a `Failed` with its reason: one bad mail must not stop the others.
    Raises ConfigError where the rules cannot be used: that is no fault of the mail.
    """
    assert mail.raw is not None
    try:
        found = parsers.parse(mail.raw)
        records = tuple(verdict.as_dict() for verdict in classify(found, mail.source))
    except TriageError:
        raise
    except Exception as error:
        return Failed(mail, why_failed(error))
    bounce = found if isinstance(found, Bounce) else None
    mail = replace(
        mail,
        message_id=found.message_id,
        received_at=mail.received_at or (bounce.reported_at if bounce else None),
        keep_raw=bounce is not None,
    )
    return Judged(mail, bounce, records)
