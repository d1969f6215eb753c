"""Whether the process lives and whether it is ready."""

import asyncio

import pytest

from relay.model.admin import Reloaded
from relay.telemetry.event_bus import Broadcast
from relay.telemetry.events import (
    BotLeft,
    ConnectEnded,
    ConnectResult,
    CredentialsRefused,
    DamageFound,
    Disconnected,
    DisconnectReason,
    Event,
    JournalCommitted,
    JournalFailed,
    JournalRecovered,
    MessageDuplicated,
    RelayStopping,
    SettingsReloaded,
)
from relay.telemetry.health import BEAT_LIMIT, Component, Health, Report, loop_turns, tasks_live

GRACE = 30.0


class Patient:
    """A relay's health under a clock that is set by hand."""

    def __init__(self, *bots: str) -> None:
        self.now = 0.0
        self.health = Health(bots, ready_grace=GRACE, clock=lambda: self.now)

    def tell(self, *events: Event) -> None:
        tell = Broadcast(self.health)
        for event in events:
            tell(event)

    def unready(self) -> list[str]:
        """Name what keeps the relay from being ready."""
        return [f"{c.name}: {c.reason}" for c in self.health.ready().components if not c.ok]


def up(bot: str) -> ConnectEnded:
    return ConnectEnded(bot, "blaze.example.com", ConnectResult.OK)


def down(bot: str) -> Disconnected:
    return Disconnected(bot, DisconnectReason.CLOSED, "secret detail")


def test_bots_that_come_and_go_are_followed() -> None:
    """One that is new counts until it has connected; one that is gone counts no more."""
    patient = Patient("a")
    patient.tell(up("a"), SettingsReloaded(Reloaded(bots_added=("b",))))
    assert ["bot b: not connected yet"] == patient.unready()

    patient.tell(BotLeft("b"))
    assert [] == patient.unready()


def test_not_ready_before_the_first_connect() -> None:
    """A bot that was never connected gets no grace."""
    patient = Patient("a", "b")
    assert ["bot a: not connected yet", "bot b: not connected yet"] == patient.unready()

    patient.tell(up("a"))
    assert ["bot b: not connected yet"] == patient.unready()

    patient.tell(ConnectEnded("b", "blaze.example.com", ConnectResult.FAILED, "no", 1.0))
    assert ["bot b: not connected yet"] == patient.unready()

    patient.tell(up("b"))
    assert patient.health.ready().ok


def test_a_socket_may_be_away_for_the_grace_time() -> None:
    """Ready while a reconnect is under way, not ready once it takes too long, ready again."""
    patient = Patient("a")
    patient.tell(up("a"), down("a"))

    patient.now = GRACE - 1
    assert [] == patient.unready()

    patient.now = GRACE
    assert ["bot a: away for 30 s, 30 s are allowed"] == patient.unready()

    patient.tell(up("a"))
    assert [] == patient.unready()


def test_failed_reconnects_do_not_renew_the_grace() -> None:
    """The time away counts from the loss of the socket."""
    patient = Patient("a")
    patient.tell(up("a"), down("a"))

    patient.now = GRACE - 1
    patient.tell(ConnectEnded("a", "blaze.example.com", ConnectResult.FAILED, "no", 1.0))
    patient.now = GRACE

    assert 1 == len(patient.unready())


def test_refused_credentials_get_no_grace() -> None:
    """After a 401 the relay is unready at once, until it is connected again."""
    patient = Patient("a")
    patient.tell(up("a"), down("a"))
    patient.tell(CredentialsRefused("a", confirmed=True, clock_skew=None, retry_in=60.0))
    assert ["bot a: Mixin refuses the credentials"] == patient.unready()

    patient.tell(up("a"))
    assert [] == patient.unready()


@pytest.mark.parametrize("healed", [JournalRecovered(), JournalCommitted(0.1, 1)])
def test_a_journal_that_takes_no_writes_is_not_ready(healed: Event) -> None:
    """Unready from a failed write to the next one that succeeds; the error's words stay inside."""
    patient = Patient()
    patient.tell(JournalFailed("disk full at a secret place", 1.0))
    assert ["journal: accepts no writes"] == patient.unready()

    patient.tell(healed)
    assert [] == patient.unready()


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (
            JournalFailed("OperationalError: disk I/O error", 1.0),
            "accepts no writes: disk I/O error",
        ),
        (
            JournalFailed("OperationalError: database or disk is full (/secret)", 1.0),
            "accepts no writes: database or disk is full",
        ),
        (DamageFound("not a journal, or damaged (at a secret place)"), "is damaged"),
    ],
)
def test_why_a_journal_takes_no_writes_is_told(event: Event, reason: str) -> None:
    """Of SQLite's words those are repeated that name nothing."""
    patient = Patient()
    patient.tell(event)
    assert [f"journal: {reason}"] == patient.unready()


def test_draining_is_not_ready() -> None:
    """From the moment that a stop is asked for nothing more is promised."""
    patient = Patient()

    patient.tell(RelayStopping("SIGTERM"))

    assert ["drain: draining"] == patient.unready()
    assert patient.health.live().ok


def test_every_component_is_reported() -> None:
    """A report names what is well, too."""
    patient = Patient("a")

    names = [component.name for component in patient.health.ready().components]

    assert ["settings", "journal", "drain", "bot a"] == names


def test_liveness_looks_at_nothing_outside() -> None:
    """A journal or a link in trouble must never restart the relay."""
    patient = Patient("a")

    patient.tell(JournalFailed("disk full", 1.0), down("a"))

    assert patient.health.live().ok


def test_other_facts_say_nothing_about_health() -> None:
    """Health listens to all that is told, and minds a little of it."""
    patient = Patient()

    patient.tell(MessageDuplicated("a", "m1"))

    assert patient.health.ready().ok


def test_asking_changes_nothing() -> None:
    """Two askers get the same answer."""
    patient = Patient("a")

    assert patient.health.ready() == patient.health.ready()


def test_a_beat_that_stopped_is_not_alive() -> None:
    """The event loop counts as stuck once its beat is too old."""
    age = 0.0
    health = Health([], ready_grace=GRACE)
    health.watch_live(loop_turns(lambda: age))
    assert health.live().ok

    age = BEAT_LIMIT
    assert Report((Component("event loop", ok=False, reason="beat 30.0 s ago"),)) == health.live()


async def test_an_ended_task_is_not_alive() -> None:
    """A supervised task that is done, however it ended, is told by its name."""

    async def nothing() -> None:
        return

    forever: asyncio.Event = asyncio.Event()
    running = asyncio.create_task(forever.wait(), name="intake")
    ended = asyncio.create_task(nothing(), name="outbox")
    probe = tasks_live(lambda: [running, ended])
    assert Component("tasks", ok=True, reason="alive") == probe()

    await ended
    assert Component("tasks", ok=False, reason="ended: outbox") == probe()

    forever.set()
    await running


def test_a_probe_that_fails_is_not_well() -> None:
    """A bug in a probe is an answer, without the error's words."""

    def broken() -> Component:
        raise ValueError("whsec_secret")

    health = Health([], ready_grace=GRACE)
    health.watch_live(broken)

    (component,) = [c for c in health.live().components if not c.ok]
    assert Component("probe", ok=False, reason="failed with ValueError") == component
