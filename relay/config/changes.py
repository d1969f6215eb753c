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
_FOLLOWED_OF_BOT = frozenset({"unwanted"})
"""What a running relay can follow beside the endpoints: it is looked up when it is needed."""

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
    """What differs; `fixed` names what can't change without a restart."""

    added: tuple[EndpointKey, ...] = ()
    removed: tuple[EndpointKey, ...] = ()
    changed: dict[EndpointKey, tuple[str, ...]] = field(default_factory=dict)
    settings: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether the settings are the same."""
        return self == Changes()


def compare(old: Settings, new: Settings) -> Changes:
    """Say what differs between two valid settings."""
    keys = list(_different(old, new, but="bots"))
    names = [bot.name for bot in new.bots]
    if {bot.name for bot in old.bots} != set(names):
        return Changes(fixed=("bots", *(key for key in keys if key not in _FOLLOWED)))
    before = {bot.name: bot for bot in old.bots}
    paths: list[KeyPath] = [(key,) for key in keys]
    for position, bot in enumerate(new.bots):
        different = _different(before[bot.name], bot, but="endpoints")
        paths += [("bots", position, key) for key in different]
    followed = [path for path in paths if _is_followed(path)]
    was, now = endpoints_of(old.bots), endpoints_of(new.bots)
    changes = {key: tuple(_different(was[key], now[key])) for key in now if key in was}
    return Changes(
        added=tuple(key for key in now if key not in was),
        removed=tuple(key for key in was if key not in now),
        changed={key: names for key, names in changes.items() if names},
        settings=tuple(map(setting_name, followed)),
        fixed=tuple(setting_name(path) for path in paths if path not in followed),
    )


def endpoints_of(bots: Iterable[Bot]) -> dict[EndpointKey, Endpoint]:
    """Give every endpoint by its key."""
    return {EndpointKey(bot.name, each.name): each for bot in bots for each in bot.endpoints}


def _is_followed(path: KeyPath) -> bool:
    return path[-1] in (_FOLLOWED if len(path) == 1 else _FOLLOWED_OF_BOT)


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
