"""The settings: from a YAML file, environment variables and secret files to frozen values."""

from relay.config.addresses import Listen, Url
from relay.config.load import load_settings
from relay.config.masking import masked
from relay.config.mistakes import SettingsError
from relay.config.models import (
    Begin,
    Bot,
    Breaker,
    Endpoint,
    LogLevel,
    Ordering,
    Retry,
    Settings,
    Tls,
    Unwanted,
)
from relay.telemetry.logs import LogFormat

__all__ = [
    "Begin",
    "Bot",
    "Breaker",
    "Endpoint",
    "Listen",
    "LogFormat",
    "LogLevel",
    "Ordering",
    "Retry",
    "Settings",
    "SettingsError",
    "Tls",
    "Unwanted",
    "Url",
    "load_settings",
    "masked",
]
