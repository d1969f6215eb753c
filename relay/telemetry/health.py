"""Whether the process lives and whether it is ready.

Whoever asks changes nothing, and no reason holds a secret or an error's own words.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
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


@dataclass(slots=True)
class _Socket:
    """How a bot's socket fares, as far as readiness asks."""

    was_up: bool = False
    up: bool = False
    refused: bool = False
    down_at: float = 0.0


class Health:
    """Listens to events, and answers for the whole relay. `clock` is monotonic, in seconds.

    A bot is not ready before its first connect; after that its socket may be away for
    `ready_grace` seconds.
    """

    def __init__(
        self,
        bots: Iterable[str],
        *,
        ready_grace: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ready_grace = ready_grace
        self._clock = clock
        self._sockets = {bot: _Socket() for bot in bots}
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

    def live(self) -> Report:
        """Say whether the process should go on, looking at nothing outside it."""
        return Report(tuple(map(_look, self._live)))

    def ready(self) -> Report:
        """Say whether the relay does its work."""
        sockets: list[Probe] = [partial(self._socket, bot) for bot in self._sockets]
        return Report(tuple(map(_look, [*self._ready, *sockets])))

    @property
    def journal_ok(self) -> bool:
        """Whether the journal took what was last written."""
        return not self._journal_trouble

    def _on_connect_ended(self, event: events.ConnectEnded) -> None:
        if event.result is events.ConnectResult.OK:
            self._sockets[event.bot] = _Socket(was_up=True, up=True)

    def _on_disconnected(self, event: events.Disconnected) -> None:
        socket = self._sockets[event.bot]
        socket.up, socket.down_at = False, self._clock()

    def _on_credentials_refused(self, event: events.CredentialsRefused) -> None:
        self._sockets[event.bot].refused = True

    def _on_journal_ok(self, _: events.JournalCommitted | events.JournalRecovered) -> None:
        self._journal_trouble = ""

    def _on_journal_failed(self, event: events.JournalFailed) -> None:
        known = next((each for each in _DISK_TROUBLE if each in event.detail), None)
        self._journal_trouble = f"accepts no writes: {known}" if known else "accepts no writes"

    def _on_damage_found(self, _: events.DamageFound) -> None:
        self._journal_trouble = "is damaged"

    def _on_settings_reloaded(self, event: events.SettingsReloaded) -> None:
        for bot in event.changed.bots_added:
            self._sockets[bot] = _Socket()

    def _on_bot_left(self, event: events.BotLeft) -> None:
        self._sockets.pop(event.bot, None)

    def _on_relay_stopping(self, _: events.RelayStopping) -> None:
        self._draining = True

    def _socket(self, bot: str) -> Component:
        socket, name = self._sockets[bot], f"bot {bot}"
        if socket.refused:  # no grace until it is connected again
            return Component(name, ok=False, reason="Mixin refuses the credentials")
        if socket.up:
            return Component(name, ok=True, reason="connected")
        if not socket.was_up:
            return Component(name, ok=False, reason="not connected yet")
        away, grace = self._clock() - socket.down_at, self._ready_grace
        reason = f"away for {away:.0f} s, {grace:.0f} s are allowed"
        return Component(name, ok=away < grace, reason=reason)

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
