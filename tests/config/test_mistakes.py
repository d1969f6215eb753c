"""What is refused in a settings file, and in which words."""

from pathlib import Path
from typing import Any

import pytest
import trustme

from relay.config import SettingsError, load_settings
from relay.webhook.exchange import TlsSettings
from tests.config.example import at, example, load, mistakes


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("listen", "8080", "listen: '8080': expected HOST:PORT such as 0.0.0.0:8080 or [::1]:8080"),
        (
            "journal",
            "mysql://u:hunter2@h/x",
            "journal: 'mysql://***@h/x': expected sqlite:///relative.db, sqlite:////absolute.db or",
        ),
        ("journal", "sqlite:///", "journal: 'sqlite:///': expected sqlite:///"),
        ("journal", "sqlite:///:memory:", "journal: 'sqlite:///:memory:': expected sqlite:///"),
        ("journal", "sqlite://x.db", "journal: 'sqlite://x.db': expected sqlite:///"),
        ("drain_timeout", "25", "drain_timeout: '25': expected a duration such as 500ms, 10s"),
        ("retention", "191h", "retention: '191h': expected a duration of at least 8d"),
        (
            "blocked_networks",
            ["192.0.2.1/24"],
            "blocked_networks[0]: '192.0.2.1/24': expected a network such as 192.0.2.0/24",
        ),
        ("blocked_networks", "x", "blocked_networks: 'x': expected networks such as"),
        ("log_level", "loud", "log_level: 'loud': expected debug, info, warning or error"),
        ("journal_recovery", "fresh", "journal_recovery: 'fresh': expected refuse or start_fresh"),
        ("log_format", "xml", "log_format: 'xml': expected json or console"),
        ("admin_token", "a b", "admin_token: ***: expected a token without spaces"),
        ("bots", [], "bots: an empty list: expected a list of bots, or RELAY_KEYSTORE_FILE and"),
        ("bots", "x", "bots: 'x': expected a list of bots"),
        ("bots", ["x"], "bots[0]: 'x': expected a mapping"),
        ("jurnal", "hunter2", "jurnal: unknown key; did you mean journal?"),
        ("a b\n", "hunter2", r"'a b\n': unknown key; expected one of listen, journal, journal_"),
    ],
)
def test_mistakes_at_the_top(tmp_path: Path, key: str, value: Any, line: str) -> None:
    """Each mistake is one line: the setting, its value unless secret, what is expected."""
    found = mistakes(tmp_path, example(at(key, value, "settings")))
    assert len(found) == 1
    assert found[0].startswith(line)


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("name", "Support", "bots[0].name: 'Support': expected a name of letters a-z, digits, _"),
        ("name", {"a": "b"}, "bots[0].name: a mapping: expected a name of letters"),
        ("keystore", "{}", "bots[0].keystore: ***: app_id or client_id is missing; expected a"),
        ("keystore_file", "x", "bots[0].keystore_file: 'x': expected keystore or keystore_file,"),
        ("blaze_url", "https://x/", "bots[0].blaze_url: 'https://x/': expected a URL that begins"),
        (
            "blaze_url",
            ["wss://x.example/", "ws://blaze.mixin.one/"],
            "bots[0].blaze_url[1]: 'ws://blaze.mixin.one/': expected wss:// for a public host",
        ),
        ("api_url", [], "bots[0].api_url: an empty list: expected an https:// URL or a list"),
        (
            "api_url",
            "https://u:hunter2@api.mixin.one",
            "bots[0].api_url: 'https://***@api.mixin.one': expected a URL without user and pass",
        ),
        ("ordering", "user", "bots[0].ordering: 'user': expected conversation or none"),
        ("unwanted", "drop", "bots[0].unwanted: 'drop': expected read or leave"),
        (
            "proxy",
            "socks5://u:hunter2@p.test:1",
            "bots[0].proxy: 'socks5://***@p.test:1': expected http://HOST:PORT, with a user where",
        ),
        ("endpoints", [], "bots[0].endpoints: an empty list: expected at least one webhook"),
        ("endpoint", [], "bots[0].endpoint: unknown key; did you mean endpoints?"),
    ],
)
def test_mistakes_of_a_bot(tmp_path: Path, key: str, value: Any, line: str) -> None:
    """A mistake in a bot is told with the bot's position."""
    found = mistakes(tmp_path, example(at(key, value, "bot")))
    assert len(found) == 1
    assert found[0].startswith(line)


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("name", "", "name: '': expected a name of letters a-z"),
        (
            "url",
            "http://u:hunter2@crm.example.com/?key=hunter2",
            "url: 'http://***@crm.example.com/?***': expected https:// for a public host, or allow",
        ),
        ("url", "crm.example.com", "url: 'crm.example.com': expected a URL that begins with"),
        ("url", "https://a%3Ab:c@crm.example.com/", "url: 'https://***@crm.example.com/': has a"),
        ("allow_plaintext", "maybe", "allow_plaintext: 'maybe': expected true or false"),
        ("secret", "hunter2", "secret: ***: the secret begins neither with whsec_ nor with whsk_"),
        ("secret", "", "secret: there is no secret in it; expected whsec_"),
        ("secret", ["hunter2"], "secret: ***: expected whsec_… or whsk_…"),
        ("secrets", "hunter2", "secrets: unknown key; did you mean secret?"),
        ("required", "1.5", "required: '1.5': expected true or false"),
        ("from", "then", "from: 'then': expected now or retained"),
        ("categories", [], "categories: an empty list: expected a list of patterns such as"),
        ("categories", "PLAIN_TEXT", "categories: 'PLAIN_TEXT': expected a list of patterns"),
        ("categories", ["plain_text"], "categories[0]: 'plain_text': expected a pattern in cap"),
        ("conversations", ["x"], "conversations[0]: 'x': expected a UUID"),
        ("users", [["x"]], "users[0]: a list: expected a UUID"),
        ("headers", "x", "headers: ***: expected a mapping of headers"),
        ("headers", {"a b": "x"}, "headers.'a b': ***: expected a header name of letters"),
        ("headers", {"Host": "x"}, "headers.Host: ***: expected another header, since the relay"),
        ("headers", {"Webhook-Id": "x"}, "headers.Webhook-Id: ***: expected another header"),
        ("headers", {"RELAY-x": "x"}, "headers.RELAY-x: ***: expected another header"),
        ("headers", {"content-type": "x"}, "headers.content-type: ***: expected another"),
        ("headers", {"X-Y": "a\nb"}, "headers.X-Y: ***: expected visible ASCII on one line"),
        ("headers", {"X-Y": " a"}, "headers.X-Y: ***: expected visible ASCII on one line"),
        ("headers", {"X-Y": ["a"]}, "headers.X-Y: ***: expected visible ASCII on one"),
        ("headers", {"X-Y": "a", "x-y": "b"}, "headers.x-y: ***: given twice; expected each"),
        ("bearer_token", "a b", "bearer_token: ***: expected a token without spaces"),
        ("bearer_token_file", "/none", "bearer_token_file: '/none': expected a readable file (No"),
        ("bearer_token_file", "/", "bearer_token_file: '/': expected a readable file (Is a dir"),
        ("timeout", "0s", "timeout: '0s': expected a duration such as"),
        ("timeout", "15 sec", "timeout: '15 sec': expected a duration such as"),
        ("concurrency", "0", "concurrency: '0': expected a whole number from 1 to 1000"),
        ("concurrency", "9" * 5000, f"concurrency: '{'9' * 80}…': expected a whole number"),
        ("retry", {"first": "11m"}, "retry.max: expected at least retry.first, which is 11m"),
        (
            "retry",
            {"first": "2s", "max": "1s"},
            "retry.max: '1s': expected at least retry.first, which is 2s",
        ),
        ("retry", "often", "retry: 'often': expected a mapping"),
        ("breaker", {"open": "1"}, "breaker.open: unknown key; did you mean open_after?"),
        ("tls", {"ca_file": "/none"}, "tls.ca_file: '/none': expected a readable PEM file of cert"),
        (
            "tls",
            {"client_key_file": "/none"},
            "tls.client_key_file: '/none': expected client_cert_file and client_key_file together",
        ),
        (
            "tls",
            {"client_cert_file": "/none"},
            "tls.client_key_file: expected client_cert_file and client_key_file together",
        ),
    ],
)
def test_mistakes_of_an_endpoint(tmp_path: Path, key: str, value: Any, line: str) -> None:
    """A mistake in an endpoint is told with both positions, and no secret is ever shown."""
    found = mistakes(tmp_path, example(at(key, value, "endpoint")))
    assert len(found) == 1
    assert found[0].startswith(f"bots[0].endpoints[0].{line}")
    assert "hunter2" not in found[0]


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    """One start shows every mistake, of whatever kind, and each once."""

    def change(settings: dict[str, Any], bot: dict[str, Any], endpoint: dict[str, Any]) -> None:
        settings |= {"retention": "1d", "x": "y"}
        bot["keystore_file"] = "/none"
        endpoint |= {"secret": "${UNSET}", "retry": {"first": "1d"}, "timeout": "x"}
        endpoint["headers"] = {"Host": "x", "Authorization": "x"}
        endpoint["bearer_token"] = "x y"
        bot["endpoints"].append({"name": "crm"})
        settings["bots"].append({"name": "support", "endpoints": []})

    assert sorted(
        [
            "bots[0].endpoints[0].bearer_token",
            "bots[0].endpoints[0].headers.Authorization",
            "bots[0].endpoints[0].headers.Host",
            "bots[0].endpoints[0].retry.max",
            "bots[0].endpoints[0].secret",
            "bots[0].endpoints[0].timeout",
            "bots[0].endpoints[1].name",
            "bots[0].endpoints[1].url",
            "bots[0].keystore_file",
            "bots[1].endpoints",
            "bots[1].keystore_file",
            "bots[1].name",
            "retention",
            "x",
        ]
    ) == sorted(line.split(": ")[0] for line in mistakes(tmp_path, example(change)))


