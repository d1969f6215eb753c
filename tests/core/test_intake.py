"""What the intake promises: every message once into the journal, and on to its lanes."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import cast

import pytest

from relay.delivery.intake import BURST, MAX_PAUSE, Intake, Served
from relay.delivery.routing import Route, Routing
from relay.journal.writer import Writer
from relay.model.journal import OwedReceipt, UnreadableFrame
from relay.model.messages import Delivery, EndpointKey, Message, MessageOutcome, Source
from relay.model.ports import JournalDamaged
from relay.telemetry.events import FrameUnreadable, JournalFailed, MessageDuplicated
from tests.core.disk import Disk
from tests.core.recorder import MessageFinished, MessageReceived, Recorder
from tests.core.samples import BOT, CRM, LOG, message, uuid
from tests.core.virtual_time import EPOCH
from tests.journal.samples import settle_receipts

FRAME = UnreadableFrame("digest", "not gzip", b"\x00" * 10)


class Window:
    """An endpoint whose window remembers; `room` says whether there is a place."""

    def __init__(self, room: bool = True) -> None:  # noqa: FBT001, FBT002
        self.room = room
        self.offered: list[tuple[int, bool, bool]] = []
        self.places = 0
        self.pumped = 0
        self.full_from = 1_000_000
        self.dispatcher = self

    def reserve(self, _lane: str, _message: Message) -> bool:
        self.places += self.room
        return self.room

    def crowded(self, more: int) -> bool:
        return more >= self.full_from

    def release(self, _lane: str, _message: Message) -> None:
        self.places -= 1

    def offer(self, delivery: Delivery, *, reserved: bool, leads: bool) -> None:
        self.places -= reserved
        self.offered.append((_number(delivery.message), reserved, leads))

    def pump(self) -> None:
        self.pumped += 1


@dataclass
class Stage:
    """An intake with everything around it."""

    disk: Disk
    tell: Recorder
    intake: Intake
    writer: Writer
    running: asyncio.Task[None]
    crm: Window
    log: Window
    receipts: list[OwedReceipt]

    @property
    def offered(self) -> list[tuple[int, bool]]:
        return [(number, leads) for number, _, leads in self.crm.offered]

    def full(self) -> bool:
        return self.intake.full

    async def end(self) -> None:
        self.writer.close()
        await self.running
        assert (0, 0) == (self.crm.places, self.log.places)


async def stage(
    *routes: Route,
    latency: float = 0.0,
    unwanted_read: bool = True,
    max_waiting: int = 20_000,
    max_waiting_bytes: int = 1_000_000,
) -> Stage:
    """Set an intake up, for one endpoint unless told otherwise."""
    disk, tell = Disk(latency), Recorder()
    await disk.start([CRM, LOG], EPOCH)
    writer, crm, log = Writer(disk, tell, lambda: EPOCH), Window(), Window()
    receipts = list[OwedReceipt]()
    intake = Intake(
        BOT,
        Routing(routes or [Route(CRM)], unwanted_read=unwanted_read),
        writer,
        cast("Mapping[EndpointKey, Served]", {CRM: crm, LOG: log}),
        owe_receipt=receipts.append,
        telemetry=tell,
        max_waiting=max_waiting,
        max_waiting_bytes=max_waiting_bytes,
    )
    running = asyncio.create_task(writer.run())
    return Stage(disk, tell, intake, writer, running, crm, log, receipts)


def _number(message: Message) -> int:
    return int(message.message_id[-4:], 16)


# --- New and known ------------------------------------------------------------------------------


async def test_a_message_is_told_and_offered_once_it_is_in_the_journal() -> None:
    """Not before: a delivery that the journal does not know can't be recorded."""
    on = await stage(latency=1.0)
    on.intake.take(message(1))
    assert ([], []) == (on.offered, on.tell.events)
    await on.intake.drained()
    assert [(1, True)] == on.offered
    received = MessageReceived(BOT, uuid(1), "PLAIN_TEXT", Source.LIVE)
    assert [received] == on.tell.of(MessageReceived)
    await on.end()


