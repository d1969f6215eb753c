"""One endpoint's deliveries: take what is due, attempt it once, judge, record what came of it.

The file to read first. `pump` is the relay in one loop: it starts every attempt that may start
now, and is called whenever something has changed. An attempt ends at its verdict; what came of it
goes to the writer, and once that is committed the next of its lane may go.
"""

import asyncio
import math
import random
import traceback
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from relay.delivery.breaker import BreakerPolicy, CircuitBreaker, Permit
from relay.delivery.endpoint_status import EndpointStatus
from relay.delivery.lanes import Lanes, Load
from relay.delivery.retry import RetryPolicy
from relay.model.journal import (
    Answer,
    Dropped,
    EndpointNote,
    Entry,
    NotedEndpoint,
    OperatorEvent,
    OperatorEventKind,
    OwedReceipt,
    Settled,
    WholeLane,
    WholeLanes,
)
from relay.model.messages import (
    Attempt,
    BreakerState,
    DeadLettered,
    Deferred,
    Delivered,
    Delivery,
    EndpointKey,
    Gone,
    Message,
    MessageOutcome,
    Outcome,
    Postponed,
    Reason,
    Rejected,
    Success,
    Transient,
    Verdict,
)
from relay.model.ports import Clock, Courier, Journal, JournalUnavailable, Writer
from relay.telemetry.events import (
    AttemptCrashed,
    AttemptDeferred,
    AttemptsEnded,
    DeliveriesSettled,
    EndpointServed,
    JournalFailed,
    JournalRecovered,
    MessageDamaged,
    MessagesFinished,
    Telemetry,
)

PATIENCE = 0.01
"""Seconds that an outcome waits to be committed with others, unless all waits for that."""

_LONGEST_SLEEP = 30.0
"""The timer looks at the clock so often, since the wall clock may be set while it runs."""

_JOURNAL_RETRY = 1.0

_REFUSED_RETRY = 60.0
"""Seconds until a delivery goes again whose outcome can't be written."""


@dataclass(frozen=True, slots=True)
class AttemptPolicy:
    """What an attempt is made and judged by, from its start to its end."""

    courier: Courier
    retry: RetryPolicy


class Ticket(Struct, frozen=True, gc=False):
    """The right to attempt a delivery now, and by which policy."""

    delivery: Delivery
    permit: Permit
    policy: AttemptPolicy


