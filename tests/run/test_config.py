"""Settings: who wins, what is refused, and that every one of them is documented."""

from __future__ import annotations

import tomllib
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from parsers.ses_hosts import AWS_REGIONS
from triage.config import Settings, load_settings, settings_table, source_settings
from triage.config.settings import SETTINGS
from triage.errors import ConfigError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without any configuration, and an empty working folder."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home/.config"))
    monkeypatch.chdir(work)
    return tmp_path / "home"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_everything_has_a_default(home: Path) -> None:
    settings = load_settings(None, {})
    assert settings.database == home / ".config/bounce-triage/triage.db"
    assert settings.token.parent == settings.credentials.parent == settings.database.parent
    assert (settings.overlap_hours, settings.since_days, settings.label_prefix) == (48, 30, "Bounce")
    assert settings.notes is True
    assert settings.gmail_url is None
    assert not settings.database.parent.exists(), "reading settings must make nothing"


def test_the_command_line_beats_the_environment_beats_the_file() -> None:
    file = write(Path("triage.toml"), "overlap_hours = 1\nsince_days = 1\nlabel_prefix = 'A'\n")
    settings = load_settings(None, {"TRIAGE_SINCE_DAYS": "2", "TRIAGE_LABEL_PREFIX": "B"}, {"label_prefix": "C"})
    assert (settings.overlap_hours, settings.since_days, settings.label_prefix) == (1, 2, "C")
    assert load_settings(file, {}).overlap_hours == 1


def test_what_the_command_line_leaves_out_counts_for_nothing() -> None:
    assert load_settings(None, {"TRIAGE_SINCE_DAYS": "2"}, {"since_days": None}).since_days == 2


def test_an_empty_variable_is_as_good_as_none() -> None:
    assert load_settings(None, {"TRIAGE_GMAIL_URL": "", "TRIAGE_CONFIG": ""}).gmail_url is None


@pytest.mark.parametrize("where", ["named", "variable", "working folder", "user folder"])
def test_where_the_file_is_found(where: str, home: Path, tmp_path: Path) -> None:
    place = {
        "named": tmp_path / "a/other.toml",
        "variable": tmp_path / "a/other.toml",
        "working folder": Path.cwd() / "triage.toml",
        "user folder": home / ".config/bounce-triage/triage.toml",
    }[where]
    write(place, "since_days = 7\n")
    settings = load_settings(
        place if where == "named" else None, {"TRIAGE_CONFIG": str(place)} if where == "variable" else {}
    )
    assert settings.since_days == 7
    assert settings.database == place.parent / "triage.db", "files lie beside the configuration"


def test_relative_paths_count_from_where_they_are_named(tmp_path: Path, home: Path) -> None:
    file = write(tmp_path / "etc/triage.toml", "database = 'data/a.db'\ntoken = '~/t.json'\n")
    settings = load_settings(file, {"TRIAGE_CREDENTIALS": "c.json"})
    assert settings.database == tmp_path / "etc/data/a.db"
    assert settings.token == home / "t.json"
    assert settings.credentials == Path.cwd() / "c.json"


def test_lists_and_switches_from_file_and_environment() -> None:
    file = write(Path("triage.toml"), 'notes = false\nsubjects = ["Unzustellbar", "Non remis"]\n')
    assert load_settings(file, {}).subjects == ("Unzustellbar", "Non remis")
    assert load_settings(file, {}).notes is False
    settings = load_settings(file, {"TRIAGE_NOTES": "Yes", "TRIAGE_SUBJECTS": "Unzustellbar, Non remis,"})
    assert settings.subjects == ("Unzustellbar", "Non remis")
    assert settings.notes is True


def test_an_unknown_key_names_the_nearest_known_one() -> None:
    file = write(Path("triage.toml"), "overlap_hour = 3\n")
    with pytest.raises(ConfigError) as caught:
        load_settings(file, {})
    assert "overlap_hour" in caught.value.what
    assert str(file) in caught.value.what
    assert "'overlap_hours'" in caught.value.todo
    assert caught.value.exit_code == 78


