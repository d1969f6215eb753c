"""Seals rows anew, or takes their seals off, a few at a time: functions on a connection.

A batch is found by a read, which holds nobody up, and changed by a short write.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    Select,
    bindparam,
    func,
    literal,
    select,
    tuple_,
    update,
)

from relay.journal.encryption.columns import Bodies, Names
from relay.journal.encryption.keys import Damaged, Kind
from relay.journal.encryption.keys_in_use import SEALABLE, Sealable, WrongKeys, seals_with
from relay.journal.rows import Values, as_bytes, detail_names
from relay.journal.schema import attempts, deliveries, endpoints, messages, unreadable
from relay.model.messages import EndpointKey

BATCH = 500
BATCH_BYTES = 4 * 1024 * 1024
"""Small enough for a commit of the relay beside it to wait a tenth of a second at worst."""

Position = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Shelf:
    """A table to go through in the order of its `key`; `rows` selects what names a row's place."""

    kind: Kind
    sealable: Sealable
    key: tuple[Column[Any], ...]
    size: ColumnElement[int]
    rows: Select[Any]
    names: Callable[[Row[Any]], Names]

    def unlike(self, seals: str | None) -> list[ColumnElement[bool]]:
        """Say of rows that they are not yet sealed with this key, or not yet unsealed."""
        unlike = self.sealable.sealed_by.is_distinct_from(seals)
        return [unlike] if self.sealable.empty is None else [unlike, ~self.sealable.empty]

    def beyond(self, after: Position | None) -> list[ColumnElement[bool]]:
        """Say of rows that they come after a position."""
        return [] if after is None else [tuple_(*self.key) > _at(after)]


def _at(position: Position) -> Any:
    return tuple_(*(literal(value) for value in position))


def _detail_names(row: Row[Any]) -> Names:
    return detail_names(EndpointKey(row.bot, row.name), row.message_id, row.number)


_MESSAGES, _ATTEMPTS, _UNREADABLE, _ENDPOINTS = SEALABLE
SHELVES = (
    Shelf(
        Kind.FRAME,
        _MESSAGES,
        (messages.c.seq,),
        messages.c.size,
        select(messages.c.bot, messages.c.message_id).select_from(messages),
        lambda row: (row.bot, row.message_id),
    ),
    Shelf(
        Kind.DETAIL,
        _ATTEMPTS,
        (attempts.c.id,),
        func.length(attempts.c.detail),
        select(messages.c.bot, messages.c.message_id, endpoints.c.name, attempts.c.number)
        .select_from(attempts)
        .join(deliveries, deliveries.c.id == attempts.c.delivery_id)
        .join(messages, messages.c.seq == deliveries.c.seq)
        .join(endpoints, endpoints.c.id == deliveries.c.endpoint_id),
        _detail_names,
    ),
    Shelf(
        Kind.SAMPLE,
        _UNREADABLE,
        (unreadable.c.bot, unreadable.c.digest),
        func.length(unreadable.c.sample),
        select(unreadable.c.bot, unreadable.c.digest).select_from(unreadable),
        lambda row: (row.bot, row.digest),
    ),
    Shelf(
        Kind.ERROR,
        _ENDPOINTS,
        (endpoints.c.id,),
        func.length(endpoints.c.last_error),
        select(endpoints.c.bot, endpoints.c.name).select_from(endpoints),
        lambda row: (row.bot, row.name),
    ),
)


@dataclass(slots=True)
class Batch:
    """What became of some rows; `damaged` names those that stay as they are."""

    done: int = 0
    damaged: list[str] = field(default_factory=list)


def left(connection: Connection, seals: str | None) -> int:
    """Count the rows that are not yet as they shall be."""
    return sum(
        connection.scalar(select(func.count()).select_from(table).where(*shelf.unlike(seals))) or 0
        for shelf in SHELVES
        for table in [shelf.sealable.table]
    )


def find(
    connection: Connection, shelf: Shelf, seals: str | None, after: Position | None
) -> Position | None:
    """Find where the next batch ends; None if there is none."""
    unlike = select(*shelf.key, shelf.size).where(*shelf.beyond(after), *shelf.unlike(seals))
    end, size = None, 0
    for *position, more in connection.execute(unlike.order_by(*shelf.key).limit(BATCH)):
        size += more
        if end is not None and size > BATCH_BYTES:
            break
        end = tuple(position)
    return end


def reseal(
    connection: Connection,
    shelf: Shelf,
    bodies: Bodies,
    after: Position | None,
    upto: Position,
    *,
    beside_a_relay: bool,
) -> Batch:
    """Open the rows of a batch and seal them anew; what can't be opened stays as it is."""
    if beside_a_relay:
        require_same_key(connection, bodies.seals_with)
    batch = Batch()
    changed = list(_changed(connection, shelf, bodies, _rows(shelf, bodies, after, upto), batch))
    if changed:
        connection.execute(_change(shelf), changed)
    batch.done = len(changed)
    return batch


def require_same_key(connection: Connection, seals: str | None) -> None:
    """Raise `WrongKeys` unless the running relay seals as we do: it could not open our rows."""
    theirs = seals_with(connection)
    if theirs == seals:
        return
    does = f"seals with key {theirs}" if theirs else "seals nothing"
    if seals is None:
        raise WrongKeys(f"the running relay {does}; stop it first")
    raise WrongKeys(f"the running relay {does}, and not with key {seals}; restart it first")


def _rows(shelf: Shelf, bodies: Bodies, after: Position | None, upto: Position) -> Select[Any]:
    words = as_bytes(shelf.sealable.words).label("words")
    keys = [column.label(f"key_{number}") for number, column in enumerate(shelf.key)]
    wanted = shelf.rows.add_columns(*keys, words, shelf.sealable.sealed_by)
    in_batch = [*shelf.beyond(after), tuple_(*shelf.key) <= _at(upto)]
    return wanted.where(*in_batch, *shelf.unlike(bodies.seals_with))


def _changed(
    connection: Connection, shelf: Shelf, bodies: Bodies, rows: Select[Any], batch: Batch
) -> Iterator[Values]:
    read, keep = (
        (bodies.read_text, bodies.keep_text)
        if shelf.kind in (Kind.DETAIL, Kind.ERROR)
        else (bodies.read, bodies.keep)
    )
    for row in connection.execute(rows).all():
        names = shelf.names(row)
        try:
            words: Any = read(shelf.kind, names, row.words, row.sealed_by)
        except Damaged:
            batch.damaged.append(f"{shelf.kind} of {'/'.join(names)}")
            continue
        kept, sealed_by = keep(shelf.kind, names, words)
        keys = {f"key_{number}": getattr(row, f"key_{number}") for number in range(len(shelf.key))}
        yield {**keys, "kept": kept, "seal": sealed_by}


def _change(shelf: Shelf) -> Any:
    these = [column == bindparam(f"key_{number}") for number, column in enumerate(shelf.key)]
    words, sealed_by = shelf.sealable.words, shelf.sealable.sealed_by
    return (
        update(shelf.sealable.table)
        .where(*these)
        .values({words: bindparam("kept"), sealed_by: bindparam("seal")})
    )
