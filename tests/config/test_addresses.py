"""Hosts, URLs and listening addresses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.config.addresses import Listen, is_public, parse_listen, parse_url
from tests.config.example import refusal

HTTP = ("https", "http")


@pytest.mark.parametrize(
    ("text", "listen"),
    [
        ("0.0.0.0:8080", Listen("0.0.0.0", 8080)),
        ("[::1]:8080", Listen("::1", 8080)),
        ("localhost:0", Listen("localhost", 0)),
        ("Example.COM:65535", Listen("example.com", 65535)),
    ],
)
def test_listening_addresses(text: str, listen: Listen) -> None:
    """HOST:PORT is read, IPv6 in brackets, port 0 included."""
    assert listen == parse_listen(text)
    assert listen == parse_listen(str(listen))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8080",
        ":8080",
        "host:",
        "host",
        "::1:80",
        "[::1]",
        "[::1:80",
        "1.2.3:80",
        "h:65536",
        "h:-1",
        "h:8o",
        "a b:80",
        "h:٣",
        "[1.2.3.4]:80",
        "256.1.1.1:80",
        "-a:80",
    ],
)
def test_other_listening_addresses_are_refused(text: str) -> None:
    """Anything else is refused with an example."""
    with pytest.raises(ValueError, match=r"expected HOST:PORT such as 0\.0\.0\.0:8080"):
        parse_listen(text)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "crm",
        "db.local",
        "x.internal",
        "a.b.svc",
        "a.svc.cluster.local",
        "h.lan",
        "x.home.arpa",
        "a.localhost",
        "a.test",
        "10.0.0.1",
        "127.0.0.1",
        "::1",
        "fd00::1",
        "::ffff:192.168.1.1",
        "169.254.1.1",
    ],
)
def test_hosts_at_home(host: str) -> None:
    """Names of clusters, houses and machines, and addresses that nobody routes, are not public."""
    assert not is_public(host)


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "local.example.com",
        "notlocal.dev",
        "8.8.8.8",
        "2606:4700::1111",
        "::ffff:8.8.8.8",
    ],
)
def test_public_hosts(host: str) -> None:
    """Every other name with a dot is public, and every address that is routed."""
    assert is_public(host)


def test_a_url_keeps_its_text_and_knows_its_host() -> None:
    """What is dialled is what was written; the host is in lower case, without brackets."""
    url = parse_url(" https://User:pw@Example.com:8443/a?b=c ", HTTP)
    assert url.text == "https://User:pw@Example.com:8443/a?b=c"
    assert (url.scheme, url.host, url.has_user) == ("https", "example.com", True)
    assert parse_url("http://[::1]/", HTTP).host == "::1"


def test_the_text_of_a_url_is_not_in_its_repr() -> None:
    """A password or a token in a URL never shows."""
    assert "hunter2" not in repr(parse_url("https://u:hunter2@example.com/hunter2", HTTP))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "begins with https:// or http://"),
        ("example.com/hook", "begins with https:// or http://"),
        ("ftp://example.com/", "begins with https:// or http://"),
        ("https:///hook", "begins with https:// or http://"),
        ("https://exa\tmple.com/", "begins with https:// or http://"),
        ("https://example.com\\@evil.com/", "begins with https:// or http://"),
        ("https://[::1/", "begins with https:// or http://"),
        ("https://example.com/#there", "without a #fragment"),
        ("https://example.com/#", "without a #fragment"),
        ("https://example.com/a b", "in ASCII"),
        ("https://exämple.com/", "in ASCII"),
        ("https://example.com:0/", "a port from 1 to 65535"),
        ("https://example.com:99999/", "a port from 1 to 65535"),
        ("https://example.com:/", "a port from 1 to 65535"),
        ("https://127.1/", "a host name or an IP address"),
        ("https://0x7f000001/", "a host name or an IP address"),
        ("https://2130706433/", "a host name or an IP address"),
        ("https://a..b/", "a host name or an IP address"),
    ],
)
def test_broken_urls_are_refused(text: str, expected: str) -> None:
    """Whatever different readers would read differently is no URL."""
    with pytest.raises(ValueError, match=expected):
        parse_url(text, HTTP)


@given(st.text() | st.text(alphabet="htps:/@[]?#.0a%\\").map(lambda rest: f"https://{rest}"))
def test_reading_never_fails_otherwise(text: str) -> None:
    """Any text is read, or refused with a ValueError that says what is expected."""
    for parse in (parse_listen, lambda url: parse_url(url, HTTP)):
        assert refusal(parse, text).startswith("expected ")
