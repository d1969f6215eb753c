"""The relay's voice: turns facts into log events and metric series.

Loud is what changes; what only repeats itself is told at the debug level (as Alertmanager does).
"""

import time
from collections.abc import Callable
from typing import Any

from relay.telemetry.events import Fact, Telemetry
from relay.telemetry.logs import Log
from relay.telemetry.metrics import Metrics
from relay.telemetry.on_deliveries import DeliveriesVoice
from relay.telemetry.on_service import ServiceVoice
from relay.telemetry.on_upstream import UpstreamVoice


class Voice:
    """Says facts as log events and counts them as series; a `relay.telemetry.events.Telemetry`.

    `clock` is monotonic: it counts out how many loud lines there are in a minute.
    """

    def __init__(
        self,
        metrics: Metrics,
        log: Log,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.handlers: dict[type, Callable[[Any], None]] = {
            **UpstreamVoice(metrics, log, clock).handlers,
            **DeliveriesVoice(metrics, log, clock).handlers,
            **ServiceVoice(metrics, log, clock).handlers,
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
