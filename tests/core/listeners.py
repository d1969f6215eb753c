"""The ends of a bot that no test of the core needs: a socket, and connections to receivers."""

import asyncio


class FakeListener:
    """A socket that brings nothing: messages are pushed into the intake."""

    def __init__(self) -> None:
        self.reading = True
        self.bug: Exception | None = None
        self._closed = asyncio.Event()

    async def run(self) -> None:
        await self._closed.wait()
        if self.bug is not None:
            raise self.bug

    def stop_reading(self) -> None:
        self.reading = False

    def close(self) -> None:
        self._closed.set()

    def fail(self, bug: Exception) -> None:
        """End as a loop with a bug does."""
        self.bug = bug
        self._closed.set()


class FakeConnections:
    """Connections that somebody closes, or keeps."""

    def __init__(self) -> None:
        self.open = True

    def close_when_idle(self) -> None:
        self.open = False

    async def close(self) -> None:
        self.open = False
