"""The views, what each of them answers, and what Datasette is told about the database."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from markupsafe import Markup

from tests.store.test_store_report import add, event, text
from triage import store
from triage.errors import ConfigError
from triage.model import Evidence
from triage.owner import browse, cells
from triage.store.steps import STORY, VIEWS

ROOT = Path(__file__).parents[2]
NOW = datetime.now(UTC)  # the views count from the clock of SQLite


def answer(db: Any, view: str) -> list[dict[str, Any]]:
    return list(db.query(f"SELECT * FROM {view}"))


# -- the views ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_gives_the_columns_it_describes(db: Any, view: str) -> None:
    columns = [column[0] for column in db.execute(f"SELECT * FROM {view}").description]
    assert columns == list(VIEWS[view].columns)
    assert set(VIEWS[view].facets) <= set(columns)


def test_this_week_is_seven_days_the_newest_first(db: Any) -> None:
    for days in (1, 6, 8):
        add(db, NOW - timedelta(days=days), subject=f"{days} days ago")
    assert [row["subject"] for row in answer(db, "this_week")] == ["1 days ago", "6 days ago"]
    assert answer(db, "this_week")[0]["conversation"] == "https://mail.google.com/mail/#all/19a1"


def test_by_cause_counts_bounces_people_and_this_week(db: Any) -> None:
    add(db, NOW)
    add(db, NOW - timedelta(days=9), recipient="PAT@client.example")
    add(db, NOW, 2)  # forged
    (row,) = answer(db, "by_cause")
    assert (row["cause"], row["bounces"], row["people"], row["this_week"]) == ("alias-credentials-rejected", 2, 1, 1)


def test_no_domain_is_blamed_for_what_our_own_side_kept_back(db: Any) -> None:
    add(db, NOW)
    add(db, NOW, 1, recipient="a@Client.example", cause="mailbox-full", platform="google")
    add(db, NOW, 1, recipient="b@client.example", cause="spam-rejected", platform="google")
    (row,) = answer(db, "by_recipient_domain")
    assert (row["domain"], row["bounces"], row["people"], row["platforms"]) == ("client.example", 2, 2, "google")
    assert set(row["causes"].split(",")) == {"mailbox-full", "spam-rejected"}


def test_unreached_people_are_told_once_our_own_side_first(db: Any) -> None:
    add(db, NOW, 1, recipient="remote@client.example", message_id="r@x.example")
    for number in (2, 1):
        add(
            db,
            NOW - timedelta(days=number),
            recipient="Own@client.example",
            message_id=f"{number}@x.example",
            subject=number,
        )
    rows = answer(db, "unreached_people")
    assert [(row["recipient"], row["mails"], row["subject"]) for row in rows] == [
        ("Own@client.example", 2, "1"),
        ("remote@client.example", 1, None),
    ]


@pytest.mark.parametrize("how", ["delivered", "event", "resent"])
def test_who_was_reached_in_the_end_is_not_unreached(db: Any, how: str) -> None:
    add(db, NOW)
    assert len(answer(db, "unreached_people")) == 1
    if how == "delivered":
        add(db, NOW, 1, kind="delivered", category=None, cause=None, side=None)
    elif how == "event":
        event(db, "Delivery", client_id="m1@mail.gmail.com")
    else:
        db.execute(
            "INSERT INTO resends (original_id, recipient, way, state, message_id, verdict_id, started_at)"
            " VALUES ('m1@mail.gmail.com', 'pat@client.example', 'ses', 'done', 'x', 1, '')"
        )
    assert answer(db, "unreached_people") == []


def test_forged_and_delayed_mails_leave_nobody_unreached(db: Any) -> None:
    add(db, NOW, 2)
    add(db, NOW, 3)
    add(db, NOW, genuine="fail", proof=None)
    assert answer(db, "unreached_people") == []


def test_where_ses_and_the_bounces_do_not_agree(db: Any) -> None:
    refused = add(db, NOW, 1, ses_message_id="s1")
    event(db, "Delivery", ses_message_id="s1")
    stopped = add(db, NOW - timedelta(hours=1), gmail_message_id="g@mail.gmail.com", recipient="dana@client.example")
    event(db, "Send", "dana@client.example", ses_message_id="s2", client_id="g@mail.gmail.com")
    event(db, "Bounce", "eve@client.example", ses_message_id="s3", notification=b"x", at=text(NOW - timedelta(hours=2)))
    without = add(db, NOW - timedelta(hours=3), 1, path="ses-api", recipient="x@client.example")
    found = answer(db, "ses_mismatch")
    assert [(row["recipient"].lower(), row["verdict"], row["ses_message_id"]) for row in found] == [
        ("pat@client.example", refused, "s1"),
        ("dana@client.example", stopped, "s2"),
        ("eve@client.example", None, "s3"),
        ("x@client.example", without, None),
    ]
    assert len({row["mismatch"] for row in found}) == 4


def test_where_they_agree_there_is_no_mismatch(db: Any) -> None:
    verdict_id = add(db, NOW, 1, ses_message_id="s1", path="ses-api")
    event(db, "Bounce", ses_message_id="s1", notification=b"x", verdict_id=verdict_id)
    add(db, NOW)
    assert answer(db, "ses_mismatch") == []


# -- what Datasette is told -----------------------------------------------------------------------------------------


def told(db: Any) -> dict[str, Any]:
    found = browse.metadata("triage", browse.read_schema(db))
    assert list(found["databases"]) == ["triage", "_internal"]
    database: dict[str, Any] = found["databases"]["triage"]
    return json.loads(json.dumps(database))  # type: ignore[no-any-return]


def test_every_named_query_runs_and_names_the_page_that_filters(db: Any) -> None:
    queries = told(db)["queries"]
    assert {name.replace("-", "_") for name in queries} == {*VIEWS, "story"} == set(browse.QUESTIONS)
    for name, query in queries.items():
        if name == "story":
            continue
        db.execute(query["sql"]).fetchall()
        assert f'href="/triage/{name.replace("-", "_")}"' in query["description_html"]
        assert name not in told(db)["tables"]  # it would hide the page of a table of that name


def test_columns_are_described_by_the_comments_of_the_schema(db: Any) -> None:
    tables = told(db)["tables"]
    assert tables["verdicts"]["columns"]["cause"] == "NULL: nothing failed"
    assert tables["verdicts"]["columns"]["received_at"].startswith("UTC: when Gmail received the bounce")
    assert tables["resends"]["columns"]["message_id"].startswith("The Message-ID we gave it")
    for table in ("verdicts", "events", "evidence"):
        assert len(tables[table]["columns"]) > 5


def test_facets_orders_and_descriptions_are_of_columns_and_tables_that_are_there(db: Any) -> None:
    tables = told(db)["tables"]
    for name, about in tables.items():
        columns = {column[0] for column in db.execute(f"SELECT * FROM {name}").description}
        assert set(about["columns"]) <= columns, name
        assert set(about.get("facets", ())) <= columns, name
        assert about.get("sort_desc") in {None, *columns}
    named = {*browse.CLOSED, *browse.TABLE_TITLES, *browse.FACETS, *browse.NEWEST_FIRST, *browse.HIDDEN}
    assert named <= set(tables)


def test_it_answers_on_this_computer_only() -> None:
    words = browse.command(Path("x.db"), port=1, opens=True)
    assert words[words.index("--host") + 1] == "127.0.0.1"
    assert "--open" in words
    assert words[1] == "-P"
    assert "--root" in words
    assert "--open" not in browse.command(Path("x.db"), port=1, opens=False)


def test_the_first_page_asks_the_questions_and_each_leads_to_its_answer(db: Any) -> None:
    everything = browse.metadata('a"b<i>', browse.read_schema(db))
    database, _ = everything["databases"].values()
    for page in (everything, database):
        links = re.findall(r'href="/a%22b%3Ci%3E/([\w-]+)"', page["description_html"])
        assert links[:2] == ["unreached-people", "this-week"]
        assert set(links) == set(database["queries"])
        assert "<i>" not in page["description_html"]


def test_the_story_of_a_conversation_is_told_by_time_and_holds_no_mail(db: Any) -> None:
    first = add(db, NOW - timedelta(hours=3), subject="Friday sail")
    add(db, NOW - timedelta(hours=1), 1, recipient="kim@client.example")
    event(db, "Send", client_id="m1@mail.gmail.com", at=text(NOW - timedelta(hours=2)))
    store.record_evidence(db, first, [Evidence("own-side", found=True, detail="a key is out of use")], NOW)
    story = list(db.query(STORY, {"verdict": str(first)}))
    assert [row["at"] for row in story] == sorted(row["at"] for row in story)
    told = [row["what"] for row in story]
    for what in ("a mail came: failed", "Amazon SES said: Send", "looked up: own-side"):
        assert what in told
    assert {row["who"] for row in story} >= {"pat@client.example", "kim@client.example"}, "the whole conversation"
    assert list(story[0]) == ["at", "what", "who", "words"]
    assert list(db.query(STORY, {"verdict": "999"})) == list(db.query(STORY, {"verdict": ""})) == []


HOSTILE = "https://evil.example/<script>alert(1)</script>"


@pytest.mark.parametrize(
    ("value", "column", "table", "shown"),
    [
        (HOSTILE, "subject", "verdicts", "https://evil.example/&lt;script&gt;alert(1)&lt;/script&gt;"),
        (f" {HOSTILE}", "words", None, " https://evil.example/&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("https://mail.google.com/mail/#all/19a1", "conversation", None, None),
        ("User unknown", "words", None, None),
        (None, "words", None, None),
        (7, "verdict", None, '<a href="/a%22/story?verdict=7">7</a>'),
        (7, "id", "verdicts", '<a href="/a%22/story?verdict=7">7</a>'),
        (7, "id", "actions", None),
        ("7", "verdict", None, None),
    ],
)
def test_no_strangers_words_become_a_link_and_a_verdict_leads_to_its_story(
    value: Any, column: str, table: str | None, shown: str | None
) -> None:
    found = cells.render_cell(value, column, table, 'a"')
    assert found == shown
    assert found is None or isinstance(found, Markup)
    long = cells.render_cell("https://" + "x" * 999, "words", None, "x")
    assert long is not None
    assert len(long) < 400


# -- the command ----------------------------------------------------------------------------------------------------

FAKE = """
import json, sys
assert sys.argv[sys.argv.index("--metadata") + 1] == "-"
print(json.dumps([sys.argv[1:], sorted(json.load(sys.stdin)["databases"])]))
sys.exit(3 if "9" in sys.argv else 0)
"""


def triage(folder: Path, *arguments: str, has_datasette: bool) -> subprocess.CompletedProcess[str]:
    """Run the command where Datasette is another's, or where it is not there whatever is installed."""
    fake = folder / "fake"
    fake.mkdir(exist_ok=True)
    if has_datasette:
        (fake / "datasette").mkdir(exist_ok=True)
        (fake / "datasette" / "__init__.py").touch()
        (fake / "datasette" / "__main__.py").write_text(FAKE)
    else:
        hide = "import sys\nsys.modules['datasette'] = None\n"
        (fake / "sitecustomize.py").write_text(hide)
    env = os.environ | {"PYTHONPATH": f"{fake}{os.pathsep}{ROOT}", "TRIAGE_DATABASE": str(folder / "triage.db")}
    return subprocess.run(
        [sys.executable, "-m", "triage", "browse", *arguments],
        cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_without_datasette_two_lines_say_what_and_how(tmp_path: Path, db: Any) -> None:
    done = triage(tmp_path, has_datasette=False)
    assert (done.returncode, done.stdout) == (78, "")
    what, how = done.stderr.splitlines()
    assert "Datasette, which is not installed" in what
    assert how == "Install it beside triage: pip install 'bounce-triage[browse]'"


def test_with_it_the_database_is_opened(tmp_path: Path, db: Any) -> None:
    done = triage(tmp_path, "--port", "8002", "--no-open", has_datasette=True)
    assert done.returncode == 0, done.stderr
    words, databases = json.loads(done.stdout.splitlines()[1])
    assert words[:2] == ["serve", str(tmp_path / "triage.db")]
    assert databases == ["_internal", "triage"]
    assert "8002" in words


def test_its_exit_code_is_that_of_datasette(tmp_path: Path, db: Any) -> None:
    assert triage(tmp_path, "--port", "9", has_datasette=True).returncode == 3


def test_without_a_database_there_is_nothing_to_browse(tmp_path: Path) -> None:
    assert triage(tmp_path, has_datasette=True).returncode == 78


def test_the_check_is_for_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browse, "find_spec", lambda name: None)
    with pytest.raises(ConfigError):
        browse.find_datasette()
    monkeypatch.setattr(browse, "find_spec", lambda name: name)
    browse.find_datasette()


