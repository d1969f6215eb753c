"""The telemetry of tests: it remembers every fact, and is what tests wait for."""

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeVar

from relay.telemetry.events import Fact, ReceiptsConfirmed

PATIENCE = 7200.0
"""So many virtual seconds a test waits for a fact, unless it says otherwise."""

F = TypeVar("F", bound=Fact)


class Recorder:
    """A `relay.telemetry.events.Telemetry` that remembers."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self._told = asyncio.Event()

    def __call__(self, fact: Fact) -> None:
        """Take a fact."""
        self.facts.append(fact)
        self._told.set()

    def of(self, kind: type[F], where: Callable[[F], bool] = lambda _: True) -> list[F]:
        """Give the facts of one kind, in their order."""
        return [fact for fact in self.facts if isinstance(fact, kind) and where(fact)]

    def count(self, kind: type[F], where: Callable[[F], bool] = lambda _: True) -> int:
        """Count the facts of one kind."""
        return len(self.of(kind, where))

    async def wait_for(
        self,
        kind: type[F],
        where: Callable[[F], bool] = lambda _: True,
        *,
        count: int = 1,
        within: float = PATIENCE,
    ) -> F:
        """Wait until so many facts of a kind have been told, since the start; give the last."""
        found: list[F] = []
        seen = 0
        async with asyncio.timeout(within):
            while True:
                new, seen = self.facts[seen:], len(self.facts)
                found += [fact for fact in new if isinstance(fact, kind) and where(fact)]
                if len(found) >= count:
                    return found[count - 1]
                self._told.clear()
                await self._told.wait()


def confirmed_ids(fact: ReceiptsConfirmed) -> tuple[str, ...]:
    """Name the messages of which Mixin has taken the receipt."""
    return fact.message_ids


def until_all(ids: Iterable[str], named: Callable[[F], Iterable[str]]) -> Callable[[F], bool]:
    """Ask for the fact with which each of these has been named once."""
    missing = set(ids)

    def last(fact: F) -> bool:
        missing.difference_update(named(fact))
        return not missing

    return last
