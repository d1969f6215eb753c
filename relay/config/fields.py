"""The kinds of values in settings: a text in, something sound out, or what is expected instead."""

import re
from collections.abc import Callable
from enum import StrEnum
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final, TypeVar
from uuid import UUID

from relay.blaze.keystore import Keystore, KeystoreError, parse_keystore
from relay.config.addresses import LISTEN, Url, is_public, parse_listen, parse_url
from relay.config.draft import MASK, Draft, KeyPath, masked_url
from relay.config.secrets import Secret, read_key_file
from relay.config.sections import Kind, several, text
from relay.model.times import DURATION_FORM, duration_text, parse_duration
from relay.net.proxies import ENVIRONMENT, Proxied, Proxy
from relay.net.proxies import EXPECTED as PROXY_EXPECTED
from relay.webhook.exchange import Target, TargetError, is_own_header
from relay.webhook.signature import SecretError, Signer

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")

MEMORY: Final = "memory:"
SQLITE: Final = "sqlite:///"

_JOURNAL: Final = "sqlite:///relative.db, sqlite:////absolute.db or memory:"
_HIGHEST_COUNT: Final = 1000
_FLAGS: Final = dict.fromkeys(("true", "yes", "on", "1", "t", "y"), True) | dict.fromkeys(
    ("false", "no", "off", "0", "f", "n"), False
)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_HEADER_VALUE = re.compile(r"(?:[!-~](?:[ \t!-~]*[!-~])?)?")


def _worded(expected: str, parse: Callable[[str], T], show: Callable[[T], Any] = str) -> Kind[T]:
    """Make a kind by a `parse` whose own words may repeat the value, and are not told."""

    def read(written: str) -> T:
        try:
            return parse(written)
        except (ValueError, LookupError):
            raise ValueError(f"expected {expected}") from None

    return text(expected, read, show)


def _matching(form: str, expected: str, make: Callable[[str], T], show: Any = str) -> Kind[T]:
    """Make a kind of text of one form."""
    pattern = re.compile(form)

    def read(written: str) -> T:
        if not pattern.fullmatch(written):
            raise ValueError
        return make(written)

    return _worded(expected, read, show)


def _unshown(_: object) -> str:
    return MASK


def _as_it_is(value: T) -> T:
    return value


def _count(written: str) -> int:
    number = int(written) if re.fullmatch(r"\s*\+?[0-9]{1,4}\s*", written) else 0
    if not 1 <= number <= _HIGHEST_COUNT:
        raise ValueError
    return number


def duration(least: float, *, more: bool = False, expected: str = DURATION_FORM) -> Kind[float]:
    """Make a kind of durations, in seconds: so many at least, or more than that."""

    def read(written: str) -> float:
        seconds = parse_duration(written)
        if seconds < least or (more and seconds == least):
            raise ValueError(f"expected {expected}")
        return seconds

    return text(expected, read, duration_text)


def choice(of: type[E]) -> Kind[E]:
    """Make a kind of one of a few words."""
    *others, last = (one.value for one in of)
    return _worded(f"{', '.join(others)} or {last}", of)


def _keystore(written: str) -> Keystore:
    try:
        return parse_keystore(written)
    except KeystoreError as error:
        why = str(error).removeprefix("keystore: ")
        raise ValueError(f"{why}; expected a keystore as downloaded from the dashboard") from None


def _signer(written: str) -> Signer:
    try:
        return Signer.parse(written)
    except SecretError as error:
        raise ValueError(f"{error}; expected whsec_… or whsk_…, several apart by spaces") from None


def _journal(written: str) -> str:
    path = written.removeprefix(SQLITE)
    plain = written.startswith(SQLITE) and path.strip("/. ") and path.isprintable()
    if written == MEMORY or (plain and not path.startswith(":memory:") and "?" not in path):
        return written
    raise ValueError(f"expected {_JOURNAL}")