@pytest.fixture
def real(tmp_path: Path, db: Any) -> Iterator[tuple[str, str]]:
    """The real Datasette, started in a folder with a module of that name: (its address, the link that signs in)."""
    add(db, NOW, subject=HOSTILE)
    db.conn.commit()
    (tmp_path / "datasette.py").write_text("raise SystemExit('a file of the working folder was run')")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = os.environ | {"TRIAGE_DATABASE": str(tmp_path / "triage.db"), "PYTHONUNBUFFERED": "1"}
    command = [str(Path(sys.executable).with_name("triage")), "browse", "--port", str(port), "--no-open"]
    with subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as running:
        try:
            assert running.stdout is not None
            link = next(line.decode().strip() for line in running.stdout if b"token=" in line)
            for _ in range(100):
                with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}", link
        finally:
            running.terminate()


def code(opener: urllib.request.OpenerDirector, url: str, **headers: str) -> int:
    try:
        with opener.open(urllib.request.Request(url, headers=headers), timeout=30) as page:
            return int(page.status)
    except urllib.error.HTTPError as refused:
        refused.close()
        return refused.code


@pytest.mark.browser
@pytest.mark.skipif(find_spec("datasette") is None, reason="Datasette is not installed: `make browser` installs it")
def test_the_real_datasette_shows_its_pages_to_the_owner_alone(db: Any, real: tuple[str, str]) -> None:
    address, link = real
    pages = [f"{address}/triage/{name}" for name in (*VIEWS, *(v.replace("_", "-") for v in VIEWS), "verdicts")]
    stranger, owner = (
        urllib.request.build_opener(*handlers) for handlers in ([], [urllib.request.HTTPCookieProcessor()])
    )
    for page in (address, f"{address}/triage.json", f"{address}/triage/verdicts.json", *pages):
        assert code(stranger, page) == 403
        assert code(stranger, page, Host="rebound.example") == 403
    assert code(owner, link) == 200
    for page in (address, f"{address}/triage", *pages):
        assert code(owner, page) == 200
    assert code(stranger, link) == 403, "the link works once"
    for page in ("triage/mails", "triage/mails.json", "triage/mails/1.json", "triage.db", "triage.json?sql=select+1"):
        assert code(owner, f"{address}/{page}") == 403
    first = page_of(owner, address)
    assert first.index("Who was not reached?") < first.index("<h2")
    assert "_internal" not in first
    week = page_of(owner, f"{address}/triage/this-week")
    assert "https://evil.example/&lt;script&gt;" in week
    assert 'href="https://evil' not in week
    assert 'href="/triage/story?verdict=1"' in week
    story = page_of(owner, f"{address}/triage/story?verdict=1")
    assert "a mail came: failed" in story
    assert "<pre" not in story.partition("<table")[0], "the answer stands before the SQL"
    assert len(list(db.query("SELECT 1 FROM verdicts"))) == 1


def page_of(opener: urllib.request.OpenerDirector, url: str) -> str:
    with opener.open(url, timeout=30) as page:
        found: str = page.read().decode()
        return found
