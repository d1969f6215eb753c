"""Everything around a relay process: Mixin, the receivers, the settings, and the judgement."""

import asyncio
import itertools
import json
import re
import secrets
import sqlite3
import ssl
from base64 import b64encode
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import aiohttp
import yaml

from tests.acceptance.nursery import Shell, Starter
from tests.acceptance.process import Place, Process, RelayProcess
from tests.acceptance.receiver import Receiver, hold_port, port_of
from tests.support.simulator import Bot, Simulator

BOT = "support"

WHISPER = "hush-hush"
"""In the content of every message that a test pushes: it must never be in a log."""

PATIENCE = 30.0
"""Seconds that a wait for a fact lasts at most."""

_BREATH = 0.01
_TOKEN = re.compile(r"eyJ[\w-]{16}")
_PATIENT_BREAKER = {"open_after": 1000, "probe_max": "50ms"}
_QUICK_RETRY = {"first": "10ms", "max": "50ms", "give_up_after": "72h", "rejected_attempts": 3}
_PRIVATE = {"session_private_key", "private_key", "pin_token"}
_TIMES = {
    "messages": ("received_at", "receipt_at", "finished_at"),
    "deliveries": ("first_attempt_at", "ended_at"),
    "lanes": ("due_at",),
    "attempts": ("started_at",),
    "endpoints": ("next_probe_at", "gone_since"),
}


def conversation(number: int) -> str:
    """Give the id of a conversation, always the same for the same number."""
    return str(uuid5(NAMESPACE_URL, f"conversation {number}"))


