"""Settings from a file: what is understood, what is refused, and in which words."""

from pathlib import Path
from typing import Any

import pytest

from relay.config import (
    Begin,
    LogFormat,
    LogLevel,
    Ordering,
    SettingsError,
    Unwanted,
)
from tests.config.example import (
    APP_ID,
    KEYSTORE,
    OTHER_KEYSTORE,
    SECRET,
    at,
    example,
    load,
    mistakes,
)

EVERYTHING = """
listen: "[::1]:0"
journal: sqlite:////var/lib/relay/journal.db
drain_timeout: 1m
ready_grace: 5s
retention: 30d
blocked_networks: [192.0.2.0/24, "2001:db8::/32"]
admin_token: s3same-and-long-enough
log_level: debug
log_format: console
bots:
  - name: support
    keystore_file: support.json
    blaze_url: [wss://blaze.mixin.one/, "ws://127.0.0.1:7000/"]
    api_url: https://api.mixin.one
    ordering: none
    unwanted: leave
    endpoints:
      - name: crm
        url: http://crm.example.com/hooks/mixin?a=b
        allow_plaintext: yes
        secret_file: crm.secret
        required: false
        categories: [PLAIN_TEXT, "SYSTEM_*"]
        conversations: [67A87828-18F5-46A1-B6CC-C72A97A77C43]
        users: [67a87828-18f5-46a1-b6cc-c72a97a77c43]
        headers: {X-Tenant: acme}
        bearer_token_file: crm.token
        timeout: 30s
        connect_timeout: 500ms
        concurrency: 4
        retry: {first: 2s, max: 5m, give_up_after: 7d, rejected_attempts: 3}
        breaker: {open_after: 2, probe_max: 10s, gone_confirm: 0s}
"""


@pytest.fixture
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "support.json").write_text(KEYSTORE)
    (tmp_path / "crm.secret").write_text(f"{SECRET}\n")
    (tmp_path / "crm.token").write_text("  t0ken\n")
    return tmp_path


@pytest.fixture
def here(_here: Path) -> Path:
    return _here


def test_every_setting_is_understood(here: Path) -> None:
    """Every setting of the README arrives; relative paths start from the working directory."""
    settings = load(here, EVERYTHING)
    bot, endpoint = settings.bots[0], settings.bots[0].endpoints[0]
    assert (str(settings.listen), settings.journal) == (
        "[::1]:0",
        "sqlite:////var/lib/relay/journal.db",
    )
    assert settings.journal_file == Path("/var/lib/relay/journal.db")
    assert (settings.drain_timeout, settings.ready_grace) == (60.0, 5.0)
    assert settings.retention == 30 * 86400.0
    assert ["192.0.2.0/24", "2001:db8::/32"] == [str(net) for net in settings.blocked_networks]
    assert settings.admin_token is not None
    assert settings.admin_token.get_secret_value() == "s3same-and-long-enough"
    assert (settings.log_level, settings.log_format) == (LogLevel.DEBUG, LogFormat.CONSOLE)
    assert (bot.name, bot.keystore.app_id) == ("support", APP_ID)
    assert ["wss://blaze.mixin.one/", "ws://127.0.0.1:7000/"] == [u.text for u in bot.blaze_url]
    assert ["https://api.mixin.one"] == [url.text for url in bot.api_url]
    assert (bot.ordering, bot.unwanted) == (Ordering.NONE, Unwanted.LEAVE)
    assert (endpoint.name, endpoint.required, endpoint.concurrency) == ("crm", False, 4)
    assert endpoint.categories == ("PLAIN_TEXT", "SYSTEM_*")
    assert endpoint.users == endpoint.conversations == ("67a87828-18f5-46a1-b6cc-c72a97a77c43",)
    assert endpoint.request_headers() == {"X-Tenant": "acme", "authorization": "Bearer t0ken"}
    assert (endpoint.timeout, endpoint.connect_timeout) == (30.0, 0.5)
    assert ("2s", "5m", "7d", 3) == tuple(endpoint.retry.shown().values())
    assert (2, "10s", "0s") == tuple(endpoint.breaker.shown().values())
    assert endpoint.target.path == "/hooks/mixin?a=b"
    assert endpoint.signer is not None
    assert settings.warnings == ()


def test_the_signer_is_made_of_the_secret(here: Path) -> None:
    """The secret signs as the published vector says of Standard Webhooks."""
    signer = load(here, EVERYTHING).bots[0].endpoints[0].signer
    assert signer is not None
    assert "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" == signer.sign(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )


def test_a_new_endpoint_may_get_what_is_retained(tmp_path: Path) -> None:
    """`from: retained` is read, and shown as it is written."""
    settings = load(tmp_path, example(at("from", "retained", "endpoint")))
    assert settings.bots[0].endpoints[0].begin is Begin.RETAINED
    assert "retained" == settings.shown()["bots"][0]["endpoints"][0]["from"]