async def test_what_arrives_together_is_journaled_together() -> None:
    """One commit for all that has come meanwhile, in the order of arrival."""
    on = await stage(latency=0.5)
    for number in (1, 2, 3, 4):
        on.intake.take(message(number, "c" if number < 4 else "d"))
    await on.intake.drained()
    assert [4] == on.disk.groups
    assert [(1, True), (2, False), (3, False), (4, True)] == on.offered
    await on.end()


async def test_each_endpoint_that_wants_it_is_offered_it() -> None:
    """As its filters say."""
    on = await stage(Route(CRM), Route(LOG, categories=("SYSTEM_*",)))
    on.intake.take(message(1))
    on.intake.take(message(2, category="SYSTEM_CONVERSATION"))
    await on.intake.drained()
    assert ([1, 2], [2]) == ([n for n, *_ in on.crm.offered], [n for n, *_ in on.log.offered])
    assert on.crm.pumped
    await on.end()


async def test_a_message_that_comes_again_is_not_offered_again() -> None:
    """In the same group, while it is under way, or later."""
    on = await stage()
    on.intake.take(message(1))
    on.intake.take(message(1))
    await on.intake.drained()
    on.intake.take(message(1))
    await on.intake.drained()
    assert [(1, True)] == on.offered
    assert (1, 2) == (on.tell.count(MessageReceived), on.tell.count(MessageDuplicated))
    assert [] == on.receipts
    await on.end()


async def test_a_receipted_message_that_comes_again_is_receipted_again() -> None:
    """Mixin has not heard the receipt: it is owed once more, without a second POST."""
    on = await stage(Route(CRM, categories=("OTHER",)))
    on.intake.take(message(1))
    await on.intake.drained()
    (owed,) = on.receipts
    assert [owed] == await on.disk.owed_receipts(BOT, after=0, limit=10)
    await settle_receipts(on.disk, BOT, confirmed=[owed.seq], refused=[], now=EPOCH)
    on.intake.take(message(1))
    await on.intake.drained()
    assert ([owed, owed], []) == (on.receipts, on.offered)
    await on.end()


async def test_what_nobody_wants_is_read_or_left() -> None:
    """As the bot says: its receipt is owed at once, or it finishes without one."""
    for unwanted_read, receipts, finished in ((True, 1, []), (False, 0, [MessageOutcome.UNWANTED])):
        on = await stage(Route(CRM, categories=("OTHER",)), unwanted_read=unwanted_read)
        on.intake.take(message(1))
        await on.intake.drained()
        assert receipts == len(on.receipts)
        assert finished == [event.outcome for event in on.tell.of(MessageFinished)]
        await on.end()


async def test_a_place_is_kept_before_it_is_journaled() -> None:
    """What fits into memory is not left to the journal, which is told so; what comes again is."""
    on = await stage(Route(CRM), Route(LOG))
    on.log.room = False
    on.intake.take(message(1))
    on.intake.take(message(1))
    await on.intake.drained()
    assert ([(1, True, True)], [(1, False, True)]) == (on.crm.offered, on.log.offered)
    owed = on.disk.arrivals[uuid(1)].owed
    assert [True, False] == [each.in_window for each in owed]
    await on.end()


async def test_a_reload_exchanges_the_routing_between_groups() -> None:
    """Each message goes by the settings before or by those after: what waits, by those after."""
    on = await stage(latency=1.0)
    on.intake.take(message(1))
    await asyncio.sleep(0)
    on.intake.take(message(2))
    async with on.writer.held():
        on.intake.reroute(Routing([Route(LOG)]))
    await on.intake.drained()
    assert [([1], [2])] == [tuple([n for n, *_ in each.offered] for each in (on.crm, on.log))]
    await on.end()


# --- Trouble ------------------------------------------------------------------------------------


