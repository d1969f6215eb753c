"""What the intake promises: every message once into the journal, and on to its lanes."""

import asyncio
from dataclasses import dataclass, field
from hashlib import sha256

import pytest

from relay.delivery.intake import Intake
from relay.delivery.routing import Route, Routing
from relay.model.journal import UnreadableFrame
from relay.model.messages import Delivery, MessageOutcome, Source
from relay.model.ports import JournalDamaged
from relay.telemetry.events import (
    FrameUnreadable,
    JournalFailed,
    MessageDuplicated,
    MessageFinished,
    MessageReceived,
)
from tests.core.disk import Disk
from tests.core.recorder import Recorder
from tests.core.samples import BOT, CRM, LOG, message, uuid
from tests.core.virtual_time import EPOCH
from tests.journal.model.journal import MemoryJournal

FRAME = UnreadableFrame("digest", "not gzip", b"\x00" * 10)


@dataclass
class Stage:
    """An intake with everything around it."""

    disk: Disk
    tell: Recorder
    intake: Intake
    running: asyncio.Task[None]
    offered: list[tuple[int, bool]] = field(default_factory=list)
    receipts: int = 0

    def offer(self, delivery: Delivery, *, leads: bool) -> None:
        self.offered.append((int(delivery.message.message_id[-4:], 16), leads))

    def receipt_owed(self) -> None:
        self.receipts += 1

    def full(self) -> bool:
        return self.intake.full

    async def end(self) -> None:
        self.intake.group.close()
        await self.running


async def stage(
    *routes: Route,
    latency: float = 0.0,
    unwanted_read: bool = True,
    max_waiting: int = 20_000,
    max_waiting_bytes: int = 1_000_000,
) -> Stage:
    """Set an intake up, for one endpoint unless told otherwise."""
    disk, tell = Disk(MemoryJournal(), latency), Recorder()
    await disk.start([CRM, LOG], EPOCH)
    ready: list[Stage] = []
    intake = Intake(
        BOT,
        Routing(routes or [Route(CRM)], unwanted_read=unwanted_read),
        disk,
        offer=lambda delivery, *, leads: ready[0].offer(delivery, leads=leads),
        receipt_owed=lambda: ready[0].receipt_owed(),  # noqa: PLW0108 - not ready yet
        telemetry=tell,
        clock=lambda: EPOCH,
        max_waiting=max_waiting,
        max_waiting_bytes=max_waiting_bytes,
    )
    ready.append(Stage(disk, tell, intake, asyncio.create_task(intake.group.run())))
    return ready[0]


# --- New and known ------------------------------------------------------------------------------


async def test_a_message_is_told_and_offered_once_it_is_in_the_journal() -> None:
    """Not before: a delivery that the journal does not know can't be recorded."""
    on = await stage(latency=1.0)
    on.intake.take(message(1))
    assert ([], []) == (on.offered, on.tell.facts)
    await on.intake.group.idle()
    assert [(1, True)] == on.offered
    received = MessageReceived(BOT, uuid(1), "PLAIN_TEXT", Source.LIVE)
    assert [received] == on.tell.of(MessageReceived)
    await on.end()


async def test_what_arrives_together_is_journaled_together() -> None:
    """One commit for all that has come meanwhile, in the order of arrival."""
    on = await stage(latency=0.5)
    for number in (1, 2, 3, 4):
        on.intake.take(message(number, "c" if number < 4 else "d"))
    await on.intake.group.idle()
    assert [4] == on.disk.groups
    assert [(1, True), (2, False), (3, False), (4, True)] == on.offered
    await on.end()


async def test_each_endpoint_that_wants_it_is_offered_it() -> None:
    """As its filters say."""
    on = await stage(Route(CRM), Route(LOG, categories=("SYSTEM_*",)))
    on.intake.take(message(1))
    on.intake.take(message(2, category="SYSTEM_CONVERSATION"))
    await on.intake.group.idle()
    assert [1, 2, 2] == [number for number, _ in on.offered]
    await on.end()


async def test_a_message_that_comes_again_is_not_offered_again() -> None:
    """In the same group, while it is under way, or later."""
    on = await stage()
    on.intake.take(message(1))
    on.intake.take(message(1))
    await on.intake.group.idle()
    on.intake.take(message(1))
    await on.intake.group.idle()
    assert [(1, True)] == on.offered
    assert (1, 2) == (on.tell.count(MessageReceived), on.tell.count(MessageDuplicated))
    assert 0 == on.receipts
    await on.end()


async def test_a_receipted_message_that_comes_again_is_receipted_again() -> None:
    """Mixin has not heard the receipt: it is owed once more, without a second POST."""
    on = await stage(Route(CRM, categories=("OTHER",)))
    on.intake.take(message(1))
    await on.intake.group.idle()
    assert 1 == on.receipts
    (owed,) = await on.disk.owed_receipts(BOT, after=0, limit=10)
    await on.disk.settle_receipts(BOT, confirmed=[owed.seq], refused=[], now=EPOCH)
    on.intake.take(message(1))
    await on.intake.group.idle()
    assert (2, []) == (on.receipts, on.offered)
    await on.end()


async def test_what_nobody_wants_is_read_or_left() -> None:
    """As the bot says: its receipt is owed at once, or it finishes without one."""
    for unwanted_read, receipts, finished in ((True, 1, []), (False, 0, [MessageOutcome.UNWANTED])):
        on = await stage(Route(CRM, categories=("OTHER",)), unwanted_read=unwanted_read)
        on.intake.take(message(1))
        await on.intake.group.idle()
        assert receipts == on.receipts
        assert finished == [fact.outcome for fact in on.tell.of(MessageFinished)]
        await on.end()


# --- Trouble ------------------------------------------------------------------------------------


async def test_a_message_that_can_not_be_journaled_is_set_aside() -> None:
    """It is kept for inspection and stays unread; the others of its group go on, in their order."""
    on = await stage()
    on.disk.poisonous = {uuid(2)}
    for number in (1, 2, 3):
        on.intake.take(message(number, size=5000))
    await on.intake.group.idle()
    assert [(1, True), (3, False)] == on.offered
    digest = sha256(b"." * 5000).hexdigest()
    kept = on.disk.journal.store.unreadable[BOT, digest]
    assert ("not journaled: UnicodeError", b"." * 4096) == (kept.why, kept.sample)
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
    await on.intake.group.idle()
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
    await on.intake.group.idle()
    (kept,) = on.disk.journal.store.unreadable.values()
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
    await on.intake.group.idle()
    await on.end()


async def test_there_is_room_at_once_while_it_is_not_full() -> None:
    """Who asks in vain does not wait for a commit."""
    on = await stage()
    await on.intake.room()
    await on.end()
