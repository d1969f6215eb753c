"""A relay's process between a Blaze server and receivers, and the floor's."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from relay.simulator import Simulator

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CONVERSATIONS = 200


@asynccontextmanager
async def peer_process(
    module: Sequence[str], variables: Mapping[str, str], folder: Path, *, core: int | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a module in a folder, where its log is too, and on one core if that is asked for."""
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *module),
            env=os.environ | variables,
            stdout=log,
            stderr=log,
            cwd=folder,
        )
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


@asynccontextmanager
async def relay_process(
    simulator: Simulator, url: str, journal: str, folder: Path, *, listen: str = "127.0.0.1:0"
) -> AsyncIterator[None]:
    """Run a relay between the simulator and a receiver."""
    variables = {
        "RELAY_KEYSTORE": simulator.keystore_json(),
        "RELAY_WEBHOOK_URLS": url,
        "RELAY_WEBHOOK_SECRET": SECRET,
        "RELAY_JOURNAL": journal,
        "RELAY_LISTEN": listen,
        "RELAY_BLAZE_URL": simulator.blaze_url,
        "RELAY_API_URL": simulator.api_url,
    }
    async with peer_process(("relay", "run"), variables, folder):
        yield
