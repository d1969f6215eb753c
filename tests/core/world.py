"""The relay without its drivers, put together as the service does it, in a world that can end.

What outlives a crash is the world's: the journal, the receivers, Mixin. The rest is a run.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from random import Random
from types import TracebackType
from typing import Any, Self

from msgspec import structs

from relay.bot import Bot, BotChanges, Webhook, WebhookChange
from relay.delivery.breaker import BreakerPolicy, CircuitBreaker
from relay.delivery.dispatcher import AttemptPolicy, Dispatcher
from relay.delivery.intake import Intake
from relay.delivery.lanes import MAX_BYTES, MAX_DELIVERIES, Lanes
from relay.delivery.retry import RetryPolicy
from relay.delivery.routing import Route, Routing
from relay.journal.writer import Writer
from relay.maintenance import last_notice
from relay.model.admin import DeadLetterQuery
from relay.model.journal import EndpointNote
from relay.model.messages import BreakerState, EndpointKey, Message, ReceiptState
from relay.model.replays import EndpointInfo
from relay.receipts.outbox import Outbox
from relay.supervisor import Plan
from relay.telemetry.events import ReceiptsConfirmed
from tests.core.acknowledgers import FakeAcknowledger
from tests.core.couriers import FakeCourier
from tests.core.disk import Disk
from tests.core.listeners import FakeConnections, FakeListener
from tests.core.recorder import (
    PATIENCE,
    AttemptStarted,
    DeliverySettled,
    Recorder,
    confirmed_ids,
    until_all,
)
from tests.core.rows import MessageRow, Rows
from tests.core.runs import Run
from tests.core.samples import BOT, message, uuid
from tests.core.virtual_time import EPOCH

DRAIN = 25.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint's settings."""

    key: EndpointKey
    required: bool = True
    categories: tuple[str, ...] = ()
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    gate: BreakerPolicy = field(default_factory=BreakerPolicy)
    max_deliveries: int = MAX_DELIVERIES
    max_bytes: int = MAX_BYTES
    retained: bool = False


