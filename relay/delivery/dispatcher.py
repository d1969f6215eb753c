"""One endpoint's deliveries: take what is due, attempt it once, judge, record what came of it.

This is the file to read first: `_work` is the relay in four lines.
"""

import asyncio
import math
import traceback

from relay.delivery.breaker import BreakerPolicy, CircuitBreaker, Permit
from relay.delivery.endpoint_status import Standing
from relay.delivery.lanes import Lanes
from relay.delivery.retry import RetryPolicy
from relay.delivery.terms import Neighbours, Terms, Turn
from relay.model.journal import EndpointNote, OperatorEvent, OperatorEventKind, Settled
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
    Outcome,
    Postponed,
    Reason,
    Rejected,
    Transient,
    Verdict,
)
from relay.model.ports import JournalUnavailable
from relay.telemetry.events import (
    AttemptCrashed,
    AttemptDeferred,
    AttemptEnded,
    AttemptStarted,
    DeliverySettled,
    JournalFailed,
    JournalRecovered,
    MessageDamaged,
    MessageFinished,
)

_LONGEST_SLEEP = 30.0
"""A sleeper looks at the clock so often, since the wall clock may be set while it sleeps."""

_JOURNAL_RETRY = 1.0


class Dispatcher:
    """Delivers to one endpoint."""

    def __init__(
        self,
        endpoint: EndpointKey,
        neighbours: Neighbours,
        *,
        gate: CircuitBreaker,
        retry: RetryPolicy,
        lanes: Lanes | None = None,
        noted: EndpointNote | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.gate = gate
        self.lanes = lanes if lanes is not None else Lanes()  # an empty window is falsy
        self._terms = Terms(neighbours.courier, retry)
        self._with = neighbours
        self._workers: asyncio.TaskGroup | None = None
        self._hired = 0
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()
        self._stopping = False
        self._attempting: set[asyncio.Task[None]] = set()
        self._cut: set[asyncio.Task[None]] = set()
        self._poked = False
        self._no_load_before = 0.0
        self._standing = Standing(
            endpoint,
            gate,
            journal=neighbours.journal,
            telemetry=neighbours.telemetry,
            clock=neighbours.clock,
            noted=noted,
        )

    async def run(self) -> None:
        """Deliver until stopped; returns once nothing is in flight."""
        self._standing.tell()
        async with asyncio.TaskGroup() as self._workers:
            self._hire()

    def offer(self, delivery: Delivery, *, leads: bool) -> None:
        """Take a delivery that has just been journaled."""
        self.lanes.offer(delivery, leads=leads)
        self._changed.set()

    def look_again(self) -> None:
        """Take what has been added to the journal."""
        self.lanes.look_again()
        self._changed.set()

    def notice(self, notice: OperatorEvent) -> None:
        """Follow what an operator did."""
        match notice.kind:
            case OperatorEventKind.PAUSED:
                self.gate.pause()
            case OperatorEventKind.RESUMED:
                self.gate.resume()
                self._poke()
            case OperatorEventKind.BACK:
                self.gate.back()
                self._poke()
            case OperatorEventKind.REVIVED | OperatorEventKind.REPLAY_CANCELLED:
                self.lanes.reread()
            case (
                OperatorEventKind.DISCARDED
                | OperatorEventKind.WAIVED
                | OperatorEventKind.REPLAY_ASKED
            ):
                return
        self._moved()

    def change(self, terms: Terms, policy: BreakerPolicy, *, elsewhere: bool) -> None:
        """Go by other settings from the next attempt on; those in flight end by theirs.

        `elsewhere`: the receiver is another one; what waits for a retry is due there at once.
        """
        self._terms = terms
        if elsewhere:
            self.gate.renew(policy)
            self._standing.forget()
            self._poke()
        else:
            self.gate.adopt(policy)
        self._hire()
        self._moved()

    async def write_down(self) -> None:
        """Write into the journal how the endpoint fares, if that has changed."""
        await self._standing.write_down()

    @property
    def stopping(self) -> bool:
        """Whether no new attempt is started."""
        return self._stopping

    def _poke(self) -> None:
        """Let what waits for its retry be due at once."""
        self._poked = True
        self.lanes.reread()

    def stop(self) -> None:
        """Start no new attempt; those in flight go on."""
        self._stopping = True
        self._changed.set()

    def cut(self) -> int:
        """Cut off the attempts in flight, charging nobody; answers how many."""
        self.stop()
        self._cut |= self._attempting
        for task in self._attempting:
            task.cancel()
        return len(self._attempting)

    # --- The way of one delivery ----------------------------------------------------------------

    def _hire(self) -> None:
        """Have a worker for each request that may be in flight."""
        if self._workers is None or self._stopping:
            return
        for _ in range(self._hired, self.gate.policy.concurrency):
            self._workers.create_task(self._work())
            self._hired += 1

    async def _work(self) -> None:
        while (turn := await self._next_due()) is not None:
            attempt = await self._attempt(turn)
            await self._record(turn, attempt)

    async def _next_due(self) -> Turn | None:
        async with self._turn:  # one worker waits for what comes, the others for their turn
            while not self._stopping:
                self._changed.clear()
                now = self._with.clock()
                if self._load_at() <= now:
                    await self._load(now)
                elif self.gate.admits(now) and (delivery := self._take()):
                    return Turn(delivery, self._enter(now), self._terms)
                else:
                    await self._sleep(now)
        return None

    def _take(self) -> Delivery | None:
        # Replays leave room, so that what is new never waits for a slow one.
        most_replays = max(1, self.gate.limit // 2)
        return self.lanes.take(oldest=self.gate.probes, most_replays=most_replays)

    def _enter(self, now: float) -> Permit:
        permit = self.gate.enter(now)
        self._standing.tell()
        return permit

    async def _attempt(self, turn: Turn) -> Attempt | Deferred:
        delivery, clock = turn.delivery, self._with.clock
        number, message_id = delivery.attempts + 1, delivery.message.message_id
        self._with.telemetry(AttemptStarted(self.endpoint, message_id, number))
        started, loop = clock(), asyncio.get_running_loop()
        timer = loop.time()
        verdict = await self._courier_verdict(turn)
        self.gate.leave(turn.permit, verdict, clock())
        if verdict is None:
            self._with.telemetry(AttemptDeferred(self.endpoint, message_id))
            return Deferred(delivery)
        if self.gate.knows(turn.permit) and not delivery.message.damage:  # no fault of the endpoint
            self._standing.learn(verdict)
        self._moved()
        return Attempt(number, started, loop.time() - timer, verdict)

    async def _courier_verdict(self, turn: Turn) -> Verdict | None:
        """Ask the courier; None if a stop cut it short. A bug in one message stays inside it."""
        delivery = turn.delivery
        if delivery.message.damage:
            return self._damaged(delivery.message)
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine always runs in a task
        self._attempting.add(task)
        try:
            return await turn.terms.courier.attempt(delivery)
        except asyncio.CancelledError:
            if task not in self._cut or task.cancelling() > 1:
                raise
            task.uncancel()
            return None
        except Exception as error:  # noqa: BLE001 - contained, counted, retried
            message_id = delivery.message.message_id
            self._with.telemetry(AttemptCrashed(self.endpoint, message_id, traceback.format_exc()))
            return Rejected(Reason.OTHER, detail=type(error).__name__, doubtful=True)
        finally:
            self._attempting.discard(task)

    def _damaged(self, message: Message) -> Rejected:
        """Ask nobody: whatever was posted would not be the message."""
        self._with.telemetry(MessageDamaged(self.endpoint, message.message_id, message.damage))
        return Rejected(Reason.OTHER, detail=message.damage)

    async def _record(self, turn: Turn, attempt: Attempt | Deferred) -> None:
        match attempt:
            case Deferred():
                await self._with.outcomes.defer(attempt)
            case Attempt():
                outcome = self._in_time_for_probe(
                    turn.terms.retry.conclude(turn.delivery, attempt, jitter=self._with.jitter())
                )
                self._tell_attempt(outcome)
                settled = await self._with.outcomes.record(outcome)
                self._follow(outcome, settled)
                await self._standing.write_down()

    def _in_time_for_probe(self, outcome: Outcome) -> Outcome:
        """Let a probe's delivery be the next probe too: the gate's wait replaces its own."""
        probe_at = self.gate.admits_at
        if self.gate.state is not BreakerState.OPEN or probe_at is None:
            return outcome
        match outcome:
            case Postponed(attempt=Attempt(verdict=Transient() | Gone())):
                return Postponed(outcome.delivery, outcome.attempt, probe_at)
            case _:
                return outcome

    def _is_probe(self, outcome: Postponed) -> bool:
        return self.gate.state is BreakerState.OPEN and outcome.due_at == self.gate.admits_at

    def _follow(self, outcome: Outcome, settled: Settled) -> None:
        delivery = outcome.delivery
        match outcome:
            case Postponed(attempt=attempt) if self._is_probe(outcome):
                self.lanes.returned(delivery.after(attempt))
            case Postponed(due_at=due_at):
                self.lanes.postponed(delivery, due_at)
            case Delivered() | DeadLettered():
                self.lanes.ended(delivery, continues=settled.lane_continues)
                self._tell_settled(outcome, settled)
                if settled.receipt_owed:
                    self._with.receipt_owed()
        self._changed.set()

    # --- Waiting and loading --------------------------------------------------------------------

    def _load_at(self) -> float:
        """Say from when the journal is asked; what is in memory goes on if it can't answer."""
        load_at = self.lanes.load_at
        return math.inf if load_at is None else max(load_at, self._no_load_before)

    async def _load(self, now: float) -> None:
        load, poked = self.lanes.begin_load(), self._poked
        self._poked = False
        by = math.inf if poked else now  # resumed: what waits for its retry is due at once
        try:
            due = await self._with.journal.due(
                self.endpoint, by, skip=load.skip, limit=load.limit, max_bytes=load.max_bytes
            )
        except JournalUnavailable as error:
            self._poked = self._poked or poked
            self.lanes.fail_load()
            self._no_load_before = now + _JOURNAL_RETRY
            self._with.telemetry(JournalFailed(str(error), _JOURNAL_RETRY))
        except BaseException:
            self.lanes.fail_load()
            raise
        else:
            self.lanes.finish_load(due)
            if self._no_load_before:
                self._no_load_before = 0.0
                self._with.telemetry(JournalRecovered())

    async def _sleep(self, now: float) -> None:
        admits_at = self.gate.admits_at if self.lanes.ready else None
        times = (self._load_at(), math.inf if admits_at is None else admits_at)
        wake_at = min((time for time in times if time > now), default=math.inf)
        await self._wait_for_change(min(wake_at - now, _LONGEST_SLEEP))

    async def _wait_for_change(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    # --- Telling --------------------------------------------------------------------------------

    def _moved(self) -> None:
        self._standing.tell()
        self._changed.set()

    def _tell_attempt(self, outcome: Outcome) -> None:
        due_at = outcome.due_at if isinstance(outcome, Postponed) else None
        message_id = outcome.delivery.message.message_id
        self._with.telemetry(AttemptEnded(self.endpoint, message_id, outcome.attempt, due_at))

    def _tell_settled(self, outcome: Delivered | DeadLettered, settled: Settled) -> None:
        message, attempt = outcome.delivery.message, outcome.attempt
        self._with.telemetry(
            DeliverySettled(
                self.endpoint,
                message.message_id,
                delivered=isinstance(outcome, Delivered),
                attempts=attempt.number,
                delay=attempt.started_at + attempt.duration - message.received_at,
                reason=attempt.verdict.reason,
                replay=outcome.delivery.replay is not None,
            )
        )
        if settled.finished is not None:
            self._with.telemetry(MessageFinished(message.bot, message.message_id, settled.finished))
