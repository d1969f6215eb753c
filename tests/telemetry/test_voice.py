"""The voice as a whole."""

from relay.telemetry.event_bus import Broadcast
from relay.telemetry.events import Event, JournalRecovered, RelayStopped, RelayStopping
from tests.telemetry.listening import Listening


class Stops:
    """Hears of stops and of nothing else."""

    def __init__(self) -> None:
        self.heard: list[Event] = []

    def _on_stop(self, event: RelayStopping | RelayStopped) -> None:
        self.heard.append(event)


def test_every_event_is_handled_once(listening: Listening) -> None:
    """No event is without its line or its series, and none is counted twice."""
    handlers = {kind.__name__: len(handlers) for kind, handlers in listening.voice.handlers.items()}
    assert dict.fromkeys((kind.__name__ for kind in Event.__subclasses__()), 1) == handlers


def test_listeners_are_told_what_they_handle() -> None:
    """And who follows is told everything, after them; also by way of another broadcast."""
    stops = Stops()
    followed: list[tuple[Event, int]] = []
    tell = Broadcast(Broadcast(stops), follow=[lambda e: followed.append((e, len(stops.heard)))])

    for event in (RelayStopping("SIGTERM"), JournalRecovered(), RelayStopped(0)):
        tell(event)

    assert [RelayStopping("SIGTERM"), RelayStopped(0)] == stops.heard
    expected = [(RelayStopping("SIGTERM"), 1), (JournalRecovered(), 1), (RelayStopped(0), 2)]
    assert expected == followed
