"""Whether the process lives and whether it is ready.

Whoever asks changes nothing, and no reason holds a secret or an error's own words.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from relay.telemetry import events

BEAT_LIMIT = 30.0
"""Seconds without a beat after which the event loop counts as stuck."""


_DISK_TROUBLE = (
    "database or disk is full",
    "attempt to write a readonly database",
    "database is locked",
    "disk I/O error",
    "unable to open database file",
)
"""SQLite's own words, which may be repeated to whoever asks: they name nothing and nobody."""


@dataclass(frozen=True, slots=True)
class Component:
    """One thing that can be well or not, and why, without secrets."""

    name: str
    ok: bool
    reason: str


Probe = Callable[[], Component]
"""Looks at one component, at once and without side effects."""


@dataclass(frozen=True, slots=True)
class Report:
    """What all probes of one kind say."""

    components: tuple[Component, ...]

    @property
    def ok(self) -> bool:
        """Whether every component is well."""
        return all(component.ok for component in self.components)


class Link:
    """How a bot's socket fares, as far as readiness asks.

    Not ready before the first connect; after that it may be away for `grace` seconds.
    """

    def __init__(self, bot: str, grace: float, clock: Callable[[], float]) -> None:
        self._name = f"bot {bot}"
        self._grace = grace
        self._clock = clock
        self._was_up = self._up = self._refused = False
        self._down_at = 0.0

    def came_up(self) -> None:
        """Note a connect."""
        self._was_up = self._up = True
        self._refused = False

    def went_down(self) -> None:
        """Note that the socket is gone."""
        self._up = False
        self._down_at = self._clock()

    def was_refused(self) -> None:
        """Note that Mixin refuses the credentials: no grace until it is connected again."""
        self._refused = True

    def probe(self) -> Component:
        """Say whether the link is good enough to be ready."""
        if self._refused:
            return Component(self._name, ok=False, reason="Mixin refuses the credentials")
        if self._up:
            return Component(self._name, ok=True, reason="connected")
        if not self._was_up:
            return Component(self._name, ok=False, reason="not connected yet")
        away = self._clock() - self._down_at
        reason = f"away for {away:.0f} s, {self._grace:.0f} s are allowed"
        return Component(self._name, ok=away < self._grace, reason=reason)


class Health:
    """Listens to events, and answers for the whole relay. `clock` is monotonic, in seconds."""

    def __init__(
        self,
        bots: Iterable[str],
        *,
        ready_grace: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ready_grace = ready_grace
        self._clock = clock
        self._links = {bot: Link(bot, ready_grace, clock) for bot in bots}
        self._journal_trouble = ""
        self._draining = False
        self._live: list[Probe] = []
        self._ready: list[Probe] = [
            lambda: Component("settings", ok=True, reason="loaded"),
            self._journal,
            self._drain,
        ]

    def watch_live(self, probe: Probe) -> None:
        """Make liveness depend on a probe."""
        self._live.append(probe)

    def watch_ready(self, probe: Probe) -> None:
        """Make readiness depend on a probe."""
        self._ready.append(probe)

    def live(self) -> Report:
        """Say whether the process should go on, looking at nothing outside it."""
        return Report(tuple(map(_look, self._live)))

    def ready(self) -> Report:
        """Say whether the relay does its work."""
        links = [link.probe for link in self._links.values()]
        return Report(tuple(map(_look, [*self._ready, *links])))

    @property
    def journal_ok(self) -> bool:
        """Whether the journal took what was last written."""
        return not self._journal_trouble

    def _on_connect_ended(self, event: events.ConnectEnded) -> None:
        if event.result is events.ConnectResult.OK:
            self._links[event.bot].came_up()

    def _on_disconnected(self, event: events.Disconnected) -> None:
        self._links[event.bot].went_down()

    def _on_credentials_refused(self, event: events.CredentialsRefused) -> None:
        self._links[event.bot].was_refused()

    def _on_journal_ok(self, _: events.JournalCommitted | events.JournalRecovered) -> None:
        self._journal_trouble = ""

    def _on_journal_failed(self, event: events.JournalFailed) -> None:
        known = next((each for each in _DISK_TROUBLE if each in event.detail), None)
        self._journal_trouble = f"accepts no writes: {known}" if known else "accepts no writes"

    def _on_damage_found(self, _: events.DamageFound) -> None:
        self._journal_trouble = "is damaged"

    def _on_settings_reloaded(self, event: events.SettingsReloaded) -> None:
        for bot in event.changed.bots_added:
            self._links[bot] = Link(bot, self._ready_grace, self._clock)

    def _on_bot_left(self, event: events.BotLeft) -> None:
        self._links.pop(event.bot, None)

    def _on_relay_stopping(self, _: events.RelayStopping) -> None:
        self._draining = True

    def _journal(self) -> Component:
        return Component("journal", self.journal_ok, self._journal_trouble or "accepts writes")

    def _drain(self) -> Component:
        reason = "draining" if self._draining else "not draining"
        return Component("drain", not self._draining, reason)


def loop_turns(age: Callable[[], float], *, limit: float = BEAT_LIMIT) -> Probe:
    """Watch the beat of `relay.process.LoopWatch`."""

    def probe() -> Component:
        seconds = age()
        return Component("event loop", ok=seconds < limit, reason=f"beat {seconds:.1f} s ago")

    return probe


def tasks_live(tasks: Callable[[], Iterable[asyncio.Task[Any]]]) -> Probe:
    """Watch supervised tasks: none may have ended."""

    def probe() -> Component:
        ended = sorted(task.get_name() for task in tasks() if task.done())
        return Component("tasks", not ended, f"ended: {', '.join(ended)}" if ended else "alive")

    return probe


def _look(probe: Probe) -> Component:
    try:
        return probe()
    except Exception as error:  # noqa: BLE001 - a probe that fails is an answer, not a 500
        return Component("probe", ok=False, reason=f"failed with {type(error).__name__}")
