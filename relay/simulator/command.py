"""The life of `relay simulator`: serves, pushes and reports until it is cancelled."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from relay.simulator.journal import Entry
from relay.simulator.simulator import Simulator
from relay.simulator.traffic import OnPush, Traffic


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
