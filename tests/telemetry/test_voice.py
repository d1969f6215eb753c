"""The voice as a whole."""

import typing

from relay.telemetry.events import Fact, JournalRecovered, RelayStopped
from relay.telemetry.voice import broadcast
from tests.telemetry.listening import Listening


def test_every_fact_has_its_say(listening: Listening) -> None:
    """No fact is without a handler, and no handler without a fact."""
    assert set(typing.get_args(Fact)) == set(listening.voice.handlers)


def test_broadcast_tells_everyone_in_order() -> None:
    """Every listener hears each fact, the first one first."""
    heard: list[tuple[str, Fact]] = []
    tell = broadcast(
        lambda fact: heard.append(("one", fact)), lambda fact: heard.append(("two", fact))
    )

    tell(JournalRecovered())
    tell(RelayStopped(0))

    expected = [
        *(("one", JournalRecovered()), ("two", JournalRecovered())),
        *(("one", RelayStopped(0)), ("two", RelayStopped(0))),
    ]
    assert expected == heard
