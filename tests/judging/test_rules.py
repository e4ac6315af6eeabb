"""The table of rules keeps its promises: every row works on its examples, and none is dead.

Whether the rows are right is not looked at here; see test_classify.py and the mails of tests/bounces.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence

import pytest

from parsers.facts import Failure, FailureKind
from parsers.smtp_reply import read_reply
from remediation import load_causes
from tests.judging.made import ROW
from tests.rule import place
from triage.judging import judge_stored
from triage.judging.phrases import beginnings
from triage.judging.rules import FOLDER, Rule, RuleError, load_rules
from triage.judging.rules import read_rules as read_files
from triage.judging.table import MAX_TEXT, Table, all_by_words, by_codes, by_words, index, load_tables
from triage.model import Judged, StoredMail

REMOTE, RELAY = load_tables()


def read_rules(toml: str) -> tuple[Rule, ...]:
    return read_files({"rows.toml": toml})


def _phrases(rules: Sequence[Rule]) -> Iterator[tuple[Rule, str]]:
    for rule in rules:
        # A phrase that needs more beside it than the row's conditions is shown by its example only.
        if rule.pattern is None and not rule.names_recipient:
            for phrase in rule.texts:
                yield rule, phrase


def _failure(rule: Rule, text: str, *, all_codes: bool = False) -> Failure:
    """A failure that says `text` where the row's other conditions hold; its codes are the text's own if it has any."""
    reply = read_reply(text)
    status, code = (reply.status, reply.code) if reply else (None, None)
    if all_codes and rule.statuses:
        status = min(rule.statuses).replace("xx", "06").replace("x", "5").replace("*", "0")
    if all_codes and rule.replies:
        code = min(rule.replies).replace("xx", "99")
    kind: FailureKind = "failed"
    for wanted in sorted(rule.kinds):
        kind = wanted  # type: ignore[assignment]  # the loader has seen to it
    return Failure(
        kind,
        "pat@client.example",
        status=status,
        reply_code=code,
        diagnostic=text,
        platform=min(rule.platforms, default=None),
        remote_host=rule.remotes[0] if rule.remotes else None,
        at_relay=rule.relay,
        command=min(rule.commands, default=None),
    )


def _decide(table: Table, failure: Failure, notice: str | None = None, reporter: str | None = None) -> Rule:
    found = by_words(table, failure.diagnostic or "", failure, notice, reporter) or by_codes(
        table, failure, notice, reporter
    )
    return found[0]


def _decide_for(rule: Rule, failure: Failure, tables: tuple[Table, Table] = (REMOTE, RELAY)) -> Rule:
    return _decide(tables[rule.relay], failure, min(rule.notices, default=None), min(rule.reporters, default=None))


# The packaged table


def placed_too_low(rules: Sequence[Rule]) -> list[str]:
    """A line for each example or phrase that lands on another row than its own, naming both rows and their places."""
    tables = index(r for r in rules if not r.relay), index(r for r in rules if r.relay)
    said = [(rule, example, _failure(rule, example)) for rule in rules for example in rule.examples]
    said += [(rule, phrase, _failure(rule, phrase, all_codes=True)) for rule, phrase in _phrases(rules)]
    shadowed = [(rule, text, _decide_for(rule, failure, tables)) for rule, text, failure in said]
    return [
        f"{rule.id} ({place(rule)}) does not get {text!r}: {other.id} ({place(other)}) stands above it and takes it"
        for rule, text, other in shadowed
        if other.id != rule.id
    ]


def test_no_row_is_placed_too_low() -> None:
    """Order is right: no row above takes what a row was written for, and no phrase contains one looked for before."""
    assert "\n".join(placed_too_low(load_rules())) == ""


def test_a_row_placed_too_low_is_named_with_the_one_that_shadows_it() -> None:
    above = (
        ROW.replace("no-room", "no-space")
        .replace('"no room"', '["no space", "no room"]')
        .replace("no room for", "no space for")
    )
    last = '[[rule]]\nid = "last"\ncause = "unknown"\nsource = "RFC 3463"\nexamples = ["nothing"]\n'
    rules = read_files({"10-space.toml": above, "20-room.toml": ROW, "90-last.toml": last})
    assert placed_too_low(rules) == [
        f"no-room ({FOLDER.relative_to(FOLDER.parents[2])}/20-room.toml:1) does not get {text}:"
        f" no-space ({FOLDER.relative_to(FOLDER.parents[2])}/10-space.toml:1) stands above it and takes it"
        for text in ("'452 4.2.2 no room for pat'", "'no room'")
    ]
    assert placed_too_low([*rules[1::-1], rules[2]]) != [], "no-space is shadowed then, by its second phrase"
    assert placed_too_low(read_files({"20-room.toml": ROW, "90-last.toml": last})) == []


def test_every_code_can_decide() -> None:
    """No code is dead: each code a wordless row asks for is answered by it."""
    dead = []
    for rule in load_rules():
        if not rule.texts:
            for code in rule.statuses or rule.replies:
                only = _concrete(code)
                failure = Failure(
                    min(rule.kinds, default="failed"),  # type: ignore[arg-type]
                    None,
                    status=only if rule.statuses else None,
                    reply_code=None if rule.statuses else only,
                    platform=min(rule.platforms, default=None),
                    remote_host=rule.remotes[0] if rule.remotes else None,
                    at_relay=rule.relay,
                    command=min(rule.commands, default=None),
                )
                if (got := _decide_for(rule, failure)) is not rule:
                    dead.append((rule.id, code, got.id))
    assert dead == []


def _concrete(code: str) -> str:
    """A code that only the form in question can name: `x.7.*` -> `5.7.498`, `5.7.6xx` -> `5.7.698`, `5xx` -> `598`."""
    return code.replace("xx", "98").replace("x", "5").replace("*", "498")


def test_every_cause_is_reached() -> None:
    """A cause no row chooses is dead text. Those of feedback are chosen by the type of the report (test_classify)."""
    by_type = {"complaint", "complaint-of-fraud", "authentication-report", "feedback-other"}
    assert set(load_causes()) - {rule.cause for rule in load_rules()} == by_type


def test_relay_rows_blame_only_our_side() -> None:
    """A relay behind an alias refuses before the recipient's server is asked."""
    causes = load_causes()
    assert RELAY.rules
    assert [(r.id, r.cause) for r in RELAY.rules if not r.relay or causes[r.cause].side != "own"] == []


