"""The kinds of values in settings: text in, something sound out, or what is expected instead.

Every description completes the words `expected …`, and is printed beside a mistake.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, InstanceOf, SecretStr

from relay.blaze.keystore import Keystore, KeystoreError, parse_keystore
from relay.config.addresses import LISTEN, Listen, Url, is_public, parse_listen, parse_url
from relay.config.durations import DURATION, parse_duration
from relay.config.key_files import KeyFile, read_key_file
from relay.webhook.exchange import Target, TargetError
from relay.webhook.headers import is_own
from relay.webhook.signature import SecretError, Signer

T = TypeVar("T")

MEMORY = "memory:"
SQLITE = "sqlite:///"

_JOURNAL = "sqlite:///relative.db, sqlite:////absolute.db or memory:"
_NAME = "a name of letters a-z, digits, _ and -, at most 64"
_CATEGORY = 'a pattern in capitals such as PLAIN_TEXT or "SYSTEM_*"'
_UUID = "a UUID"
_TOKEN = "a token without spaces"  # noqa: S105 - says what a token looks like

_NAME_FORM = re.compile(r"[a-z0-9_-]{1,64}")
_CATEGORY_FORM = re.compile(r"[A-Z0-9_*?!\[\]-]{1,64}")
_TOKEN_FORM = re.compile(r"[!-~]+")
_HEADER_NAME_FORM = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_HEADER_VALUE_FORM = re.compile(r"(?:[!-~](?:[ \t!-~]*[!-~])?)?")


def _reading(read: Callable[[str], T]) -> BeforeValidator:
    """Read text; leave a default as it is, and anything else to fail the type."""
    return BeforeValidator(lambda value: read(value) if isinstance(value, str) else value)


def _matching(form: re.Pattern[str], expected: str) -> AfterValidator:
    """Let only text of one form through."""

    def check(text: str) -> str:
        if not form.fullmatch(text):
            raise ValueError(f"expected {expected}")
        return text

    return AfterValidator(check)


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
    raise ValueError(f"expected {_JOURNAL}")


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise ValueError(f"expected {_UUID}") from None


def _token(text: str) -> SecretStr:
    if not _TOKEN_FORM.fullmatch(text):
        raise ValueError(f"expected {_TOKEN}")
    return SecretStr(text)


def _header_name(text: str) -> str:
    if not _HEADER_NAME_FORM.fullmatch(text):
        raise ValueError("expected a header name of letters, digits and hyphens")
    if is_own(text):
        raise ValueError("expected another header, since the relay sets this one itself")
    return text


def _header_value(text: str) -> SecretStr:
    if not _HEADER_VALUE_FORM.fullmatch(text):
        raise ValueError("expected visible ASCII on one line")
    return SecretStr(text)


def _login_url(*schemes: str) -> Callable[[str], Url]:
    """Read a URL of Mixin's, which a token is sent to; the first scheme is the safe one."""

    def read(text: str) -> Url:
        url = parse_url(text, schemes)
        if url.has_user:
            raise ValueError("expected a URL without user and password; the keystore logs in")
        if url.plaintext and is_public(url.host):
            raise ValueError(f"expected {schemes[0]}:// for a public host")
        return url

    return read


def _webhook_url(text: str) -> Url:
    url = parse_url(text, ("https", "http"))
    try:
        Target.parse(url.text)
    except TargetError as error:
        raise ValueError(f"{error}; expected an http:// or https:// URL") from None
    return url


def _several(value: Any) -> Any:
    return value.replace(",", " ").split() if isinstance(value, str) else value


Duration = Annotated[float, _reading(parse_duration), Field(description=DURATION)]
"""Seconds."""

Name = Annotated[str, _matching(_NAME_FORM, _NAME), Field(description=_NAME)]
Category = Annotated[str, _matching(_CATEGORY_FORM, _CATEGORY)]
Uuid = Annotated[str, AfterValidator(_uuid)]
Journal = Annotated[str, AfterValidator(_journal), Field(description=_JOURNAL)]
Listening = Annotated[InstanceOf[Listen], _reading(parse_listen), Field(description=LISTEN)]
Token = Annotated[SecretStr | None, _reading(_token), Field(description=_TOKEN)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
HeaderValue = Annotated[SecretStr, _reading(_header_value)]
WebhookUrl = Annotated[
    InstanceOf[Url],
    _reading(_webhook_url),
    Field(description="an https:// URL"),
]
BlazeUrls = Annotated[
    tuple[Annotated[InstanceOf[Url], _reading(_login_url("wss", "ws"))], ...],
    BeforeValidator(_several),
    Field(description="a wss:// URL or a list of them", min_length=1),
]
ApiUrls = Annotated[
    tuple[Annotated[InstanceOf[Url], _reading(_login_url("https", "http"))], ...],
    BeforeValidator(_several),
    Field(description="an https:// URL or a list of them", min_length=1),
]
KeystoreText = Annotated[
    InstanceOf[Keystore],
    _reading(_keystore),
    Field(description="the keystore as downloaded from the dashboard: its path"),
]
SigningSecret = Annotated[
    InstanceOf[Signer] | None, _reading(_signer), Field(description="whsec_… or whsk_…")
]
SecretFile = Annotated[Path | None, Field(description="the path of a file with the secret in it")]
JournalKeyFile = Annotated[
    InstanceOf[KeyFile] | None,
    _reading(read_key_file),
    Field(description="the path of a file with the journal's keys in it"),
]
CertificateFile = Annotated[Path | None, Field(description="the path of a PEM file")]
Count = Annotated[int, Field(ge=1, le=1000, description="a whole number from 1 to 1000")]
Flag = Annotated[bool, Field(description="true or false")]
