"""An admin store with a fixed stock, which remembers everything that it is asked."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from relay.model.admin import (
    AttemptRecord,
    DeadLetter,
    DeadLetterQuery,
    DeliveryRecord,
    EndpointRecord,
    MessageHistory,
    MessageQuery,
    MessageSummary,
    UnreadableRecord,
)
from relay.model.journal import EndpointNote
from relay.model.messages import (
    AttemptOutcome,
    BreakerState,
    DeliveryState,
    EndpointKey,
    MessageOutcome,
    Reason,
    ReceiptState,
    Source,
)
from relay.model.ports import JournalUnavailable
from relay.model.replays import Pick, ReplayOrder, ReplayRecord, RequestedReplay, Survey

Row = TypeVar("Row")

CRM = EndpointKey("support", "crm")
MESSAGE_ID = "5f3b1c9a-0e4b-4a53-9d4e-0c1d2e3f4a5b"
CONVERSATION_ID = "6a1f2b3c-0000-4000-8000-000000000001"
RECEIVED_AT = 1604321252.472333

SUMMARY = MessageSummary(
    bot="support",
    message_id=MESSAGE_ID,
    conversation_id=CONVERSATION_ID,
    user_id="6a1f2b3c-0000-4000-8000-000000000002",
    category="PLAIN_TEXT",
    source=Source.LIVE,
    received_at=RECEIVED_AT,
    outcome=MessageOutcome.DEAD,
    finished_at=RECEIVED_AT + 600,
    receipt=ReceiptState.NONE,
)
DELIVERY = DeliveryRecord(
    endpoint=CRM,
    required=True,
    state=DeliveryState.DEAD,
    attempts=(
        AttemptRecord(
            number=1,
            started_at=RECEIVED_AT + 1,
            duration=0.25,
            outcome=AttemptOutcome.REJECTED,
            status=422,
            reason=Reason.HTTP_4XX,
            detail="no such tenant",
        ),
    ),
    due_at=None,
    waits=False,
    doubtful=False,
    ended_at=RECEIVED_AT + 600,
    ended_reason="http_4xx",
)
HISTORY = MessageHistory(SUMMARY, (DELIVERY,), receipt_at=None, frame=b'{"data":"aGVsbG8="}')
REPLAY = ReplayRecord(
    number=3,
    endpoint=CRM,
    since=RECEIVED_AT,
    until=None,
    asked_at=RECEIVED_AT + 900,
    ended_at=None,
    cancelled=False,
    looked_through=0.5,
    queued=2,
    pending=1,
    delivered=1,
    dead=0,
)
DEAD_LETTER = DeadLetter(
    endpoint=CRM,
    message_id=MESSAGE_ID,
    conversation_id=CONVERSATION_ID,
    category="PLAIN_TEXT",
    attempts=10,
    reason="http_4xx",
    status=422,
    detail="no such tenant",
    received_at=RECEIVED_AT,
    ended_at=RECEIVED_AT + 600,
)
ENDPOINT = EndpointRecord(
    endpoint=CRM,
    note=EndpointNote(BreakerState.OPEN, "http_5xx, status 500", next_probe_at=RECEIVED_AT + 60),
    pending=3,
    oldest_at=RECEIVED_AT,
    dead_letters=1,
    configured=True,
)


@dataclass
class FakeAdminStore:
    """Answers from the stock above; every request and its arguments are in `asked`.

    An `empty` one knows the endpoint, and has nothing of it.
    """

    asked: list[tuple[object, ...]] = field(default_factory=list)
    available: bool = True
    empty: bool = False

    async def messages(self, query: MessageQuery) -> Sequence[MessageSummary]:
        return self._answer([SUMMARY], "messages", query)

    async def history(self, message_id: str) -> Sequence[MessageHistory]:
        known = message_id == MESSAGE_ID
        return self._answer([HISTORY] if known else [], "history", message_id)

    async def dead_letters(self, query: DeadLetterQuery) -> Sequence[DeadLetter]:
        return self._answer([DEAD_LETTER], "dead_letters", query)

    async def count_dead_letters(self, query: DeadLetterQuery) -> int:
        return len(self._answer([DEAD_LETTER], "count_dead_letters", query))

    async def retry(self, query: DeadLetterQuery, now: float) -> Sequence[DeadLetter]:
        return self._answer([DEAD_LETTER], "retry", query, now)

    async def discard(
        self, query: DeadLetterQuery, now: float, *, mark_read: bool
    ) -> Sequence[DeadLetter]:
        return self._answer([DEAD_LETTER], "discard", query, now, mark_read)

    async def unreadable(self, bot: str | None, limit: int) -> Sequence[UnreadableRecord]:
        return self._answer([], "unreadable", bot, limit)

    async def endpoints(self) -> Sequence[EndpointRecord]:
        return self._answer([ENDPOINT], "endpoints") or [ENDPOINT]

    async def survey_replay(self, order: ReplayOrder, pick: Pick, sofar: Survey) -> Survey:
        return self._answer([Survey(upto=0)], "survey_replay", order, pick, sofar)[0]

    async def ask_replay(self, order: ReplayOrder, now: float) -> RequestedReplay | None:
        known = self._answer([REPLAY] if order.endpoint == CRM else [], "ask_replay", order, now)
        return RequestedReplay(known[0], accepted=True) if known else None

    async def replays(self) -> Sequence[ReplayRecord]:
        return self._answer([REPLAY], "replays")

    async def cancel_replay(self, number: int, now: float) -> ReplayRecord | None:
        known = self._answer([REPLAY] if number == REPLAY.number else [], "cancel", number, now)
        return known[0] if known else None

    async def pause(self, endpoint: EndpointKey) -> bool:
        return bool(self._answer([endpoint] if endpoint == CRM else [], "pause", endpoint))

    async def resume(self, endpoint: EndpointKey) -> bool:
        return bool(self._answer([endpoint] if endpoint == CRM else [], "resume", endpoint))

    async def back(self, endpoint: EndpointKey) -> bool:
        return bool(self._answer([endpoint] if endpoint == CRM else [], "back", endpoint))

    def _answer(self, rows: list[Row], *asked: object) -> list[Row]:
        self.asked.append(asked)
        if not self.available:
            raise JournalUnavailable("disk full at a secret place")
        return [] if self.empty else rows
