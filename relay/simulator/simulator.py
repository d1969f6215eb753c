"""The simulator as tests and the demo hold it."""

import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from relay.simulator.clock import Clock
from relay.simulator.exchange import Exchange, Line
from relay.simulator.faults import ErrorFrame, Faults
from relay.simulator.journal import PATIENCE, Journal
from relay.simulator.keystore import Bot, make_keystore
from relay.simulator.message import Message
from relay.simulator.people import ALICE, Person, contact_conversation
from relay.simulator.samples import as_payload, sample
from relay.simulator.sealing import seal
from relay.simulator.sends import push_receipt
from relay.simulator.server import Server


class Simulator:
    """A local Blaze and the HTTP API beside it, on one port.

    As an async context manager it serves from entry to exit. `keystores` may be of any family;
    without any, the simulator makes one bot. Every wait ends after `patience` seconds with a
    TimeoutError that says what didn't happen. Where a `bot` may be given, None means the first.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        keystores: Iterable[Mapping[str, Any]] = (),
        patience: float = PATIENCE,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.journal = Journal(patience)
        self._exchange = Exchange(self.journal)
        self._server = Server(self._exchange, host, port, tls)
        self.bots: list[Bot] = []
        for keystore in list(keystores) or [make_keystore()]:
            self.add_bot(keystore)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    # --- Where and who

    @property
    def blaze_url(self) -> str:
        """The URL of the socket."""
        return self._server.url("ws") + "/"

    @property
    def api_url(self) -> str:
        """The base URL of the HTTP API, without a slash at its end."""
        return self._server.url("http")

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
        self._exchange.admit(bot)
        return bot

    # --- Faults and time

    @property
    def faults(self) -> Faults:
        """What goes wrong; see `relay.simulator.faults`."""
        return self._exchange.faults

    @property
    def clock(self) -> Clock:
        """The server's clock."""
        return self._exchange.clock

    @property
    def allow_read(self) -> Callable[[str], bool] | None:
        """Who tells whether a message may be READ by now; a no makes a violation."""
        return self._exchange.allow_read

    @allow_read.setter
    def allow_read(self, allow: Callable[[str], bool] | None) -> None:
        self._exchange.allow_read = allow

    async def start(self) -> None:
        """Listen, again on the same port after `stop`."""
        await self._server.start()

    async def stop(self) -> None:
        """End every connection abruptly and refuse new ones; what is pending stays pending."""
        await self._server.stop()

    async def drop(self, code: int | None = None, bot: Bot | None = None) -> None:
        """End the sockets that are up, with a close code or without a close frame."""
        for line in self._lines(bot):
            await line.drop(code)

    async def revoke(self, bot: Bot | None = None, *, close: bool = True) -> None:
        """Revoke a bot's session: an ERROR frame on its sockets, and 401 from now on."""
        self._exchange.revoked.add((bot or self.bot).session_id)
        await self.send_error(ErrorFrame(401, close), bot)

    def restore(self, bot: Bot | None = None) -> None:
        """Take a revocation back."""
        self._exchange.revoked.discard((bot or self.bot).session_id)

    async def send_error(self, error: ErrorFrame, bot: Bot | None = None) -> None:
        """Send an ERROR frame on the sockets that are up."""
        for line in self._lines(bot):
            await line.refuse(error)

    # --- Messages for the bot

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
        fields are those of `Message`: `message_id`, `conversation_id`, `created_at`, `changes` …
        """
        bot = bot or self.bot
        payload = sample(category) if content is None else as_payload(content)
        if category.startswith("ENCRYPTED_") and not sealed:
            payload = self._sealed(payload, sender, bot)
        message = Message(
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
        self._exchange.mailbox(bot).add(message)
        return message.message_id

    def push_again(self, message_id: str, *, bot: Bot | None = None, **fields: Any) -> None:
        """Push a known message once more as if it were live, acknowledged or not.

        `fields` of `Message` change it for this once, such as `payload` or `changes`. Raises
        LookupError for a message that the server never had.
        """
        mailbox = self._exchange.mailbox(bot or self.bot)
        message = mailbox.find(message_id)
        if message is None:
            raise LookupError(message_id)
        mailbox.offer(replace(message, **fields))

    def push_frame(
        self, frame: bytes | str, *, bot: Bot | None = None, always: bool = False
    ) -> None:
        """Push a frame as it is, a str as a text frame, to the sockets that have listed.

        With `always` every later socket gets it too, after its backlog: poison comes back.
        """
        self._exchange.remember_raw([frame])
        if always:
            self._exchange.poison.append(frame)
        self._exchange.mailbox(bot or self.bot).offer(frame)

    def push_receipt(self, message_id: str, status: str, bot: Bot | None = None) -> None:
        """Push the status of a message that the bot sent, or never sent."""
        push_receipt(self._exchange, bot or self.bot, message_id, status)

    def pending(self, bot: Bot | None = None) -> list[str]:
        """List what is neither acknowledged nor expired, oldest first."""
        mailbox = self._exchange.mailbox(bot or self.bot)
        return [message.message_id for message in mailbox.pending(self.clock.now())]

    # --- Waiting for facts

    async def connected(self, times: int = 1) -> None:
        """Wait until so many sockets have come up since the start."""
        await self.until(lambda: len(self.journal.accepted) >= times, f"{times} connects")

    async def attempted(self, times: int = 1) -> None:
        """Wait until so many upgrades were tried, whatever became of them."""
        await self.until(lambda: len(self.journal.connects) >= times, f"{times} upgrades")

    async def listed(self, times: int = 1) -> None:
        """Wait until LIST_PENDING_MESSAGES has come on so many sockets."""
        await self.until(
            lambda: sum(one.listed_at is not None for one in self.journal.accepted) >= times,
            f"LIST_PENDING_MESSAGES on {times} sockets",
        )

    async def disconnected(self, times: int = 1) -> None:
        """Wait until so many sockets have come to their end."""
        await self.until(
            lambda: sum(one.closed_at is not None for one in self.journal.accepted) >= times,
            f"{times} sockets closed",
        )

    async def requested(self, path: str, times: int = 1) -> None:
        """Wait until so many HTTP requests for that path have come."""
        await self.until(
            lambda: sum(one.path == path for one in self.journal.requests) >= times,
            f"{times} requests for {path}",
        )

    async def pushed(self, message_id: str, times: int = 1) -> None:
        """Wait until a message was pushed so many times."""
        await self.until(
            lambda: self.journal.pushed[message_id] >= times, f"{times} pushes of {message_id}"
        )

    async def acknowledged(self, message_ids: Iterable[str], bot: Bot | None = None) -> None:
        """Wait until the server has taken the acks of all these messages."""
        log = self._exchange.mailbox(bot or self.bot).acknowledged
        missing = set(message_ids)
        looked_at = 0

        def done() -> bool:
            nonlocal looked_at
            missing.difference_update(log[looked_at:])
            looked_at = len(log)
            return not missing

        await self.until(done, f"the acks of {len(missing)} messages")

    async def all_acknowledged(self, bot: Bot | None = None) -> None:
        """Wait until nothing is pending."""
        mailbox = self._exchange.mailbox(bot or self.bot)
        await self.until(lambda: len(mailbox) == 0, "every message acknowledged")

    async def flushed(self) -> None:
        """Wait until the sockets that are up have been sent all that there is to push."""
        await self.until(
            lambda: all(line.idle for line in self._exchange.lines), "everything pushed"
        )

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until something else holds, looked at after everything that the journal hears."""
        await self.journal.until(holds, what)

    # --- Inside

    def _lines(self, bot: Bot | None) -> list[Line]:
        return [line for line in self._exchange.lines if bot is None or line.bot == bot]

    def _sealed(self, plaintext: bytes, sender: Person, bot: Bot) -> bytes:
        if bot.sealing_key is None:
            raise ValueError("a bot with an RSA session gets no ENCRYPTED_* messages")
        return seal(plaintext, sender.key, {bot.session_id: bot.sealing_key})
