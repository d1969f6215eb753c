"""Which way leads out: what is set, and what the environment says where it is asked."""

from pathlib import Path
from typing import Any

import pytest

from relay.config import SettingsError
from tests.config.example import example, load

NO_VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def _variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NO_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def proxies(folder: Path, **of_endpoint: Any) -> tuple[str | None, str | None]:
    """Say by which proxies the example's bot and its webhook go."""
    settings = load(folder, example(lambda _s, _b, endpoint: endpoint.update(of_endpoint)))
    bot = settings.bots[0]
    mixin = bot.proxy_to("wss", "blaze.mixin.one", 443)
    target = bot.endpoints[0].target
    ways = [None if proxy is None else proxy.url for proxy in (mixin, target.proxy)]
    return ways[0], ways[1]


def test_the_environment_counts_for_mixin_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A webhook goes through a proxy only where that is set."""
    assert (None, None) == proxies(tmp_path)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:1")
    assert ("http://proxy.test:1", None) == proxies(tmp_path)
    both = ("http://proxy.test:1", "http://proxy.test:1")
    assert both == proxies(tmp_path, proxy="environment")
    assert (both[0], "http://other.test:3128") == proxies(tmp_path, proxy="other.test")
    monkeypatch.setenv("NO_PROXY", "mixin.one,example.com")
    assert (None, None) == proxies(tmp_path, proxy="environment")


def test_an_environment_that_names_none_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake where it is asked for; a warning where it would only have counted."""
    monkeypatch.setenv("HTTPS_PROXY", "socks5://hunter2@proxy.test:1")
    [warning] = [each for each in load(tmp_path, example()).warnings if "proxy" in each]
    assert warning.startswith("support goes to Mixin without the proxy of the environment; expec")
    with pytest.raises(SettingsError, match=r"proxy.*what the variables name is none") as told:
        proxies(tmp_path, proxy="environment")
    assert "hunter2" not in f"{told.value} {warning}"