class House:
    """One test's world, all of it in the test's loop but the relay processes.

    A test waits for facts, by `until` and what is made of it. The fixture judges in the end.
    """

    def __init__(
        self, simulator: Simulator, starter: Starter, directory: Path, http: aiohttp.ClientSession
    ) -> None:
        self.simulator = simulator
        self.directory = directory
        self.settings: dict[str, Any] = {"drain_timeout": "5s", "log_level": "debug"}
        self.environ: dict[str, str] = {}
        self.bots: dict[str, dict[str, Any]] = {}
        self.receivers: list[Receiver] = []
        self.processes: list[Process] = []
        self.pushed: dict[str, set[str]] = defaultdict(set)
        self.waived: set[str] = set()
        self.one_journal = True
        self.secrets: list[str] = []
        self._keys: dict[str, Bot] = {}
        self._numbers = itertools.count()
        self._port, self._other_port = hold_port(), hold_port()
        self._place = Place(starter, http, self.until, self.changed)
        simulator.journal.allow_read = self.may_be_read
        self.add_bot(BOT, simulator.bot)

    # --- Waiting

    def changed(self) -> None:
        """Let all who wait look again."""
        self.simulator.journal.changed()

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until something holds, looked at whenever anything happened in the house."""
        await self.simulator.until(holds, what)

    async def eventually(self, holds: Callable[[], Awaitable[bool]], what: str) -> None:
        """Wait for what tells nobody of itself: look again and again."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not await holds():  # noqa: ASYNC110 - another process has no event of ours
                    await asyncio.sleep(_BREATH)
        except TimeoutError:
            raise TimeoutError(f"{PATIENCE:g} s passed without {what}") from None

    # --- Mixin's side

    def add_bot(self, name: str, bot: Bot, **settings: Any) -> None:
        """Give the relay one bot more."""
        keystore = self.directory / f"{name}.json"
        keystore.write_text(self.simulator.keystore_json(bot))
        self._keys[name] = bot
        for key in _PRIVATE & bot.keystore.keys():
            self.secrets += [line for line in bot.keystore[key].splitlines() if len(line) > 30]
        self.bots[name] = {
            "name": name,
            "keystore_file": str(keystore),
            "blaze_url": self.simulator.blaze_url,
            "api_url": self.simulator.api_url,
            "endpoints": [],
            **settings,
        }

    def push(self, count: int = 1, *, bot: str = BOT, **fields: Any) -> list[str]:
        """Let people write to a bot, each message in a conversation of its own unless one is named.

        Answers with the ids.
        """
        ids = []
        for _ in range(count):
            number = next(self._numbers)
            place = {"conversation_id": conversation(number), **fields}
            message_id = self.simulator.push(f"{WHISPER} {number}", bot=self._keys[bot], **place)
            self.pushed[message_id].add(bot)
            ids.append(message_id)
        return ids

    async def read(self, message_ids: Sequence[str], bot: str = BOT) -> None:
        """Wait until Mixin has taken the READ of all these."""
        await self.simulator.acknowledged(message_ids, self._keys[bot])

    async def posts(self, receiver: Receiver, times: int) -> None:
        """Wait until so many requests have come to a receiver."""
        await self.until(lambda: len(receiver.posts) >= times, f"{times} requests")

    def acks_of(self, message_id: str) -> int:
        """Count the READs that were sent for a message, whatever came of them."""
        return sum(ack.message_id == message_id for ack in self.simulator.journal.acks)

    def may_be_read(self, message_id: str) -> bool:
        """Tell whether every required receiver has answered 2xx, or an operator waived that."""
        bots = self.pushed[message_id] or {BOT}
        return message_id in self.waived or any(self._was_taken(message_id, bot) for bot in bots)

    def _was_taken(self, message_id: str, bot: str) -> bool:
        return all(
            receiver.has_taken(message_id)
            for receiver in self.receivers
            if receiver.bot == bot and receiver.required and receiver.wants(message_id)
        )

    # --- The receivers' side

    async def receiver(
        self,
        name: str = "crm",
        *,
        bot: str = BOT,
        required: bool = True,
        secured: ssl.SSLContext | None = None,
        **settings: Any,
    ) -> Receiver:
        """Open a receiver, and configure it as an endpoint; further settings are the endpoint's."""
        secret = f"whsec_{b64encode(secrets.token_bytes(24)).decode()}"
        token = secrets.token_hex(16)
        self.secrets += [secret.removeprefix("whsec_"), token]
        receiver = Receiver(
            bot, name, secret=secret, token=token, required=required, changed=self.changed
        )
        receiver.secured = secured
        self.receivers.append(receiver)
        await receiver.start()
        token_file = self.directory / f"{bot}-{name}-token"
        token_file.write_text(token)
        endpoint = {
            "name": name,
            "url": receiver.url,
            "secret": secret,
            "bearer_token_file": str(token_file),
            "required": required,
            "retry": _QUICK_RETRY,
            "breaker": _PATIENT_BREAKER,
        }
        self.bots[bot]["endpoints"].append(_merged(endpoint, settings))
        return receiver

    # --- The relay

    @property
    def journal(self) -> Path:
        """The journal's file."""
        return self.directory / "journal.db"

    async def start(self, *, journal: Path | None = None, port: int | None = None) -> RelayProcess:
        """Start a relay, and don't wait for anything. By default it is the one at home here."""
        port = port or port_of(self._port)
        document = {
            "listen": f"127.0.0.1:{port}",
            "journal": f"sqlite:///{journal or self.journal}",
            **self.settings,
            "bots": list(self.bots.values()),
        }
        config = self.directory / f"relay-{port}.yaml"
        config.write_text(yaml.safe_dump(document))
        process = RelayProcess(
            self._place,
            ["run", "--config", str(config)],
            self.environ,
            self.directory,
            f"http://127.0.0.1:{port}",
        )
        self.processes.append(process)
        return process

    async def relay(self, **options: Any) -> RelayProcess:
        """Start a relay, and wait until every bot's socket is up."""
        process = await self.start(**options)
        for bot in self.bots:
            await process.said("blaze.connected", bot=bot)
        return process

    async def another_relay(self) -> RelayProcess:
        """Start a second relay with the same keystores, on a journal of its own."""
        journal = self.directory / "another.db"
        return await self.relay(journal=journal, port=port_of(self._other_port))

    async def relay_by_environment(self, receiver: Receiver) -> RelayProcess:
        """Start the installed command with variables alone, one webhook, and no file."""
        endpoint = self.bots[BOT]["endpoints"][0]
        port = port_of(self._port)
        receiver.bot, receiver.name, receiver.token = "default", "webhook-1", None
        environ = {
            "RELAY_KEYSTORE": self.simulator.keystore_json(),
            "RELAY_WEBHOOK_URLS": receiver.url,
            "RELAY_WEBHOOK_SECRET": endpoint["secret"],
            "RELAY_JOURNAL": f"sqlite:///{self.journal}",
            "RELAY_LISTEN": f"127.0.0.1:{port}",
            "RELAY_BLAZE_URL": self.simulator.blaze_url,
            "RELAY_API_URL": self.simulator.api_url,
            "RELAY_LOG_LEVEL": "debug",
        }
        place = Place(Shell(), self._place.http, self.until, self.changed)
        process = RelayProcess(place, ["run"], environ, self.directory, f"http://127.0.0.1:{port}")
        self.processes.append(process)
        await process.said("blaze.connected")
        return process

    async def command(self, *arguments: str) -> Any:
        """Run another command on the same settings; answers with the JSON that it prints."""
        process = await self._ended(*arguments, "--json")
        if process.exit_code:
            raise AssertionError(f"{arguments} ended with {process.exit_code}")
        return json.loads("\n".join(process.out.lines))

    async def exit_code(self, *arguments: str) -> int | None:
        """Run another command on the same settings, for its exit code."""
        return (await self._ended(*arguments)).exit_code

    async def _ended(self, *arguments: str) -> Process:
        config = str(self.directory / f"relay-{port_of(self._port)}.yaml")
        process = Process(self._place, [*arguments, "--config", config], {}, self.directory)
        self.processes.append(process)
        await process.ended()
        return process

    # --- The journal's file

    @contextmanager
    def locked_journal(self) -> Iterator[None]:
        """Hold the journal's write lock, as a stranger's program may."""
        with closing(sqlite3.connect(self.journal, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")

    def lose_journal(self) -> None:
        """Delete the journal, as who loses a disk does."""
        for file in self.directory.glob("journal.db*"):
            file.unlink()

    def let_days_pass(self, days: float) -> None:
        """Date everything in the journal of a stopped relay so many days back."""
        with closing(sqlite3.connect(self.journal)) as connection, connection:
            for table, columns in _TIMES.items():
                changes = ", ".join(f"{column} = {column} - {days * 86400}" for column in columns)
                connection.execute(f"UPDATE {table} SET {changes}")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Read the journal as it is on disk."""
        with closing(sqlite3.connect(self.journal)) as connection:
            return connection.execute(query).fetchall()

    # --- The end

    async def close(self) -> None:
        """Kill what still runs, and close everything."""
        for process in self.processes:
            await process.kill()
        for receiver in self.receivers:
            await receiver.close()
        self._port.close()
        self._other_port.close()

    def judge(self) -> list[str]:
        """List what must never be: nothing, after any test."""
        found = [str(violation) for violation in self.simulator.journal.violations]
        for receiver in self.receivers:
            found += receiver.complaints
            found += receiver.unexplained() if self.one_journal else []
        for process in self.processes:
            found += self._judge_output(process)
        return found

    def _judge_output(self, process: Process) -> Iterator[str]:
        private = [*self.secrets, WHISPER]
        for line in (*process.err.lines, *process.out.lines):
            yield from (f"a secret in {line}" for secret in private if secret in line)
            yield from (f"a token in {line}" for _ in _TOKEN.findall(line))
            if "Traceback" in line or "Warning:" in line or "attempt.crashed" in line:
                yield line


def _merged(settings: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Lay changes over settings; of a section only the named keys change."""
    merged = {**settings, **changes}
    for key, section in settings.items():
        if isinstance(section, dict) and key in changes:
            merged[key] = {**section, **changes[key]}
    return merged