def test_remote_rows_never_blame_an_alias() -> None:
    assert [(r.id, r.cause) for r in REMOTE.rules if r.relay or r.cause.startswith("alias-")] == []


def test_no_server_can_talk_itself_into_our_side() -> None:
    """Outside the alias's relay, a row that blames us asks for more than words: who reported, or who was asked."""
    causes = load_causes()
    own = [rule for rule in REMOTE.rules if causes[rule.cause].side == "own"]
    assert own
    assert [rule.id for rule in own if not (rule.remotes or rule.reporters or rule.notices)] == []


@pytest.mark.parametrize("table", [REMOTE, RELAY], ids=["remote", "relay"])
def test_a_failure_that_says_nothing_has_a_row(table: Table) -> None:
    rule, evidence = by_codes(table, Failure("failed", None), None, None)
    assert rule is table.rules[-1]
    assert evidence is None


def test_the_last_row_of_the_relay_admits_what_is_not_known() -> None:
    assert RELAY.rules[-1].cause == "alias-misconfigured"
    assert REMOTE.rules[-1].cause == "unknown"


def test_patterns_compile_and_repeat_nothing_that_repeats() -> None:
    """`(a+)+` takes exponential time on hostile text; without a group that repeats, a pattern cannot."""
    patterns = [rule.pattern for rule in load_rules() if rule.pattern is not None]
    assert patterns
    for pattern in patterns:
        assert re.compile(pattern)
        assert not re.search(r"\)(?:[*+]|\{\d*,)", pattern), pattern
        assert not re.search(r"(?<!\\)\.[*+]", pattern), f"{pattern}: .* needs a bound, as in .{{0,200}}"


