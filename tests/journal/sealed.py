"""Journals with something of everything in them that people have a hand in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from relay.journal.encryption.file_tools import FileTools
from relay.journal.encryption.keys import Keyring
from relay.journal.open import OpenJournal, open_file_tools, open_journal
from relay.model.journal import EndpointNote, UnreadableFrame
from relay.model.messages import BreakerState, Delivery, Reason, Rejected
from tests.journal.samples import (
    CRM,
    LOG,
    NOW,
    arrival,
    due,
    keep_unreadable,
    note_endpoint,
    postponed,
    receive,
    settle,
    uuid,
)

BODY, WORDS, FRONT, ERROR = b'{"data": "aGVsbG8="}', "hello, too", b"hello?", "protocol, hello"
TABLES = ("messages", "attempts", "unreadable", "endpoints")


@asynccontextmanager
async def running(path: Path, keys: Keyring | None) -> AsyncIterator[OpenJournal]:
    """Run on a journal, and stop cleanly."""
    async with open_journal(f"sqlite:///{path}", keys=keys) as opened:
        await opened.journal.start([CRM, LOG], NOW)
        yield opened
        await opened.journal.stop()


@asynccontextmanager
async def tools(
    path: Path, keys: Keyring | None, busy_timeout: float = 5.0
) -> AsyncIterator[FileTools]:
    """Mind a journal's keys."""
    async with open_file_tools(f"sqlite:///{path}", keys=keys, busy_timeout=busy_timeout) as opened:
        yield opened


async def stock(opened: OpenJournal, number: int = 1) -> Delivery:
    """Write down something of everything; gives the delivery, which is postponed."""
    journal = opened.journal
    lane = f"l{number}"
    (delivery,) = await receive(journal, arrival(number, CRM, frame=BODY, lane=lane))
    said = Rejected(Reason.HTTP_4XX, 400, WORDS)
    await settle(journal, [postponed(delivery, NOW, said)], NOW)
    await keep_unreadable(journal, "bot", UnreadableFrame(f"digest {number}", "no", FRONT), NOW)
    await note_endpoint(journal, CRM, EndpointNote(BreakerState.CLOSED, ERROR))
    return delivery


async def told(opened: OpenJournal, *numbers: int) -> Any:
    """Read everything back."""
    histories = [await opened.admin.history(uuid(number)) for number in numbers or (1, 2)]
    return (
        [delivery.message.frame for delivery in (await due(opened.journal)).deliveries],
        [history.frame for of in histories for history in of],
        [a.detail for of in histories for h in of for d in h.deliveries for a in d.attempts],
        [frame.sample for frame in await opened.admin.unreadable(None, 1000)],
        (await opened.journal.endpoint_note(CRM)).last_error,
        [record.note.last_error for record in await opened.admin.endpoints()],
    )
