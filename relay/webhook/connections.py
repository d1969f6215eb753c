"""One endpoint's way to its receiver: an HTTP client of its own, and who is still on it."""

import asyncio
from dataclasses import dataclass

from relay.model.messages import Delivery, Verdict
from relay.model.ports import Courier
from relay.webhook.address_guard import AddressGuard
from relay.webhook.exchange import Target
from relay.webhook.pool import PoolPolicy
from relay.webhook.sender import HttpSender


class Line:
    """Connections to one receiver; at most `connections` at once."""

    def __init__(self, target: Target, guard: AddressGuard, *, connections: int) -> None:
        self.sender = HttpSender(target, guard, PoolPolicy(connections))
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def carrying(self, courier: Courier) -> Courier:
        """Give a courier the way over this line, so that it is not closed under its feet."""
        return _Carried(self, courier)

    async def attempt(self, courier: Courier, delivery: Delivery) -> Verdict:
        """Have a courier make one attempt."""
        self._in_flight += 1
        self._idle.clear()
        try:
            return await courier.attempt(delivery)
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.set()

    async def retire(self) -> None:
        """Close once the last attempt on it has ended."""
        await self._idle.wait()
        await self.close()

    async def close(self) -> None:
        """Drop all connections."""
        await self.sender.close()


@dataclass(frozen=True, slots=True)
class _Carried:
    """A `relay.model.ports.Courier` on a line."""

    line: Line
    courier: Courier

    async def attempt(self, delivery: Delivery) -> Verdict:
        return await self.line.attempt(self.courier, delivery)
