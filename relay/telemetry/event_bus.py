"""The event bus: tells each event to those who log it, count it or go by it.

Loud is what changes; what only repeats itself is told at the debug level (as Alertmanager does).
"""

import time
from collections.abc import Callable, Iterable, Mapping
from inspect import getmembers
from typing import Any, get_args, get_type_hints

from relay.telemetry.events import Event, Telemetry
from relay.telemetry.logs import Log
from relay.telemetry.metrics import Metrics
from relay.telemetry.on_deliveries import OnDeliveries
from relay.telemetry.on_service import OnService
from relay.telemetry.on_upstream import OnUpstream

Handler = Callable[[Any], None]


class Broadcast:
    """Tells each event to the listeners that handle its kind, in order; a `Telemetry`.

    A listener is any object with methods `_on_…`: what kind of event each handles is the annotation
    of its argument. Whoever follows is told every event.
    """

    def __init__(self, *listeners: object, follow: Iterable[Telemetry] = ()) -> None:
        self.handlers: dict[type[Event], list[Handler]] = {k: [] for k in Event.__subclasses__()}
        for listener in listeners:
            for kind, handlers in _handlers(listener).items():
                self.handlers[kind] += handlers
        followers = tuple(follow)
        for kind in self.handlers:
            self.handlers[kind] += followers

    def __call__(self, event: Event) -> None:
        """Tell one event."""
        for handle in self.handlers[type(event)]:
            handle(event)


def _handlers(listener: object) -> Mapping[type[Event], list[Handler]]:
    if isinstance(listener, Broadcast):
        return listener.handlers
    found: dict[type[Event], list[Handler]] = {}
    for name, method in getmembers(listener, callable):
        if name.startswith("_on_"):
            (kinds,) = (kind for of, kind in get_type_hints(method).items() if of != "return")
            found |= {kind: [method] for kind in get_args(kinds) or (kinds,)}
    return found


class Voice(Broadcast):
    """Logs and counts events. `clock` is monotonic: it counts loud lines in a minute."""

    def __init__(
        self, metrics: Metrics, log: Log, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(
            OnUpstream(metrics, log, clock),
            OnDeliveries(metrics, log, clock),
            OnService(metrics, log, clock),
        )
