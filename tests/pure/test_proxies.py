"""A proxy's URL, and which proxy the environment means."""

import pytest

from relay.net.proxies import Proxy, environment_proxy

PROXY = "http://proxy.test:8888"


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("http://proxy.test:8888", "proxy.test", 8888),
        ("http://proxy.test/", "proxy.test", 3128),
        ("proxy.test:80", "proxy.test", 80),
        ("http://[fd00::1]:3128", "fd00::1", 3128),
    ],
)
def test_a_proxy_has_a_host_and_a_port(text: str, host: str, port: int) -> None:
    """With or without a scheme, as the variables are written."""
    proxy = Proxy.parse(text)
    assert (host, port, None) == (proxy.host, proxy.port, proxy.authorization)


def test_its_user_is_a_header_and_a_secret() -> None:
    """Told to the proxy, and shown to nobody."""
    proxy = Proxy.parse("http://user:p%40ss@proxy.test")
    assert "Basic dXNlcjpwQHNz" == proxy.authorization
    assert "dXNlcjpwQHNz" not in f"{proxy} {proxy.url}"


@pytest.mark.parametrize(
    "text",
    ["socks5://p:1", "https://p:1", "http://", "http://p:0", "http://p:x", "http://p/x", "é:1"],
)
def test_what_is_no_http_proxy_is_refused(text: str) -> None:
    """The words of the mistake hold nothing of it."""
    with pytest.raises(ValueError, match="expected http://HOST:PORT"):
        Proxy.parse(text)


@pytest.mark.parametrize(
    ("no_proxy", "host", "direct"),
    [
        ("", "crm.example.com", False),
        ("*", "crm.example.com", True),
        ("example.com", "crm.example.com", True),
        (".example.com", "crm.example.com", True),
        ("*.example.com", "crm.example.com", True),
        ("example.com", "badexample.com", False),
        ("a.test, crm.example.com", "crm.example.com.", True),
        ("crm.example.com:443", "crm.example.com", True),
        ("crm.example.com:80", "crm.example.com", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "crm.example.com", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("[::1]", "::1", True),
        ("::1", "::2", False),
    ],
)
def test_hosts_that_need_no_proxy(no_proxy: str, host: str, direct: bool) -> None:  # noqa: FBT001
    """Names with all below them, addresses, networks, and a port where one is named."""
    environ = {"HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy}
    assert direct == (environment_proxy(environ, "https", host, 443) is None)


@pytest.mark.parametrize(
    ("environ", "scheme", "used"),
    [
        ({"HTTPS_PROXY": PROXY}, "https", True),
        ({"https_proxy": PROXY}, "wss", True),
        ({"HTTPS_PROXY": PROXY}, "http", False),
        ({"HTTP_PROXY": PROXY}, "http", True),
        ({"HTTP_PROXY": PROXY}, "wss", False),
        ({"HTTPS_PROXY": " "}, "https", False),
        ({}, "https", False),
    ],
)
def test_which_variable_is_meant(environ: dict[str, str], scheme: str, used: bool) -> None:  # noqa: FBT001
    """One for each scheme, sockets as the requests that they begin with."""
    assert used == (environment_proxy(environ, scheme, "h", 1) is not None)
