"""The simulator's clock: real time and an offset that tests move."""

import time
from dataclasses import dataclass


@dataclass(slots=True)
class Clock:
    """Tells Unix seconds; `offset` shifts tokens' validity, X-Server-Time and the 7-day expiry."""

    offset: float = 0.0

    def now(self) -> float:
        """Tell the server's time in Unix seconds."""
        return time.time() + self.offset

    def advance(self, seconds: float) -> None:
        """Let time pass; a negative number turns the clock back."""
        self.offset += seconds

    def header(self) -> str:
        """Write the time as X-Server-Time has it: in nanoseconds (docs/protocol.md, Connecting)."""
        return str(int(self.now() * 1_000_000_000))
