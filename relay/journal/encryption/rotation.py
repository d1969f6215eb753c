"""Which keys the journal's rows are sealed with, and sealing them anew, a few at a time.

A batch is found by a read, which holds nobody up, and changed by a short write.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from relay.journal.encryption.columns import ColumnCipher
from relay.journal.encryption.keys import Damaged, Keyring, Kind
from relay.journal.statements import Connection

BATCH = 500
BATCH_BYTES = 4 * 1024 * 1024
"""Small enough for a commit of the relay beside it to wait a tenth of a second at worst."""

_SETTING = "journal_key_file"

Position = tuple[Any, ...]


class WrongKeys(Exception):  # noqa: N818 - said to an operator, who can mend it
    """Rows are sealed with keys that are not there; the text names their ids."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """A table with a column of people's `words`, to go through in the order of its `key`.

    `names` are columns of `source`, which name a row's place for its seal. Without words in it, as
    `filled` says, a row is never sealed.
    """

    kind: Kind
    table: str
    words: str
    key: tuple[str, ...]
    names: tuple[str, ...]
    source: str
    filled: str = "TRUE"

    def unlike(self, after: Position | None, upto: Position | None = None) -> str:
        """Say in SQL of rows between positions that they are not sealed with the key `:seals`."""
        text = f"{self.filled} AND {self.table}.sealed_by IS NOT :seals"
        keys = ", ".join(f"{self.table}.{column}" for column in self.key)
        if after is not None:
            text += f" AND ({keys}) > ({self._named('after')})"
        if upto is not None:
            text += f" AND ({keys}) <= ({self._named('upto')})"
        return text

    def _named(self, bound: str) -> str:
        return ", ".join(f":{bound}_{column}" for column in self.key)

    def values(self, **bounds: Position | None) -> dict[str, Any]:
        """Give the values of `unlike`."""
        return {
            f"{bound}_{column}": value
            for bound, position in bounds.items()
            if position is not None
            for column, value in zip(self.key, position, strict=True)
        }


SHELVES = (
    Shelf(Kind.FRAME, "messages", "frame", ("seq",), ("bot", "message_id"), "messages"),
    Shelf(
        Kind.DETAIL,
        "attempts",
        "detail",
        ("id",),
        ("m.bot", "m.message_id", "e.name", "attempts.number"),
        "attempts JOIN deliveries AS d ON d.id = attempts.delivery_id"
        " JOIN messages AS m ON m.seq = d.seq JOIN endpoints AS e ON e.id = d.endpoint_id",
        "attempts.detail != ''",
    ),
    Shelf(Kind.SAMPLE, "unreadable", "sample", ("bot", "digest"), ("bot", "digest"), "unreadable"),
    Shelf(
        Kind.ERROR,
        "endpoints",
        "last_error",
        ("id",),
        ("bot", "name"),
        "endpoints",
        "coalesce(endpoints.last_error, '') != ''",
    ),
)


# --- Keys in use ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KeyUse:
    """What one key seals, in rows by table; `key_id` None stands for what is not sealed."""

    key_id: str | None
    messages: int = 0
    attempts: int = 0
    unreadable: int = 0
    endpoints: int = 0

    @property
    def rows(self) -> int:
        """All of them."""
        return self.messages + self.attempts + self.unreadable + self.endpoints


def keys_in_use(connection: Connection) -> set[str]:
    """Name the keys that rows are sealed with."""
    return {key_id for shelf in SHELVES for key_id in _distinct(connection, shelf.table)}


def _distinct(connection: Connection, table: str) -> Iterator[str]:
    """Leap through the index from key to key: DISTINCT would go through every row of it."""
    after = f"SELECT min(sealed_by) FROM {table} WHERE sealed_by > :last"
    last = connection.value(after, last="")
    while last is not None:
        yield last
        last = connection.value(after, last=last)


def require_keys(connection: Connection, keys: Keyring | None) -> None:
    """Raise `WrongKeys` unless every sealed row can be opened."""
    missing = sorted(keys_in_use(connection) - set(keys.ids if keys else ()))
    if not missing:
        return
    named = f"key{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
    expected = f"{_SETTING} set" if keys is None else f"it in {_SETTING}, behind the first key"
    raise WrongKeys(f"has rows sealed with {named}; expected {expected}")


def require_same_key(connection: Connection, seals: str | None) -> None:
    """Raise `WrongKeys` unless the running relay seals as we do: it could not open our rows."""
    theirs = connection.value("SELECT seals_with FROM run")
    if theirs == seals:
        return
    does = f"seals with key {theirs}" if theirs else "seals nothing"
    if seals is None:
        raise WrongKeys(f"the running relay {does}; stop it first")
    raise WrongKeys(f"the running relay {does}, and not with key {seals}; restart it first")


def count(connection: Connection) -> list[KeyUse]:
    """Count what each key seals, and, last, what is not sealed."""
    counted: dict[str | None, dict[str, int]] = {None: {}}
    for shelf in SHELVES:
        text = f"SELECT sealed_by, count(*) FROM {shelf.table} WHERE {shelf.filled} GROUP BY 1"
        for key_id, rows in connection.rows(text):
            counted.setdefault(key_id, {})[shelf.table] = rows
    keys = sorted(key for key in counted if key is not None)
    return [KeyUse(key, **counted[key]) for key in (*keys, None)]


# --- Sealing anew ---------------------------------------------------------------------------------


@dataclass(slots=True)
class Batch:
    """What became of some rows; `damaged` names those that stay as they are."""

    done: int = 0
    damaged: list[str] = field(default_factory=list)


def left(connection: Connection, seals: str | None) -> int:
    """Count the rows that are not yet as they shall be."""
    return sum(
        connection.value(
            f"SELECT count(*) FROM {shelf.table} WHERE {shelf.unlike(None)}",
            seals=seals,
        )
        for shelf in SHELVES
    )


def find(
    connection: Connection, shelf: Shelf, seals: str | None, after: Position | None
) -> Position | None:
    """Find where the next batch ends; None if there is none."""
    keys = ", ".join(shelf.key)
    text = f"SELECT {keys}, length({shelf.words}) FROM {shelf.table} WHERE {shelf.unlike(after)}"
    rows = connection.rows(
        f"{text} ORDER BY {keys} LIMIT {BATCH}", seals=seals, **shelf.values(after=after)
    )
    end, size = None, 0
    for *position, more in rows:
        size += more
        if end is not None and size > BATCH_BYTES:
            break
        end = tuple(position)
    return end


def reseal(
    connection: Connection,
    shelf: Shelf,
    cipher: ColumnCipher,
    after: Position | None,
    upto: Position,
    *,
    beside_a_relay: bool,
) -> Batch:
    """Open the rows of a batch and seal them anew; what can't be opened stays as it is."""
    if beside_a_relay:
        require_same_key(connection, cipher.seals_with)
    batch = Batch()
    rows = _rows(connection, shelf, cipher.seals_with, after, upto)
    changed = list(_changed(shelf, cipher, rows, batch))
    these = " AND ".join(f"{column} = ?" for column in shelf.key)
    text = f"UPDATE {shelf.table} SET {shelf.words} = ?, sealed_by = ? WHERE {these}"
    if changed:
        connection.many(text, changed)
    batch.done = len(changed)
    return batch


