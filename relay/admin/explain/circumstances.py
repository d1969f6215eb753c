"""What an explanation goes by beside a message's own history, and what the journal has of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from relay.delivery.routing import Route
from relay.model.admin import AdminStore, DeliveryRecord, EndpointRecord, MessageHistory
from relay.model.messages import EndpointKey
from relay.model.replays import ReplayRecord


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known beside a message's own history.

    `leaders` has the deliveries that go first in the lanes of those that wait, by endpoint;
    `routes` the bot's endpoints as they are configured now, None if the bot is not; `retention`
    in seconds; `receipt_trouble` why READ fails at the moment, empty if nobody knows; `replays`
    those that its deliveries are part of, by number; `relayed` whether a relay runs, without which
    nothing comes next.
    """

    endpoints: Mapping[EndpointKey, EndpointRecord] = field(default_factory=dict)
    leaders: Mapping[EndpointKey, DeliveryRecord] = field(default_factory=dict)
    replays: Mapping[int, ReplayRecord] = field(default_factory=dict)
    routes: Sequence[Route] | None = ()
    retention: float = 0.0
    receipt_trouble: str = ""
    relayed: bool = True


async def look_around(store: AdminStore, history: MessageHistory) -> Circumstances:
    """Look up what the journal knows beside a message's history."""
    again = any(delivery.replay is not None for delivery in history.deliveries)
    return Circumstances(
        {record.endpoint: record for record in await store.endpoints()},
        await _leaders(store, history),
        {replay.number: replay for replay in await store.replays()} if again else {},
    )


async def _leaders(
    store: AdminStore, history: MessageHistory
) -> Mapping[EndpointKey, DeliveryRecord]:
    """Look up what goes first in each lane in which the message waits."""
    leaders: dict[EndpointKey, DeliveryRecord] = {}
    for delivery in history.deliveries:
        if delivery.ahead is not None:
            earlier = await store.history(delivery.ahead.message_id)
            found = (each for one in earlier for each in one.deliveries)
            leaders |= {each.endpoint: each for each in found if _is_alike(each, delivery)}
    return leaders


def _is_alike(leader: DeliveryRecord, delivery: DeliveryRecord) -> bool:
    """Return whether both are in lanes of the same kind: a replay has lanes of its own."""
    again = leader.replay is not None, delivery.replay is not None
    return leader.endpoint == delivery.endpoint and again[0] == again[1]