def test_no_regex_is_longer_than_can_be_read() -> None:
    """What is a list of words has a name, and is used."""
    read = 0
    for path in FOLDER.glob("*.toml"):
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text)
        for row in data["rule"]:
            regexes = row.get("regex", [])
            for regex in [regexes] if isinstance(regexes, str) else regexes:
                assert len(regex) <= 300, row["id"]
                read += 1
        assert [name for name in data.get("words", {}) if f"{{{name}}}" not in text] == [], path.name
    assert read > 100


def test_each_file_says_what_belongs_there() -> None:
    for path in FOLDER.glob("*.toml"):
        head = path.read_text(encoding="utf-8").partition("\n\n")[0].splitlines()
        assert 2 <= len(head) <= 4, path.name
        assert all(line.startswith("# ") for line in head), path.name


# The order of rows, and what a row may ask for


def test_the_first_row_that_fits_decides() -> None:
    two = read_rules(ROW + ROW.replace("no-room", "second").replace("mailbox-full", "unknown"))
    failure = Failure("failed", None, diagnostic="452 no room")
    assert _decide(index(two), failure).id == "no-room"
    assert _decide(index(reversed(two)), failure).id == "second"


def test_an_earlier_row_wins_over_a_longer_phrase_and_an_earlier_place_in_the_text() -> None:
    first = ROW.replace('"no room"', '"room"')
    second = ROW.replace("no-room", "second").replace('"no room"', '["no room for pat", "452 no"]')
    found = _decide(index(read_rules(first + second)), Failure("failed", None, diagnostic="452 no room for pat"))
    assert found.id == "no-room"


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("452 no room left", True),
        ("452 NO   Room", True),
        ("no\r\nroom", True),
        ("no rooms", True),  # a phrase may end inside a word ...
        ("casino room", False),  # ... but not begin there
        ("casino room, no room", True),
        ("no  big room", False),
        ("", False),
        ("_no room", False),
        ("(no room)", True),
    ],
)
def test_words_begin_where_a_word_begins(text: str, matches: bool) -> None:
    found = by_words(index(read_rules(ROW)), text, Failure("failed", None), None, None)
    assert (found is not None) is matches


def test_curly_apostrophes_are_straight() -> None:
    table = index(read_rules(ROW.replace('"no room"', '"can\'t write"')))
    found = by_words(table, "It Can’t write", Failure("failed", None), None, None)
    assert found is not None
    assert found[1] == "Can’t write"


def test_the_words_found_are_those_of_the_text() -> None:
    table = index(read_rules(ROW))
    found = by_words(table, "452 There is No\n Room", Failure("failed", None), None, None)
    assert found is not None
    assert found[1] == "No Room"
    # A letter that could become two in lower case: the places must not differ.
    found = by_words(table, "İİ No Room", Failure("failed", None), None, None)
    assert found is not None
    assert found[1] == "No Room"


def test_a_regex_is_asked_beside_the_words() -> None:
    table = index(read_rules(ROW + 'regex = "no room for [a-z]{1,20}"\n'))
    assert by_words(table, "no room", Failure("failed", None), None, None) is None
    found = by_words(table, "452 No room for Pat", Failure("failed", None), None, None)
    assert found is not None
    assert found[1] == "No room for Pat"


