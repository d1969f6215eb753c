"""The kinds of values in settings: a text in, something sound out, or what is expected instead."""

import re
from collections.abc import Callable
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Final, TypeVar
from uuid import UUID

from relay.blaze.keystore import Keystore, KeystoreError, parse_keystore
from relay.config.addresses import LISTEN, Url, is_public, parse_listen, parse_url
from relay.config.draft import MASK, Draft, KeyPath, masked_url
from relay.config.secrets import KEY_FILE, KeyFile, Secret, read_key_file
from relay.config.sections import Kind, Several, Text
from relay.model.times import DURATION_FORM, duration_text, parse_duration
from relay.webhook.exchange import Target, TargetError
from relay.webhook.headers import is_own
from relay.webhook.signature import SecretError, Signer

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")

MEMORY: Final = "memory:"
SQLITE: Final = "sqlite:///"

_COUNT = re.compile(r"\+?[0-9]{1,4}")
_HIGHEST_COUNT = 1000
_FLAGS = dict.fromkeys(("true", "yes", "on", "1", "t", "y"), True) | dict.fromkeys(
    ("false", "no", "off", "0", "f", "n"), False
)
_TOKEN = re.compile(r"[!-~]+")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_HEADER_VALUE = re.compile(r"(?:[!-~](?:[ \t!-~]*[!-~])?)?")


def _known(expected: str, parse: Callable[[str], T]) -> Callable[[str], T]:
    """Word whatever `parse` finds wrong as what is expected: its own words may repeat the value."""

    def read(text: str) -> T:
        try:
            return parse(text)
        except (ValueError, LookupError):
            raise ValueError(f"expected {expected}") from None

    return read


def _matching(form: str, expected: str) -> Text[str]:
    """Make a kind for text of one form."""
    pattern = re.compile(form)

    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(f"expected {expected}")
        return text

    return Text(expected, check)


def _masked(_: object) -> str:
    return MASK


def _as_it_is(value: T) -> T:
    return value


def _count(text: str) -> int:
    number = int(text) if _COUNT.fullmatch(text := text.strip()) else 0
    if not 1 <= number <= _HIGHEST_COUNT:
        raise ValueError
    return number


def _token(text: str) -> Secret:
    if not _TOKEN.fullmatch(text):
        raise ValueError
    return Secret(text)


def _duration(expected: str, least: float, *, but_not: float | None = None) -> Text[float]:
    """Make a kind for durations of at least so many seconds."""

    def read(text: str) -> float:
        seconds = parse_duration(text)
        if seconds < least or seconds == but_not:
            raise ValueError(f"expected {expected}")
        return seconds

    return Text(expected, read, duration_text)


def _keystore(text: str) -> Keystore:
    try:
        return parse_keystore(text)
    except KeystoreError as error:
        why = str(error).removeprefix("keystore: ")
        raise ValueError(f"{why}; expected a keystore as downloaded from the dashboard") from None


def _signer(text: str) -> Signer:
    try:
        return Signer.parse(text)
    except SecretError as error:
        raise ValueError(f"{error}; expected whsec_… or whsk_…, several apart by spaces") from None


def _journal(text: str) -> str:
    path = text.removeprefix(SQLITE)
    plain = text.startswith(SQLITE) and path.strip("/. ") and path.isprintable()
    if text == MEMORY or (plain and not path.startswith(":memory:") and "?" not in path):
        return text
    raise ValueError(f"expected {JOURNAL.expected}")


def _mixin_url(*schemes: str) -> Text[Url]:
    """Make a kind for URLs that a token is sent to; the first scheme is the safe one."""

    def read(text: str) -> Url:
        url = parse_url(text, schemes)
        if url.has_user:
            raise ValueError("expected a URL without user and password; the keystore logs in")
        if url.plaintext and is_public(url.host):
            raise ValueError(f"expected {schemes[0]}:// for a public host")
        return url

    return Text(f"a {schemes[0]}:// URL", read, lambda url: masked_url(url.text))


def _webhook_url(text: str) -> Url:
    url = parse_url(text, ("https", "http"))
    try:
        Target.parse(url.text)
    except TargetError as error:
        raise ValueError(f"{error}; expected an http:// or https:// URL") from None
    return url