def test_an_unknown_variable_names_the_nearest_known_one() -> None:
    with pytest.raises(ConfigError, match="TRIAGE_DATABSE") as caught:
        load_settings(None, {"TRIAGE_DATABSE": "x"})
    assert "'TRIAGE_DATABASE'" in caught.value.todo


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("overlap_hours = '3'", "not a whole number"),
        ("overlap_hours = true", "not a whole number"),
        ("overlap_hours = -1", "too small"),
        ("since_days = 0", "too small"),
        ("notes = 'yes'", "not true or false"),
        ("database = 3", "not a path"),
        ("database = ''", "not a path"),
        ("label_prefix = '/'", "not text"),
        ("subjects = 'Unzustellbar'", "not a list"),
        ("subjects = ['']", "not a list"),
        ("[labels]\nprefix = 'x'", "no setting 'labels'"),
        ("since_days = ", "not TOML"),
    ],
)
def test_a_wrong_value_is_refused_with_file_and_key(text: str, complaint: str) -> None:
    write(Path("triage.toml"), text)
    with pytest.raises(ConfigError, match=complaint) as caught:
        load_settings(None, {})
    assert "triage.toml" in caught.value.what
    assert caught.value.todo


@pytest.mark.parametrize(("variable", "text"), [("TRIAGE_NOTES", "maybe"), ("TRIAGE_SINCE_DAYS", "30d")])
def test_a_wrong_variable_is_refused(variable: str, text: str) -> None:
    with pytest.raises(ConfigError, match=variable):
        load_settings(None, {variable: text})


def test_a_named_file_must_be_there() -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        load_settings(Path("nowhere.toml"), {})
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        load_settings(None, {"TRIAGE_CONFIG": "nowhere.toml"})


def test_a_label_prefix_loses_its_slashes() -> None:
    assert load_settings(None, {"TRIAGE_LABEL_PREFIX": "Mail/Bounce/"}).label_prefix == "Mail/Bounce"


@pytest.mark.parametrize(
    ("line", "what", "todo"),
    [
        ("smtp_port = 99999", "too large", "65535"),
        ("since_days = 99999999", "too large", "7320"),
        ('smtp_security = "maybe"', "none of starttls, ssl", "Did you mean"),
        ('smtp_security = "tls"', "none of starttls, ssl", "'starttls'"),
        ('regions = ["us-east-1", "us-eats-1"]', "no such region", "'us-east-1'"),
        ('smtp_region = "eu-centrl-1"', "no such region", "'eu-central-1'"),
        ('smtp_alias = "admin"', "not a mail address", "admin@example.org"),
        ('accounts = ["12345"]', "not an AWS account", "123456789012"),
        ('topics = ["bounces"]', "not the ARN of a topic", "arn:aws:sns"),
        ('queue_url = "bounces"', "not a web address", "https://"),
        ('dns = "resolver.example.com"', "not an address of a DNS server", "192.0.2.1"),
        ('dns = "192.0.2.1:99999"', "not an address of a DNS server", "192.0.2.1"),
        ('smtp_host = "smtp://x"', "not a host name", "smtp.example.com"),
    ],
)
def test_ranges_choices_and_forms(line: str, what: str, todo: str) -> None:
    write(Path("triage.toml"), f"# first\n\n{line}\n")
    with pytest.raises(ConfigError, match=what) as caught:
        load_settings(None, {})
    assert "triage.toml line 3: " in caught.value.what
    assert todo in caught.value.todo
    assert len(caught.value.what) < 700


@pytest.mark.parametrize(
    "line",
    [
        'dns = "192.0.2.1"',
        'dns = "192.0.2.1:5353"',
        'dns = "2001:db8::1"',
        'dns = "[2001:db8::1]:5353"',
        'regions = ["us-gov-west-1", "eu-central-2"]',
        'smtp_security = "ssl"',
        'smtp_host = "email-smtp.us-east-1.amazonaws.com"',
        'smtp_host = "127.0.0.1"',
        'smtp_alias = "admin@queenofsandiego.com"',
        'accounts = ["123456789012"]',
        'topics = ["arn:aws-us-gov:sns:us-gov-west-1:123456789012:bounces"]',
        'queue_url = "https://sqs.us-east-1.amazonaws.com/123456789012/bounces"',
        'ping_url = "https://user:pass@hc.example.com:8443/ping/abc?x=1"',
        'domains = ["queenofsandiego.com", "xn--mnchen-3ya.example"]',
    ],
)
def test_what_is_right_stays_right(line: str) -> None:
    file = write(Path("triage.toml"), f"{line}\n")
    file.chmod(0o600)
    settings = load_settings(file, {})
    ((name, value),) = tomllib.loads(line).items()
    assert bool(getattr(settings, name)) == bool(value)


