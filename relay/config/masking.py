"""The settings for people to look at, without a secret in them."""

from enum import Enum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from relay.blaze.keystore import Keystore
from relay.config.addresses import Listen, Url
from relay.config.durations import duration_text
from relay.config.key_files import KeyFile
from relay.config.mistakes import MASK, masked_url
from relay.config.models import Section, Settings
from relay.webhook.signature import Signer


def masked(settings: Settings) -> dict[str, Any]:
    """Give the settings as they would be written, defaults included and every secret masked."""
    return _section(settings)


def _section(section: Section) -> dict[str, Any]:
    values = {
        field.alias or name: _value(getattr(section, name))
        for name, field in type(section).model_fields.items()
    }
    return {key: value for key, value in values.items() if value is not None}


def _value(value: object) -> Any:  # noqa: PLR0911 - an arm for each kind of value
    """Write one value; every float among the settings is a duration."""
    match value:
        case Section():
            return _section(value)
        case Keystore():
            return f"app {value.app_id}, {value.algorithm}, {MASK}"
        case SecretStr() | Signer():
            return MASK
        case Url():
            return masked_url(value.text)
        case tuple() | frozenset():
            items = [_value(item) for item in value]
            return sorted(items) if isinstance(value, frozenset) else items
        case dict():
            return {key: _value(item) for key, item in value.items()}
        case float():
            return duration_text(value)
        case Enum() | Path() | Listen() | KeyFile() | IPv4Network() | IPv6Network():
            return str(value)
        case _:
            return value
