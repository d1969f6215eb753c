"""What the simulator's people write, at a rate."""

import asyncio
from typing import Final

from relay.demo.board import Board
from relay.simulator import Simulator, Traffic

MOST_UNDER_WAY: Final = 1000
"""Messages pushed and not yet READ; keeps memory, and what an early end leaves behind, bounded."""

_SEED: Final = 28
"""With it stickers, transfers and encrypted messages come among the first twenty."""


async def push_traffic(simulator: Simulator, board: Board, *, messages: int, rate: float) -> None:
    """Push so many messages, `rate` of them a second; 0 means as fast as they go through."""
    traffic, loop = Traffic(simulator, seed=_SEED), asyncio.get_running_loop()
    started = loop.time()
    for number in range(messages):
        due = started + number / rate if rate else 0.0
        await asyncio.sleep(max(0.0, due - loop.time()))
        while len(board.under_way) >= MOST_UNDER_WAY:
            await board.moved()
        board.push(*traffic.push())
