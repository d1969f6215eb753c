"""Slows down whoever guesses tokens, and locks nobody out."""

import math
from collections import OrderedDict
from ipaddress import IPv6Address, ip_address

from relay.model.ports import Clock

BURST = 10
"""Wrong tokens of one peer in a row that are answered at once: more than anybody mistypes."""

PERIOD = 60.0
"""Seconds in which a spent burst comes back."""

DELAY = 0.5
"""Seconds that a peer's tokens wait before they are looked at once its burst is spent.

A right one waits as well, or else who guesses would not wait for an answer. With the door's 100
connections this is 200 guesses a second at most; whoever has the token gets in all the same, from
the same address (a proxy's, say) half a second later.
"""

MOST = 1000
"""Peers that are remembered; the one that was wrong longest ago goes first."""

_SITE = 64
"""Bits of an IPv6 address that a site has; the rest is its own to choose."""


class Throttle:
    """Counts each peer's wrong tokens."""

    def __init__(self, clock: Clock, *, delay: float = DELAY) -> None:
        self._clock = clock
        self._delay = delay
        self._spent: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def delay(self, peer: str) -> float:
        """Say for how many seconds a token of this peer has to wait before it is looked at."""
        return self._delay if self._left(_site(peer)) < 1 else 0.0

    def wrong(self, peer: str) -> float | None:
        """Count a wrong token; answers in how many seconds to come again if there are too many."""
        site = _site(peer)
        left = self._left(site)
        self._spent[site] = max(0.0, left - 1), self._clock()
        self._spent.move_to_end(site)
        if len(self._spent) > MOST:
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
