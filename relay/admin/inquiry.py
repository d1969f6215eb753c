"""Asks the journal for all that an explanation needs, for the command and the admin API alike."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from relay.admin.explain import Circumstances, Explanation, explain
from relay.delivery.routing import Route
from relay.model.admin import AdminStore, DeliveryRecord, MessageHistory
from relay.model.messages import EndpointKey

Routes = Callable[[str], Sequence[Route] | None]
"""Gives the routes of a bot as it is configured now; None if it is not."""


def no_trouble(_bot: str, _message_id: str) -> str:
    """Know nothing of receipts: only a running relay does."""
    return ""


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What is known beside the journal: the settings, and what a running relay sees.

    `retention` in seconds; `receipt_trouble` says why a message's READ fails at the moment;
    `relayed` whether a relay runs at all.
    """

    routes: Routes
    retention: float
    receipt_trouble: Callable[[str, str], str] = no_trouble
    relayed: bool = True

    async def explain(self, desk: AdminStore, message_id: str, now: float) -> list[Explanation]:
        """Explain a message, for each bot that has it; empty if none does."""
        histories = await desk.history(message_id)
        if not histories:
            return []
        again = any(d.replay is not None for each in histories for d in each.deliveries)
        replays = {each.number: each for each in await desk.replays()} if again else {}
        endpoints = {record.endpoint: record for record in await desk.endpoints()}
        return [
            explain(
                history,
                Circumstances(
                    endpoints,
                    await _leaders(desk, history),
                    self.routes(history.summary.bot),
                    self.retention,
                    self.receipt_trouble(history.summary.bot, history.summary.message_id),
                    replays,
                    self.relayed,
                ),
                now,
            )
            for history in histories
        ]


async def _leaders(desk: AdminStore, history: MessageHistory) -> dict[EndpointKey, DeliveryRecord]:
    """Look up what goes first in each lane in which the message waits."""
    leaders: dict[EndpointKey, DeliveryRecord] = {}
    for delivery in history.deliveries:
        if delivery.ahead is not None:
            earlier = await desk.history(delivery.ahead.message_id)
            found = (each for one in earlier for each in one.deliveries)
            leaders |= {each.endpoint: each for each in found if _is_alike(each, delivery)}
    return leaders


def _is_alike(leader: DeliveryRecord, delivery: DeliveryRecord) -> bool:
    """Say whether both are in a lane of the same kind: a replay has lanes of its own."""
    again = leader.replay is not None, delivery.replay is not None
    return leader.endpoint == delivery.endpoint and again[0] == again[1]
