"""What a message says, for an operator who asks: the very body that its webhooks get."""

from collections.abc import Sequence

from relay.blaze.encryption import Decryptor, Undecryptable
from relay.blaze.wire import NotJson
from relay.commands.failure import Failure
from relay.config import Settings
from relay.model.admin import MessageHistory
from relay.model.messages import Message
from relay.webhook.envelope import build_envelope


def with_bodies(histories: Sequence[MessageHistory], settings: Settings) -> dict[str, str]:
    """Give each bot's message as the webhooks' body, or as its frame if there is no such bot.

    What the journal can't open is left out.
    """
    whole = (history for history in histories if not history.damage)
    return {history.message.bot: _body(history, settings) for history in whole}


def require_whole(histories: Sequence[MessageHistory]) -> None:
    """Raise `Failure` if the journal can't open what was asked for."""
    damaged = [history for history in histories if history.damage]
    if damaged:
        raise Failure(*(f"ID: {each.message.message_id!r}: {each.damage}" for each in damaged))


def _body(history: MessageHistory, settings: Settings) -> str:
    summary = history.message
    message = Message(
        summary.bot,
        summary.message_id,
        summary.conversation_id,
        summary.user_id,
        summary.category,
        summary.source,
        history.frame,
        summary.received_at,
    )
    bot = next((bot for bot in settings.bots if bot.name == summary.bot), None)
    app_id = bot.keystore.app_id if bot else ""
    decrypt = Decryptor(bot.keystore) if bot else _no_key
    try:
        body = build_envelope(message, bot_name=summary.bot, app_id=app_id, decrypt=decrypt)
    except (NotJson, LookupError, TypeError):  # a frame of another version, or by another hand
        body = history.frame
    return body.decode(errors="replace")


def _no_key(_: bytes) -> bytes:
    raise Undecryptable("the bot is not configured any more")