@pytest.mark.parametrize(
    ("condition", "fits", "does_not"),
    [
        ('platform = ["yahoo", "google"]', {"platform": "yahoo"}, {"platform": "apple"}),
        ('platform = "yahoo"', {"platform": "yahoo"}, {}),
        ('remote = "yahoodns.net"', {"remote_host": "mta5.am0.yahoodns.net"}, {"remote_host": "notyahoodns.net"}),
        ('remote = "yahoodns.net"', {"remote_host": "yahoodns.net"}, {"remote_host": "yahoodns.net.example"}),
        ('status = "5.7.1"', {"status": "5.7.1"}, {"status": "4.7.1"}),
        ('status = "x.7.1"', {"status": "4.7.1"}, {"status": "4.7.10"}),
        ('status = "5.7.6xx"', {"status": "5.7.606"}, {"status": "5.7.6"}),
        ('status = "5.7.*"', {"status": "5.7.999"}, {"status": "5.1.1"}),
        ('status = "x.7.*"', {"status": "4.7.0"}, {"status": "4.1.0"}),
        ('status = "4.*.*"', {"status": "4.0.0"}, {"status": "5.0.0"}),
        ('status = ["5.7.1", "5.7.2"]', {"status": "5.7.2"}, {"status": None}),
        ('reply = "552"', {"reply_code": "552"}, {"reply_code": "550"}),
        ('reply = "5xx"', {"reply_code": "554"}, {"reply_code": "452"}),
        ('command = ["CONNECT", "EHLO"]', {"command": "EHLO"}, {"command": "RCPT"}),
        ('command = "DATA"', {"command": "DATA"}, {}),
        ('kind = "delayed"', {"kind": "delayed"}, {"kind": "failed"}),
        ("names_recipient = true", {"recipient": "Room@client.example"}, {"recipient": "pat@client.example"}),
        ("names_recipient = true", {"recipient": "Room@client.example"}, {"recipient": None}),
    ],
)
def test_conditions(condition: str, fits: dict[str, str], does_not: dict[str, str]) -> None:
    table = index(read_rules(ROW + condition + "\n"))
    text = "no room for room@client.example"
    for facts, wanted in ((fits, True), (does_not, False)):
        failure = Failure(**{"kind": "failed", "recipient": None, **facts})  # type: ignore[arg-type]
        assert (by_words(table, text, failure, None, None) is not None) is wanted, facts


def test_the_words_of_a_list_are_any_of_them() -> None:
    named = '[words]\nbox = ["mail box", "inbox", "c.o.d"]\n'
    table = index(read_rules(named + ROW.replace('"no room"', '["{box}", "no room"]')))
    for text in ("the inbox", "your mail boxes", "c.o.d", "no room"):
        assert by_words(table, text, Failure("failed", None), None, None) is not None, text
    assert by_words(table, "codod", Failure("failed", None), None, None) is None
    table = index(read_rules(named + ROW + "regex = '{box} has [a-z]{2}'\n"))
    for text, evidence in (("no room: c.o.d has no", "c.o.d has no"), ("no room: codod has no", None)):
        found = by_words(table, text, Failure("failed", None), None, None)
        assert (found[1] if found else None) == evidence, "words of a list mean themselves, also in a regex"


def test_several_regexes_are_any_of_them() -> None:
    table = index(read_rules(ROW + 'regex = ["for [a-z]at", "left"]\n'))
    for text, evidence in (("no room left", "left"), ("no room for pat", "for pat"), ("no room", None)):
        found = by_words(table, text, Failure("failed", None), None, None)
        assert (found[1] if found else None) == evidence


def test_a_regex_that_cannot_be_read_is_said_to_be_one() -> None:
    table = index(read_rules(ROW + 'regex = "no room (for"\n'))
    with pytest.raises(RuleError, match=r"'no room \(for' cannot be read"):
        by_words(table, "no room for pat", Failure("failed", None), None, None)


def test_all_rows_that_fit_come_in_their_order_and_once() -> None:
    rows = ROW.replace('"no room"', '["no room", "room for"]') + ROW.replace("no-room", "other").replace(
        '"no room"', '"for pat"'
    )
    rows += ROW.replace("no-room", "yahoo") + 'platform = "yahoo"\n'
    found = all_by_words(index(read_rules(rows)), "no room for me", Failure("failed", None), None, None)
    assert [(rule.id, words) for rule, words in found] == [("no-room", "no room")]
    found = all_by_words(index(read_rules(rows)), "no room for pat", Failure("failed", None), None, None)
    assert [(rule.id, words) for rule, words in found] == [("no-room", "no room"), ("other", "for pat")]


