"""Of the relay itself, its settings, and what operators did."""

from dataclasses import dataclass

from relay.model.messages import EndpointKey
from relay.model.replays import ReplayRecord


@dataclass(frozen=True, slots=True)
class LoopLagged:
    """The event loop was late by so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class OperatorNoticed:
    """An operator's action reached the running relay.

    `actor` says by which way it was done, `asked` to what, `count` to how many dead letters.
    """

    kind: str
    endpoint: EndpointKey
    actor: str = ""
    asked: str = ""
    count: int = 0


@dataclass(frozen=True, slots=True)
class OperatorActed:
    """Somebody at `peer` asked the admin API to change something, and `result` is what came of it.

    `actor` is `api` or, with an endpoint's own token, `receiver`; `asked` says what to act on;
    `count` how many were acted on.
    """

    actor: str
    peer: str
    action: str
    asked: str
    count: int
    result: str


@dataclass(frozen=True, slots=True)
class AdminRefused:
    """Somebody at `peer` asked the admin API; `given` says whether with a wrong token or none.

    `throttled` says that it was one of many, and was kept waiting.
    """

    peer: str
    given: bool
    throttled: bool = False


@dataclass(frozen=True, slots=True)
class RelayStarted:
    """The service runs; `clean` says whether the stop before it was, `listen` where it answers."""

    version: str
    bots: tuple[str, ...]
    clean: bool
    listen: str = ""


@dataclass(frozen=True, slots=True)
class EndpointRemoved:
    """The settings have an endpoint no more that the journal has dead letters for."""

    endpoint: EndpointKey
    dead_letters: int


@dataclass(frozen=True, slots=True)
class EndpointLeft:
    """An endpoint is gone from the settings of the running relay; nothing more is told of it."""

    endpoint: EndpointKey


@dataclass(frozen=True, slots=True)
class BotLeft:
    """A bot is gone from the settings of the running relay; nothing more is told of it."""

    bot: str


@dataclass(frozen=True, slots=True)
class SettingsReloaded:
    """The settings were read anew and hold now; of what changed, names and keys only.

    `settings` are keys beside the endpoints'. Nothing at all may have changed.
    """

    added: tuple[EndpointKey, ...] = ()
    removed: tuple[EndpointKey, ...] = ()
    changed: tuple[tuple[EndpointKey, tuple[str, ...]], ...] = ()
    settings: tuple[str, ...] = ()
    bots_added: tuple[str, ...] = ()
    bots_removed: tuple[str, ...] = ()
    bots_restarted: tuple[str, ...] = ()

    @property
    def unchanged(self) -> bool:
        """Whether the settings are what they were."""
        return self == SettingsReloaded()


@dataclass(frozen=True, slots=True)
class ReloadFailed:
    """The settings that were read anew are refused, and the old ones stay; without a secret."""

    mistakes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeliveriesDiscarded:
    """What was owed to endpoints that are gone from the settings was given up, as was asked."""

    endpoints: tuple[EndpointKey, ...]
    deliveries: int


@dataclass(frozen=True, slots=True)
class ReplayBegun:
    """A new endpoint gets what the journal still holds."""

    replay: ReplayRecord


@dataclass(frozen=True, slots=True)
class ReplayEnded:
    """Every message of a replay has ended."""

    replay: ReplayRecord


@dataclass(frozen=True, slots=True)
class RelayStopping:
    """A stop was asked for."""

    signal: str


@dataclass(frozen=True, slots=True)
class RelayStopped:
    """The relay came to rest; `cut` attempts were in flight, `written` says if all is noted."""

    cut: int
    written: bool = True


ServiceFact = (
    LoopLagged
    | OperatorNoticed
    | OperatorActed
    | AdminRefused
    | RelayStarted
    | EndpointRemoved
    | EndpointLeft
    | BotLeft
    | SettingsReloaded
    | ReloadFailed
    | DeliveriesDiscarded
    | ReplayBegun
    | ReplayEnded
    | RelayStopping
    | RelayStopped
)
