"""What has become of each message by the words of three witnesses, and what it came to in all.

The simulator says what was pushed and what is READ, the receiver what it was sent and has taken,
the relay's events what it makes of them. Only messages under way are kept: memory is bounded.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from relay.demo.receiver import Visit, one_line, preview
from relay.model.messages import Outcome, Postponed
from relay.simulator import Ack, Violation
from relay.simulator.journal import Entry
from relay.telemetry.events import AttemptsEnded, Event, MessagesReceived


class State(StrEnum):
    """How far a message has come."""

    PUSHED = "pushed"
    RECEIVED = "received"
    FAILED = "failed"
    DELIVERED = "delivered"
    READ = "READ"


@dataclass(slots=True)
class Passage:
    """One message's way through; `number` counts from 1, `pushed_at` is monotonic.

    `failure` says what the last failed attempt came to, and how long the relay waits after it.
    """

    number: int
    message_id: str
    category: str
    pushed_at: float
    state: State = State.PUSHED
    conversation: str = ""
    preview: str = ""
    attempts: int = 0
    failure: str = ""
    taken: bool = False
    read: bool = False
    took: float = 0.0

    @property
    def lacks(self) -> str:
        """Say what is missing; nothing once it is taken and READ."""
        lacking = ("" if self.taken else "not delivered", "" if self.read else "not marked READ")
        return ", ".join(filter(None, lacking))


OnChange = Callable[[Passage], None]
"""Hears of a step."""


class Board:
    """Follows every message from the push to the READ.

    `names` are those of conversations; `on_change` hears of each step of a passage. A failed
    attempt is a step, but nothing that moves anything.
    """

    def __init__(
        self,
        names: Mapping[str, str],
        on_change: OnChange,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._names = names
        self._on_change = on_change
        self._clock = clock
        self.under_way: dict[str, Passage] = {}
        self._moved = asyncio.Event()
        self.pushed = self.read = self.attempts = self.retries = 0
        self.started_at = self.moved_at = clock()

    async def moved(self) -> None:
        """Wait until a message has come further."""
        self._moved.clear()
        await self._moved.wait()

    def wake(self) -> None:
        """End the waits, though nothing has moved."""
        self._moved.set()

    # --- The simulator's word

    def push(self, message_id: str, category: str) -> None:
        """Note a message that Mixin now holds as pending."""
        if not self.pushed:
            self.started_at = self._clock()
        self.pushed += 1
        passage = Passage(self.pushed, message_id, one_line(category), self._clock())
        self.under_way[message_id] = passage
        self._step(passage, State.PUSHED)

    def witness(self, entry: Entry) -> None:
        """Follow what the simulator saw: a message's READ, the first time that it is applied."""
        match entry:
            case Ack(message_id=message_id, status="READ", applied=True):
                passage = self.under_way.get(message_id)
                if passage is not None and not passage.read:
                    self.read += 1
                    passage.read = True
                    passage.took = self._clock() - passage.pushed_at
                    self._step(passage, State.READ)
            case _:
                pass

    # --- The receiver's word

    def visit(self, visit: Visit) -> None:
        """Follow what the receiver was sent: only there a message's content can be seen."""
        passage = self.under_way.get(visit.message_id)
        if passage is None:
            return
        conversation = str(visit.data["conversation_id"])
        passage.conversation = self._names.get(conversation, "a group")
        passage.preview = preview(visit.data["content"])
        if visit.taken:
            passage.taken = True
            self._step(passage, State.DELIVERED)

    # --- The relay's word

    def follow(self, event: Event) -> None:
        """Follow the relay; a `relay.telemetry.events.Telemetry`."""
        match event:
            case MessagesReceived():
                for message in event.messages:
                    if passage := self.under_way.get(message.message_id):
                        self._step(passage, State.RECEIVED)
            case AttemptsEnded():
                for outcome in event.outcomes:
                    self._attempt_ended(outcome)
            case _:
                pass

    def _attempt_ended(self, outcome: Outcome) -> None:
        number = outcome.attempt.number
        self.attempts += 1
        self.retries += number > 1
        passage = self.under_way.get(outcome.delivery.message.message_id)
        if passage is None:
            return
        passage.attempts = number
        if outcome.attempt.verdict.reason is not None:
            passage.failure = _failure(outcome)
            self._step(passage, State.FAILED)

    def _step(self, passage: Passage, state: State) -> None:
        passage.state = state
        if passage.taken and passage.read:
            del self.under_way[passage.message_id]
        if state is not State.FAILED:
            self.moved_at = self._clock()
            self._moved.set()
        self._on_change(passage)


def _failure(outcome: Outcome) -> str:
    attempt, verdict = outcome.attempt, outcome.attempt.verdict
    what = str(verdict.status or verdict.reason)
    if not isinstance(outcome, Postponed):
        return what
    return f"{what}, again in {outcome.due_at - attempt.started_at - attempt.duration:.1f} s"


# --- The score -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Score:
    """The counts at one moment; `duration` in seconds, from the first push to the last step.

    `missing` holds what was pushed and is not both delivered and READ; `written` says whether the
    relay has written down everything when it stopped.
    """

    asked: int
    pushed: int
    delivered: int
    read: int
    attempts: int
    retries: int
    refused: int
    duplicates: int
    verified: int
    forged: int
    duration: float
    missing: tuple[Passage, ...]
    violations: tuple[Violation, ...]
    written: bool = True

    @property
    def rate(self) -> float:
        """Messages a second that became READ."""
        return self.read / self.duration if self.duration else 0.0

    @property
    def complete(self) -> bool:
        """Whether every message that was asked for is delivered and READ."""
        return self.pushed == self.asked and not self.missing

    @property
    def flaws(self) -> tuple[str, ...]:
        """Say what is wrong, a line for each; nothing if all that was pushed went through."""
        counted = (
            (len(self.missing), "not delivered and marked READ"),
            (self.forged, "requests without a good signature"),
            (len(self.violations), "violations seen by the simulator"),
        )
        found = tuple(f"{count} {what}" for count, what in counted if count)
        return found if self.written else (*found, "the relay did not write everything down")


def exit_code(score: Score, *, interrupted_by: int | None) -> int:
    """Say how the process ends: 0 only if everything that was asked for went through.

    A flaw makes it 1. A run that a signal ended early, but without a flaw, ends as shells expect
    of that signal: 130 after Ctrl-C.
    """
    if score.flaws:
        return 1
    if score.complete:
        return 0
    return 1 if interrupted_by is None else 128 + interrupted_by