class Dispatcher:
    """Delivers to one endpoint; a `relay.model.ports.Party` of the writer.

    `owe_receipt` is told each READ receipt that is owed by what was delivered.
    """

    def __init__(
        self,
        endpoint: EndpointKey,
        policy: AttemptPolicy,
        *,
        breaker: CircuitBreaker,
        journal: Journal,
        writer: Writer,
        owe_receipt: Callable[[OwedReceipt], None],
        telemetry: Telemetry,
        clock: Clock,
        jitter: Callable[[], float] = random.random,
        lanes: Lanes | None = None,
        noted: EndpointNote | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.breaker = breaker
        self.lanes = lanes if lanes is not None else Lanes()  # an empty window is falsy
        self._policy = policy
        self._journal = journal
        self._writer = writer
        self._owe_receipt = owe_receipt
        self._telemetry = telemetry
        self._clock = clock
        self._jitter = jitter
        self._status = EndpointStatus(
            endpoint, breaker, telemetry=telemetry, clock=clock, noted=noted
        )
        self._over: asyncio.Future[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._loading: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._unwritten = 0
        self._holding_up: set[int] = set()  # put, not committed, and others of their lane wait
        self._stopping = self._cutting = self._leaving = False
        self._waits_for_room = self._pump_is_due = False
        self._poked = False
        self._no_load_before = 0.0

    async def run(self) -> None:
        """Deliver until stopped; returns once nothing is in flight, and all is committed."""
        self._over = asyncio.get_running_loop().create_future()
        self._telemetry(EndpointServed(self.endpoint, lambda: self.breaker.in_flight))
        self._status.tell()
        try:
            self.pump()
            self._end_if_idle()
            await self._over
        finally:
            self._stopping = True
            if self._timer is not None:
                self._timer.cancel()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- The way of one delivery ----------------------------------------------------------------

    def pump(self) -> None:
        """Start every attempt that may start now, load what is due, and set the timer."""
        if self._over is None or self._stopping:
            return
        self._pump_is_due = False
        now, breaker = self._clock(), self.breaker
        while breaker.admits(now) and self._has_room() and (delivery := self._take()):
            self._start(self._attempt(Ticket(delivery, breaker.enter(now), self._policy)))
        if self._holding_up and not self.lanes.ready and breaker.admits(now):
            self._writer.hurry()
        self._status.tell()
        load_at = self._load_at()
        if load_at <= now:
            self._loading = self._start(self._load(self.lanes.begin_load(), now))
        admits_at = breaker.admits_at if self.lanes.ready else None
        # What may start and has no room yet is told by the writer, and what is loaded by the load.
        for at in (load_at, admits_at):
            if at is not None and now < at < math.inf:
                self._wake_in(at - now)

    def _has_room(self) -> bool:
        """Say whether the writer keeps up; what is delivered and not committed may come twice."""
        if self._writer.full and not self._waits_for_room:
            self._waits_for_room = True
            self._writer.when_room(self._room)
        return not self._waits_for_room

    def _room(self) -> None:
        self._waits_for_room = False
        self.pump()

    def _take(self) -> Delivery | None:
        # Replays leave room, so that what is new never waits for a slow one.
        most_replays = max(1, self.breaker.limit // 2)
        return self.lanes.take(oldest=self.breaker.probes, most_replays=most_replays)

    async def _attempt(self, ticket: Ticket) -> None:
        delivery, loop, started = ticket.delivery, asyncio.get_running_loop(), self._clock()
        timer = loop.time()
        verdict = await self._verdict(ticket)
        duration = loop.time() - timer
        self.breaker.leave(ticket.permit, verdict, self._clock())
        if verdict is None:
            self._telemetry(AttemptDeferred(self.endpoint, delivery.message.message_id))
            self._put(Deferred(delivery))
            return
        if self.breaker.knows(ticket.permit) and not delivery.message.damage:
            self._status.learn(verdict)  # what is damaged is no fault of the endpoint
        attempt = Attempt(delivery.attempts + 1, started, duration, verdict)
        outcome = ticket.policy.retry.conclude(delivery, attempt, jitter=self._jitter())
        if self.lanes.waits_behind(delivery):
            self._holding_up.add(delivery.id)
        patience = 0.0 if self._stopping else PATIENCE
        self._put(self._in_time_for_probe(outcome), patience=patience)
        if not (isinstance(verdict, Success) and self._status.calm):
            self._status.tell()
            self.write_down()
        if not self._pump_is_due:  # once for all attempts that end together
            self._pump_is_due = True
            loop.call_soon(self._pump_safely)

    async def _verdict(self, ticket: Ticket) -> Verdict | None:
        """Ask the courier; None if a stop cut it short. A bug in one message stays inside it."""
        delivery = ticket.delivery
        if delivery.message.damage:
            return self._damaged(delivery.message)
        try:
            return await ticket.policy.courier.attempt(delivery)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or not self._cutting or task.cancelling() > 1:
                raise
            task.uncancel()
            return None
        except Exception as error:  # noqa: BLE001 - contained, counted, retried
            message_id = delivery.message.message_id
            self._telemetry(AttemptCrashed(self.endpoint, message_id, traceback.format_exc()))
            return Rejected(Reason.OTHER, detail=type(error).__name__, doubtful=True)

    def _damaged(self, message: Message) -> Rejected:
        """Ask nobody: whatever was posted would not be the message."""
        self._telemetry(MessageDamaged(self.endpoint, message.message_id, message.damage))
        return Rejected(Reason.OTHER, detail=message.damage)

    def _in_time_for_probe(self, outcome: Outcome) -> Outcome:
        """Let a probe's delivery be the next probe too: the breaker's wait replaces its own."""
        probe_at = self.breaker.admits_at
        if self.breaker.state is not BreakerState.OPEN or probe_at is None:
            return outcome
        match outcome:
            case Postponed(attempt=Attempt(verdict=Transient() | Gone())):
                return Postponed(outcome.delivery, outcome.attempt, probe_at)
            case _:
                return outcome

    # --- What is written ------------------------------------------------------------------------

    def write_down(self) -> None:
        """Write into the journal how the endpoint fares, if that has changed."""
        if (note := self._status.news()) is not None:
            self._put(NotedEndpoint(self.endpoint, note))

    def _put(self, entry: Entry, *, patience: float = 0.0) -> None:
        self._unwritten += 1
        self._writer.put(self, entry, patience=patience)

    def committed(self, pairs: Sequence[tuple[Entry, Answer]]) -> None:
        """Let lanes go on, and tell what has come of it."""
        self._unwritten -= len(pairs)
        attempted: list[Outcome] = []
        ended: list[tuple[Delivered | DeadLettered, Settled]] = []
        done: list[WholeLane] = []
        for entry, answer in pairs:
            match entry:
                case Delivered() | DeadLettered():
                    self._holding_up.discard(entry.delivery.id)
                    attempted.append(entry)
                    assert isinstance(answer, Settled)  # noqa: S101 - an outcome's answer
                    ended.append((entry, answer))
                    if self.lanes.ended(entry.delivery):
                        done.append(WholeLane(self.endpoint, entry.delivery.lane, upto=0))
                case Postponed():
                    self._holding_up.discard(entry.delivery.id)
                    attempted.append(entry)
                    self._follow_postponed(entry)
                case Dropped():
                    self.lanes.noted()
                case WholeLanes():
                    for each in entry.lanes:
                        self.lanes.forgotten(each.lane, each.upto)
                case _:
                    pass
        if done:
            self._put(WholeLanes(done))
        self._tell(attempted, ended)
        self.pump()
        self._end_if_idle()

    def refused(self, entry: Entry, error: Exception) -> None:
        """Do without an entry that can't be written: a delivery goes again, charged nothing."""
        self._unwritten -= 1
        if isinstance(entry, Delivered | Postponed | DeadLettered):
            message_id = entry.delivery.message.message_id
            trace = "".join(traceback.format_exception(error))
            self._holding_up.discard(entry.delivery.id)
            self._telemetry(AttemptCrashed(self.endpoint, message_id, trace))
            self._put(Deferred(entry.delivery))
            loop = asyncio.get_running_loop()
            loop.call_later(_REFUSED_RETRY, self._again, replace(entry.delivery, doubtful=True))
        elif isinstance(entry, Dropped):
            self.lanes.noted()
        self._end_if_idle()

    def _again(self, delivery: Delivery) -> None:
        self.lanes.returned(delivery)
        self._pump_safely()

    def _follow_postponed(self, outcome: Postponed) -> None:
        is_probe = self.breaker.state is BreakerState.OPEN
        if is_probe and outcome.due_at == self.breaker.admits_at:
            self.lanes.returned(outcome.delivery.after(outcome.attempt))
        else:
            self.lanes.postponed(outcome.delivery, outcome.due_at)

    def _tell(
        self, attempted: list[Outcome], ended: list[tuple[Delivered | DeadLettered, Settled]]
    ) -> None:
        if attempted:
            self._telemetry(AttemptsEnded(self.endpoint, attempted))
        if not ended:
            return
        self._telemetry(DeliveriesSettled(self.endpoint, [outcome for outcome, _ in ended]))
        finished: dict[MessageOutcome, list[str]] = {}
        for outcome, settled in ended:
            message_id = outcome.delivery.message.message_id
            if settled.finished is not None:
                finished.setdefault(settled.finished, []).append(message_id)
            if settled.receipt_owed:
                self._owe_receipt(OwedReceipt(settled.seq, message_id))
        for how, ids in finished.items():
            self._telemetry(MessagesFinished(self.endpoint.bot, how, len(ids), ids))

    # --- What comes in --------------------------------------------------------------------------

    def reserve(self, lane: str, message: Message) -> bool:
        """Keep a place in memory for a message that is about to be journaled, if it fits."""
        return self.lanes.reserve(lane, len(message.frame), message.received_at)

    def crowded(self, more: int) -> bool:
        """Say whether so many messages more find no room in memory."""
        return self.lanes.crowded(more)

    def release(self, lane: str, message: Message) -> None:
        """Give the place back: the journal has the message already, or does not take it."""
        self.lanes.release(lane, len(message.frame))

    def offer(self, delivery: Delivery, *, reserved: bool, leads: bool) -> None:
        """Take a delivery that has just been journaled; `pump` follows."""
        self.lanes.offer(delivery, reserved=reserved, leads=leads)

    def replay_fed(self) -> None:
        """Take what the journal has more of a replay."""
        self.lanes.replay_fed()
        self.pump()

    def notice(self, notice: OperatorEvent) -> None:
        """Follow what an operator did."""
        match notice.kind:
            case OperatorEventKind.PAUSED:
                self.breaker.pause()
            case OperatorEventKind.RESUMED:
                self.breaker.resume()
                self._poke()
            case OperatorEventKind.BACK:
                self.breaker.back()
                self._poke()
            case OperatorEventKind.REVIVED | OperatorEventKind.REPLAY_CANCELLED:
                self.lanes.reread()
                self._put(Dropped(self.endpoint))
            case (
                OperatorEventKind.DISCARDED
                | OperatorEventKind.WAIVED
                | OperatorEventKind.REPLAY_ASKED
            ):
                return
        self._status.tell()
        self.pump()

    def change(
        self, policy: AttemptPolicy, breaker_policy: BreakerPolicy, *, elsewhere: bool
    ) -> None:
        """Go by other settings from the next attempt on; those in flight end by theirs.

        `elsewhere`: the receiver is another one; what waits for a retry is due there at once.
        """
        self._policy = policy
        if elsewhere:
            self.breaker.renew(breaker_policy)
            self._status.forget()
            self._poke()
        else:
            self.breaker.adopt(breaker_policy)
        self._status.tell()
        self.pump()

    def _poke(self) -> None:
        """Let what waits for its retry be due at once."""
        self._poked = True
        self.lanes.look_again()

    # --- Stopping -------------------------------------------------------------------------------

    @property
    def stopping(self) -> bool:
        """Whether no new attempt is started."""
        return self._stopping

    def stop(self, *, leaving: bool = False) -> None:
        """Start no new attempt; those in flight go on.

        With `leaving` the journal remembers in the end what is in memory: another may follow.
        """
        self._stopping = True
        self._leaving = self._leaving or leaving
        self._writer.hurry()
        self._end_if_idle()

    def cut(self) -> int:
        """Cut off the attempts in flight, charging nobody; answers how many."""
        self._cutting = True
        self.stop()
        attempts = self._tasks - {self._loading}
        for task in attempts:
            task.cancel()
        return len(attempts)

    def _end_if_idle(self) -> None:
        over = self._over
        if over is None or over.done() or not self._stopping:
            return
        if self._tasks or self._unwritten:
            return
        if self._leaving:
            self._leaving = False
            self._put(Dropped(self.endpoint))
        else:
            over.set_result(None)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)
        self._end_if_idle()

    def _fail(self, error: BaseException) -> None:
        """End the loop: a bug that is not one message's must not be passed over."""
        if self._over is not None and not self._over.done():
            self._over.set_exception(error)

    # --- Waiting and loading --------------------------------------------------------------------

    def _load_at(self) -> float:
        """Say from when the journal is asked; what is in memory goes on if it can't answer."""
        load_at = self.lanes.load_at
        return math.inf if load_at is None else max(load_at, self._no_load_before)

    async def _load(self, load: Load, now: float) -> None:
        poked, self._poked = self._poked, False
        by = math.inf if poked else now  # resumed: what waits for its retry is due at once
        try:
            due = await self._journal.due(
                self.endpoint, by, skip=load.skip, limit=load.limit, max_bytes=load.max_bytes
            )
        except JournalUnavailable as error:
            self._poked = self._poked or poked
            self.lanes.fail_load()
            self._no_load_before = now + _JOURNAL_RETRY
            self._telemetry(JournalFailed(str(error), _JOURNAL_RETRY))
        except BaseException:
            self.lanes.fail_load()
            raise
        else:
            whole = self.lanes.finish_load(due)
            if whole:
                self._put(WholeLanes([WholeLane(self.endpoint, *each) for each in whole]))
            if self._no_load_before:
                self._no_load_before = 0.0
                self._telemetry(JournalRecovered())
        self.pump()

    def _wake_in(self, seconds: float) -> None:
        """Pump again after so many seconds, or somewhat earlier."""
        loop = asyncio.get_running_loop()
        at = loop.time() + min(seconds, _LONGEST_SLEEP)
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer, self._timer_at = loop.call_at(at, self._timer_fired), at

    def _timer_fired(self) -> None:
        self._timer = None
        self._pump_safely()

    def _pump_safely(self) -> None:
        """Pump from a timer, where nobody else would hear of a bug."""
        try:
            self.pump()
        except Exception as error:  # noqa: BLE001 - told by `run`
            self._fail(error)
