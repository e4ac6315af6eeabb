"""`triage config`: whether the settings can be used, and where each value comes from."""

from __future__ import annotations

import pytest

from tests.cli.home import Home
from tests.worlds.schemas import by_schema
from triage.config.settings import SETTINGS


def test_check_says_that_all_is_right_and_where_it_was_read(home: Home) -> None:
    (home.folder / "triage.toml").write_text("since_days = 7\n")
    done = home.triage("config", "check")
    assert (done.returncode, done.stderr) == (0, "")
    assert str(home.folder / "triage.toml") in done.stdout
    assert "2 settings of your own" in done.stdout, "one in the file, one by TRIAGE_DATABASE"


def test_check_tells_all_faults_and_ends_with_78(home: Home) -> None:
    (home.folder / "triage.toml").write_text('smtp_port = 99999\n\nsmtp_security = "maybe"\n')
    done = home.triage("config", "check")
    assert (done.returncode, done.stdout) == (78, "")
    first, one, two, last = done.stderr.splitlines()
    assert first == "triage: 2 settings cannot be used as they are:"
    assert "line 1: smtp_port = 99999 is too large. The most is 65535." in one
    assert "line 3: smtp_security = 'maybe' is none of starttls, ssl. Did you mean" in two
    assert "triage config check" in last
    assert "line 3" in home.triage("doctor").stdout


def test_show_names_the_source_of_every_value_and_no_secret(home: Home) -> None:
    config = home.folder / "triage.toml"
    config.write_text('ping_url = "https://hc.example.com/secret-path"\nnotes = false\n')
    config.chmod(0o600)
    done = home.triage("config", "show")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert f"notes = false  ({config} line 2)" in lines
    assert "since_days = 30  (default)" in lines
    assert f'ping_url = "set, not shown"  ({config} line 1)' in lines
    assert any(line.startswith("database = ") and line.endswith("(TRIAGE_DATABASE)") for line in lines)
    assert "secret-path" not in done.stdout
    rows = by_schema("config show", home.triage("config", "show", "--json").stdout)
    assert list(rows["settings"]) == list(SETTINGS)
    assert rows["settings"]["notes"] == {"value": False, "from": f"{config} line 2"}


def test_a_linked_configuration_is_named_as_one(home: Home) -> None:
    (home.folder / "dotfiles").mkdir()
    (home.folder / "dotfiles/triage.toml").write_text("since_days = 7\n")
    (home.folder / "triage.toml").symlink_to(home.folder / "dotfiles/triage.toml")
    del home.env["TRIAGE_DATABASE"]
    text = home.triage("config", "show").stdout
    assert f"a link to {home.folder / 'dotfiles/triage.toml'}" in text
    assert str(home.folder / "dotfiles/triage.db") in text


@pytest.mark.parametrize("error", [OSError(37, "No locks available"), NotImplementedError("no flock here")])
def test_a_lock_that_cannot_be_made_is_not_another_run(
    home: Home, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """A file system without locks looks like a held lock to a library that waits for whatever is refused."""
    import fcntl

    from triage.errors import ConfigError
    from triage.lock import locked

    def refuse(*args: object) -> None:
        raise error

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr("filelock.FileLock.acquire", _times_out if isinstance(error, OSError) else refuse)
    with pytest.raises(ConfigError, match="cannot be locked"), locked(home.folder / "triage.db"):
        pass


def _times_out(lock: object) -> None:
    from filelock import Timeout

    raise Timeout("x")
