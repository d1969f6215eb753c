"""Replays: who asks for one, what it sends, and how it goes on, a bit at a time."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from relay.journal import lanes
from relay.journal.incoming import ADD_DELIVERIES, LAST_SEQ, Run
from relay.journal.number_lists import is_in, numbers
from relay.journal.rules import CANCELLED, REMOVED
from relay.journal.statements import Connection
from relay.model.messages import DeliveryState, EndpointKey, Message, Source
from relay.model.replays import (
    EndpointInfo,
    Pick,
    PriorDelivery,
    ReplayOrder,
    ReplayRecord,
    ReplayTurn,
    RequestedReplay,
    RunningReplay,
    Survey,
)

LOOKED_THROUGH_AT_ONCE = 500
"""So many messages a replay looks through in one transaction, for which others wait."""

REPLAYED_BYTES = 4 * 1024 * 1024
"""What a replay has in lanes fits into a quarter of their window, so that the rest fits beside."""

_RECORD = """
  SELECT replays.*, bot, name FROM replays JOIN endpoints ON endpoints.id = replays.endpoint_id
"""
_UNDER_WAY = f"{_RECORD} WHERE ended_at IS NULL AND configured"
_CONFIGURED = "SELECT id FROM endpoints WHERE bot = :bot AND name = :name AND configured"
_BEGIN = """
  INSERT INTO replays (
    endpoint_id, since, until, asked_at, "begin", position, upto, queued, cancelled
  ) VALUES (:endpoint, :since, :until, :now, :begin, :begin, :upto, 0, FALSE) RETURNING id
"""
_FIRST_SEQ = "SELECT coalesce(min(seq), 1) FROM messages"
_LEFT = f"""
  SELECT id FROM deliveries
  WHERE replay = :replay
    AND (state = 'pending' OR state = 'dead' AND ended_reason = '{REMOVED}')
"""
_GIVE_UP = f"""
  UPDATE deliveries SET state = 'discarded', ended_at = :now, ended_reason = '{CANCELLED}'
  WHERE {is_in("id", "ids")}
"""
_END = """
  UPDATE replays SET ended_at = :now, cancelled = :cancelled WHERE id = :replay AND ended_at IS NULL
"""
_PROCEED = "UPDATE replays SET position = :position, queued = queued + :more WHERE id = :replay"
_COUNTS = "SELECT state, count(*) FROM deliveries WHERE replay = :replay GROUP BY state"
_WAITING = "SELECT count(*) FROM deliveries WHERE replay = :replay AND state = 'pending'"
_LOAD = """
  SELECT count(*), coalesce(sum(size), 0)
  FROM deliveries JOIN messages ON messages.seq = deliveries.seq
  WHERE replay = :replay AND state = 'pending'
"""
_PAGE = """
  SELECT seq, bot, message_id, conversation_id, user_id, category, source, received_at, size
  FROM messages WHERE seq > :after AND seq <= :upto ORDER BY seq LIMIT :limit
"""
_PRIOR = f"""
  SELECT seq, deliveries.state, ended_at, replay FROM deliveries
  JOIN endpoints ON endpoints.id = endpoint_id
  WHERE {is_in("seq", "seqs")} AND bot = :bot AND name = :name
