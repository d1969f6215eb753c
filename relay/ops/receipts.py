"""Why READ fails at the moment, for whoever asks about a message that waits for it."""

from relay.facts import Fact, ReceiptsConfirmed, ReceiptsRetried


class ReceiptTrouble:
    """Remembers of each bot how its last READ failed, until one gets through."""

    def __init__(self) -> None:
        self._why: dict[str, str] = {}

    def note(self, fact: Fact) -> None:
        """Follow what is told of receipts."""
        match fact:
            case ReceiptsRetried(alone=False):
                self._why[fact.bot] = fact.detail
            case ReceiptsConfirmed():
                self._why.pop(fact.bot, None)
            case _:
                pass

    def trouble(self, bot: str) -> str:
        """Say why a bot's READ fails; empty if it does not, or if nobody knows."""
        return self._why.get(bot, "")