async def test_a_message_that_can_not_be_journaled_is_set_aside() -> None:
    """It is kept for inspection and stays unread; the others of its group go on, in their order."""
    on = await stage()
    on.disk.poisonous = {uuid(2)}
    for number in (1, 2, 3):
        on.intake.take(message(number, size=5000))
    await on.intake.drained()
    assert [(1, True), (3, True)] == on.offered
    digest = sha256(b"." * 5000).hexdigest()
    (kept,) = on.disk.rows.unreadable
    assert (digest, "not journaled: UnicodeError", b"." * 4096) == (
        kept.digest,
        kept.why,
        kept.sample,
    )
    told = FrameUnreadable(BOT, digest, "not journaled: UnicodeError", 5000)
    assert [told] == on.tell.of(FrameUnreadable)
    assert not on.full()
    await on.end()


async def test_a_journal_that_takes_no_writes_loses_nothing() -> None:
    """Everything waits, and is taken in once the disk has room again."""
    on = await stage()
    on.disk.full = True
    for number in (1, 2):
        on.intake.take(message(number))
    await on.tell.wait_for(JournalFailed, count=5)
    on.intake.take(message(3))
    assert ([], 0) == (on.offered, on.tell.count(FrameUnreadable))
    on.disk.full = False
    await on.intake.drained()
    assert [1, 2, 3] == [number for number, _ in on.offered]
    assert 0 == on.tell.count(MessageDuplicated)
    await on.end()


async def test_a_damaged_journal_ends_it() -> None:
    """No message is blamed for what is the journal's: the loop ends, and with it the relay."""
    on = await stage()
    on.disk.damaged = True
    for number in (1, 2):
        on.intake.take(message(number))
    with pytest.raises(JournalDamaged):
        await on.running
    assert (1, 0) == (on.disk.asked_to_record, on.tell.count(FrameUnreadable))


async def test_a_frame_that_is_no_event_is_kept() -> None:
    """Beside messages, and without disturbing them."""
    on = await stage()
    on.intake.keep(FRAME)
    on.intake.take(message(1))
    await on.intake.drained()
    (kept,) = on.disk.rows.unreadable
    assert (BOT, FRAME.digest, FRAME.why, FRAME.sample) == (
        kept.bot,
        kept.digest,
        kept.why,
        kept.sample,
    )
    assert [(1, True)] == on.offered
    await on.end()


# --- Bounds -------------------------------------------------------------------------------------


async def test_it_is_full_when_too_many_wait() -> None:
    """The listener must not read on, until the journal has caught up."""
    on = await stage(latency=1.0, max_waiting=3)
    for number in (1, 2):
        on.intake.take(message(number))
    assert not on.full()
    on.intake.keep(FRAME)
    assert on.full()
    room = asyncio.create_task(on.intake.room())
    await asyncio.sleep(0)
    assert not room.done()
    await room
    assert not on.full()
    await on.end()


async def test_it_is_full_when_too_much_waits() -> None:
    """The bytes of messages and of frames count, and are given back."""
    on = await stage(max_waiting_bytes=100)
    on.disk.full = True
    on.intake.take(message(1, size=89))
    on.intake.keep(FRAME)
    assert not on.full()
    on.intake.take(message(2, size=1))
    assert on.full()
    on.disk.full = False
    await on.intake.room()
    on.intake.take(message(3, size=99))
    assert not on.full()
    on.intake.take(message(4, size=1))
    assert on.full()
    await on.intake.drained()
    await on.end()


async def test_there_is_room_at_once_while_it_is_not_full() -> None:
    """Who asks in vain does not wait for a commit."""
    on = await stage()
    await on.intake.room()
    await on.end()


async def test_the_socket_waits_for_room_in_memory_but_not_for_long() -> None:
    """While no endpoint has any; and then a burst is the journal's, whatever the receivers do."""
    on = await stage(Route(CRM), Route(LOG), latency=0.01)
    on.crm.full_from = 0
    on.intake.take(message(1))
    assert not on.full()
    on.log.full_from = 2
    on.intake.take(message(2))
    assert on.full()
    await on.intake.room()
    assert not on.full()
    on.log.full_from = 0
    before = asyncio.get_running_loop().time()
    await on.intake.room()
    assert MAX_PAUSE == asyncio.get_running_loop().time() - before
    for number in range(BURST):
        assert not on.full()
        on.intake.take(message(10 + number))
    assert on.full()
    await on.intake.drained()
    await on.end()
