"""Reading the settings: the file, the variables, the secret files, and every mistake at once.

Variables win over the file. Those that make the bot `default` (`RELAY_KEYSTORE*`,
`RELAY_WEBHOOK_*`) can't stand beside a file with `bots`: which of them they would change is
anybody's guess, so that is a mistake. `RELAY_BLAZE_URL` and `RELAY_API_URL` hold for every bot,
those of the file included.
"""

import difflib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from relay.config.draft import Draft, Mistake, SettingsError, mappings, shown
from relay.config.secrets import read_text_file
from relay.config.sections import Section
from relay.config.settings import Bot, Endpoint, Settings

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


CONFIG = "RELAY_CONFIG"

_URLS = "RELAY_WEBHOOK_URLS"
_HOSTS = ("RELAY_BLAZE_URL", "RELAY_API_URL")


def _keys(section: type[Section]) -> dict[str, str]:
    """Find the keys of a section's settings by their variables."""
    found = {}
    for key, one in section.declared().items():
        if variable := one.metadata.get("variable"):
            found[variable] = key
            if one.metadata.get("file"):
                found[f"{variable}_FILE"] = f"{key}_file"
    return found


_OF_ALL, _OF_BOT, _OF_ENDPOINT = _keys(Settings), _keys(Bot), _keys(Endpoint)
_MAKERS = (*(name for name in _OF_BOT if name not in _HOSTS), _URLS, *_OF_ENDPOINT)

VARIABLES = (CONFIG, *_MAKERS, *_OF_ALL, *_HOSTS)
"""Every variable that the relay looks at."""

_NO_VARIABLES = {"RELAY_JOURNAL_KEY": "RELAY_JOURNAL_KEY_FILE, the path of a file with the keys"}
"""What one could take for a variable: whoever sets it must not believe that it does something."""

_NEAR = 0.9
"""Kubernetes sets variables such as RELAY_PORT by itself, so only close misspellings count."""


def apply_environment(draft: Draft, environ: Mapping[str, str], *, alone: bool) -> None:
    """Lay the variables over the draft; `alone` says that there is no file beside them."""
    given = _given(draft, environ)
    for name, expected in _NO_VARIABLES.items():
        if name in environ:
            draft.mistakes.append(Mistake(name, f"no setting; expected {expected}"))
    _apply_to_all(draft, given)
    makers = [name for name in _MAKERS if name in given]
    if "bots" in draft.tree:
        for name in makers:
            text = "expected unset, since the config file defines bots, and this makes another"
            draft.mistakes.append(Mistake(name, text))
    elif makers or alone:
        _make_default_bot(draft, given)
    for position, _ in mappings(draft.tree.get("bots")):
        for name in _HOSTS:
            if name in given:
                draft.lay(("bots", position, _OF_BOT[name]), given[name], name)


def misspellings(environ: Mapping[str, str]) -> list[str]:
    """Warn of variables that look like one of ours, misspelt."""
    warnings = []
    for name in sorted(environ):
        if name.startswith("RELAY_") and name not in VARIABLES:
            near = difflib.get_close_matches(name, VARIABLES, n=1, cutoff=_NEAR)
            warnings += [f"{name} is no setting; did you mean {known}?" for known in near]
    return warnings


def _given(draft: Draft, environ: Mapping[str, str]) -> dict[str, str]:
    """Give the variables that are set, stripped; a blank one and a pair of one thing are blamed."""
    given = {name: environ[name].strip() for name in VARIABLES if name in environ}
    for name, value in given.items():
        if not value:
            draft.mistakes.append(Mistake(name, "empty; expected a value, or the variable unset"))
        if f"{name}_FILE" in given:
            text = f"expected {name} or {name}_FILE, not both"
            draft.mistakes.append(Mistake(name, text))
    return {
        name: value
        for name, value in given.items()
        if value and not (name.endswith("_FILE") and name.removesuffix("_FILE") in given)
    }


def _apply_to_all(draft: Draft, given: Mapping[str, str]) -> None:
    laid = {name: key for name, key in _OF_ALL.items() if name in given}
    for key in laid.values():
        draft.tree.pop(key.removesuffix("_file"), None)
        draft.tree.pop(f"{key}_file", None)
    for name, key in laid.items():
        draft.lay((key,), given[name], name)


def _make_default_bot(draft: Draft, given: Mapping[str, str]) -> None:
    """Make the bot `default` with endpoints `webhook-1`, `webhook-2` and so on."""
    urls = given.get(_URLS, "").replace(",", " ").split()
    endpoints = [{"name": f"webhook-{n}", "url": url} for n, url in enumerate(urls, 1)]
    draft.tree["bots"] = [{"name": "default", **({"endpoints": endpoints} if urls else {})}]
    draft.origins["bots", 0, "keystore_file"] = "RELAY_KEYSTORE_FILE"
    draft.origins["bots", 0, "endpoints"] = _URLS
    for name in given.keys() & set(_MAKERS) - {_URLS}:
        if name in _OF_BOT:
            draft.lay(("bots", 0, _OF_BOT[name]), given[name], name)
        else:
            for position in range(len(urls)):
                path = ("bots", 0, "endpoints", position, _OF_ENDPOINT[name])
                draft.lay(path, given[name], name)
