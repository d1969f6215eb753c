"""Mixin's side of a soak, a process of its own: the simulator, and people who write by a schedule.

`python -m tests.soak.mixin LEDGER CAPACITY RATE SEED`; the rest is asked over stdin.
The simulator remembers everything for tests; here it forgets what is READ, and the ledger knows.
"""

import asyncio
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from relay.simulator.frames import Message
from relay.simulator.journal import Ack
from tests.soak.control import asked, say
from tests.soak.ledger import (
    CONVERSATIONS,
    PLACES,
    TICKS,
    Ledger,
    content_of,
    id_of,
    number_of,
)
from tests.support.simulator import (
    Answer,
    AppError,
    Drop,
    ErrorFrame,
    Hang,
    Late,
    Moment,
    Repeat,
    Reset,
    Simulator,
    throttle,
)
from tests.support.simulator.faulty import FaultyMailbox

_BEAT = 0.01
_FRAMES = 100
_TOKENS = 20_000
_AT_ONCE = 100
"""Messages after which the sockets get a turn, where many are due at once."""

_COMPLAINTS = 50
_SENDER = "7ae1d3a4-5f10-4d2b-9b3e-5f0c7a6c1d01"
_SESSION = "7ae1d3a4-5f10-4d2b-9b3e-5f0c7a6c1d02"


class Forgetful(FaultyMailbox):
    """Keeps what is pending, and of what is READ only the ledger's flag."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self.read = 0
        self._ledger = ledger

    def add(self, message: Message) -> None:
        """Keep a message until it is acknowledged."""
        self._pending[message.message_id] = message
        self.offer(message)

    def acknowledge(self, message_ids: Iterable[str]) -> None:
        """Apply acks, and forget."""
        released = [one for one in message_ids if self._pending.pop(one, None)]
        self.read += len(released)
        for message_id in released:
            self._ledger.read(number_of(message_id) or 0)
        for listener in self._listeners:
            listener.release(released)


class Pushed(Counter[str]):
    """Which messages were pushed, by the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self._ledger = ledger

    def __contains__(self, message_id: object) -> bool:
        number = number_of(str(message_id))
        return number is not None and self._ledger.is_pushed(number)

    def __getitem__(self, message_id: str) -> int:
        return int(message_id in self)

    def __setitem__(self, message_id: str, _: int) -> None:
        self._ledger.push(number_of(message_id) or 0)


class Nothing(list[Ack]):
    """Takes acks and keeps none."""

    def append(self, _: Ack) -> None:
        """Keep nothing."""


def bounded(simulator: Simulator, ledger: Ledger) -> Forgetful:
    """Let a simulator forget, so that it runs for days; answers with its mailbox."""
    journal = simulator.journal
    journal.acks = Nothing()
    journal.pushed = Pushed(ledger)
    journal.frames = deque(maxlen=_FRAMES)
    journal.requests = deque(maxlen=_FRAMES)
    simulator.journal.allow_read = lambda message_id: _may_be_read(ledger, message_id)
    mailbox = Forgetful(ledger)
    simulator.state.mailboxes[simulator.bot.session_id] = mailbox
    return mailbox


def _may_be_read(ledger: Ledger, message_id: str) -> bool:
    number = number_of(message_id)
    return number is not None and ledger.may_be_read(number)


class People:
    """Write messages by a schedule, whatever becomes of those before: an open loop."""

    def __init__(self, mailbox: Forgetful, ledger: Ledger, rate: float, most: int) -> None:
        self.written = 0
        self.late = 0.0
        self._mailbox = mailbox
        self._ledger = ledger
        self._rate = rate
        self._most = most

    async def write(self, began: float) -> None:
        """Write until all is written."""
        while self.written < self._most:
            due = min(self._most, int((time.monotonic() - began) * self._rate))
            while self.written < due:
                self._write_some(began, min(due, self.written + _AT_ONCE))
                await asyncio.sleep(0)
            await asyncio.sleep(_BEAT)

    def _write_some(self, began: float, end: int) -> None:
        created = time.time()
        for number in range(self.written, end):
            self._ledger.write(number, int(number / self._rate * TICKS))
            self._mailbox.add(_message(number, created))
        self.late = max(self.late, time.monotonic() - began - self.written / self._rate)
        self.written = end


