"""What differs between two settings, and what of it a running relay can follow. By name only."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from relay.blaze.keystore import Keystore
from relay.config.draft import KeyPath, setting_name
from relay.config.secrets import KeyFile
from relay.config.sections import Section
from relay.config.settings import Bot, Endpoint, Settings
from relay.model.messages import EndpointKey


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
    keys, live, live_of_bot = tuple(_different(old, new, but="bots")), _live(Settings), _live(Bot)
    before, after = ({bot.name: bot for bot in each.bots} for each in (old, new))
    of_bots = {
        name: tuple(_different(before[name], bot, but="endpoints"))
        for name, bot in after.items()
        if name in before
    }
    paths: list[KeyPath] = [(key,) for key in keys if key in live]
    paths += [("bots", list(after).index(name), key) for name in of_bots for key in of_bots[name]]
    was, now = endpoints_of(old.bots), endpoints_of(new.bots)
    changes = {key: tuple(_different(was[key], now[key])) for key in now if key in was}
    return Changes(
        added=tuple(key for key in now if key not in was),
        removed=tuple(key for key in was if key not in now),
        changed={key: names for key, names in changes.items() if names},
        settings=tuple(map(setting_name, paths)),
        fixed=tuple(key for key in keys if key not in live),
        bots_added=tuple(name for name in after if name not in before),
        bots_removed=tuple(name for name in before if name not in after),
        bots_restarted=tuple(
            name for name, differ in of_bots.items() if not set(differ) <= live_of_bot
        ),
    )


def endpoints_of(bots: Iterable[Bot]) -> dict[EndpointKey, Endpoint]:
    """Give every endpoint by its key."""
    return {EndpointKey(bot.name, each.name): each for bot in bots for each in bot.endpoints}


def _live(section: type[Section]) -> set[str]:
    """Name what is looked up each time that it is needed."""
    return {key for key, one in section.declared().items() if one.metadata.get("live")}


def _different(old: Section, new: Section, *, but: str = "") -> Iterator[str]:
    for key, one in new.declared().items():
        same = _same(getattr(old, one.name), getattr(new, one.name))
        if key not in (but, "allow_plaintext") and not same:
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
