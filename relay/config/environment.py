"""The environment's variables, which win over the file.

The variables that make the bot `default` (`RELAY_KEYSTORE*`, `RELAY_WEBHOOK_*`) can't stand beside
a file with `bots`: which of them they would change is anybody's guess, so that is a mistake.
`RELAY_BLAZE_URL` and `RELAY_API_URL` hold for every bot, those of the file included.
"""

import difflib
from collections.abc import Mapping

from relay.config.draft import Draft, Mistake, Tree, mappings

CONFIG = "RELAY_CONFIG"

_HOUSE = {
    "RELAY_JOURNAL": "journal",
    "RELAY_JOURNAL_KEY_FILE": "journal_key_file",
    "RELAY_JOURNAL_RECOVERY": "journal_recovery",
    "RELAY_LISTEN": "listen",
    "RELAY_LOG_LEVEL": "log_level",
    "RELAY_LOG_FORMAT": "log_format",
    "RELAY_ADMIN_TOKEN": "admin_token",
    "RELAY_ADMIN_TOKEN_FILE": "admin_token_file",
}
_BOT = {"RELAY_KEYSTORE": "keystore", "RELAY_KEYSTORE_FILE": "keystore_file"}
_ENDPOINT = {"RELAY_WEBHOOK_SECRET": "secret", "RELAY_WEBHOOK_SECRET_FILE": "secret_file"}
_URLS = "RELAY_WEBHOOK_URLS"
_HOSTS = {"RELAY_BLAZE_URL": "blaze_url", "RELAY_API_URL": "api_url"}

VARIABLES = (CONFIG, _URLS, *_HOUSE, *_BOT, *_ENDPOINT, *_HOSTS)
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
    _apply_house(draft, given)
    makers = [name for name in (*_BOT, _URLS, *_ENDPOINT) if name in given]
    if "bots" in draft.tree:
        for name in makers:
            text = "expected unset, since the config file defines bots, and this makes another"
            draft.mistakes.append(Mistake(name, text))
    elif makers or alone:
        _make_default_bot(draft, given)
    _apply_hosts(draft, given)


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


def _apply_house(draft: Draft, given: Mapping[str, str]) -> None:
    for name, key in _HOUSE.items():
        if name in given:
            draft.tree.pop(key.removesuffix("_file"), None)
            draft.tree.pop(f"{key}_file", None)
    for name, key in _HOUSE.items():
        if name in given:
            draft.tree[key] = given[name]
            draft.origins[(key,)] = name
            draft.written.pop((key,), None)


def _make_default_bot(draft: Draft, given: Mapping[str, str]) -> None:
    """Make the bot `default` with endpoints `webhook-1`, `webhook-2` and so on."""
    bot: Tree = {"name": "default"}
    draft.tree["bots"] = [bot]
    draft.origins["bots", 0, "keystore_file"] = "RELAY_KEYSTORE_FILE"
    draft.origins["bots", 0, "endpoints"] = _URLS
    for name, key in _BOT.items():
        if name in given:
            bot[key] = given[name]
            draft.origins["bots", 0, key] = name
    for position, url in enumerate(given.get(_URLS, "").replace(",", " ").split()):
        endpoint = {"name": f"webhook-{position + 1}", "url": url}
        for name, key in _ENDPOINT.items():
            if name in given:
                endpoint[key] = given[name]
                draft.origins["bots", 0, "endpoints", position, key] = name
        bot.setdefault("endpoints", []).append(endpoint)


def _apply_hosts(draft: Draft, given: Mapping[str, str]) -> None:
    for position, bot in mappings(draft.tree.get("bots")):
        for name, key in _HOSTS.items():
            if name in given:
                bot[key] = given[name]
                draft.origins["bots", position, key] = name
                draft.written.pop(("bots", position, key), None)