"""
_ADDRESS = "SELECT address FROM endpoints WHERE bot = :bot AND name = :name"
_NAMES = "SELECT name FROM endpoints WHERE bot = :bot AND address = :address"
_INTRODUCE = "UPDATE endpoints SET address = :address WHERE bot = :bot AND name = :name"


# --- Asking ---------------------------------------------------------------------------------------


def survey(connection: Connection, order: ReplayOrder, pick: Pick, sofar: Survey) -> Survey:
    """Count on for a page."""
    upto = connection.value(LAST_SEQ) if sofar.upto is None else sofar.upto
    page = _look(connection, order, pick, after=sofar.position, upto=upto)
    return Survey(sofar.messages + len(page.chosen), page.position, upto)


def ask(connection: Connection, order: ReplayOrder, now: float) -> RequestedReplay | None:
    """Write a replay down, unless another one to the same endpoint is under way."""
    number = connection.value(_CONFIGURED, **order.endpoint._asdict())
    if number is None:
        return None
    busy = connection.row(f"{_UNDER_WAY} AND endpoint_id = :at", at=number)
    if busy is not None:
        return RequestedReplay(_record(connection, busy), accepted=False)
    return RequestedReplay(_begin(connection, order, number, now), accepted=True)


def _begin(connection: Connection, order: ReplayOrder, number: int, now: float) -> ReplayRecord:
    replay = connection.value(
        _BEGIN,
        endpoint=number,
        since=order.since,
        until=order.until,
        now=now,
        begin=connection.value(_FIRST_SEQ) - 1,
        upto=connection.value(LAST_SEQ),
    )
    return _one(connection, replay)


def find(connection: Connection) -> list[ReplayRecord]:
    """List replays, the newest first."""
    return [
        _record(connection, row) for row in connection.rows(f"{_RECORD} ORDER BY replays.id DESC")
    ]


def cancel(connection: Connection, number: int, now: float) -> ReplayRecord | None:
    """End a replay with what it has in lanes, or had in those of an endpoint that was removed."""
    if connection.row(f"{_RECORD} WHERE replays.id = :number", number=number) is None:
        return None
    ids = connection.values(_LEFT, replay=number)
    connection.run(_GIVE_UP, ids=numbers(ids), now=now)
    lanes.close_empty(connection, ids)
    return _end(connection, number, now, cancelled=True)


def _end(
    connection: Connection, number: int, now: float, *, cancelled: bool = False
) -> ReplayRecord:
    connection.run(_END, replay=number, now=now, cancelled=cancelled)
    return _one(connection, number)


def register_endpoints(
    connection: Connection, endpoints: Sequence[EndpointInfo], now: float
) -> list[ReplayRecord]:
    """Take note of addresses; new endpoints get what is retained, if they want it."""
    names = frozenset(each.endpoint for each in endpoints)
    begun = [
        _begin(
            connection,
            ReplayOrder(each.endpoint),
            connection.value(_CONFIGURED, **each.endpoint._asdict()),
            now,
        )
        for each in endpoints
        if each.retained and _is_new(connection, each, names) and connection.value(LAST_SEQ)
    ]
    for each in endpoints:
        connection.run(_INTRODUCE, address=each.address, **each.endpoint._asdict())
    return begun


def _is_new(connection: Connection, info: EndpointInfo, names: frozenset[EndpointKey]) -> bool:
    """Say whether nobody knows the endpoint, not even by a name that is in use no more."""
    bot = info.endpoint.bot
    before = connection.values(_NAMES, bot=bot, address=info.address)
    known = connection.value(_ADDRESS, **info.endpoint._asdict()) is not None
    return not known and names.issuperset(EndpointKey(bot, name) for name in before)


# --- What it sends --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Room:
    """How much still fits into lanes; if nothing waits in them, a single message always does."""

    messages: int
    bytes: int
    empty: bool

    def fits(self, chosen: int, size: int) -> bool:
        """Say whether one more fits behind those chosen, `size` bytes with it."""
        if self.empty and not chosen:
            return True
        return chosen < self.messages and size <= self.bytes


@dataclass(slots=True)
class _Page:
    """What is next of a replay: messages' numbers with their lanes, and the last one looked at.

    `full` says that there was no room for more.
    """

    chosen: list[tuple[int, str]]
    position: int
    full: bool = False


def _look(
    connection: Connection,
    order: ReplayOrder,
    pick: Pick,
    room: _Room | None = None,
    *,
    after: int,
    upto: int,
) -> _Page:
    """Look through the next messages, for as many that are to go as there is room for."""
    rows = connection.rows(_PAGE, after=after, upto=upto, limit=LOOKED_THROUGH_AT_ONCE)
    whole = len(rows) < LOOKED_THROUGH_AT_ONCE
    page, size = _Page([], upto if whole else rows[-1].seq), 0
    for row, lane in _chosen(connection, order, pick, rows):
        size += row.size
        if room is not None and not room.fits(len(page.chosen), size):
            page.position, page.full = row.seq - 1, True
            break
        page.chosen.append((row.seq, lane))
    return page


def _chosen(
    connection: Connection, order: ReplayOrder, pick: Pick, rows: Sequence[Any]
) -> Iterator[tuple[Any, str]]:
    mine = [row for row in rows if row.bot == order.endpoint.bot]
    prior = _prior(connection, order.endpoint, [row.seq for row in mine])
    for row in mine:
        if order.covers(row.received_at, prior[row.seq]):
            lane = pick(_head(row))
            if lane is not None:
                yield row, lane


def _prior(
    connection: Connection, endpoint: EndpointKey, seqs: Collection[int]
) -> dict[int, list[PriorDelivery]]:
    """Find what an endpoint has had of these messages."""
    found: defaultdict[int, list[PriorDelivery]] = defaultdict(list)
    rows = connection.rows(_PRIOR, seqs=numbers(seqs), **endpoint._asdict())
    for seq, state, ended_at, replay in rows:
        found[seq].append(PriorDelivery(DeliveryState(state), ended_at, replay is not None))
    return found


def _head(row: Any) -> Message:
    """Make a message without its frame: for filters, which look at its head."""
    return Message(
        row.bot,
        row.message_id,
        row.conversation_id,
        row.user_id,
        row.category,
        Source(row.source),
        b"",
        row.received_at,
    )


# --- Carrying out ---------------------------------------------------------------------------------


def under_way(connection: Connection) -> list[RunningReplay]:
    """List replays that have not ended, to endpoints that are configured."""
    return [
        RunningReplay(
            EndpointKey(row.bot, row.name),
            connection.value(_WAITING, replay=row.id),
            row.position >= row.upto,
        )
        for row in connection.rows(_UNDER_WAY)
    ]


def feed(
    connection: Connection, endpoint: EndpointKey, pick: Pick, now: float, most: int, *, run: Run
) -> ReplayTurn:
    """Put the next deliveries into their lanes, or end a replay that has none left."""
    at = run.ids[endpoint]
    row = connection.row(f"{_UNDER_WAY} AND endpoint_id = :at", at=at)
    if row is None:
        return ReplayTurn()
    waiting, size = connection.row(_LOAD, replay=row.id)
    if row.position < row.upto:
        order = ReplayOrder(endpoint, row.since, row.until)
        room = _Room(most, REPLAYED_BYTES - size, empty=not waiting)
        page = _look(connection, order, pick, room, after=row.position, upto=row.upto)
        _queue(connection, row.id, page, at=at, now=now, run=run)
        more = page.position < row.upto and not page.full
        return ReplayTurn(len(page.chosen), more=more)
    return ReplayTurn() if waiting else ReplayTurn(ended=_end(connection, row.id, now))


def _queue(
    connection: Connection, replay: int, page: _Page, *, at: int, now: float, run: Run
) -> None:
    """Add deliveries, in lanes of their own: no new message of a conversation waits for them."""
    rows = []
    for seq, lane in page.chosen:
        run.delivery += 1
        rows.append((run.delivery, seq, at, f"replay {lane}", False, replay))
    if rows:
        connection.many(ADD_DELIVERIES, rows)
        lanes.open_lanes(connection, [(at, lane, now) for lane in {row[3] for row in rows}])
    connection.run(_PROCEED, replay=replay, position=page.position, more=len(rows))


# --- Rows -----------------------------------------------------------------------------------------


def _counts(connection: Connection, replay: int) -> dict[str, int]:
    counted = dict(connection.rows(_COUNTS, replay=replay))
    return {state: counted.get(state.value, 0) for state in DeliveryState}


def _one(connection: Connection, number: int) -> ReplayRecord:
    return _record(connection, connection.row(f"{_RECORD} WHERE replays.id = :id", id=number))


def _record(connection: Connection, row: Any) -> ReplayRecord:
    counts = _counts(connection, row.id)
    seen = row.upto - row.begin
    return ReplayRecord(
        row.id,
        EndpointKey(row.bot, row.name),
        row.since,
        row.until,
        row.asked_at,
        row.ended_at,
        bool(row.cancelled),
        (row.position - row.begin) / seen if seen > 0 else 1.0,
        row.queued,
        counts[DeliveryState.PENDING],
        counts[DeliveryState.DELIVERED],
        counts[DeliveryState.DEAD],
    )