def test_the_regions_are_those_aws_has() -> None:
    """Held against botocore's own list, so that a new one is not refused for long."""
    import boto3

    session = boto3.session.Session()
    known = {
        region
        for partition in session.get_available_partitions()
        for service in ("ses", "sesv2")
        for region in session.get_available_regions(service, partition)
    }
    assert known <= set(AWS_REGIONS)


def test_all_that_is_wrong_is_told_at_once_each_with_its_line() -> None:
    file = write(
        Path("triage.toml"),
        'subjects = [\n  "smtp_port = 1",\n]\nsmtp_port = 99999\nsince_day = 3\n"since_days" = "x"\n'
        'label_prefix = """\nnotes = 5\n"""\nnotes = 5\n',
    )
    with pytest.raises(ConfigError) as caught:
        load_settings(file, {"TRIAGE_VDM": "perhaps"})
    assert caught.value.what.startswith("6 settings")
    places = [line.removeprefix(f"{file.absolute()} ").partition(":")[0] for line in caught.value.details]
    assert places == ["line 4", "line 5", "line 6", "line 7", "line 10", "TRIAGE_VDM"]
    assert "Did you mean 'since_days'?" in caught.value.details[1]


def test_a_byte_order_mark_is_no_fault() -> None:
    file = Path("triage.toml")
    file.write_bytes(b"\xef\xbb\xbfsince_days = 7\r\nnotes = false\r\n")
    assert load_settings(file, {}).since_days == 7
    assert source_settings(file, {}).origins["notes"].endswith("triage.toml line 2")


def test_where_each_value_comes_from() -> None:
    file = write(Path("triage.toml"), "since_days = 7\n\nnotes = false\n")
    found = source_settings(file, {"TRIAGE_NOTES": "yes"}, {"vdm": True})
    assert found.origins["since_days"] == f"{file.absolute()} line 1"
    assert found.origins["notes"] == "TRIAGE_NOTES"
    assert found.origins["vdm"] == "command line"
    assert found.origins["overlap_hours"] == "default"
    assert found.settings.notes is True


def test_a_linked_configuration_finds_its_neighbours_at_the_real_place(tmp_path: Path) -> None:
    real = write(tmp_path / "dotfiles/triage.toml", "token = 'secret/t.json'\n")
    link = tmp_path / "etc/triage.toml"
    link.parent.mkdir()
    link.symlink_to(real)
    settings = load_settings(link, {})
    assert settings.database == tmp_path / "dotfiles/triage.db"
    assert settings.token == tmp_path / "dotfiles/secret/t.json"
    write(link.with_name("triage.db"), "")  # where an earlier version made it
    assert load_settings(link, {}).database == link.with_name("triage.db")
    write(real.with_name("triage.db"), "")
    assert load_settings(link, {}).database == real.with_name("triage.db")


def test_every_setting_is_declared_with_its_limits() -> None:
    for name, setting in SETTINGS.items():
        if str(setting.type) == "int":
            assert setting.metadata["min"] < setting.metadata["max"], name
            assert setting.metadata["min"] <= setting.default <= setting.metadata["max"], name


def test_every_setting_is_documented() -> None:
    table = settings_table()
    assert [row[0] for row in table] == list(SETTINGS)
    assert all(meaning.endswith(".") for _, _, meaning in table)
    assert ("overlap_hours", "48") in [row[:2] for row in table]
    assert ("database", '"triage.db"') in [row[:2] for row in table]
    assert ("notes", "true") in [row[:2] for row in table]
    assert ("subjects", "[]") in [row[:2] for row in table]


def test_settings_do_not_change() -> None:
    settings = load_settings(None, {})
    assert isinstance(settings, Settings)
    with pytest.raises(FrozenInstanceError):
        settings.since_days = 3  # type: ignore[misc]
