"""Why READ fails at the moment, for whoever asks about a message that waits for it."""

from relay.telemetry import events


class ReceiptTrouble:
    """Remembers of each bot how its last READ failed, until one gets through.

    And of each message whose READ fails for long while others get through: no more than the
    outbox remembers (`relay.receipts.isolation.MAX_HELD`).
    """

    def __init__(self) -> None:
        self._why: dict[str, str] = {}
        self._alone: dict[tuple[str, str], str] = {}

    def trouble(self, bot: str, message_id: str) -> str:
        """Say why a message's READ fails; empty if it does not, or if nobody knows."""
        return self._alone.get((bot, message_id), "") or self._why.get(bot, "")

    def _on_receipts_retried(self, event: events.ReceiptsRetried) -> None:
        if not event.alone:
            self._why[event.bot] = event.detail

    def _on_receipts_confirmed(self, event: events.ReceiptsConfirmed) -> None:
        self._why.pop(event.bot, None)

    def _on_receipts_stuck(self, event: events.ReceiptsStuck) -> None:
        for message_id in event.stuck:
            self._alone[event.bot, message_id] = f"{event.detail}, for this message alone"
        for message_id in event.cured:
            self._alone.pop((event.bot, message_id), None)

    def _on_bot_left(self, event: events.BotLeft) -> None:
        self._why.pop(event.bot, None)
        self._alone = {key: why for key, why in self._alone.items() if key[0] != event.bot}
