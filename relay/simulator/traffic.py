"""A stream of messages as a busy bot gets them."""

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Any, Final

from relay.simulator.bots import Bot
from relay.simulator.journal import Entry
from relay.simulator.people import CAST, stable_id
from relay.simulator.simulator import Simulator

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
