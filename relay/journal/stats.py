"""Counts the journal's stock, for metrics."""

from collections.abc import Mapping, Sequence
from typing import Any

from relay.journal.rules import MAY_BE_READ
from relay.journal.sqlite.vacuum import pages_bytes
from relay.journal.statements import Connection
from relay.model.journal import BotCensus, Stats
from relay.model.messages import EndpointKey

_TALLIES = "SELECT bot, received, finished FROM tallies"
_ENDPOINTS = "SELECT id, bot, name FROM endpoints"
_PENDING = "SELECT count(*) FROM messages WHERE bot = :bot AND outcome IS NULL"
_OWED = "SELECT count(*) FROM messages WHERE bot = :bot AND receipt = 'owed'"
_DEAD = "SELECT endpoint_id, count(*) FROM deliveries WHERE state = 'dead' GROUP BY endpoint_id"
_FIRST_OWED = """
  SELECT seq, received_at FROM messages WHERE bot = :bot AND receipt = 'owed' AND outcome IS NULL
  ORDER BY seq LIMIT 1
"""
_FIRST_PENDING = """
  SELECT messages.seq, received_at FROM deliveries JOIN messages ON messages.seq = deliveries.seq
  WHERE endpoint_id = :endpoint AND required = :required AND state = 'pending' AND replay IS NULL
"""
_FIRST = "ORDER BY id LIMIT 1"


def collect(connection: Connection, size_bytes: int) -> Stats:
    """Count it in one consistent read, by indexes; `size_bytes` is the files', or 0 in memory."""
    keys = {EndpointKey(bot, name): number for number, bot, name in connection.rows(_ENDPOINTS)}
    tallies = {bot: (received, finished) for bot, received, finished in connection.rows(_TALLIES)}
    dead = dict(connection.rows(_DEAD))
    oldest = {key: _oldest_pending(connection, number) for key, number in keys.items()}
    return Stats(
        {
            bot: _of_bot(connection, bot, keys, *tallies.get(bot, (0, 0)))
            for bot in {*tallies, *(key.bot for key in keys)}
        },
        {key: dead.get(number, 0) for key, number in keys.items()},
        size_bytes or pages_bytes(connection),
        {key: at for key, at in oldest.items() if at is not None},
    )


def _of_bot(
    connection: Connection,
    bot: str,
    keys: Mapping[EndpointKey, int],
    received: int,
    finished: int,
) -> BotCensus:
    pending = connection.value(_PENDING, bot=bot)
    mine = [number for key, number in keys.items() if key.bot == bot]
    return BotCensus(
        pending,
        _oldest_unread(connection, bot, mine),
        connection.value(_OWED, bot=bot),
        received - (finished + pending),
    )


def _oldest_unread(connection: Connection, bot: str, endpoints: Sequence[int]) -> float | None:
    """Find when the first message came that may still become READ without an operator.

    Either its READ is owed, or it waits for an endpoint that it requires.
    """
    waits = f"{_FIRST_PENDING} AND {MAY_BE_READ} {_FIRST}"
    firsts = [connection.row(waits, endpoint=each, required=True) for each in endpoints]
    return _first_of([*firsts, connection.row(_FIRST_OWED, bot=bot)])


def _oldest_pending(connection: Connection, endpoint: int) -> float | None:
    """Find when the first message came that an endpoint is owed."""
    text = f"{_FIRST_PENDING} {_FIRST}"
    firsts = [connection.row(text, endpoint=endpoint, required=each) for each in (True, False)]
    return _first_of(firsts)


def _first_of(rows: Sequence[Any]) -> float | None:
    first: tuple[int, float | None] = min(
        (tuple(row) for row in rows if row is not None), default=(0, None)
    )
    return first[1]
