"""Settings from variables, alone and beside a file."""

from pathlib import Path
from typing import Any

import pytest

from relay.config import LogFormat, LogLevel, load_settings
from relay.model.ports import Recovery
from tests.config.example import (
    KEYSTORE,
    OTHER_KEYSTORE,
    SECRET,
    VARIABLES,
    example,
    load,
    mistakes,
    mistakes_of_variables,
)

KEYSTORE_EXPECTED = "missing; expected the keystore as downloaded from the dashboard: its path"


def test_one_bot_needs_no_file() -> None:
    """Keystore and URLs make the bot `default` with endpoints `webhook-1`, `webhook-2`."""
    urls = "https://a.example/x,https://b.example/y\n http://localhost:9000/z ,"
    settings = load_settings(None, VARIABLES | {"RELAY_WEBHOOK_URLS": urls})
    (bot,) = settings.bots
    assert bot.name == "default"
    assert [
        ("webhook-1", "https://a.example/x"),
        ("webhook-2", "https://b.example/y"),
        ("webhook-3", "http://localhost:9000/z"),
    ] == [(endpoint.name, endpoint.url.text) for endpoint in bot.endpoints]
    assert len(settings.warnings) == 3


def test_every_variable_counts(tmp_path: Path) -> None:
    """Every variable of the README arrives."""
    (tmp_path / "keystore.json").write_text(KEYSTORE)
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "token").write_text("t0ken-long-enough\n")
    settings = load_settings(
        None,
        {
            "RELAY_KEYSTORE_FILE": str(tmp_path / "keystore.json"),
            "RELAY_WEBHOOK_URLS": "https://a.example/",
            "RELAY_WEBHOOK_SECRET_FILE": str(tmp_path / "secret"),
            "RELAY_JOURNAL": "memory:",
            "RELAY_JOURNAL_RECOVERY": "start_fresh",
            "RELAY_LISTEN": "127.0.0.1:0",
            "RELAY_BLAZE_URL": "ws://127.0.0.1:1/, ws://127.0.0.1:2/",
            "RELAY_API_URL": "http://127.0.0.1:1 http://127.0.0.1:2",
            "RELAY_ADMIN_TOKEN_FILE": str(tmp_path / "token"),
            "RELAY_LOG_LEVEL": "error",
            "RELAY_LOG_FORMAT": "console",
        },
    )
    (bot,) = settings.bots
    assert (settings.journal, settings.journal_file) == ("memory:", None)
    assert settings.journal_recovery is Recovery.START_FRESH
    assert str(settings.listen) == "127.0.0.1:0"
    assert ["ws://127.0.0.1:1/", "ws://127.0.0.1:2/"] == [url.text for url in bot.blaze_url]
    assert ["http://127.0.0.1:1", "http://127.0.0.1:2"] == [url.text for url in bot.api_url]
    assert settings.admin_token is not None
    assert settings.admin_token.get_secret_value() == "t0ken-long-enough"
    assert (settings.log_level, settings.log_format) == (LogLevel.ERROR, LogFormat.CONSOLE)
    assert bot.endpoints[0].signer is not None
    assert settings.warnings == ()


def test_nothing_at_all_says_what_is_needed() -> None:
    """Without a file and without variables the mistakes name the two that are required."""
    assert [
        f"RELAY_KEYSTORE_FILE: {KEYSTORE_EXPECTED}",
        "RELAY_WEBHOOK_URLS: missing; expected at least one webhook",
    ] == mistakes_of_variables({"PATH": "/bin"})


def test_a_file_without_bots_takes_the_bot_from_variables(tmp_path: Path) -> None:
    """A file for everything else goes well with the bot of the variables."""
    settings = load(tmp_path, "drain_timeout: 1s\n", VARIABLES)
    assert (settings.drain_timeout, settings.bots[0].name) == (1.0, "default")


def test_a_file_without_bots_alone() -> None:
    """A file that names no bot says so when the variables name none either."""
    expected = "bots: missing; expected a list of bots, or RELAY_KEYSTORE_FILE and"
    assert mistakes_of_variables({"RELAY_CONFIG": "/dev/null"})[0].startswith(expected)