class World:
    """Mixin, a relay, and the receivers."""

    def __init__(
        self,
        *endpoints: Endpoint,
        latency: float = 0.002,
        by_conversation: bool = True,
        unwanted_read: bool = True,
        tell: Recorder | None = None,
        jitter: Callable[[], float] | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._loop = loop or asyncio.get_running_loop()
        self.endpoints = endpoints
        self.tell = tell or Recorder()
        self.courier = FakeCourier(
            lambda post: self.tell(AttemptStarted(post.endpoint, post.message_id, post.number))
        )
        self.mixin = FakeAcknowledger()
        self.mixin.only(self.may_be_read)
        self.waived: set[tuple[EndpointKey, str]] = set()
        self.disk = Disk(
            latency,
            on_recorded=self.courier.recorded,
            on_buried=self.courier.buried,
        )
        self.desk = self.disk.rows.desk
        self.clean: bool | None = None
        self.cut_attempts = 0
        self._jitter = jitter or Random(11).random
        self._ahead = 0.0
        self._run: Run | None = None
        self._by_conversation = by_conversation
        self._unwanted_read = unwanted_read
        self._routing = self._route(endpoints)
        self._messages: dict[str, Message] = {}

    @property
    def run(self) -> Run:
        """The relay that runs now."""
        assert self._run is not None
        return self._run

    @property
    def rows(self) -> Rows:
        """What the journal holds."""
        return self.disk.rows

    def configure(self, *endpoints: Endpoint) -> None:
        """Let the next start have these endpoints."""
        self.endpoints, self._routing = endpoints, self._route(endpoints)

    def wall(self) -> float:
        """Tell the wall time."""
        return EPOCH + self._ahead + self._loop.time()

    def clock_is_set(self, seconds: float) -> None:
        """Set the wall clock forward, or back."""
        self._ahead += seconds

    @property
    def pushed(self) -> set[str]:
        """Every message that Mixin has pushed."""
        return set(self._messages)

    async def __aenter__(self) -> Self:
        """Start the relay."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        """Stop the relay, and see that every promise was kept."""
        if kind is None and self._run is not None:
            await self.stop()
            assert [] == self.violations
        await self.end()

    async def end(self) -> None:
        """Drop the relay; a loop that broke raises its error here."""
        run, self._run = self._run, None
        if run is not None:
            await run.end()

    @property
    def violations(self) -> list[str]:
        """What broke a promise."""
        return self.courier.violations + self.mixin.violations

    # --- What happens to a relay ----------------------------------------------------------------

    async def start(self) -> None:
        """Start a relay on what the journal holds."""
        assert self._run is None
        keys = [endpoint.key for endpoint in self.endpoints]
        self.clean = await self.disk.start(keys, self.wall())
        await self.disk.register_endpoints(_infos(self.endpoints), self.wall())
        noticed = await last_notice(self.disk)
        writer = Writer(self.disk, self.tell, self.wall, jitter=self._jitter)
        self._run = Run(self.disk, writer, self.tell, self.wall, noticed)
        await self._run.begin([await self.bot(BOT, *self.endpoints)])

    async def stop(self, drain: float = DRAIN) -> None:
        """Let the relay come to rest; what is in flight after `drain` seconds is cut."""
        run, self._run = self.run, None
        self.cut_attempts = await run.come_to_rest(drain)
        if self.cut_attempts or not run.written:
            self.courier.interrupted()
        await run.end()

    async def cut(self) -> None:
        """Stop at once: what is in flight is cut."""
        await self.stop(drain=0.0)

    async def crash(self) -> None:
        """Drop the relay with all that it has in memory."""
        await self.end()
        self.courier.interrupted()

    async def restart(self) -> None:
        """Crash, and start again."""
        await self.crash()
        await self.start()

    async def reload(
        self, *endpoints: Endpoint, discard: bool = False, moved: Collection[EndpointKey] = ()
    ) -> int:
        """Go by other endpoints; answers how many deliveries were discarded."""
        run, before = self.run, {each.key: each for each in self.endpoints}
        now = {each.key: each for each in endpoints}
        added = [each for key, each in now.items() if key not in before]
        changes = BotChanges(
            self._route(endpoints),
            {each.key: await self._webhook(each, run.writer, run.bot.outbox) for each in added},
            {
                key: WebhookChange(
                    AttemptPolicy(self.courier.at(key), now[key].retry),
                    now[key].gate,
                    elsewhere=key in moved,
                )
                for key in now
                if key in before
            },
            [key for key in before if key not in now],
        )
        plan = Plan(
            {BOT: changes},
            added=list(changes.added),
            removed=changes.removed,
            infos=_infos(endpoints),
            discard=discard,
        )
        leaving = await run.supervisor.exchange(plan)
        self.endpoints, self._routing = endpoints, changes.routing
        return await run.supervisor.see_off(leaving, DRAIN)

    async def change_bots(self, plan: Plan) -> int:
        """Let bots come and go; answers how many deliveries were discarded."""
        leaving = await self.run.supervisor.exchange(plan)
        return await self.run.supervisor.see_off(leaving, DRAIN)

    async def heal(self, seconds: float = 1000.0) -> None:
        """Let everything succeed until all is done, or for so long that it should be."""
        self.courier.heal()
        self.mixin.heal()
        self.disk.full = self.disk.unreadable = False
        for endpoint in self.endpoints:
            await self.desk.resume(endpoint.key)
        self.push_unread()
        deadline = self.wall() + seconds
        await self.run.writer.idle()
        await self.pass_time(2.0)
        while self.unfinished and self.wall() < deadline:
            await self.pass_time(5.0)

    @property
    def unfinished(self) -> list[MessageRow]:
        """The messages for which something is left to do."""
        return [
            row
            for row in self.rows.messages.values()
            if row.outcome is None or row.receipt is ReceiptState.OWED
        ]

    async def pass_time(self, seconds: float) -> None:
        """Let the relay run for so long."""
        await asyncio.sleep(seconds)

    async def discard(self, query: DeadLetterQuery, *, mark_read: bool) -> None:
        """Give dead letters up."""
        letters = await self.desk.discard(query, self.wall(), mark_read=mark_read)
        if mark_read:
            self.waived |= {(letter.endpoint, letter.message_id) for letter in letters}

    # --- What Mixin does ------------------------------------------------------------------------

    def push(self, number: int, conversation: str = "c", *, bot: str = BOT, **more: Any) -> str:
        """Push a message, or push it again; answers with its id."""
        new = structs.replace(message(number, conversation, at=self.wall(), **more), bot=bot)
        pushed = self._messages.setdefault(uuid(number), new)
        self.run.supervisor.bots[bot].intake.take(pushed)
        return pushed.message_id

    def push_unread(self) -> None:
        """Push everything again that is not READ, as Mixin does after each connect."""
        for message_id, pushed in self._messages.items():
            if message_id not in self.mixin.read and pushed.bot in self.run.supervisor.bots:
                self.run.supervisor.bots[pushed.bot].intake.take(pushed)

    def may_be_read(self, message_id: str) -> bool:
        """Say whether every endpoint that READ waits for has answered 2xx."""
        arrival = self.disk.arrivals[message_id]  # as it was routed, whatever was reloaded since
        if not arrival.owed:
            return arrival.unwanted_read
        required = [(owed.endpoint, message_id) for owed in arrival.owed if owed.required]
        return all(each in self.courier.answered or each in self.waived for each in required)

    # --- Waiting --------------------------------------------------------------------------------

    async def settled(self, *message_ids: str, endpoint: EndpointKey | None = None) -> None:
        """Wait until messages have ended, at one endpoint or at all of them."""
        for key in [endpoint] if endpoint else [each.key for each in self.endpoints]:
            await self.tell.wait_for(DeliverySettled, until_all(message_ids, _settled_at(key)))

    async def read(self, *message_ids: str, within: float = PATIENCE) -> None:
        """Wait until Mixin has the READ receipts of messages."""
        last = until_all(message_ids, confirmed_ids)
        await self.tell.wait_for(ReceiptsConfirmed, last, within=within)

    # --- Putting it together --------------------------------------------------------------------

    def _route(self, endpoints: Sequence[Endpoint]) -> Routing:
        return Routing(
            [Route(each.key, each.required, each.categories) for each in endpoints],
            by_conversation=self._by_conversation,
            unwanted_read=self._unwanted_read,
        )

    async def bot(self, name: str, *endpoints: Endpoint) -> Bot:
        """Build a bot that does not run yet, as the journal has left it."""
        writer = self.run.writer
        outbox = Outbox(
            name,
            self.disk,
            writer,
            self.mixin,
            telemetry=self.tell,
            clock=self.wall,
            jitter=self._jitter,
        )
        webhooks = {each.key: await self._webhook(each, writer, outbox) for each in endpoints}
        intake = Intake(
            name,
            self._route(endpoints),
            writer,
            webhooks,
            owe_receipt=outbox.owe,
            telemetry=self.tell,
        )
        return Bot(name, listener=FakeListener(), intake=intake, outbox=outbox, webhooks=webhooks)

    async def _webhook(self, endpoint: Endpoint, writer: Writer, outbox: Outbox) -> Webhook:
        note = await self.disk.endpoint_note(endpoint.key)
        return Webhook(self._dispatcher(endpoint, writer, outbox, note), FakeConnections())

    def _dispatcher(
        self, endpoint: Endpoint, writer: Writer, outbox: Outbox, note: EndpointNote
    ) -> Dispatcher:
        breaker = CircuitBreaker(
            endpoint.gate,
            paused=note.state is BreakerState.PAUSED,
            gone=note.state is BreakerState.GONE,
            gone_since=note.gone_since,
        )
        lanes = Lanes(max_deliveries=endpoint.max_deliveries, max_bytes=endpoint.max_bytes)
        return Dispatcher(
            endpoint.key,
            AttemptPolicy(self.courier.at(endpoint.key), endpoint.retry),
            breaker=breaker,
            journal=self.disk,
            writer=writer,
            owe_receipt=outbox.owe,
            telemetry=self.tell,
            clock=self.wall,
            jitter=self._jitter,
            lanes=lanes,
            noted=note,
        )


def _settled_at(endpoint: EndpointKey) -> Callable[[DeliverySettled], tuple[str, ...]]:
    return lambda event: (event.message_id,) if event.endpoint == endpoint else ()


def _infos(endpoints: Sequence[Endpoint]) -> list[EndpointInfo]:
    return [EndpointInfo(each.key, str(each.key), each.retained) for each in endpoints]
