"""Settings to start from: each test changes what it is about."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from relay.config import Settings, SettingsError, load_settings

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SEED = "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
APP_ID = "33333333-3333-4333-8333-333333333333"
KEYSTORE = json.dumps(
    {
        "app_id": APP_ID,
        "session_id": "22222222-2222-4222-8222-222222222222",
        "server_public_key": "29acbae141bccaf0b22e1a94d34d0bc7361e526d0bfe12c89794bc9322966dd7",
        "session_private_key": SEED,
    }
)
OTHER_KEYSTORE = KEYSTORE.replace(APP_ID, "55555555-5555-4555-8555-555555555555")
VARIABLES = {"RELAY_KEYSTORE": KEYSTORE, "RELAY_WEBHOOK_URLS": "https://example.com/hook"}

Change = Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], object]
"""Changes the settings, their first bot and its first endpoint."""


def example(change: Change = lambda _settings, _bot, _endpoint: None) -> dict[str, Any]:
    endpoint = {"name": "crm", "url": "https://crm.example.com/hooks/mixin", "secret": SECRET}
    bot = {"name": "support", "keystore": KEYSTORE, "endpoints": [endpoint]}
    settings = {"journal": "sqlite:///relay.db", "bots": [bot]}
    change(settings, bot, endpoint)
    return settings


def load(
    folder: Path, settings: dict[str, Any] | str, environ: Mapping[str, str] | None = None
) -> Settings:
    path = folder / "relay.yaml"
    text = settings if isinstance(settings, str) else yaml.safe_dump(settings)
    path.write_text(text, encoding="utf-8")
    return load_settings(path, environ or {})


def mistakes(
    folder: Path, settings: dict[str, Any] | str, environ: Mapping[str, str] | None = None
) -> list[str]:
    try:
        load(folder, settings, environ)
    except SettingsError as error:
        return error.mistakes
    return []


def mistakes_of_variables(environ: Mapping[str, str]) -> list[str]:
    try:
        load_settings(None, environ)
    except SettingsError as error:
        return error.mistakes
    return []


def refusal(parse: Callable[[str], object], text: str) -> str:
    """Give the words of a refusal; what is taken is as good as the best of them."""
    try:
        parse(text)
    except ValueError as error:
        return str(error)
    return "expected nothing else"


def at(key: str, value: Any, where: str) -> Change:
    def change(settings: dict[str, Any], bot: dict[str, Any], endpoint: dict[str, Any]) -> None:
        {"settings": settings, "bot": bot, "endpoint": endpoint}[where][key] = value

    return change
