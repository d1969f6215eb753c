"""Reading the settings: the file, the variables, the secret files, and every mistake at once."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from relay.config.draft import Draft, SettingsError, shown
from relay.config.environment import CONFIG, apply_environment, misspellings
from relay.config.secrets import read_text_file
from relay.config.settings import Settings

_MOST_BYTES = 1 << 20
"""The longest settings file that is read; hundreds of bots fit."""


def load_settings(config_path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read the settings from a file, if one is named, and from variables, which win.

    The file is `config_path` or the one that `RELAY_CONFIG` names; relative paths, also those in
    the file, start from the working directory. Raises `SettingsError` with every mistake.
    """
    path = config_path or (Path(named) if (named := environ.get(CONFIG, "").strip()) else None)
    origin = "--config" if config_path else CONFIG
    draft = Draft() if path is None else _read_file(path, origin, environ)
    apply_environment(draft, environ, alone=path is None)
    draft.blamed = frozenset(mistake.setting for mistake in draft.mistakes)
    settings = Settings.read(draft.tree, draft, ())
    if settings is None or draft.mistakes:
        raise SettingsError(list(dict.fromkeys(map(str, draft.mistakes))))
    return replace(settings, doubts=(*misspellings(environ), *draft.warnings))


def _read_file(path: Path, origin: str, environ: Mapping[str, str]) -> Draft:
    from relay.config.document import read_document  # noqa: PLC0415 - variables alone need no YAML

    try:
        text = read_text_file(path, _MOST_BYTES, "settings file", "utf-8-sig")
    except ValueError as error:
        raise SettingsError([f"{origin}: {shown(path)}: {error}"]) from None
    return read_document(text, environ)