@pytest.mark.parametrize(
    "other", [{"bearer_token": "t"}, {"url": "https://u:p@crm.example.com/"}, {}]
)
def test_one_authorization_is_enough(tmp_path: Path, other: dict[str, str]) -> None:
    """An Authorization header is refused beside a bearer token or a URL's user, else welcome."""
    found = mistakes(
        tmp_path,
        example(lambda _s, _b, endpoint: endpoint.update(headers={"AUTHORIZATION": "x"}, **other)),
    )
    assert bool(other) == ("headers.AUTHORIZATION: ***: expected none" in "".join(found))


def test_the_files_of_tls(tmp_path: Path) -> None:
    """Certificates that can be loaded are handed on to the target."""
    authority = trustme.CA()
    certificate = authority.issue_cert("relay.test")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    names = {"ca_file": "ca.pem", "client_cert_file": "cert.pem", "client_key_file": "key.pem"}
    files = {key: str(tmp_path / name) for key, name in names.items()}
    endpoint = load(tmp_path, example(at("tls", files, "endpoint"))).bots[0].endpoints[0]
    assert TlsSettings(**files) == endpoint.target.tls

    found = mistakes(
        tmp_path, example(at("tls", files | {"client_key_file": files["ca_file"]}, "endpoint"))
    )
    assert len(found) == 1
    assert "expected readable PEM files of a certificate and its key, no password" in found[0]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "the file is empty; expected a secret in it"),
        (b" \n", "the file is empty; expected a secret in it"),
        (b"\xff", "expected a file of UTF-8 text"),
        (b"hunter2", "the secret begins neither with whsec_ nor with whsk_"),
        (b"x" * 70_000, "expected a file of at most 65536 bytes"),
    ],
)
def test_secret_files_that_hold_no_secret(tmp_path: Path, content: bytes, why: str) -> None:
    """What is wrong with a secret file is told under its key, without its content."""
    path = tmp_path / "secret"
    path.write_bytes(content)

    def change(_s: dict[str, Any], _b: dict[str, Any], endpoint: dict[str, Any]) -> None:
        del endpoint["secret"]
        endpoint["secret_file"] = str(path)

    found = mistakes(tmp_path, example(change))
    assert len(found) == 1
    assert found[0].startswith("bots[0].endpoints[0].secret_file: ")
    assert why in found[0]
    assert "hunter2" not in found[0]


