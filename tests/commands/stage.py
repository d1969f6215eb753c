"""A relay's settings and journal as a command finds them, and what the command then says."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import pytest
import yaml

from relay.cli import execute
from relay.journal.encryption.keys import Keyring
from relay.journal.open import OpenJournal, open_admin_store, open_journal
from relay.model.admin import AdminStore
from relay.model.journal import Arrival, Fresh, Owed
from relay.model.messages import (
    Attempt,
    DeadLettered,
    Delivered,
    Delivery,
    EndpointKey,
    Message,
    Postponed,
    Reason,
    Rejected,
    Source,
    Success,
    Transient,
)
from tests.config.example import KEYSTORE, OTHER_KEYSTORE, SECRET
from tests.journal.samples import record, settle

T = TypeVar("T")

CRM = EndpointKey("support", "crm")
LOG = EndpointKey("support", "log")
SALES = EndpointKey("sales", "crm")
NOW = 1_700_000_000.0
CONVERSATION = "67a87828-18f5-46a1-b6cc-c72a97a77c43"


def uuid(number: int) -> str:
    return str(UUID(int=number))


def frame(number: int, data: str = "aGVsbG8=") -> bytes:
    """Write a push as Mixin does, decompressed."""
    push = {"type": "message", "message_id": uuid(number), "category": "PLAIN_TEXT", "data": data}
    return json.dumps({"id": uuid(0), "action": "CREATE_MESSAGE", "data": push}).encode()


@dataclass
class Said:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[list[str]]:
        return [line.split("\t") for line in self.out.splitlines()]

    @property
    def document(self) -> Any:
        return json.loads(self.out)


class Stage:
    """One folder with settings for two bots; time is long after everything that happened."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.location = f"sqlite:///{folder}/journal.db"
        self.keys: Keyring | None = None
        self._capsys = capsys
        self.write_settings()

    def write_settings(self, **changes: Any) -> Path:
        def endpoint(name: str) -> dict[str, str]:
            return {"name": name, "url": "http://127.0.0.1:9/", "secret": SECRET}

        settings = {
            "journal": self.location,
            "bots": [
                {
                    "name": "support",
                    "keystore": KEYSTORE,
                    "endpoints": [endpoint("crm"), endpoint("log")],
                },
                {"name": "sales", "keystore": OTHER_KEYSTORE, "endpoints": [endpoint("crm")]},
            ],
        }
        path = self.folder / "relay.yaml"
        path.write_text(yaml.safe_dump(settings | changes))
        return path

    def set_keys(self, *keys: str) -> tuple[str, ...]:
        """Let the settings name a file with these keys; gives their ids."""
        self.keys = Keyring.parse(" ".join(keys))
        path = self.folder / "journal-key"
        path.write_text("\n".join(keys))
        self.write_settings(journal_key_file=str(path))
        return self.keys.ids

    def relay(self, *arguments: str) -> Said:
        """Run a command."""
        self._capsys.readouterr()
        code = execute(arguments)
        out, err = self._capsys.readouterr()
        return Said(code, out, err)

    def at_journal(self, work: Callable[[OpenJournal], Awaitable[T]]) -> T:
        """Do something as the relay that owns the journal."""

        async def run() -> T:
            async with open_journal(self.location, keys=self.keys) as opened:
                await opened.journal.start([CRM, LOG, SALES], NOW)
                return await work(opened)

        return asyncio.run(run())

    def with_admin_store(self, work: Callable[[AdminStore], Awaitable[T]]) -> T:
        """Look at the journal as an operator."""

        async def run() -> T:
            async with open_admin_store(self.location, keys=self.keys) as store:
                return await work(store)

        return asyncio.run(run())

    def receive(self, number: int, *endpoints: EndpointKey, text: bytes | None = None) -> None:
        """Let a message arrive, that is owed to these endpoints; the first one's bot has it."""
        self.at_journal(lambda opened: _receive(opened, number, endpoints, text))

    def deliver(self, number: int, endpoint: EndpointKey) -> None:
        """Let a message arrive and be taken."""
        self.at_journal(lambda opened: _settle(opened, number, endpoint, Success(204)))

    def postpone(self, number: int, endpoint: EndpointKey) -> None:
        """Let a message arrive and fail once."""
        verdict = Transient(Reason.HTTP_5XX, 500, "oops\n\tno")
        self.at_journal(lambda opened: _settle(opened, number, endpoint, verdict))

    def bury(self, number: int, endpoint: EndpointKey, *, at: float = NOW + 100) -> None:
        """Let a message arrive and die."""
        verdict = Rejected(Reason.HTTP_4XX, 400, "no thanks")
        self.at_journal(lambda opened: _settle(opened, number, endpoint, verdict, at))


def arrival(number: int, endpoints: tuple[EndpointKey, ...], text: bytes | None = None) -> Arrival:
    message = Message(
        endpoints[0].bot,
        uuid(number),
        CONVERSATION,
        "u",
        "PLAIN_TEXT",
        Source.LIVE,
        text or frame(number),
        NOW + number,
    )
    return Arrival(message, tuple(Owed(key, uuid(number), required=True) for key in endpoints))


async def _receive(
    opened: OpenJournal, number: int, endpoints: tuple[EndpointKey, ...], text: bytes | None = None
) -> list[Delivery]:
    (recorded,) = await record(opened.journal, [arrival(number, endpoints, text)])
    assert isinstance(recorded, Fresh)
    return list(recorded.deliveries)


async def _settle(
    opened: OpenJournal,
    number: int,
    endpoint: EndpointKey,
    verdict: Success | Transient | Rejected,
    at: float = NOW + 100,
) -> None:
    (delivery,) = await _receive(opened, number, (endpoint,))
    attempt = Attempt(1, at, 0.25, verdict)
    outcome: Delivered | Postponed | DeadLettered
    match verdict:
        case Success():
            outcome = Delivered(delivery, attempt)
        case Transient():
            outcome = Postponed(delivery, attempt, at + 60)
        case Rejected():
            outcome = DeadLettered(delivery, attempt)
    await settle(opened.journal, [outcome], at + 1)
