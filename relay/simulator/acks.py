"""Acks, whichever way they come (docs/protocol.md, Receipts)."""

from typing import Any

from relay.simulator.exchange import Exchange, is_uuid
from relay.simulator.faults import AppError
from relay.simulator.journal import Kind, Transport
from relay.simulator.keystore import Bot

_STATUSES = frozenset({"READ", "DELIVERED"})


def acknowledge(
    exchange: Exchange, bot: Bot, items: Any, transport: Transport, *, apply: bool = True
) -> AppError | None:
    """Take a batch of acks whole, or tell why not; without `apply` it is only written down."""
    pairs = _pairs(items)
    if pairs is None:
        return AppError(10002)
    error = _judge_batch(exchange, pairs)
    applied = apply and error is None
    for message_id, status in pairs:
        _judge(exchange, message_id)
        exchange.journal.ack(message_id, status, transport, applied=applied)
    if applied:
        exchange.mailbox(bot).acknowledge([message_id for message_id, _ in pairs])
        exchange.journal.changed()
    return error


def _pairs(items: Any) -> list[tuple[str, str]] | None:
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        return None
    pairs = [(item.get("message_id"), item.get("status")) for item in items]
    if not all(is_uuid(message_id) and status in _STATUSES for message_id, status in pairs):
        return None
    return pairs


def _judge_batch(exchange: Exchange, pairs: list[tuple[str, str]]) -> AppError | None:
    faults = exchange.faults
    if len(pairs) > faults.ack_limit:
        exchange.journal.violation(Kind.BATCH_TOO_LARGE, f"{len(pairs)} acks at once")
        return AppError(10002)
    for message_id, _ in pairs:
        if message_id in faults.bad_ids:
            return AppError(faults.bad_ids[message_id])
        if faults.unknown_ids is not None and not _was_pushed(exchange, message_id):
            return AppError(faults.unknown_ids)
    return None


def _judge(exchange: Exchange, message_id: str) -> None:
    if not _was_pushed(exchange, message_id):
        what = "an echo" if message_id in exchange.sent else "never pushed"
        exchange.journal.violation(Kind.STRANGE_ACK, f"{message_id}: {what}")
    if exchange.allow_read is not None and not exchange.allow_read(message_id):
        exchange.journal.violation(Kind.READ_TOO_EARLY, message_id)


def _was_pushed(exchange: Exchange, message_id: str) -> bool:
    return message_id in exchange.journal.pushed or message_id in exchange.raw_ids