def test_a_mistake_shows_the_reference_and_not_what_it_brought(tmp_path: Path) -> None:
    """A value with `${VAR}` in it is shown as it was written."""
    found = mistakes(tmp_path, example(at("listen", "${X}", "settings")), {"X": "hunter2"})
    assert ["listen: '${X}': expected HOST:PORT such as 0.0.0.0:8080 or [::1]:8080"] == found


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "(No such file or directory)"), (b"\xff", "UTF-8"), (b"#" * (1 << 21), "at most")],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, content: bytes | None, why: str) -> None:
    """A settings file that can't be read is one mistake, under the name of who named it."""
    path = tmp_path / "relay.yaml"
    if content is not None:
        path.write_bytes(content)
    for config, environ, name in (
        (path, {}, "--config"),
        (None, {"RELAY_CONFIG": str(path)}, "RELAY_CONFIG"),
    ):
        with pytest.raises(SettingsError) as refused:
            load_settings(config, environ)
        assert len(refused.value.mistakes) == 1
        assert refused.value.mistakes[0].startswith(f"{name}: ")
        assert why in refused.value.mistakes[0]


def test_an_old_name_is_read_with_a_warning(tmp_path: Path) -> None:
    """`gate:` is what `breaker:` was called; a release long it counts, and a warning names both."""
    settings = load(tmp_path, example(at("gate", {"open_after": 2}, "endpoint")))
    assert 2 == settings.bots[0].endpoints[0].breaker.open_after
    assert (
        "bots[0].endpoints[0].gate is called breaker now; the old name will go",
    ) == settings.warnings


def test_an_old_name_beside_the_new_one_is_refused(tmp_path: Path) -> None:
    """Which of them should count is not guessed, and mistakes in the old one have its name."""

    def both(_s: object, _b: object, endpoint: dict[str, Any]) -> None:
        endpoint |= {"gate": {"open_after": 2}, "breaker": {"open_after": 3}}

    expected = "bots[0].endpoints[0].gate: expected breaker alone; this is its old name"
    assert [expected] == mistakes(tmp_path, example(both))
    (mistake,) = mistakes(tmp_path, example(at("gate", {"open_after": "0"}, "endpoint")))
    assert mistake.startswith("bots[0].endpoints[0].gate.open_after: '0': expected a whole number")
