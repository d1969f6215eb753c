"""Measures the journal: CPU time per message, and what a backlog of a million costs.

Run with `python -m tests.bench.bench_journal [--backlog N] [--lanes N]`.
"""

import asyncio
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import click

from relay.journal.encryption.keys import Keyring, new_key
from relay.journal.open import open_admin_store, open_file_tools, open_journal
from relay.model.journal import Arrival, Batch, Fresh, Owed, ReceiptAnswers
from relay.model.messages import Attempt, Delivered, Delivery, EndpointKey, Message, Source, Success
from relay.model.ports import Journal

ENDPOINT = EndpointKey("bot", "webhook")
GROUP = 500
NOW = 1_700_000_000.0
KEYS = Keyring.parse(new_key(bytes(range(32))))
_FRAME = b"x" * 700
_MAX_BYTES = 16 * 1024 * 1024


@contextmanager
def measured(stage: str, messages: int = 0) -> Iterator[None]:
    """Print what a stage costs, per message if it handles so many."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    line = f"{stage:<32} {wall * 1e3:>9.1f} ms {cpu * 1e3:>9.1f} ms CPU"
    if messages:
        line += f" {cpu / messages * 1e6:>7.1f} us CPU/message {messages / wall:>9.0f} messages/s"
    click.echo(line)


def arrival(number: int, lanes: int) -> Arrival:
    """Make a message as Mixin pushes them, in one of so many conversations."""
    lane = f"conversation-{number % lanes:032}"
    message = Message(
        ENDPOINT.bot,
        str(UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128)),
        lane,
        "user-0000-0000-0000-000000000000",
        "PLAIN_TEXT",
        Source.LIVE,
        _FRAME,
        NOW + number / 1e3,
    )
    return Arrival(message, (Owed(ENDPOINT, lane, required=True, in_window=True),))


async def record(
    journal: Journal, arrivals: Sequence[Arrival], group: int = GROUP
) -> list[Delivery]:
    """Record in groups; answers with the deliveries of what is new."""
    made: list[Delivery] = []
    for start in range(0, len(arrivals), group):
        batch = Batch(NOW, arrivals=list(arrivals[start : start + group]))
        for answer in (await journal.commit(batch)).arrivals:
            made += answer.deliveries if isinstance(answer, Fresh) else ()
    return made


async def due(journal: Journal, limit: int = GROUP) -> Sequence[Delivery]:
    """Read a window's worth."""
    answer = await journal.due(ENDPOINT, NOW * 2, skip=(), limit=limit, max_bytes=_MAX_BYTES)
    return answer.deliveries


async def settle(journal: Journal, deliveries: Sequence[Delivery], group: int = GROUP) -> list[int]:
    """Record 2xx in groups; answers with what is owed READ now."""
    owed: list[int] = []
    for start in range(0, len(deliveries), group):
        part = deliveries[start : start + group]
        outcomes = [Delivered(each, Attempt(1, NOW, 0.1, Success(200))) for each in part]
        committed = await journal.commit(Batch(NOW, outcomes=[*outcomes]))
        owed += [each.seq for each in committed.outcomes if each.receipt_owed]
    return owed


async def confirm(journal: Journal, owed: Sequence[int], group: int = GROUP) -> None:
    """Confirm receipts in groups, from memory as the outbox does."""
    for start in range(0, len(owed), group):
        answers = ReceiptAnswers(ENDPOINT.bot, owed[start : start + group])
        await journal.commit(Batch(NOW, receipts=[answers]))


async def receipts(journal: Journal) -> None:
    """Confirm all receipts that are owed, page by page, as after a start."""
    while page := await journal.owed_receipts(ENDPOINT.bot, after=0, limit=400):
        await confirm(journal, [receipt.seq for receipt in page])