class SetOf(Kind[frozenset[T]]):
    """A list in which order and repetition mean nothing."""

    def __init__(self, expected: str, item: Kind[T]) -> None:
        self.expected = expected
        self._items = Several(expected, item)

    def read(self, value: Any, draft: Draft, path: KeyPath) -> frozenset[T] | None:
        """Read each item, and tell the mistakes of all."""
        items = self._items.read(value, draft, path)
        return None if items is None else frozenset(items)

    def show(self, value: frozenset[T]) -> Any:
        """Write a sorted list."""
        return sorted(self._items.show(tuple(value)))


class Headers(Kind[tuple[tuple[str, Secret], ...]]):
    """HTTP headers beside those that the relay sets itself; their values are secrets."""

    expected = "a mapping of headers"

    def read(
        self, value: Any, draft: Draft, path: KeyPath
    ) -> tuple[tuple[str, Secret], ...] | None:
        """Read each header; a name given twice, in any case, is a mistake."""
        if not isinstance(value, dict):
            draft.blame(path, f"expected {self.expected}")
            return None
        seen: set[str] = set()
        read = []
        for name, text in value.items():
            if wrong := _wrong_header(name, text, seen):
                draft.blame((*path, name), wrong)
            else:
                read.append((name, Secret(text)))
            seen.add(name.lower())
        return tuple(read) if len(read) == len(value) else None

    def show(self, value: tuple[tuple[str, Secret], ...]) -> Any:
        """Write the names."""
        return {name: MASK for name, _ in value}


def _wrong_header(name: str, value: Any, seen: set[str]) -> str:
    if name.lower() in seen:
        return "given twice; expected each header once, in any case"
    if not _HEADER_NAME.fullmatch(name):
        return "expected a header name of letters, digits and hyphens"
    if is_own(name):
        return "expected another header, since the relay sets this one itself"
    if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
        return "expected visible ASCII on one line"
    return ""


def choice(of: type[E]) -> Text[E]:
    """Make a kind for one of a few words."""
    *others, last = (one.value for one in of)
    expected = f"{', '.join(others)} or {last}"
    return Text(expected, _known(expected, of))


def at_least(seconds: float) -> Text[float]:
    """Make a kind for durations of at least so many seconds."""
    return _duration(f"a duration of at least {duration_text(seconds)}", seconds)


NAME = _matching(r"[a-z0-9_-]{1,64}", "a name of letters a-z, digits, _ and -, at most 64")
FLAG = Text(
    "true or false", _known("true or false", lambda text: _FLAGS[text.strip().lower()]), _as_it_is
)
COUNT = Text(
    "a whole number from 1 to 1000", _known("a whole number from 1 to 1000", _count), _as_it_is
)
DURATION = _duration(DURATION_FORM, 0.0)
"""Seconds."""
POSITIVE_DURATION = _duration(DURATION_FORM, 0.0, but_not=0.0)
"""Seconds, more than none."""

_UUID = Text("a UUID", _known("a UUID", lambda text: str(UUID(text))))
UUIDS = SetOf("a list of UUIDs, or no such key", _UUID)
CATEGORIES = Several(
    "a list of patterns such as PLAIN_TEXT, or no such key",
    _matching(r"[A-Z0-9_*?!\[\]-]{1,64}", 'a pattern in capitals such as PLAIN_TEXT or "SYSTEM_*"'),
)
JOURNAL = Text("sqlite:///relative.db, sqlite:////absolute.db or memory:", _journal)
LISTENING = Text(LISTEN, parse_listen)
_NETWORK: Text[IPv4Network | IPv6Network] = Text(
    "a network such as 192.0.2.0/24", _known("a network such as 192.0.2.0/24", ip_network)
)
NETWORKS = Several("networks such as 192.0.2.0/24, in a list", _NETWORK)

WEBHOOK_URL = Text("an https:// URL", _webhook_url, lambda url: masked_url(url.text))
BLAZE_URLS = Several("a wss:// URL or a list of them", _mixin_url("wss", "ws"), in_text=True)
API_URLS = Several("an https:// URL or a list of them", _mixin_url("https", "http"), in_text=True)
HEADERS = Headers()

FILE = Text("the path of a PEM file", Path)
SECRET_FILE = Text("the path of a file with the secret in it", Path)
JOURNAL_KEY_FILE: Text[KeyFile] = Text(KEY_FILE, read_key_file)
TOKEN = Text("a token without spaces", _known("a token without spaces", _token), _masked)
SIGNER = Text("whsec_… or whsk_…", _signer, _masked)
KEYSTORE = Text(
    "the keystore as downloaded from the dashboard: its path",
    _keystore,
    lambda keystore: f"app {keystore.app_id}, {keystore.algorithm}, {MASK}",
)
