"""The relay's voice: turns facts into log events and metric series.

Loud is what changes; what only repeats itself is told at the debug level (as Alertmanager does).
"""

import time
from collections.abc import Callable
from typing import Any

from structlog.typing import FilteringBoundLogger

from relay.facts import Fact, Telemetry
from relay.ops.metrics import Metrics
from relay.ops.voice_of_deliveries import DeliveriesVoice
from relay.ops.voice_of_house import HouseVoice
from relay.ops.voice_of_upstream import UpstreamVoice


class Voice:
    """Says facts as log events and counts them as metric series; a `relay.facts.Telemetry`.

    `clock` is monotonic: it counts out how many loud lines there are in a minute.
    """

    def __init__(
        self,
        metrics: Metrics,
        log: FilteringBoundLogger,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        log = log.bind()  # assembled once, and not at every line
        self.handlers: dict[type, Callable[[Any], None]] = {
            **UpstreamVoice(metrics, log, clock).handlers,
            **DeliveriesVoice(metrics, log, clock).handlers,
            **HouseVoice(metrics, log, clock).handlers,
        }

    def __call__(self, fact: Fact) -> None:
        """Say one fact."""
        self.handlers[type(fact)](fact)


def broadcast(*listeners: Telemetry) -> Telemetry:
    """Tell every listener each fact, in order."""

    def tell(fact: Fact) -> None:
        for listen in listeners:
            listen(fact)

    return tell
