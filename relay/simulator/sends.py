"""Messages that the bot sends (docs/protocol.md, Actions)."""

import re
from collections.abc import Mapping
from typing import Any, Final

from relay.simulator.codec import pack
from relay.simulator.exchange import Exchange, is_uuid
from relay.simulator.faults import AppError
from relay.simulator.keystore import Bot
from relay.simulator.message import RECEIPT, echo_of_send, receipt

_CATEGORY: Final = re.compile(r"(PLAIN|ENCRYPTED|APP|MESSAGE)_[A-Z_]+")


def take(exchange: Exchange, bot: Bot, message: Any) -> dict[str, Any] | AppError:
    """Take a message from a bot, and answer with its echo; one taken before is not taken again."""
    if not isinstance(message, Mapping) or not _is_valid(message):
        return AppError(10002)
    message_id = message["message_id"]
    if message_id not in exchange.sent:
        exchange.sent[message_id] = echo_of_send(message_id, bot.app_id, exchange.clock.now())
        exchange.journal.sent.append(dict(message))
        exchange.journal.changed()
        for status in exchange.faults.receipts:
            push_receipt(exchange, bot, message_id, status)
    return exchange.sent[message_id]


def push_receipt(exchange: Exchange, bot: Bot, message_id: str, status: str) -> None:
    """Push what became of a message to the bot that sent it."""
    data = receipt(message_id, status, exchange.clock.now())
    frame = pack({"id": exchange.new_id(), "action": RECEIPT, "data": data})
    exchange.mailbox(bot).offer(frame)


def _is_valid(message: Mapping[str, Any]) -> bool:
    ids = (message.get("message_id"), message.get("conversation_id"))
    category = message.get("category")
    known = isinstance(category, str) and _CATEGORY.fullmatch(category) is not None
    return known and all(map(is_uuid, ids))