def test_conditions_on_the_report() -> None:
    failure = Failure("failed", None)
    table = index(read_rules(ROW + 'notice = "gmail-alias"\nreported_by = "gmail"\n'))
    assert by_words(table, "no room", failure, "gmail-alias", "gmail") is not None
    assert by_words(table, "no room", failure, None, "gmail") is None
    assert by_words(table, "no room", failure, "gmail-alias", "postfix") is None


def test_all_conditions_must_hold() -> None:
    table = index(read_rules(ROW + 'status = "5.2.2"\nplatform = "yahoo"\n'))
    assert by_words(table, "no room", Failure("failed", None, status="5.2.2", platform="yahoo"), None, None)
    assert by_words(table, "no room", Failure("failed", None, status="5.2.2"), None, None) is None
    assert by_words(table, "no room", Failure("failed", None, platform="yahoo"), None, None) is None


@pytest.mark.parametrize("status", ["", "5", "5.7", "..", "5.7.1.1", "not a status", "5..1"])
def test_a_strange_status_fits_no_row_and_raises_nothing(status: str) -> None:
    assert by_codes(REMOTE, Failure("failed", None, status=status), None, None)[0].cause == "unknown"


def test_a_row_with_status_and_reply_answers_with_the_status() -> None:
    row = ROW.replace('text = "no room"', 'status = "5.2.2"\nreply = "552"')
    rule, evidence = by_codes(
        index(read_rules(row)), Failure("failed", None, status="5.2.2", reply_code="552"), None, None
    )
    assert (rule.id, evidence) == ("no-room", "5.2.2")


def test_a_table_without_a_last_row_says_so() -> None:
    with pytest.raises(RuleError, match="last row"):
        by_codes(index(read_rules(ROW)), Failure("failed", None), None, None)


def test_text_behind_the_cap_is_not_read() -> None:
    table = index(read_rules(ROW))
    inside = "x" * (MAX_TEXT - 8) + " no room"
    assert by_words(table, inside, Failure("failed", None), None, None) is not None
    assert by_words(table, "y" + inside, Failure("failed", None), None, None) is None


def test_beginnings_hold_words_and_pairs() -> None:
    assert beginnings("5.1.1 user unknown") == {"5", "1", "user", "unkn", "5 1", "1 1", "1 user", "user unkn"}


# Hostile text


@pytest.mark.parametrize(
    "hostile",
    [
        "a" * 1_000_000,
        "no such user " * 80_000,
        "( " * 500_000,
        "550 5.7.1 " * 100_000,
        "the recipient address <" * 50_000,
        "\x00\u202e" * 500_000,
        " " * 1_000_000,
        " ".join(phrase for rule in load_rules() for phrase in rule.texts) * 10,
    ],
    ids=["one word", "phrases", "marks", "codes", "start of a regex", "control", "blanks", "all phrases"],
)
def test_a_megabyte_costs_no_more_than_its_first_four_kilobytes(hostile: str) -> None:
    """Not a stopwatch: the text is cut before anything else reads it, so its cut must be judged the same."""
    failure = Failure("failed", None)
    for table in (REMOTE, RELAY):
        assert by_words(table, hostile, failure, None, None) == by_words(table, hostile[:MAX_TEXT], failure, None, None)


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("550 role accounts do not permit mail", "unknown"),
        ("550 role accounts not allowed", "policy-rejected"),
        ("550 5.2.2 mailbox full, SPF passed; we refuse more", "mailbox-full"),
        ("550 röle izni yok", "relay-denied"),
        ("550 Message refuse par SPF", "spf-rejected"),
    ],
)
def test_a_word_without_its_marks_is_no_word_of_another_language(said: str, cause: str) -> None:
    """A Turkish relay is an English role, and what is refused in French is what the English refuse."""
    report = f"""\
From: MAILER-DAEMON@mx.example.org
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org

Final-Recipient: rfc822; pat@client.example
Action: failed
Status: 5.0.0
Remote-MTA: dns; mx.client.example
Diagnostic-Code: smtp; {said}

--b--
"""
    judged = judge_stored(StoredMail("a", raw=report.encode()))
    assert isinstance(judged, Judged)
    assert [record["cause"] for record in judged.records] == [cause]
