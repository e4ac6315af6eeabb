"""Finding and reading DMARC records, and what is aligned with what (RFC 9989)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation.dns.dmarc import (
    aligned,
    find_dmarc,
    organizational_domain,
    read_dmarc,
    report_addresses,
    strangers,
    walk_names,
)
from remediation.dns.lookup import Answer
from tests.worlds.made_dns import UNKNOWN, made_ask

ORG = {"TXT _dmarc.example.org": ["v=DMARC1; p=reject; sp=none"]}


def test_a_record_of_its_own_comes_first() -> None:
    table = {**ORG, "TXT _dmarc.news.example.org": ["v=DMARC1;p=quarantine"]}
    found = find_dmarc(made_ask(table), "News.example.org.")
    assert found.record is not None
    assert (found.record.domain, found.policy, found.organization) == ("news.example.org", "quarantine", "example.org")


def test_the_organizational_domain_speaks_for_those_below() -> None:
    found = find_dmarc(made_ask(ORG), "a.b.example.org")
    assert found.record is not None
    assert (found.record.domain, found.policy, found.organization) == ("example.org", "none", "example.org")


@pytest.mark.parametrize(
    ("table", "organization"),
    [
        (
            {"TXT _dmarc.example.org": ["v=DMARC1; p=none; psd=n"], "TXT _dmarc.org": ["v=DMARC1; p=none"]},
            "example.org",
        ),
        ({"TXT _dmarc.org": ["v=DMARC1; p=none; psd=y"]}, "example.org"),
        ({"TXT _dmarc.b.example.org": ["v=DMARC1; p=none"], "TXT _dmarc.org": ["v=DMARC1; p=none"]}, "org"),
        ({}, None),
    ],
)
def test_the_tree_walk(table: dict[str, list[str]], organization: str | None) -> None:
    assert organizational_domain(made_ask(table), "a.b.example.org") == organization


def test_the_public_suffix_speaks_last() -> None:
    """RFC 9989 4.10.1: its policy holds for domains below that say nothing themselves."""
    table = {"TXT _dmarc.org": ["v=DMARC1; p=none; sp=quarantine; psd=y"]}
    found = find_dmarc(made_ask(table), "a.example.org")
    assert found.record is not None
    assert (found.record.domain, found.policy, found.organization) == ("org", "quarantine", "example.org")
    own = find_dmarc(made_ask(table | {"TXT _dmarc.example.org": ["v=DMARC1; p=reject"]}), "a.example.org")
    assert (own.policy, own.organization) == ("reject", "example.org")


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("v=DMARC1; p=none", True),
        ("V=DMARC1;p=none", True),
        ("v = DMARC1", True),
        ("v=dmarc1; p=none", False),
        ("v=Dmarc1; p=none", False),
        ("v=DMARC10; p=none", False),
        (" v=DMARC1; p=none", False),
    ],
)
def test_the_version_is_case_sensitive(text: str, is_one: bool) -> None:
    assert (find_dmarc(made_ask({"TXT _dmarc.example.org": [text]}), "example.org").record is not None) is is_one


def test_long_names_are_cut() -> None:
    assert walk_names("a.b.c.d.e.f.g.h.example.org") == [
        "a.b.c.d.e.f.g.h.example.org",
        *("d.e.f.g.h.example.org", "e.f.g.h.example.org", "f.g.h.example.org", "g.h.example.org"),
        *("h.example.org", "example.org", "org"),
    ]
    assert walk_names("example.org") == ["example.org", "org"]


def test_two_records_are_as_good_as_none() -> None:
    found = find_dmarc(made_ask({"TXT _dmarc.example.org": ["v=DMARC1; p=none", "v=DMARC1; p=reject"]}), "example.org")
    assert (found.record, len(found.several), found.policy) == (None, 2, None)


def test_no_record_and_not_known_are_two_things() -> None:
    none = find_dmarc(made_ask({"TXT _dmarc.example.org": ["hello"]}), "example.org")
    assert (none.record, none.unknown) == (None, ())
    down = find_dmarc(made_ask({"TXT _dmarc.example.org": UNKNOWN}), "example.org")
    assert (down.record, len(down.unknown)) == (None, 1)
    above = find_dmarc(made_ask({"TXT _dmarc.example.org": UNKNOWN}), "news.example.org")
    assert (above.record, len(above.unknown)) == (None, 1)


def test_what_is_above_does_not_matter_for_a_record_of_its_own() -> None:
    found = find_dmarc(made_ask({**ORG, "TXT _dmarc.org": UNKNOWN}), "example.org")
    assert found.record is not None
    assert (found.policy, found.organization) == ("reject", None)


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        ("v=DMARC1; p=none", 0),
        ("v=DMARC1;p=REJECT;;", 0),
        ("v = DMARC1 ; p = none ; rua = mailto:a@example.org", 0),
        ("v=DMARC1", 1),
        ("v=DMARC1; p=refuse", 1),
        ("v=DMARC1; p=none; p=none", 1),
        ("v=DMARC1; p=none; adkim=x", 1),
        ("v=DMARC1; p=none; hello", 1),
        ("v=DMARC1; p=none; future=1", 0),
    ],
)
def test_reading_a_record(text: str, errors: int) -> None:
    assert len(read_dmarc("example.org", text).errors) == errors


def test_reports_and_who_must_agree() -> None:
    rua = "mailto:a@example.org!10m, mailto:b@Reports.example ,https://x.example,mailto:c@sub.example.org"
    record = read_dmarc("example.org", f"v=DMARC1; p=none; rua={rua}")
    assert report_addresses(record) == ["a@example.org", "b@reports.example", "c@sub.example.org"]
    assert strangers(record) == [("reports.example", "example.org._report._dmarc.reports.example")]


@pytest.mark.parametrize(
    ("from_domain", "other", "mode", "expected"),
    [
        ("example.org", "EXAMPLE.org.", "s", True),
        ("example.org", "bounce.example.org", "s", False),
        ("example.org", "bounce.example.org", "r", True),
        ("news.example.org", "bounce.example.org", "r", True),
        ("example.org", "example.net", "r", False),
        ("example.org", "amazonses.com", "r", False),
        ("example.org", "notexample.org", "r", False),
    ],
)
def test_alignment(from_domain: str, other: str, mode: str, expected: bool) -> None:
    assert aligned(made_ask(ORG), from_domain, other, mode) is expected


def test_alignment_that_cannot_be_worked_out_is_not_known() -> None:
    answer = aligned(
        made_ask({**ORG, "TXT _dmarc.bounce.example.org": UNKNOWN}), "example.org", "bounce.example.org", "r"
    )
    assert isinstance(answer, Answer)
    assert answer.state == "unknown"


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    record = read_dmarc("example.org", f"v=DMARC1;{text}")
    assert record.tags["v"] == "DMARC1"
    report_addresses(record)
    strangers(record)
