"""How the conductor of a soak talks to its other processes: JSON, a line each way."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_LONGEST = 1 << 24
_PATIENCE = 60.0
_END = 10.0

Words = dict[str, Any]


class Player:
    """A process of the soak, as the conductor holds it."""

    def __init__(self, module: str, *arguments: str, log: Path) -> None:
        self._command = ["-m", module, *arguments]
        self._log = log
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self.hello: Words = {}

    @property
    def pid(self) -> int:
        """Its id."""
        assert self._process is not None
        return self._process.pid

    async def ask(self, **words: Any) -> Words:
        """Ask for something; answers with what it says."""
        assert self._process is not None
        assert self._process.stdin is not None
        async with self._turn, asyncio.timeout(_PATIENCE):
            self._process.stdin.write(json.dumps(words).encode() + b"\n")
            await self._process.stdin.drain()
            return await self._hear()

    async def _hear(self) -> Words:
        assert self._process is not None
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._command[1]} has ended; {self._log} may say why")
        words: Words = json.loads(line)
        return words

    async def __aenter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                limit=_LONGEST,
            )
        self.hello = await self._hear()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), _END)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


def say(**words: Any) -> None:
    """Say something to the conductor."""
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


async def asked() -> AsyncIterator[Words]:
    """Hear what the conductor asks for, until it is gone."""
    reader = asyncio.StreamReader(limit=_LONGEST)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield json.loads(line)