def _mixin_urls(*schemes: str) -> Kind[tuple[Url, ...]]:
    """Make a kind of URLs that a token is sent to; the first scheme is the safe one."""
    one = f"a{'n' if schemes[0] == 'https' else ''} {schemes[0]}:// URL"

    def read(written: str) -> Url:
        url = parse_url(written, schemes)
        if url.has_user:
            raise ValueError("expected a URL without user and password; the keystore logs in")
        if url.plaintext and is_public(url.host):
            raise ValueError(f"expected {schemes[0]}:// for a public host")
        return url

    return several(f"{one} or a list of them", text(one, read, _url_shown), in_text=True)


def _webhook_url(written: str) -> Url:
    url = parse_url(written, ("https", "http"))
    try:
        Target.parse(url.text)
    except TargetError as error:
        raise ValueError(f"{error}; expected an http:// or https:// URL") from None
    return url


def _proxy(written: str) -> Proxied:
    return ENVIRONMENT if written.strip() == ENVIRONMENT else Proxy.parse(written.strip())


def _proxy_shown(proxied: Proxied) -> str:
    if not isinstance(proxied, Proxy):
        return str(proxied)
    return proxied.url.replace("://", f"://{MASK}@") if proxied.authorization else proxied.url


def _url_shown(url: Url) -> str:
    return masked_url(url.text)


Headers = tuple[tuple[str, Secret], ...]


def _headers(value: Any, draft: Draft, path: KeyPath) -> Headers | None:
    if not isinstance(value, dict):
        draft.blame(path, f"expected {HEADERS.expected}")
        return None
    seen: set[str] = set()
    read = []
    for name, written in value.items():
        if wrong := _wrong_header(name, written, seen):
            draft.blame((*path, name), wrong)
        else:
            read.append((name, Secret(written)))
        seen.add(name.lower())
    return tuple(read) if len(read) == len(value) else None


def _wrong_header(name: str, value: Any, seen: set[str]) -> str:
    if name.lower() in seen:
        return "given twice; expected each header once, in any case"
    if not _HEADER_NAME.fullmatch(name):
        return "expected a header name of letters, digits and hyphens"
    if is_own_header(name):
        return "expected another header, since the relay sets this one itself"
    if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
        return "expected visible ASCII on one line"
    return ""


FLAG = _worded("true or false", lambda written: _FLAGS[written.strip().lower()], _as_it_is)
COUNT = _worded("a whole number from 1 to 1000", _count, _as_it_is)
DURATION = duration(0.0)
POSITIVE_DURATION = duration(0.0, more=True)
NAME = _matching(r"[a-z0-9_-]{1,64}", "a name of letters a-z, digits, _ and -, at most 64", str)
CATEGORIES = several(
    "a list of patterns such as PLAIN_TEXT, or no such key",
    _matching(
        r"[A-Z0-9_*?!\[\]-]{1,64}", 'a pattern in capitals such as PLAIN_TEXT or "SYSTEM_*"', str
    ),
)
UUIDS = several("a list of UUIDs, or no such key", _worded("a UUID", lambda one: str(UUID(one))))
NETWORKS = several(
    "networks such as 192.0.2.0/24, in a list",
    _worded("a network such as 192.0.2.0/24", ip_network),
)
JOURNAL = text(_JOURNAL, _journal)
LISTENING = text(LISTEN, parse_listen)
WEBHOOK_URL = text("an https:// URL", _webhook_url, _url_shown)
BLAZE_URLS = _mixin_urls("wss", "ws")
API_URLS = _mixin_urls("https", "http")
PROXY = text(PROXY_EXPECTED, _proxy, _proxy_shown)
HEADERS = Kind("a mapping of headers", _headers, lambda some: {name: MASK for name, _ in some})
FILE = text("the path of a PEM file", Path)
JOURNAL_KEY_FILE = text("the path of a file with the journal's keys in it", read_key_file)
TOKEN = _matching(r"[!-~]+", "a token without spaces", Secret, _unshown)
SIGNER = text("whsec_… or whsk_…", _signer, _unshown)
KEYSTORE = text(
    "the keystore as downloaded from the dashboard: its path",
    _keystore,
    lambda keystore: f"app {keystore.app_id}, {keystore.algorithm}, {MASK}",
)
