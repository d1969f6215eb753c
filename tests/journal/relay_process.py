"""A process that runs on a journal as a relay does, told what to do line by line.

`record N` records message N, `stop` ends the run cleanly; each answers with a line.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from relay.journal.open import open_journal
from relay.journal.sqlite.lock import JournalRefused
from tests.journal.samples import CRM, NOW, arrival, record


async def main(location: str) -> None:
    """Open the journal and obey until the input ends."""
    loop = asyncio.get_running_loop()
    try:
        async with open_journal(location) as opened:
            clean = await opened.journal.start([CRM], NOW)
            say(f"started {clean}")
            while line := await loop.run_in_executor(None, sys.stdin.readline):
                word, *rest = line.split()
                if word == "record":
                    await record(opened.journal, [arrival(int(rest[0]), CRM)])
                if word == "stop":
                    await opened.journal.stop()
                say(line.strip())
    except JournalRefused as error:
        say(f"refused {error}")


def say(line: str) -> None:
    """Answer."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class RelayProcess:
    """Such a process, seen from a test."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def hear(self) -> str:
        """Wait for its next line."""
        assert self.process.stdout is not None
        return (await self.process.stdout.readline()).decode().strip()

    async def tell(self, line: str) -> str:
        """Tell it what to do and wait for its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        return await self.hear()

    async def kill(self) -> None:
        """End it as a crash does."""
        self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def relay_process(location: str) -> AsyncIterator[RelayProcess]:
    """Run the process; its input ends with the block, and with it the process."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, location, stdin=pipe, stdout=pipe
    )
    try:
        yield RelayProcess(process)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