async def flow(journal: Journal, count: int, lanes: int) -> None:
    """Take messages from arrival to READ, in groups and alone, then go through them as a whole."""
    await record(journal, [arrival(number, lanes) for number in range(1, GROUP + 1)])
    await receipts(journal)
    number = GROUP
    for group, most in ((GROUP, count), (100, count), (1, count // 10)):
        arrivals = [arrival(number + each, lanes) for each in range(1, most + 1)]
        number += most
        name = f"groups of {group}" if group > 1 else "alone"
        with measured(f"all of it, {name}", most):
            with measured(f"  record, {name}", most):
                deliveries = await record(journal, arrivals, group)
            with measured(f"  settle, {name}", most):
                owed = await settle(journal, deliveries, group)
            with measured(f"  receipts, {name}", most):
                await confirm(journal, owed, group)
    with measured("one group of each in a commit", count):
        await pipelined(journal, [arrival(number + each, lanes) for each in range(1, count + 1)])
    again = [arrival(number, lanes) for number in range(1, count + 1)]
    with measured("record, all duplicates", count):
        await record(journal, again)
    await receipts(journal)
    with measured("prune, groups of 500", count):
        while await journal.prune(NOW * 2, limit=GROUP):
            pass
    with measured("give the room back", count):
        while await journal.shrink():
            pass


async def pipelined(journal: Journal, arrivals: Sequence[Arrival], group: int = 100) -> None:
    """Commit a group's arrivals with the outcomes of the one before, and with earlier receipts."""
    deliveries: list[Delivery] = []
    owed: list[int] = []
    for start in range(0, len(arrivals) + 2 * group, group):
        batch = Batch(
            NOW,
            arrivals=list(arrivals[start : start + group]),
            outcomes=[Delivered(each, Attempt(1, NOW, 0.1, Success(200))) for each in deliveries],
            receipts=[ReceiptAnswers(ENDPOINT.bot, owed)],
        )
        committed = await journal.commit(batch)
        fresh = (answer for answer in committed.arrivals if isinstance(answer, Fresh))
        deliveries = [each for answer in fresh for each in answer.deliveries]
        owed = [each.seq for each in committed.outcomes if each.receipt_owed]


def pile_up(path: Path, count: int, lanes: int) -> None:
    """Write a backlog of pending messages behind the journal's back."""
    with closing(sqlite3.connect(path)) as database, database:
        (endpoint,) = database.execute("SELECT id FROM endpoints").fetchone()
        database.executemany(
            "INSERT INTO messages VALUES"
            " (?, 'bot', ?, ?, 'u', 'PLAIN_TEXT', 'live', ?, 'none', NULL, NULL, NULL, 700, ?,"
            " NULL, 1, 1, 'read')",
            (
                (seq, made.message_id, made.conversation_id, NOW, _FRAME)
                for seq, made in ((n, arrival(n, lanes).message) for n in range(1, count + 1))
            ),
        )
        database.execute(
            "INSERT INTO deliveries SELECT seq, seq, ?, conversation_id,"
            " 1, 'pending', 0, 0, 0, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL FROM messages",
            (endpoint,),
        )
        database.execute(
            "INSERT INTO lanes SELECT endpoint_id, lane, ? FROM deliveries GROUP BY 1, 2", (NOW,)
        )
        database.execute("INSERT INTO tallies VALUES ('bot', ?, 0)", (count,))


async def longest_hold(seconds: float = 0.001) -> float:
    """Watch the event loop until cancelled; answers with its longest absence."""
    loop, longest = asyncio.get_running_loop(), 0.0
    try:
        while True:
            before = loop.time()
            await asyncio.sleep(seconds)
            longest = max(longest, loop.time() - before - seconds)
    except asyncio.CancelledError:
        return longest


async def backlog(location: str, count: int, lanes: int) -> None:
    """Measure the same with so many messages pending."""
    path = Path(location.removeprefix("sqlite:///"))
    async with open_journal(location) as opened:
        await opened.journal.start([ENDPOINT], NOW)
    with measured(f"(build a backlog of {count})"):
        pile_up(path, count, lanes)
    async with open_journal(location) as opened:
        journal = opened.journal
        with measured("start after an unclean stop"):
            await journal.start([ENDPOINT], NOW)
        with measured("first due of 500"):
            await due(journal)
        with measured("due of 500", GROUP):
            deliveries = await due(journal)
        with measured("due of 1000", 2 * GROUP):
            await due(journal, 2 * GROUP)
        for _ in range(2):
            with measured("settle 500", GROUP):
                await settle(journal, deliveries)
            deliveries = await due(journal)
        with measured("receipts of these", 2 * GROUP):
            await receipts(journal)
        fresh = [arrival(count + number, lanes) for number in range(1, 20 * GROUP + 1)]
        with measured("record 10000", len(fresh)):
            await record(journal, fresh)
        watch = asyncio.create_task(longest_hold())
        with measured("census"):
            await journal.census()
        watch.cancel()
        click.echo(f"{'':<32} {await watch * 1e3:>9.1f} ms the loop was held at the longest")
        with measured("prune"):
            await journal.prune(NOW * 2, limit=GROUP)
        with measured("endpoints of the desk"):
            await opened.admin.endpoints()
        await journal.stop()
    async with open_journal(location) as opened:
        with measured("start after a clean stop"):
            await opened.journal.start([ENDPOINT], NOW)
            await opened.journal.stop()
        with measured("start without the endpoint"):
            await opened.journal.start([EndpointKey("bot", "other")], NOW)
            await opened.journal.stop()
        with measured("start with it again"):
            await opened.journal.start([ENDPOINT], NOW)
    await keys(location, count)


async def keys(location: str, count: int) -> None:
    """Measure what it takes to seal a backlog, and to see whether every key is there."""
    async with open_file_tools(location, keys=KEYS) as tools:
        with measured("seal it all, and write it anew", count):
            await tools.reseal()
        with measured("count what each key seals"):
            await tools.uses()
    with measured("open, every key is there"):
        async with open_admin_store(location, keys=KEYS):
            pass
    async with open_journal(location, keys=KEYS) as opened:
        with measured("start with a key"):
            await opened.journal.start([ENDPOINT], NOW)
        for _ in range(2):
            with measured("due of 500, sealed", GROUP):
                await due(opened.journal)


async def measure(messages: int, pending: int, lanes: int) -> None:
    """Run everything in a directory of its own."""
    with TemporaryDirectory() as directory:
        for ring, name in ((None, "without a key"), (KEYS, "with a key")):
            click.echo(name)
            async with open_journal(f"sqlite:///{directory}/{name}.db", keys=ring) as opened:
                await opened.journal.start([ENDPOINT], NOW)
                await flow(opened.journal, messages, lanes)
        if pending:
            await backlog(f"sqlite:///{directory}/backlog.db", pending, lanes)


@click.command()
@click.option("--messages", default=20_000, help="how many to take from arrival to READ")
@click.option("--backlog", "pending", default=1_000_000, help="how many are pending; 0 for none")
@click.option("--lanes", default=2000, help="in how many conversations")
def main(messages: int, pending: int, lanes: int) -> None:
    """Measure the journal."""
    asyncio.run(measure(messages, pending, lanes))


if __name__ == "__main__":
    main()
