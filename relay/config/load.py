"""Reading the settings: the file, the variables, the secret files, and every mistake at once."""

import difflib
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from relay.config.checks import check_together
from relay.config.document import read_document
from relay.config.draft import Draft
from relay.config.environment import CONFIG, apply_environment, misspellings
from relay.config.mistakes import KeyPath, Mistake, SettingsError, lines, shown
from relay.config.models import SECTIONS, Section, Settings
from relay.config.secret_files import read_secret_files

_MOST_BYTES = 1 << 20
"""The longest settings file that is read; hundreds of bots fit."""


def load_settings(config_path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read the settings from a file, if one is named, and from variables, which win.

    The file is `config_path` or the one that `RELAY_CONFIG` names; relative paths, also those in
    the file, start from the working directory. Raises `SettingsError` with every mistake.
    """
    path = config_path or (Path(named) if (named := environ.get(CONFIG, "").strip()) else None)
    origin = "--config" if config_path else CONFIG
    draft = Draft() if path is None else read_document(_read_file(path, origin), environ)
    apply_environment(draft, environ, alone=path is None)
    read_secret_files(draft)
    check_together(draft)
    settings = _validated(draft, misspellings(environ))
    if settings is None or draft.mistakes:
        raise SettingsError(lines(draft.mistakes))
    return settings


def _read_file(path: Path, origin: str) -> str:
    what = f"{origin}: {shown(path)}"
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        why = error.strerror or "unusable"
        raise SettingsError([f"{what}: expected a readable settings file ({why})"]) from None
    except ValueError:
        raise SettingsError([f"{what}: expected a settings file of UTF-8 text"]) from None
    if len(content) > _MOST_BYTES:
        raise SettingsError([f"{what}: expected a settings file of at most {_MOST_BYTES} bytes"])
    return text


def _validated(draft: Draft, warnings: list[str]) -> Settings | None:
    blamed = {mistake.setting for mistake in draft.mistakes}
    try:
        return Settings.model_validate(draft.tree, context=warnings)
    except ValidationError as invalid:
        for error in invalid.errors(include_url=False, include_input=False):
            path = tuple(part for part in error["loc"] if part != "[key]")
            if draft.name(path) not in blamed:
                _blame(draft, path, error)
    return None


def _blame(draft: Draft, path: KeyPath, error: ErrorDetails) -> None:
    match error["type"]:
        case "extra_forbidden":  # without the value: the key that was meant may be a secret's
            draft.mistakes.append(Mistake(draft.name(path), _unknown_key(path)))
        case "too_short" if draft.at(path):
            pass  # pydantic doesn't count the items in which it found mistakes
        case _:
            draft.blame(path, _expectation(path, error))


def _expectation(path: KeyPath, error: ErrorDetails) -> str:
    """Say what is expected: in our parser's own words, or in those of the field."""
    match error["type"]:
        case "value_error":
            return str(error["ctx"]["error"])
        case "missing":
            return f"missing; expected {_description(path)}"
        case _:
            return f"expected {_description(path)}"


def _unknown_key(path: KeyPath) -> str:
    section = _section(path[:-1])
    known = [field.alias or name for name, field in section.model_fields.items()]
    near = difflib.get_close_matches(str(path[-1]), known, n=1, cutoff=0.5)
    if near:
        return f"unknown key; did you mean {near[0]}?"
    return f"unknown key; expected one of {', '.join(known)}"


def _section(path: KeyPath) -> type[Section]:
    keys = [part for part in path if isinstance(part, str)]
    return SECTIONS[keys[-1]] if keys else Settings


def _description(path: KeyPath) -> str:
    """Find what a field expects; an item of a list and a header speak through their field."""
    keys = [part for part in path if isinstance(part, str)]
    for depth in range(len(keys), 0, -1):
        section: type[Section] | None = SECTIONS.get(keys[depth - 2]) if depth > 1 else Settings
        for name, field in section.model_fields.items() if section else ():
            if keys[depth - 1] in (name, field.alias):
                return field.description or "another value"
    return "a mapping of settings"
