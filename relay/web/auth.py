"""Who may ask the admin API for what, and how those are slowed down who guess tokens."""

import hmac
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from ipaddress import IPv6Address, ip_address

from aiohttp import hdrs, web

from relay.model.messages import EndpointKey
from relay.model.ports import Clock

RECEIVERS = "receivers"
"""The name of the route that an endpoint's own token opens, too."""

ACTOR = web.RequestKey("actor", str)
"""Where a request says by whose token it came in: `api` or `receiver`."""

BackTokens = Callable[[], Mapping[EndpointKey, str]]
"""Gives the endpoints' own tokens as the settings have them now: a reload changes them."""

BURST = 10
"""Wrong tokens of one peer in a row that are answered at once: more than anybody mistypes."""

PERIOD = 60.0
"""Seconds in which a spent burst comes back."""

DELAY = 0.5
"""Seconds that a peer's tokens wait before they are looked at once its burst is spent.

A right one waits as well, or else who guesses would not wait for an answer. With 100 connections
at most this is 200 guesses a second; whoever has the token gets in all the same, from the same
address (a proxy's, say) half a second later.
"""

MOST_PEERS = 1000
"""Peers that are remembered; the one that was wrong longest ago goes first."""

_SITE = 64
"""Bits of an IPv6 address that a site has; the rest is its own to choose."""


class Keys:
    """The tokens; each is compared in a time that says nothing of it. An empty one opens nothing.

    Without an `admin` token everything is off but what receivers may do.
    """

    def __init__(self, admin: str, back: BackTokens) -> None:
        self._admin = admin
        self._back = back

    def who(self, request: web.Request) -> str | None:
        """Return whose token a request has, if it opens what is asked for."""
        if _has(request, self._admin):
            return "api"
        if _for_receivers(request) and _has(request, self._back().get(_endpoint(request), "")):
            return "receiver"
        return None

    def is_off_for(self, request: web.Request) -> bool:
        """Return whether nobody at all may ask for this."""
        return not self._admin and not (_for_receivers(request) and self._back())


def _has(request: web.Request, token: str) -> bool:
    scheme, _, given = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    said = f"{scheme.lower()} {given.strip()}".encode(errors="surrogateescape")
    return hmac.compare_digest(said, f"bearer {token}".encode()) and bool(token)


def _for_receivers(request: web.Request) -> bool:
    return request.match_info.route.name == RECEIVERS


def _endpoint(request: web.Request) -> EndpointKey:
    return EndpointKey(request.match_info["bot"], request.match_info["name"])


class Throttle:
    """Counts each peer's wrong tokens, and locks nobody out."""

    def __init__(self, clock: Clock, *, delay: float = DELAY) -> None:
        self._clock = clock
        self._delay = delay
        self._spent: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def delay(self, peer: str) -> float:
        """Return for how many seconds a token of this peer has to wait before it is compared."""
        return self._delay if self._left(_site(peer)) < 1 else 0.0

    def wrong(self, peer: str) -> float | None:
        """Count a wrong token; answers in how many seconds to come again if there are too many."""
        site = _site(peer)
        left = self._left(site)
        self._spent[site] = max(0.0, left - 1), self._clock()
        self._spent.move_to_end(site)
        if len(self._spent) > MOST_PEERS:
            self._spent.popitem(last=False)
        return None if left >= 1 else math.ceil(PERIOD / BURST)

    def _left(self, site: str) -> float:
        left, at = self._spent.get(site, (float(BURST), 0.0))
        return min(BURST, left + max(0.0, self._clock() - at) * BURST / PERIOD)


def _site(peer: str) -> str:
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return str(int(address) >> (128 - _SITE))
    return str(address)
