"""The journal's transactions of replays: who asks for one, and how it goes on, a bit at a time."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    Select,
    bindparam,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert as upsert

from relay.journal.incoming import EndpointIds, Numbers
from relay.journal.lane_terms import CLOSE_EMPTY_LANES
from relay.journal.looking_through import Front, look
from relay.journal.parameters import is_in
from relay.journal.rows import ENDPOINT_KEY, Values, endpoint_of, is_endpoint, lane_values
from relay.journal.rules import (
    CANCELLED,
    REMOVED,
    REPLAYED_BYTES,
    Room,
    looked_through,
    replay_lane,
)
from relay.journal.schema import deliveries, endpoints, lanes, messages, replays
from relay.model.messages import DeliveryState, EndpointKey
from relay.model.replays import (
    EndpointInfo,
    Pick,
    ReplayOrder,
    ReplayRecord,
    ReplayTurn,
    RequestedReplay,
    RunningReplay,
    Survey,
)

_RECORD: Select[Any] = select(replays, endpoints.c.bot, endpoints.c.name).join(endpoints)
_UNDER_WAY = replays.c.ended_at.is_(None)
_COUNT = select(func.count()).where(deliveries.c.replay == bindparam("of"))
_ADD_DELIVERIES = insert(deliveries)
_ADD_LANES = upsert(lanes).on_conflict_do_nothing()
_PROCEED = (
    update(replays)
    .where(replays.c.id == bindparam("of"))
    .values(position=bindparam("to"), queued=replays.c.queued + bindparam("more"))
)
_LOAD = (
    select(func.count(), func.sum(messages.c.size))
    .select_from(deliveries)
    .join(messages, messages.c.seq == deliveries.c.seq)
    .where(
        deliveries.c.replay == bindparam("of"),
        deliveries.c.state == DeliveryState.PENDING.value,
    )
)
_LEFT = select(deliveries.c.id).where(
    deliveries.c.replay == bindparam("of"),
    (deliveries.c.state == DeliveryState.PENDING.value)
    | ((deliveries.c.state == DeliveryState.DEAD.value) & (deliveries.c.ended_reason == REMOVED)),
)
_GIVE_UP = (
    update(deliveries)
    .where(is_in(deliveries.c.id, "ids"))
    .values(state=DeliveryState.DISCARDED.value, ended_at=bindparam("now"), ended_reason=CANCELLED)
)


def survey(connection: Connection, order: ReplayOrder, pick: Pick, sofar: Survey) -> Survey:
    """Count on for a page."""
    upto = _last_seq(connection) if sofar.upto is None else sofar.upto
    front = look(connection, order, pick, after=sofar.position, upto=upto)
    return Survey(sofar.messages + len(front.chosen), front.position, upto)


# --- Asking ---------------------------------------------------------------------------------------


def ask(connection: Connection, order: ReplayOrder, now: float) -> RequestedReplay | None:
    """Write a replay down, unless another one to the same endpoint is under way."""
    mine = select(endpoints.c.id).where(is_endpoint(order.endpoint), endpoints.c.configured)
    number = connection.scalar(mine)
    if number is None:
        return None
    busy = connection.execute(_RECORD.where(_UNDER_WAY, replays.c.endpoint_id == number)).first()
    if busy is not None:
        return RequestedReplay(_record(connection, busy), accepted=False)
    return RequestedReplay(_begin(connection, order, number, now), accepted=True)


def _begin(connection: Connection, order: ReplayOrder, number: int, now: float) -> ReplayRecord:
    begin = (connection.scalar(select(func.min(messages.c.seq))) or 1) - 1
    values = {
        "endpoint_id": number,
        "since": order.since,
        "until": order.until,
        "asked_at": now,
        "begin": begin,
        "position": begin,
        "upto": _last_seq(connection),
        "queued": 0,
        "cancelled": False,
    }
    made = connection.execute(insert(replays).values(**values))
    (key,) = made.inserted_primary_key or (0,)
    return _one(connection, key)


def find(connection: Connection) -> list[ReplayRecord]:
    """List replays, the newest first."""
    rows = connection.execute(_RECORD.order_by(replays.c.id.desc())).all()
    return [_record(connection, row) for row in rows]


def cancel(connection: Connection, number: int, now: float) -> ReplayRecord | None:
    """End a replay with what it has in lanes, or had in those of an endpoint that was removed."""
    if connection.execute(_RECORD.where(replays.c.id == number)).first() is None:
        return None
    ids = connection.scalars(_LEFT, {"of": number}).all()
    connection.execute(_GIVE_UP, {"ids": ids, "now": now})
    connection.execute(CLOSE_EMPTY_LANES, {"ids": ids})
    return _end(connection, number, now, cancelled=True)


def _end(
    connection: Connection, number: int, now: float, *, cancelled: bool = False
) -> ReplayRecord:
    ended = update(replays).where(replays.c.id == number, _UNDER_WAY)
    connection.execute(ended.values(ended_at=now, cancelled=cancelled))
    return _one(connection, number)


def register_endpoints(
    connection: Connection, newcomers: Sequence[EndpointInfo], now: float
) -> list[ReplayRecord]:
    """Take note of addresses; new endpoints get what is retained, if they want it."""
    names = frozenset(each.endpoint for each in newcomers)
    begun = [
        _begin(connection, ReplayOrder(each.endpoint), _number(connection, each.endpoint), now)
        for each in newcomers
        if each.retained and _is_new(connection, each, names) and _last_seq(connection)
    ]
    for each in newcomers:
        named = update(endpoints).where(is_endpoint(each.endpoint))
        connection.execute(named.values(address=each.address))
    return begun


def _is_new(connection: Connection, newcomer: EndpointInfo, names: frozenset[EndpointKey]) -> bool:
    """Say whether nobody knows the endpoint, not even by a name that is in use no more."""
    known = select(endpoints.c.address).where(is_endpoint(newcomer.endpoint))
    there = select(*ENDPOINT_KEY).where(
        endpoints.c.bot == newcomer.endpoint.bot, endpoints.c.address == newcomer.address
    )
    before = {endpoint_of(row) for row in connection.execute(there)}
    return connection.scalar(known) is None and names.issuperset(before)


# --- Carrying out ---------------------------------------------------------------------------------


def under_way(connection: Connection) -> list[RunningReplay]:
    """List replays that have not ended, to endpoints that are configured."""
    rows = connection.execute(_RECORD.where(_UNDER_WAY, endpoints.c.configured)).all()
    return [
        RunningReplay(endpoint_of(row), _waiting(connection, row.id), row.position >= row.upto)
        for row in rows
    ]


def feed(
    connection: Connection,
    endpoint: EndpointKey,
    pick: Pick,
    now: float,
    most: int,
    *,
    ids: EndpointIds,
    numbers: Numbers,
) -> ReplayTurn:
    """Put the next deliveries into their lanes, or end a replay that has none left."""
    mine = (replays.c.endpoint_id == ids[endpoint], endpoints.c.configured)
    row = connection.execute(_RECORD.where(_UNDER_WAY, *mine)).first()
    if row is None:
        return ReplayTurn()
    waiting, size = connection.execute(_LOAD, {"of": row.id}).one()
    if row.position < row.upto:
        order = ReplayOrder(endpoint, row.since, row.until)
        room = Room(most, REPLAYED_BYTES - (size or 0), empty=not waiting)
        front = look(connection, order, pick, room, after=row.position, upto=row.upto)
        _queue(connection, row.id, front, at=ids[endpoint], now=now, numbers=numbers)
        more = front.position < row.upto and not front.full
        return ReplayTurn(len(front.chosen), more=more)
    return ReplayTurn() if waiting else ReplayTurn(ended=_end(connection, row.id, now))


def _queue(
    connection: Connection, replay: int, front: Front, *, at: int, now: float, numbers: Numbers
) -> None:
    rows: list[Values] = []
    for message, lane in front.chosen:
        numbers.delivery += 1
        rows.append(
            {
                "id": numbers.delivery,
                "seq": message.seq,
                "endpoint_id": at,
                "lane": replay_lane(lane),
                "required": False,
                "state": DeliveryState.PENDING.value,
                "replay": replay,
            }
        )
    if rows:
        connection.execute(_ADD_DELIVERIES, rows)
        taken = sorted({row["lane"] for row in rows})
        connection.execute(_ADD_LANES, [lane_values(at, lane, now) for lane in taken])
    connection.execute(_PROCEED, {"of": replay, "to": front.position, "more": len(rows)})


# --- Rows -----------------------------------------------------------------------------------------


def _number(connection: Connection, endpoint: EndpointKey) -> int:
    row = connection.execute(select(*ENDPOINT_KEY).where(is_endpoint(endpoint))).first()
    return row.id if row else 0


def _last_seq(connection: Connection) -> int:
    return connection.scalar(select(func.max(messages.c.seq))) or 0


def _waiting(connection: Connection, replay: int) -> int:
    return _count(connection, replay, DeliveryState.PENDING)


def _count(connection: Connection, replay: int, state: DeliveryState) -> int:
    in_state = _COUNT.where(deliveries.c.state == state.value)
    return connection.scalar(in_state, {"of": replay}) or 0


def _one(connection: Connection, number: int) -> ReplayRecord:
    return _record(connection, connection.execute(_RECORD.where(replays.c.id == number)).one())


def _record(connection: Connection, row: Row[Any]) -> ReplayRecord:
    counts = {state: _count(connection, row.id, state) for state in DeliveryState}
    return ReplayRecord(
        row.id,
        endpoint_of(row),
        row.since,
        row.until,
        row.asked_at,
        row.ended_at,
        row.cancelled,
        looked_through(row.begin, row.position, row.upto),
        row.queued,
        counts[DeliveryState.PENDING],
        counts[DeliveryState.DELIVERED],
        counts[DeliveryState.DEAD],
    )
