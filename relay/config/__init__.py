"""The settings: from a YAML file, environment variables and secret files to frozen values."""

from relay.config.draft import SettingsError
from relay.config.load import load_settings
from relay.config.settings import (
    Begin,
    Bot,
    Breaker,
    Endpoint,
    LogFormat,
    LogLevel,
    Ordering,
    Retry,
    Settings,
    Tls,
    Unwanted,
)

__all__ = [
    "Begin",
    "Bot",
    "Breaker",
    "Endpoint",
    "LogFormat",
    "LogLevel",
    "Ordering",
    "Retry",
    "Settings",
    "SettingsError",
    "Tls",
    "Unwanted",
    "load_settings",
]
