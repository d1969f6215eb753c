"""The promise, told apart from any journal."""

from dataclasses import dataclass, field

from relay.model.journal import Arrival
from relay.model.messages import EndpointKey


@dataclass(slots=True)
class Promise:
    """What has happened to one message, as far as READ depends on it."""

    wanted: bool
    required: frozenset[EndpointKey]
    taken: set[EndpointKey] = field(default_factory=set)
    receipted: bool = False

    @classmethod
    def of(cls, arrival: Arrival) -> "Promise":
        """Begin with what the message is owed to."""
        required = frozenset(owed.endpoint for owed in arrival.owed if owed.required)
        return cls(bool(arrival.owed) or arrival.unwanted_read, required)

    @property
    def receipt_owed(self) -> bool:
        """Whether READ has to be said now: every required endpoint has taken the message."""
        return self.wanted and self.required <= self.taken and not self.receipted
