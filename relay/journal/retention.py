"""The journal's transactions beside the messages' way: notes, notices, samples, pruning."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from relay.journal.encryption.columns import Bodies
from relay.journal.encryption.keys import Kind
from relay.journal.parameters import is_in
from relay.journal.rows import is_endpoint
from relay.journal.rules import KEPT_NOTICES, MAX_UNREADABLE
from relay.journal.schema import (
    DEAD,
    FINISHED_ALIVE,
    PENDING,
    attempts,
    deliveries,
    endpoints,
    messages,
    notices,
    replays,
    unreadable,
)
from relay.model.journal import AuditEntry, EndpointNote, OperatorEventKind, UnreadableFrame
from relay.model.messages import BreakerState, EndpointKey, ReceiptState


def note_endpoint(
    connection: Connection, endpoint: EndpointKey, note: EndpointNote, bodies: Bodies
) -> None:
    """Write down how an endpoint fares; whether it is paused is an operator's to say."""
    error, sealed_by = note.last_error, None
    if error is not None:
        error, sealed_by = bodies.keep_text(Kind.ERROR, endpoint, error)
    state = BreakerState.CLOSED if note.state is BreakerState.PAUSED else note.state
    connection.execute(
        update(endpoints)
        .where(is_endpoint(endpoint))
        .values(
            state=state.value,
            last_error=error,
            sealed_by=sealed_by,
            next_probe_at=note.next_probe_at,
            gone_since=note.gone_since,
        )
    )


_SAMPLE = upsert(unreadable)
_KEEP_SAMPLE = _SAMPLE.on_conflict_do_update(
    index_elements=[unreadable.c.bot, unreadable.c.digest],
    set_={"times": unreadable.c.times + 1, "last_at": _SAMPLE.excluded.last_at},
)
_FORGOTTEN_SAMPLES = (
    select(unreadable.c.digest)
    .where(unreadable.c.bot == bindparam("of"))
    .order_by(unreadable.c.last_at.desc(), unreadable.c.digest)
    .limit(-1)  # SQLite takes no offset without a limit
    .offset(bindparam("kept"))
)
_FORGET_SAMPLES = delete(unreadable).where(
    unreadable.c.bot == bindparam("of"), unreadable.c.digest.in_(_FORGOTTEN_SAMPLES)
)


def keep_unreadable(
    connection: Connection, bot: str, frame: UnreadableFrame, now: float, bodies: Bodies
) -> None:
    """Keep a sample of a frame, or count it again; forget what was not seen for longest."""
    sample, sealed_by = bodies.keep(Kind.SAMPLE, (bot, frame.digest), frame.sample)
    values = {
        "bot": bot,
        "digest": frame.digest,
        "why": frame.why,
        "times": 1,
        "first_at": now,
        "last_at": now,
        "sample": sample,
        "sealed_by": sealed_by,
    }
    connection.execute(_KEEP_SAMPLE, values)
    connection.execute(_FORGET_SAMPLES, {"of": bot, "kept": MAX_UNREADABLE})


def notify(
    connection: Connection,
    kind: OperatorEventKind,
    endpoint: EndpointKey,
    count: int = 0,
    *,
    audit: AuditEntry = AuditEntry(),  # noqa: B008 - frozen
) -> None:
    """Leave a notice for the running relay."""
    values = {"kind": kind.value, "bot": endpoint.bot, "endpoint": endpoint.name, "count": count}
    entry = {"actor": audit.actor, "asked": audit.target, "acted": audit.count}
    connection.execute(insert(notices).values(**values, **entry))


_FORGETTABLE = (
    FINISHED_ALIVE,
    messages.c.finished_at < bindparam("before"),
    messages.c.receipt != ReceiptState.OWED.value,
    ~messages.c.seq.between(bindparam("held_from"), bindparam("held_to")),
    ~select(deliveries.c.id)
    .where(deliveries.c.seq == messages.c.seq, DEAD | PENDING)  # pending: of a replay
    .exists(),
)
_OLD = (
    select(messages.c.seq)
    .where(*_FORGETTABLE)
    .order_by(messages.c.finished_at, messages.c.seq)
    .limit(bindparam("limit"))
)
_STILL_OLD = select(messages.c.seq).where(is_in(messages.c.seq, "seqs"), *_FORGETTABLE)
_HELD = (
    select(func.min(replays.c.position) + 1, func.max(replays.c.upto))
    .join(endpoints)
    .where(replays.c.position < replays.c.upto)
    .where(replays.c.ended_at.is_(None), endpoints.c.configured)
)
"""What replays have still to look through."""

_THEIR_DELIVERIES = is_in(deliveries.c.seq, "seqs")
_FORGET = (
    delete(attempts).where(
        attempts.c.delivery_id.in_(select(deliveries.c.id).where(_THEIR_DELIVERIES))
    ),
    delete(deliveries).where(_THEIR_DELIVERIES),
    delete(messages).where(is_in(messages.c.seq, "seqs")),
)


def old_messages(connection: Connection, before: float, limit: int) -> Sequence[int]:
    """Find old finished messages without dead letters.

    It takes the longer the more dead letters are kept: it is no part of what only one at a time
    may do.
    """
    asked = {"before": before, "limit": limit} | _held(connection)
    return connection.scalars(_OLD, asked).all()


def forget(connection: Connection, seqs: Sequence[int], before: float) -> int:
    """Remove those of these messages that are still to be pruned, with all that hangs on them."""
    asked = {"seqs": seqs, "before": before} | _held(connection)
    still = connection.scalars(_STILL_OLD, asked).all()
    for delete_them in _FORGET if still else ():
        connection.execute(delete_them, {"seqs": still})
    return len(still)


def forget_the_rest(connection: Connection, before: float) -> None:
    """Remove old replays and notices."""
    connection.execute(delete(replays).where(replays.c.ended_at < before))
    newest = connection.scalar(select(func.max(notices.c.id))) or 0
    connection.execute(delete(notices).where(notices.c.id <= newest - KEPT_NOTICES))


def _held(connection: Connection) -> dict[str, int]:
    held_from, held_to = connection.execute(_HELD).one()
    return {"held_from": held_from or 0, "held_to": held_to or 0}
