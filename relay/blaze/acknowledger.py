"""Sends READ receipts and judges what Mixin says to them (docs/protocol.md)."""

from collections.abc import Sequence
from http import HTTPStatus

from relay.blaze.api import Answered, MixinApi, Refused, Unanswered
from relay.blaze.credentials import Credentials
from relay.model.messages import ReceiptsFailed, ReceiptsRejected, ReceiptsTaken, ReceiptVerdict

# Sent unchanged, such a batch is refused again: an id in it is gone, foreign or no id.
FINAL_CODES = frozenset({400, 403, 404, 10002, 10404})


class MixinAcknowledger:
    """Marks messages READ over HTTP, whether or not the socket is up."""

    def __init__(self, api: MixinApi, credentials: Credentials) -> None:
        self._api = api
        self._credentials = credentials

    async def mark_read(self, message_ids: Sequence[str]) -> ReceiptVerdict:
        """POST at most 100 receipts once and judge the answer. Raises only cancellation."""
        match await self._api.acknowledge(message_ids):
            case Answered():
                self._credentials.accepted()
                return ReceiptsTaken()
            case Refused(code=401) | Unanswered(status=401):
                pause = await self._credentials.refused()
                return ReceiptsFailed("401 unauthorized", pause, unauthorized=True)
            case Refused(code, description) if code in FINAL_CODES:
                return ReceiptsRejected(code, description)
            case Refused(code, description, pause):
                return ReceiptsFailed(f"{code} {description}".strip(), pause)
            case Unanswered(detail, HTTPStatus.REQUEST_ENTITY_TOO_LARGE as status) if (
                len(message_ids) > 1
            ):
                return ReceiptsRejected(status, detail)  # half of it may do
            case Unanswered(detail, _, pause):
                return ReceiptsFailed(detail, pause)
