"""What was last said aloud, so that a line is written when something changes and not each time."""

from collections.abc import Callable

from relay.model.messages import BreakerState

BURST = 10
"""Loud lines at once about one bot or endpoint; enough for any change that a person follows."""

PERIOD = 60.0
"""Seconds in which a spent burst comes back."""


class Allowance:
    """Grants a burst of loud lines, then one every few seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._left = float(BURST)
        self._counted_at = clock()

    def spend(self) -> bool:
        """Take one line off the allowance, if there is one left."""
        now = self._clock()
        self._left = min(BURST, self._left + (now - self._counted_at) * BURST / PERIOD)
        self._counted_at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class BotLoudness:
    """What was last said aloud of a bot.

    What there was no allowance for was not said: it stays due, and is said once there is.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.allowance = Allowance(clock)
        self.unreachable: dict[str, str] = {}
        self.receipts_delayed: str | None = None


class EndpointLoudness:
    """What was last said aloud of an endpoint, by the same rule."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.allowance = Allowance(clock)
        self.trouble: tuple[object, ...] | None = None
        self.rejection: tuple[object, ...] | None = None
        self.circuit = BreakerState.CLOSED
