"""What differs between two settings, and what of it a running relay can follow. By name only."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from relay.blaze.keystore import Keystore
from relay.config.draft import KeyPath, setting_name
from relay.config.secrets import KeyFile
from relay.config.sections import Section
from relay.config.settings import Bot, Endpoint, Settings
from relay.model.messages import EndpointKey

_FOLLOWED = frozenset({"drain_timeout"})
"""What a running relay can follow beside its bots: it is looked up when it is needed."""

_FOLLOWED_OF_BOT = frozenset({"unwanted"})
"""What a running bot can follow beside its endpoints; for the rest it is started anew."""

_READ_FROM = frozenset(
    {
        "keystore_file",
        "admin_token_file",
        "secret_file",
        "bearer_token_file",
        "back_token_file",
        "allow_plaintext",
    }
)
"""Only what is read from a file matters, and not where the file is."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs; `fixed` names what can't change without a restart of the relay.

    Endpoints of bots that come and go are among `added` and `removed`.
    """

    added: tuple[EndpointKey, ...] = ()
    removed: tuple[EndpointKey, ...] = ()
    changed: dict[EndpointKey, tuple[str, ...]] = field(default_factory=dict)
    settings: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    bots_added: tuple[str, ...] = ()
    bots_removed: tuple[str, ...] = ()
    bots_restarted: tuple[str, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether the settings are the same."""
        return self == Changes()


def compare(old: Settings, new: Settings) -> Changes:
    """Say what differs between two valid settings."""
    keys = tuple(_different(old, new, but="bots"))
    before, after = ({bot.name: bot for bot in each.bots} for each in (old, new))
    of_bots = {
        name: tuple(_different(before[name], bot, but="endpoints"))
        for name, bot in after.items()
        if name in before
    }
    paths: list[KeyPath] = [(key,) for key in keys if key in _FOLLOWED]
    paths += [("bots", list(after).index(name), key) for name in of_bots for key in of_bots[name]]
    was, now = endpoints_of(old.bots), endpoints_of(new.bots)
    changes = {key: tuple(_different(was[key], now[key])) for key in now if key in was}
    return Changes(
        added=tuple(key for key in now if key not in was),
        removed=tuple(key for key in was if key not in now),
        changed={key: names for key, names in changes.items() if names},
        settings=tuple(map(setting_name, paths)),
        fixed=tuple(key for key in keys if key not in _FOLLOWED),
        bots_added=tuple(name for name in after if name not in before),
        bots_removed=tuple(name for name in before if name not in after),
        bots_restarted=tuple(
            name for name, differ in of_bots.items() if not set(differ) <= _FOLLOWED_OF_BOT
        ),
    )


def endpoints_of(bots: Iterable[Bot]) -> dict[EndpointKey, Endpoint]:
    """Give every endpoint by its key."""
    return {EndpointKey(bot.name, each.name): each for bot in bots for each in bot.endpoints}


def _different(old: Section, new: Section, *, but: str = "") -> Iterator[str]:
    for key, one in new.declared().items():
        was, now = getattr(old, one.name), getattr(new, one.name)
        if key not in _READ_FROM | {but} and not _same(was, now):
            yield key


def _same(old: object, new: object) -> bool:
    match old, new:
        case Keystore(), Keystore():  # private keys can't be compared, and need not be
            public = old.key.public_key(), new.key.public_key()
            return (old.app_id, old.session_id) == (new.app_id, new.session_id) and (
                public[0] == public[1]
            )
        case KeyFile(), KeyFile():
            return (old.path, old.keys.ids) == (new.path, new.keys.ids)
        case _:
            return old == new
