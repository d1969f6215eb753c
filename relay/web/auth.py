"""Who may ask the admin API for what: the operator for all of it, a receiver for one thing."""

import hmac
from collections.abc import Callable, Mapping

from aiohttp import hdrs, web

from relay.model.messages import EndpointKey

RECEIVERS = "receivers"
"""The name of the route that an endpoint's own token opens, too."""

ACTOR = web.RequestKey("actor", str)
"""Where a request says by whose token it came in: `api` or `receiver`."""

BackTokens = Callable[[], Mapping[EndpointKey, str]]
"""Gives the endpoints' own tokens as the settings have them now: a reload changes them."""


class Keys:
    """The tokens; each is compared in a time that says nothing of it. An empty one opens nothing.

    Without an `admin` token everything is off but what receivers may do.
    """

    def __init__(self, admin: str, back: BackTokens) -> None:
        self._admin = admin
        self._back = back

    def who(self, request: web.Request) -> str | None:
        """Say whose token a request has, if it opens what is asked for."""
        if _has(request, self._admin):
            return "api"
        if _for_receivers(request) and _has(request, self._back().get(_endpoint(request), "")):
            return "receiver"
        return None

    def is_off_for(self, request: web.Request) -> bool:
        """Say whether nobody at all may ask for this."""
        return not self._admin and not (_for_receivers(request) and self._back())


def _has(request: web.Request, token: str) -> bool:
    scheme, _, given = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    said = f"{scheme.lower()} {given.strip()}".encode(errors="surrogateescape")
    return hmac.compare_digest(said, f"bearer {token}".encode()) and bool(token)


def _for_receivers(request: web.Request) -> bool:
    return request.match_info.route.name == RECEIVERS


def _endpoint(request: web.Request) -> EndpointKey:
    return EndpointKey(request.match_info["bot"], request.match_info["name"])
