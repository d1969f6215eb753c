"""What targets promise: a URL is understood as it will be dialled, or refused."""

import base64
from string import ascii_lowercase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.webhook.exchange import Request, Target, TargetError, TlsSettings, basic_authorization


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://crm.example.com", Target("https", "crm.example.com", 443, "/")),
        ("HTTP://CRM.example.com/", Target("http", "crm.example.com", 80, "/")),
        ("http://a_b-c.internal:8080/x", Target("http", "a_b-c.internal", 8080, "/x")),
        ("https://h/a%2Fb//c?d=%20&e", Target("https", "h", 443, "/a%2Fb//c?d=%20&e")),
        ("https://h?q=1", Target("https", "h", 443, "/?q=1")),
        ("https://h/p#fragment", Target("https", "h", 443, "/p")),
        ("https://h/grüße?ü", Target("https", "h", 443, "/gr%C3%BC%C3%9Fe?%C3%BC")),
        ("http://127.0.0.1:1", Target("http", "127.0.0.1", 1, "/")),
        ("http://[::1]:1/", Target("http", "::1", 1, "/")),
        ("http://u:p@h/", Target("http", "h", 80, "/", "Basic dTpw")),
        ("http://u@h/", Target("http", "h", 80, "/", "Basic dTo=")),
        ("http://u:%70%3A%40@h/", Target("http", "h", 80, "/", "Basic dTpwOkA=")),
    ],
)
def test_a_url_is_taken_apart(url: str, expected: Target) -> None:
    """Defaults are filled in, and the path stays as it was written."""
    assert expected == Target.parse(url)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "neither with http"),
        ("crm.example.com/s3cret", "neither with http"),
        ("ftp://h/s3cret", "neither with http"),
        ("https:///s3cret", "no host"),
        ("https://s3cret@/", "no host"),
        ("https://h:0/s3cret", "port 0"),
        ("https://h:65536/s3cret", "no URL"),
        ("https://h:s3cret/", "no URL"),
        ("https://[::1/s3cret", "no URL"),
        ("https://[fe80::1%25eth0]/s3cret", "neither a name nor an address"),
        ("https://h\u00e4user.example/s3cret", "xn--"),
        ("https://h%2e/s3cret", "neither a name nor an address"),
        ("https://h/s3cret\r\nX: y", "control characters"),
        ("https://h/s3 cret", "white space"),
        ("https://h\\@evil/s3cret", "backslashes"),
        ("https://h/\ud800s3cret", "control characters"),
        ("https://u%3As3cret@h/", "colon"),
    ],
)
def test_what_is_no_target_is_refused(url: str, why: str) -> None:
    """The error says why, and keeps the URL to itself."""
    with pytest.raises(TargetError, match=why) as caught:
        Target.parse(url)
    assert "s3cret" not in str(caught.value)


@given(st.text())
@pytest.mark.parametrize("prefix", ["", "https://", "http://h/", "https://h:1@"])
def test_any_text_is_a_target_or_an_error(prefix: str, text: str) -> None:
    """Nothing else is raised, and a target is fit for the request line."""
    try:
        target = Target.parse(prefix + text)
    except TargetError:
        return
    line = target.authority + target.path
    assert line.isascii()
    assert line.isprintable()
    assert " " not in line
    assert target.path.startswith("/")


def test_an_ipv6_address_has_brackets_in_its_authority() -> None:
    """As in the URL and the host header."""
    assert "[::1]:443" == Target.parse("https://[::1]/").authority
    assert "h:80" == Target.parse("http://h/").authority


@given(st.text(ascii_lowercase), st.text(st.characters(exclude_categories=["Cs"])))
def test_a_user_and_password_are_basic_authentication(user: str, password: str) -> None:
    """Both as UTF-8, the colon between them."""
    scheme, credentials = basic_authorization(user, password).split(" ")
    assert ("Basic", f"{user}:{password}") == (scheme, base64.b64decode(credentials).decode())


def test_what_may_be_secret_is_not_shown() -> None:
    """Paths, users and headers stay out of the repr."""
    target = Target.parse("https://s3cret:s3cret@h/s3cret?s3cret", TlsSettings("ca.pem"))
    request = Request({"authorization": "s3cret"}, b"s3cret", 1.0, 1.0)
    shown = f"{target} {request}"
    assert "s3cret" not in shown
    assert target.authorization is not None
    assert target.authorization not in shown
    assert "ca.pem" in shown
