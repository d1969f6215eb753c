"""The simulator as a test, the demo and `relay simulator` hold it, and a busy bot's messages."""

import asyncio
import random
import ssl
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Self
from uuid import uuid4

from aiohttp import web

from relay.simulator.api import Api
from relay.simulator.bots import Bot, make_keystore
from relay.simulator.connection import Connection
from relay.simulator.frames import Message
from relay.simulator.journal import PATIENCE, Entry, Journal
from relay.simulator.people import (
    ALICE,
    CAST,
    Person,
    as_payload,
    contact_conversation,
    sample,
    seal,
    stable_id,
)
from relay.simulator.state import Clock, Socket, State

_SHUTDOWN: Final = 1.0
"""Seconds that handlers get to end after their connections were cut; they need none."""


class Simulator:
    """A local Blaze, at `/`, and the HTTP API, everywhere else, on one port.

    As an async context manager it serves from entry to exit. `keystores` may be of any family;
    without any, the simulator makes one bot. Every wait ends after `patience` seconds with a
    TimeoutError that says what didn't happen. Where a `bot` may be given, None means the first.
    """

    journal_class: type[Journal] = Journal
    state_class: type[State] = State
    connection_class: type[Connection] = Connection
    api_class: type[Api] = Api
    message_class: type[Message] = Message

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        keystores: Iterable[Mapping[str, Any]] = (),
        patience: float = PATIENCE,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.journal = self.journal_class(patience)
        self.state = self.state_class(self.journal)
        self.host = host
        self.port = port
        self.bots: list[Bot] = []
        self._api = self.api_class(self.state)
        self._tls = tls
        self._runner: web.AppRunner | None = None
        for keystore in list(keystores) or [make_keystore()]:
            self.add_bot(keystore)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    # --- Where and who

    @property
    def blaze_url(self) -> str:
        """The URL of the socket."""
        return self._url("ws") + "/"

    @property
    def api_url(self) -> str:
        """The base URL of the HTTP API, without a slash at its end."""
        return self._url("http")

    @property
    def bot(self) -> Bot:
        """The first bot."""
        return self.bots[0]

    def keystore_json(self, bot: Bot | None = None) -> str:
        """Write a bot's keystore as the file that a dashboard downloads."""
        return (bot or self.bot).keystore_json()

    def add_bot(self, keystore: Mapping[str, Any] | None = None) -> Bot:
        """Accept one bot more; without a keystore a new one is made."""
        bot = Bot.of(keystore or make_keystore())
        self.bots.append(bot)
        self.state.admit(bot)
        return bot

    def _url(self, scheme: str) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}{'s' if self._tls else ''}://{host}:{self.port}"

    # --- Up and down

    async def start(self) -> None:
        """Listen, again on the same port after `stop`. Raises OSError if it is taken."""
        if self._runner is not None:
            return
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=_SHUTDOWN
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, self.host, self.port, ssl_context=self._tls).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        self.port = runner.addresses[0][1]

    async def stop(self) -> None:
        """End every connection abruptly and refuse new ones; what is pending stays pending."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        for site in list(runner.sites):
            await site.stop()
        for connection in runner.server.connections if runner.server else ():
            if connection.transport is not None:
                connection.transport.abort()
        await runner.cleanup()

    async def drop(self, code: int | None = None, bot: Bot | None = None) -> None:
        """End the sockets that are up, with a close code or without a close frame."""
        for one in self.sockets(bot):
            await one.drop(code)

    def sockets(self, bot: Bot | None = None) -> list[Socket]:
        """List the sockets that are up; without a bot those of all."""
        return [one for one in self.state.sockets if bot is None or one.bot == bot]

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self.connection_class(self.state, request).serve()
        return await self._api.serve(request)

    # --- Messages for the bot

    @property
    def clock(self) -> Clock:
        """The server's clock."""
        return self.state.clock

    def push(
        self,
        content: Any = None,
        *,
        category: str = "PLAIN_TEXT",
        sender: Person = ALICE,
        sealed: bool = False,
        bot: Bot | None = None,
        **fields: Any,
    ) -> str:
        """Accept a message for the bot and push it to its sockets; answers with its id.

        `content` is text, bytes, or something to write as JSON; None means a realistic sample. For
        an ENCRYPTED_* category it is encrypted for the bot, unless it is `sealed` already. Further
        fields are those of `Message`: `message_id`, `conversation_id`, `created_at` …
        """
        bot = bot or self.bot
        payload = sample(category) if content is None else as_payload(content)
        if category.startswith("ENCRYPTED_") and not sealed:
            payload = _seal(payload, sender, bot)
        message = self.message_class(
            **{
                "message_id": str(uuid4()),
                "conversation_id": contact_conversation(bot.app_id, sender.user_id),
                "user_id": sender.user_id,
                "session_id": sender.session_id,
                "created_at": self.clock.now(),
                **fields,
            },
            category=category,
            payload=payload,
        )
        self.state.mailbox(bot).add(message)
        return message.message_id

    def pending(self, bot: Bot | None = None) -> list[str]:
        """List what is neither acknowledged nor expired, oldest first."""
        pending = self.state.mailbox(bot or self.bot).pending(self.clock.now())
        return [message.message_id for message in pending]

    # --- Waiting for facts

    async def acknowledged(self, message_ids: Iterable[str], bot: Bot | None = None) -> None:
        """Wait until the server has taken the acks of all these messages."""
        log = self.state.mailbox(bot or self.bot).acknowledged
        missing = set(message_ids)
        looked_at = 0

        def done() -> bool:
            nonlocal looked_at
            missing.difference_update(log[looked_at:])
            looked_at = len(log)
            return not missing

        await self.until(done, f"the acks of {len(missing)} messages")

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until something else holds, looked at after everything that the journal hears."""
        await self.journal.until(holds, what)


def _seal(plaintext: bytes, sender: Person, bot: Bot) -> bytes:
    if bot.sealing_key is None:
        raise ValueError("a bot with an RSA session gets no ENCRYPTED_* messages")
    return seal(plaintext, sender.key, {bot.session_id: bot.sealing_key})


_MIX: Final = {
    "PLAIN_TEXT": 60,
    "ENCRYPTED_TEXT": 12,
    "PLAIN_IMAGE": 6,
    "PLAIN_STICKER": 6,
    "PLAIN_POST": 3,
    "PLAIN_DATA": 3,
    "PLAIN_CONTACT": 2,
    "PLAIN_LOCATION": 2,
    "MESSAGE_RECALL": 2,
    "SYSTEM_CONVERSATION": 2,
    "SYSTEM_SAFE_SNAPSHOT": 1,
    "SYSTEM_ACCOUNT_SNAPSHOT": 1,
}
_GROUP: Final = stable_id("conversation", "group")
_SHARE_OF_GROUP: Final = 0.2
_AT_ONCE: Final = 200
"""Messages accepted before others get a turn, where no rate is set."""
_TICK: Final = 0.01
"""Seconds between two portions at a high rate."""

OnPush = Callable[[str, str], None]
"""Hears of each message: its id and its category."""


class Traffic:
    """Pushes a mix of categories from several users, in private and in a group.

    The mix is the same for the same `seed`; ENCRYPTED_* come only where the bot can read them.
    """

    def __init__(self, simulator: Simulator, *, bot: Bot | None = None, seed: int = 1) -> None:
        self._simulator = simulator
        self._bot = bot or simulator.bot
        self._random = random.Random(seed)
        can_decrypt = self._bot.sealing_key is not None
        mix = {name: n for name, n in _MIX.items() if can_decrypt or name[:10] != "ENCRYPTED_"}
        self._categories, self._weights = list(mix), list(mix.values())
        self._count = 0

    def push(self) -> tuple[str, str]:
        """Push the next message; answers with its id and its category."""
        self._count += 1
        (category,) = self._random.choices(self._categories, self._weights)
        sender = self._random.choice(CAST)
        text = f"Message {self._count} from {sender.name}" if category.endswith("_TEXT") else None
        place: dict[str, Any] = (
            {"conversation_id": _GROUP} if self._random.random() < _SHARE_OF_GROUP else {}
        )
        message_id = self._simulator.push(
            text, category=category, sender=sender, bot=self._bot, **place
        )
        return message_id, category

    async def run(
        self, *, rate: float | None = None, messages: int | None = None, on_push: OnPush
    ) -> None:
        """Push so many messages, `rate` of them a second; None means without end or pause.

        One of the two has to be given.
        """
        if rate is None and messages is None:
            raise ValueError("traffic without end needs a rate")
        loop = asyncio.get_running_loop()
        started, done = loop.time(), 0
        while messages is None or done < messages:
            due = done + _AT_ONCE if rate is None else int((loop.time() - started) * rate) + 1
            for _ in range(min(due, messages or due) - done):
                on_push(*self.push())
                done += 1
            await asyncio.sleep(0 if rate is None else _pause(started, done, rate, loop.time()))


def _pause(started: float, done: int, rate: float, now: float) -> float:
    return max(_TICK, started + done / rate - now)


async def serve(
    host: str,
    port: int,
    *,
    keystore: Mapping[str, Any] | None = None,
    rate: float = 1.0,
    messages: int | None = None,
    on_start: Callable[[Simulator], None],
    on_push: OnPush,
    on_entry: Callable[[Entry], None],
) -> None:
    """Serve one bot until cancelled, with `rate` messages a second, `messages` in all at most.

    A rate of 0 pushes nothing. Without a keystore one is made: `Simulator.keystore_json()` has it.
    `on_start` hears of the simulator once it listens, `on_push` of each message, `on_entry` of
    connects, requests, acks and violations. Raises OSError if the address can't be listened on,
    and ValueError or KeyError for a keystore that is none. Memory grows with each message.
    """
    keystores = [] if keystore is None else [keystore]
    async with Simulator(host=host, port=port, keystores=keystores) as simulator:
        simulator.journal.observer = on_entry
        on_start(simulator)
        if rate > 0 and messages != 0:
            await Traffic(simulator).run(rate=rate, messages=messages, on_push=on_push)
        await asyncio.Event().wait()
