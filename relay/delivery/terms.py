"""What a dispatcher works with, and by which settings it makes an attempt."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from relay.delivery.breaker import Permit
from relay.delivery.outcomes import Outcomes
from relay.delivery.retry import RetryPolicy
from relay.model.messages import Delivery
from relay.model.ports import Clock, Courier, Journal
from relay.telemetry.events import Telemetry


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Whom a dispatcher works with; `courier` is the one to begin with."""

    journal: Journal
    outcomes: Outcomes
    courier: Courier
    receipt_owed: Callable[[], None]
    telemetry: Telemetry
    clock: Clock
    jitter: Callable[[], float] = random.random


@dataclass(frozen=True, slots=True)
class Terms:
    """What an attempt is made and judged by, from its start to its end."""

    courier: Courier
    retry: RetryPolicy


@dataclass(frozen=True, slots=True)
class Turn:
    """The right to attempt a delivery now, and the terms of it."""

    delivery: Delivery
    permit: Permit
    terms: Terms
