"""What must hold between settings: seen on the tree, so that no other mistake hides it."""

from collections.abc import Iterable

from relay.config.draft import Draft, Tree, mappings
from relay.config.mistakes import KeyPath

_AUTHORIZATION = "authorization"


def check_together(draft: Draft) -> None:
    """Note names given twice, headers given twice, and several authorizations of one endpoint."""
    bots = mappings(draft.tree.get("bots"))
    _check_names(draft, ("bots",), bots)
    for bot_position, bot in bots:
        path: KeyPath = ("bots", bot_position, "endpoints")
        endpoints = mappings(bot.get("endpoints"))
        _check_names(draft, path, endpoints)
        for position, endpoint in endpoints:
            _check_headers(draft, (*path, position, "headers"), endpoint)


def _check_names(draft: Draft, path: KeyPath, named: Iterable[tuple[int, Tree]]) -> None:
    first: dict[str, int] = {}
    for position, item in named:
        name = item.get("name")
        if not isinstance(name, str):
            continue
        if name in first:
            before = draft.name((*path, first[name]))
            draft.blame((*path, position, "name"), f"taken by {before}; expected another name")
        first.setdefault(name, position)


def _check_headers(draft: Draft, path: KeyPath, endpoint: Tree) -> None:
    headers = endpoint.get("headers")
    seen: set[str] = set()
    for name in headers if isinstance(headers, dict) else ():
        if name.lower() in seen:
            draft.blame((*path, name), "given twice; expected each header once, in any case")
        seen.add(name.lower())
    if _AUTHORIZATION in seen and _authorized_otherwise(endpoint):
        name = next(name for name in headers or () if name.lower() == _AUTHORIZATION)
        text = "expected none, since a bearer token or the URL's user takes its place"
        draft.blame((*path, name), text)


def _authorized_otherwise(endpoint: Tree) -> bool:
    netloc = str(endpoint.get("url", "")).partition("://")[2].partition("/")[0]
    return "@" in netloc or "bearer_token" in endpoint or "bearer_token_file" in endpoint
