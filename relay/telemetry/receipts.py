"""Why READ fails at the moment, for whoever asks about a message that waits for it."""

from relay.telemetry.events import BotLeft, Fact, ReceiptsConfirmed, ReceiptsRetried, ReceiptsStuck


class ReceiptTrouble:
    """Remembers of each bot how its last READ failed, until one gets through.

    And of each message whose READ fails for long while others get through: no more than the
    outbox remembers (`relay.receipts.isolation.MAX_HELD`).
    """

    def __init__(self) -> None:
        self._why: dict[str, str] = {}
        self._alone: dict[tuple[str, str], str] = {}

    def note(self, fact: Fact) -> None:
        """Follow what is told of receipts."""
        match fact:
            case ReceiptsRetried(alone=False):
                self._why[fact.bot] = fact.detail
            case ReceiptsConfirmed():
                self._why.pop(fact.bot, None)
            case ReceiptsStuck():
                for message_id in fact.stuck:
                    self._alone[fact.bot, message_id] = f"{fact.detail}, for this message alone"
                for message_id in fact.cured:
                    self._alone.pop((fact.bot, message_id), None)
            case BotLeft():
                self._why.pop(fact.bot, None)
                self._alone = {key: why for key, why in self._alone.items() if key[0] != fact.bot}
            case _:
                pass

    def trouble(self, bot: str, message_id: str) -> str:
        """Say why a message's READ fails; empty if it does not, or if nobody knows."""
        return self._alone.get((bot, message_id), "") or self._why.get(bot, "")
