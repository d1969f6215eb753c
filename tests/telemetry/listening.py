"""A voice that speaks into a list, under a clock that is set by hand."""

from typing import Any

from relay.model.messages import EndpointKey, Message, Source
from relay.telemetry.event_bus import Voice
from relay.telemetry.events import Event
from relay.telemetry.logs import Log
from relay.telemetry.metrics import Metrics

BOT = "support"
CRM = EndpointKey(BOT, "crm")


def message(
    message_id: str = "m1", category: str = "PLAIN_TEXT", source: Source = Source.LIVE
) -> Message:
    """Make a message that came a second before the clock's start, and says nothing."""
    return Message(BOT, message_id, "c1", "u1", category, source, b"{}", 999.0)


def value_of(metrics: Metrics, name: str, **labels: str) -> float | None:
    """Read the value of one series, if there is one."""
    found = [
        sample.value
        for family in metrics.collect()
        for sample in family.samples
        if (sample.name, sample.labels) == (name, labels)
    ]
    return found[0] if found else None


class Listening:
    """Hears every line and reads every series."""

    def __init__(self, level: str = "debug") -> None:
        self.now = 1000.0
        self.entries: list[dict[str, Any]] = []
        self.metrics = Metrics(version="1.2.3", bots=[BOT], endpoints=[CRM])
        log = Log(level, lambda of, event: self.entries.append({**event, "log_level": of}))
        self.voice = Voice(self.metrics, log, clock=lambda: self.now)

    def tell(self, *events: Event) -> None:
        for event in events:
            self.voice(event)

    @property
    def loud(self) -> list[tuple[str, str]]:
        """Level and event of every line that is not for debugging."""
        return [
            (line["log_level"], line["event"])
            for line in self.entries
            if line["log_level"] != "debug"
        ]

    def lines(self, event: str) -> list[dict[str, Any]]:
        return [dict(line) for line in self.entries if line["event"] == event]

    def series(self, name: str, **labels: str) -> float | None:
        return value_of(self.metrics, name, **labels)

    def of_bot(self, name: str, **labels: str) -> float | None:
        return self.series(name, bot=BOT, **labels)

    def of_crm(self, name: str, **labels: str) -> float | None:
        return self.series(name, bot=CRM.bot, endpoint=CRM.name, **labels)
