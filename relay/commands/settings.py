"""The settings, as commands get at them."""

import os
from pathlib import Path

from relay.commands.failure import WrongUsage
from relay.config import Settings, SettingsError, load_settings


def read_settings(config: Path | None) -> Settings:
    """Load the settings as `relay run` does. Raises `WrongUsage` with every mistake."""
    try:
        return load_settings(config, os.environ)
    except SettingsError as error:
        raise WrongUsage(*error.mistakes) from None