def test_defaults(tmp_path: Path) -> None:
    """What is left out is as the README says."""
    settings = load(tmp_path, example())
    bot, endpoint = settings.bots[0], settings.bots[0].endpoints[0]
    assert (str(settings.listen), settings.journal) == ("0.0.0.0:8080", "sqlite:///relay.db")
    assert (settings.drain_timeout, settings.ready_grace) == (25.0, 30.0)
    assert (settings.retention, settings.admin_token) == (8 * 86400.0, None)
    assert (settings.log_level, settings.log_format) == (LogLevel.INFO, None)
    assert ["wss://blaze.mixin.one/"] == [url.text for url in bot.blaze_url]
    assert ["https://api.mixin.one"] == [url.text for url in bot.api_url]
    assert (bot.ordering, bot.unwanted) == (Ordering.CONVERSATION, Unwanted.READ)
    assert (endpoint.required, endpoint.concurrency) == (True, 16)
    assert endpoint.begin is Begin.NOW
    assert (endpoint.timeout, endpoint.connect_timeout) == (15.0, 5.0)
    assert ("1s", "10m", "3d", 10) == tuple(endpoint.retry.shown().values())
    assert (5, "1m", "1m") == tuple(endpoint.breaker.shown().values())
    assert endpoint.request_headers() == {}


def test_two_bots_may_name_their_endpoints_alike(tmp_path: Path) -> None:
    """An endpoint's name is unique within its bot only."""

    def change(settings: dict[str, Any], bot: dict[str, Any], _: dict[str, Any]) -> None:
        settings["bots"].append(bot | {"name": "sales", "keystore": OTHER_KEYSTORE})

    settings = load(tmp_path, example(change))
    assert ["crm", "crm"] == [bot.endpoints[0].name for bot in settings.bots]


@pytest.mark.parametrize(
    "url", ["http://crm:9000/x", "http://10.1.2.3/", "http://crm.default.svc/"]
)
def test_plaintext_is_fine_at_home(tmp_path: Path, url: str) -> None:
    """http:// to a host that is not public needs no word."""
    settings = load(tmp_path, example(at("url", url, "endpoint")))
    assert url == settings.bots[0].endpoints[0].url.text


def test_a_user_in_the_url_logs_in(tmp_path: Path) -> None:
    """A URL's user and password become Basic authorization of the target."""
    url = "https://aladdin:open%20sesame@crm.example.com/"
    endpoint = load(tmp_path, example(at("url", url, "endpoint"))).bots[0].endpoints[0]
    assert "Basic YWxhZGRpbjpvcGVuIHNlc2FtZQ==" == endpoint.target.authorization


def test_unsigned_endpoints_are_warned_of(tmp_path: Path) -> None:
    """An endpoint without a secret works, with a warning that names it."""
    settings = load(tmp_path, example(lambda _s, _b, endpoint: endpoint.pop("secret")))
    assert settings.warnings == ("support/crm is unsigned: its receiver can't tell who posts",)


@pytest.mark.parametrize(("token", "warned"), [("x" * 15, True), ("x" * 16, False)])
def test_a_short_admin_token_is_warned_of(tmp_path: Path, token: str, *, warned: bool) -> None:
    """A token that can be guessed works, with a warning that does not repeat it."""
    settings = load(tmp_path, example(at("admin_token", token, "settings")))
    text = "admin_token can be guessed; expected 16 characters or more"
    assert settings.warnings == ((text,) if warned else ())


@pytest.mark.parametrize(("token", "warned"), [("x" * 15, True), ("x" * 16, False)])
def test_a_short_back_token_is_warned_of(tmp_path: Path, token: str, *, warned: bool) -> None:
    """What lets a receiver say that it is back can be in a file, and can't be guessed either."""
    (tmp_path / "back").write_text(f"{token}\n")
    change = at("back_token_file", str(tmp_path / "back"), "endpoint")
    settings = load(tmp_path, example(change))
    found = settings.bots[0].endpoints[0].back_token
    assert found is not None
    assert token == found.get_secret_value()
    text = "back_token of support/crm can be guessed; expected 16 characters or more"
    assert settings.warnings == ((text,) if warned else ())


def test_a_receiver_never_has_the_admin_s_token(tmp_path: Path) -> None:
    """What opens one endpoint only must not open everything."""
    token = "correct-horse-battery"

    def same(settings: Any, _: Any, endpoint: Any) -> None:
        settings["admin_token"] = endpoint["back_token"] = token

    with pytest.raises(SettingsError) as refused:
        load(tmp_path, example(same))
    (mistake,) = refused.value.mistakes
    assert mistake.startswith("bots: ")
    assert "support/crm has the admin_token as its back_token; expected one of its own" in mistake
    assert token not in mistake


def test_two_bots_of_one_app_are_refused(tmp_path: Path) -> None:
    """Two bots with one keystore would each mark READ what the other still has to deliver."""

    def twice(settings: dict[str, Any], bot: dict[str, Any], _endpoint: object) -> None:
        settings["bots"].append(bot | {"name": "sales"})

    (mistake,) = mistakes(tmp_path, example(twice))
    assert mistake.startswith("bots: a list: support and sales are the same app; expected one bot")
