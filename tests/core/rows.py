"""A journal's rows, as tests look at them and spoil them behind the relay's back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from relay.journal.encryption.columns import ColumnCipher
from relay.journal.migrations import upgrade
from relay.journal.open import journal_on
from relay.model.messages import DeliveryState, EndpointKey, MessageOutcome, ReceiptState
from tests.journal.inline import InlineMemory, at_once

SPOILT = "its copy in the journal can't be opened"
"""Why a spoilt message can't be given back."""

_DELIVERIES = """
  SELECT d.*, e.bot AS at_bot, e.name AS at_name, m.message_id FROM deliveries AS d
  JOIN messages AS m ON m.seq = d.seq JOIN endpoints AS e ON e.id = d.endpoint_id ORDER BY d.id
"""


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One delivery, and the row that it was read from."""

    endpoint: EndpointKey
    message_id: str
    state: DeliveryState
    row: Any


@dataclass(frozen=True, slots=True)
class MessageRow:
    """One message."""

    bot: str
    message_id: str
    received_at: float
    receipt: ReceiptState
    outcome: MessageOutcome | None


class Rows:
    """What a journal in memory holds, read anew each time."""

    def __init__(self) -> None:
        self._database, self._cipher = InlineMemory(), _SpoiltCipher()
        at_once(self._database.write(upgrade))
        opened = journal_on(self._database, self._cipher)
        self.journal, self.desk = opened.journal, opened.admin

    @property
    def messages(self) -> dict[tuple[str, str], MessageRow]:
        """Every message, by its bot and id, in the order in which they came."""
        found = [
            MessageRow(
                row.bot,
                row.message_id,
                row.received_at,
                ReceiptState(row.receipt),
                None if row.outcome is None else MessageOutcome(row.outcome),
            )
            for row in self.read("SELECT * FROM messages ORDER BY seq")
        ]
        return {(each.bot, each.message_id): each for each in found}

    @property
    def deliveries(self) -> list[DeliveryRow]:
        """Every delivery, in the order in which they were made."""
        return [
            DeliveryRow(
                EndpointKey(row.at_bot, row.at_name),
                row.message_id,
                DeliveryState(row.state),
                row,
            )
            for row in self.read(_DELIVERIES)
        ]

    def pending(self, endpoint: EndpointKey) -> list[DeliveryRow]:
        """Give what an endpoint is still owed."""
        pending = DeliveryState.PENDING
        return [d for d in self.deliveries if d.endpoint == endpoint and d.state is pending]

    @property
    def lanes(self) -> list[tuple[EndpointKey, str]]:
        """Name the lanes with something to load."""
        sql = "SELECT bot, name, lane FROM lanes JOIN endpoints AS e ON e.id = endpoint_id"
        return [(EndpointKey(row.bot, row.name), row.lane) for row in self.read(sql)]

    @property
    def configured(self) -> dict[EndpointKey, bool]:
        """Tell of each endpoint that is known whether it is configured."""
        rows = self.read("SELECT * FROM endpoints")
        return {EndpointKey(row.bot, row.name): bool(row.configured) for row in rows}

    @property
    def unreadable(self) -> Sequence[Any]:
        """Every frame that is kept for inspection."""
        return self.read("SELECT * FROM unreadable")

    def spoil(self, message_id: str) -> None:
        """Let a message be one that the journal can't give back."""
        self._cipher.spoilt.add(message_id)

    def restore(self, message_id: str) -> None:
        """Let it be whole again."""
        self._cipher.spoilt.remove(message_id)

    def read(self, sql: str) -> Sequence[Any]:
        """Read rows."""
        return at_once(self._database.read(lambda connection: connection.rows(sql)))

    def close(self) -> None:
        """Forget everything."""
        self._database.dispose()


class _SpoiltCipher(ColumnCipher):
    """Opens no message that is spoilt."""

    spoilt: set[str]

    def __init__(self) -> None:
        super().__init__()
        object.__setattr__(self, "spoilt", set())  # it is frozen

    def open_frame(self, row: Any) -> tuple[bytes, str]:
        return (b"", SPOILT) if row.message_id in self.spoilt else super().open_frame(row)
