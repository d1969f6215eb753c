"""The simulator as a test, the demo and `relay simulator` hold it."""

import ssl
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Self
from uuid import uuid4

from aiohttp import web

from relay.simulator.api import Api
from relay.simulator.bots import Bot, make_keystore
from relay.simulator.connection import Connection
from relay.simulator.frames import Message
from relay.simulator.journal import PATIENCE, Journal
from relay.simulator.people import ALICE, Person, as_payload, contact_conversation, sample, seal
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