def _message(number: int, created: float) -> Message:
    return Message(
        message_id=id_of(number),
        conversation_id=PLACES[number % CONVERSATIONS],
        user_id=_SENDER,
        session_id=_SESSION,
        category="PLAIN_TEXT",
        payload=content_of(number).encode(),
        created_at=created,
    )


class Weather:
    """What goes wrong at Mixin's side."""

    def __init__(self, simulator: Simulator, chance: Random) -> None:
        self._simulator = simulator
        self._chance = chance

    async def begin(self, name: str) -> None:
        """Let something go wrong."""
        faults = self._simulator.faults
        match name:
            case "socket_dropped":
                after = [self._chance.randint(1, 2_000) for _ in range(3)]
                faults.drops.next(*(Drop(Moment.AFTER_PUSHES, after=each) for each in after))
                await self._simulator.drop()
            case "socket_closed":
                faults.drops.next(Drop(Moment.BEFORE_ECHO, 1011), Drop(Moment.AFTER_ECHO, 1001))
                await self._simulator.drop(1001)
            case "socket_half_open":
                faults.half_open = True
            case "upgrades_refused":
                faults.upgrades.next(Reset(), Answer(502), ErrorFrame(7000))
                await self._simulator.drop()
            case "pushed_twice":
                faults.pushes.always(Repeat(1))
            case "receipts_lost":
                faults.acks.next(Reset(applied=True), Reset(), Hang(applied=True), None, times=20)
            case "receipts_500":
                faults.acks.next(AppError(500), Answer(500), AppError(7000), None, times=100)
            case "receipts_429":
                faults.acks.next(AppError(429), throttle("1"), None, times=100)
            case "receipts_late":
                faults.acks.always(Late(0.5))
            case _:
                raise ValueError(name)

    async def end(self) -> None:
        """Let all be well; a socket that was half-open ends in the same moment."""
        faults = self._simulator.faults
        for script in (faults.upgrades, faults.drops, faults.pushes, faults.acks):
            script.off()
        if faults.half_open:
            faults.half_open = False
            await self._simulator.drop()


async def main(file: Path, capacity: int, rate: float, seed: int) -> None:
    """Serve until the conductor is gone."""
    ledger = Ledger(file, capacity)
    async with Simulator() as simulator:
        mailbox = bounded(simulator, ledger)
        weather = Weather(simulator, Random(seed))
        people = People(mailbox, ledger, rate, capacity)
        writing: asyncio.Task[None] | None = None
        say(
            keystore=simulator.keystore_json(),
            blaze_url=simulator.blaze_url,
            api_url=simulator.api_url,
        )
        async for words in asked():
            match words["do"]:
                case "start":
                    writing = asyncio.create_task(people.write(words["at"]))
                    say()
                case "begin":
                    await weather.begin(words["name"])
                    say()
                case "end":
                    await weather.end()
                    say()
                case "report":
                    say(**_report(simulator, mailbox, people))
                case _:
                    say(complaints=_complaints(simulator))
        if writing is not None:
            writing.cancel()


def _report(simulator: Simulator, mailbox: Forgetful, people: People) -> dict[str, Any]:
    late, people.late = people.late, 0.0
    tokens = simulator.journal.tokens
    if len(tokens) > _TOKENS:
        tokens.clear()
    wrong = len(simulator.journal.violations)
    return {"written": people.written, "read": mailbox.read, "late": late, "wrong": wrong}


def _complaints(simulator: Simulator) -> list[str]:
    violations = simulator.journal.violations[:_COMPLAINTS]
    return [f"{each.kind}: {each.detail}" for each in violations]


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])))
