"""Which keys the journal's rows are sealed with, found by index however many rows there are."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Column, ColumnElement, Connection, Table, bindparam, func, select

from relay.journal.encryption.keys import Keyring
from relay.journal.schema import attempts, endpoints, messages, run, unreadable

_SETTING = "journal_key_file"

Counts = dict[str | None, int]


class WrongKeys(Exception):  # noqa: N818 - said to an operator, who can mend it
    """Rows are sealed with keys that are not there; the text names their ids."""


@dataclass(frozen=True, slots=True)
class Sealable:
    """A table with one column of people's words; `empty` says which rows have none."""

    table: Table
    words: Column[str] | Column[bytes]
    empty: ColumnElement[bool] | None = None

    @property
    def sealed_by(self) -> Column[str]:
        """The column that names the key."""
        return self.table.c.sealed_by


SEALABLE = (
    Sealable(messages, messages.c.frame),
    Sealable(attempts, attempts.c.detail, attempts.c.detail == ""),
    Sealable(unreadable, unreadable.c.sample),
    Sealable(endpoints, endpoints.c.last_error, func.coalesce(endpoints.c.last_error, "") == ""),
)


@dataclass(frozen=True, slots=True)
class KeyUse:
    """What one key seals, in rows by table; `key_id` None stands for what is not sealed."""

    key_id: str | None
    messages: int
    attempts: int
    unreadable: int
    endpoints: int

    @property
    def rows(self) -> int:
        """All of them."""
        return self.messages + self.attempts + self.unreadable + self.endpoints


def find(connection: Connection) -> set[str]:
    """Name the keys that rows are sealed with."""
    return {key_id for each in SEALABLE for key_id in _distinct(connection, each.sealed_by)}


def _distinct(connection: Connection, sealed_by: Column[str]) -> Iterator[str]:
    """Leap through the index from key to key: DISTINCT would go through every row of it."""
    after = select(func.min(sealed_by)).where(sealed_by > bindparam("last"))
    last = connection.scalar(after, {"last": ""})
    while last is not None:
        yield last
        last = connection.scalar(after, {"last": last})


def require(connection: Connection, keys: Keyring | None) -> None:
    """Raise `WrongKeys` unless every sealed row can be opened."""
    missing = sorted(find(connection) - set(keys.ids if keys else ()))
    if not missing:
        return
    named = f"key{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
    expected = f"{_SETTING} set" if keys is None else f"it in {_SETTING}, behind the first key"
    raise WrongKeys(f"has rows sealed with {named}; expected {expected}")


def seals_with(connection: Connection) -> str | None:
    """Read by which key the relay seals that runs, or ran last."""
    return connection.scalar(select(run.c.seals_with))


def count(connection: Connection) -> list[KeyUse]:
    """Count what each key seals, and, last, what is not sealed."""
    counted = {each.table.name: _by_key(connection, each) for each in SEALABLE}
    keys = sorted({key for of in counted.values() for key in of if key is not None})
    return [_use(counted, key) for key in (*keys, None)]


def _by_key(connection: Connection, each: Sealable) -> Counts:
    counted = select(each.sealed_by, func.count()).group_by(each.sealed_by)
    if each.empty is not None:
        counted = counted.where(~each.empty)
    return {row[0]: row[1] for row in connection.execute(counted)}


def _use(counted: dict[str, Counts], key: str | None) -> KeyUse:
    return KeyUse(key, **{table: of.get(key, 0) for table, of in counted.items()})