def test_variables_win_over_the_file(tmp_path: Path) -> None:
    """What a variable says goes before what the file says, for the hosts in every bot."""

    def change(settings: dict[str, Any], bot: dict[str, Any], _: dict[str, Any]) -> None:
        settings |= {"listen": "${UNSET_BUT_OVERRIDDEN}", "admin_token_file": "/none"}
        bot["blaze_url"] = "wss://blaze.mixin.one/"
        settings["bots"].append(bot | {"name": "sales", "keystore": OTHER_KEYSTORE})

    environ = {
        "UNSET_BUT_OVERRIDDEN": "x",
        "RELAY_LISTEN": "127.0.0.1:9",
        "RELAY_JOURNAL": "memory:",
        "RELAY_ADMIN_TOKEN": "t0ken",
        "RELAY_BLAZE_URL": "ws://localhost:1/",
        "RELAY_API_URL": "http://localhost:1",
    }
    settings = load(tmp_path, example(change), environ)
    assert (str(settings.listen), settings.journal) == ("127.0.0.1:9", "memory:")
    assert settings.admin_token is not None
    assert [["ws://localhost:1/"]] * 2 == [[u.text for u in bot.blaze_url] for bot in settings.bots]
    assert [["http://localhost:1"]] * 2 == [[u.text for u in bot.api_url] for bot in settings.bots]


@pytest.mark.parametrize(
    "name",
    [
        "RELAY_KEYSTORE",
        "RELAY_KEYSTORE_FILE",
        "RELAY_WEBHOOK_URLS",
        "RELAY_WEBHOOK_SECRET",
        "RELAY_WEBHOOK_SECRET_FILE",
    ],
)
def test_variables_that_make_a_bot_conflict_with_the_bots_of_a_file(
    tmp_path: Path, name: str
) -> None:
    """Which bot they would change is anybody's guess, so it is refused."""
    assert [
        f"{name}: expected unset, since the config file defines bots, and this makes another"
    ] == mistakes(tmp_path, example(), {name: "hunter2"})


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        ({"RELAY_LISTEN": ""}, "RELAY_LISTEN: empty; expected a value, or the variable unset"),
        ({"RELAY_CONFIG": " "}, "RELAY_CONFIG: empty; expected a value, or the variable unset"),
        ({"RELAY_WEBHOOK_SECRET": ""}, "RELAY_WEBHOOK_SECRET: empty; expected a value"),
        ({"RELAY_LISTEN": "x"}, "RELAY_LISTEN: 'x': expected HOST:PORT"),
        ({"RELAY_JOURNAL": "x.db"}, "RELAY_JOURNAL: 'x.db': expected sqlite:///relative.db"),
        ({"RELAY_LOG_LEVEL": "INFO"}, "RELAY_LOG_LEVEL: 'INFO': expected debug, info, warning or"),
        ({"RELAY_KEYSTORE": "hunter2"}, "RELAY_KEYSTORE: ***: expected JSON as downloaded"),
        ({"RELAY_KEYSTORE_FILE": "/x"}, "RELAY_KEYSTORE_FILE: expected RELAY_KEYSTORE or RELAY_"),
        ({"RELAY_WEBHOOK_SECRET": "hunter2"}, "RELAY_WEBHOOK_SECRET: ***: the secret begins nei"),
        ({"RELAY_WEBHOOK_SECRET_FILE": "/x"}, "RELAY_WEBHOOK_SECRET_FILE: '/x': expected a read"),
        ({"RELAY_ADMIN_TOKEN": "hunter 2"}, "RELAY_ADMIN_TOKEN: ***: expected a token without"),
        ({"RELAY_WEBHOOK_URLS": ","}, "RELAY_WEBHOOK_URLS: missing; expected at least one webho"),
        (
            {"RELAY_WEBHOOK_URLS": "https://a.example/ http://u:hunter2@b.example/"},
            "RELAY_WEBHOOK_URLS: 'http://***@b.example/': expected https:// for a public host",
        ),
        ({"RELAY_BLAZE_URL": "https://x/"}, "RELAY_BLAZE_URL: 'https://x/': expected a URL that"),
        ({"RELAY_API_URL": "http://api.mixin.one"}, "RELAY_API_URL: 'http://api.mixin.one': exp"),
    ],
)
def test_mistakes_name_the_variable(environ: dict[str, str], line: str) -> None:
    """A mistake in a variable is told under the variable's name, once, without a secret."""
    found = mistakes_of_variables(VARIABLES | environ)
    assert len(found) == 1
    assert "hunter2" not in found[0]
    if "expected RELAY_KEYSTORE or" in line:
        assert found[0].startswith("RELAY_KEYSTORE: expected RELAY_KEYSTORE or RELAY_KEYSTORE_F")
    else:
        assert found[0].startswith(line)


def test_misspelt_variables_are_warned_of() -> None:
    """A variable that is nearly one of ours is warned of; those that Kubernetes sets are not."""
    others = {"RELAY_PORT": "tcp://10.0.0.1:8080", "RELAY_SERVICE_HOST": "10.0.0.1"}
    environ = VARIABLES | others | {"RELAY_WEBHOOK_SECRETS": "hunter2"}
    assert (
        "RELAY_WEBHOOK_SECRETS is no setting; did you mean RELAY_WEBHOOK_SECRET?",
        "default/webhook-1 is unsigned: its receiver can't tell who posts",
    ) == load_settings(None, environ).warnings