def _rows(
    connection: Connection,
    shelf: Shelf,
    seals: str | None,
    after: Position | None,
    upto: Position,
) -> list[Any]:
    columns = (
        f"CAST({shelf.table}.{shelf.words} AS BLOB)",
        f"{shelf.table}.sealed_by",
        *(f"{shelf.table}.{column}" for column in shelf.key),
        *shelf.names,
    )
    text = f"SELECT {', '.join(columns)} FROM {shelf.source} WHERE {shelf.unlike(after, upto)}"
    return connection.rows(text, seals=seals, **shelf.values(after=after, upto=upto))


def _changed(
    shelf: Shelf, cipher: ColumnCipher, rows: list[Any], batch: Batch
) -> Iterator[Position]:
    open_, seal = (
        (cipher.open_text, cipher.seal_text)
        if shelf.kind in (Kind.DETAIL, Kind.ERROR)
        else (cipher.open, cipher.seal)
    )
    for words, sealed_by, *rest in rows:
        key, names = rest[: len(shelf.key)], tuple(map(str, rest[len(shelf.key) :]))
        try:
            opened: Any = open_(shelf.kind, names, words, sealed_by)
        except Damaged:
            batch.damaged.append(f"{shelf.kind} of {'/'.join(names)}")
            continue
        kept, new_seal = seal(shelf.kind, names, opened)
        yield (kept, new_seal, *key)
