"""The relay of a soak from life to life: started, killed, started again."""

import asyncio
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from tests.acceptance.receiver import hold_port, port_of
from tests.soak.ledger import ENDPOINTS, conversations_of
from tests.soak.receivers import SECRET

_BREATH = 0.1
_STARTED_WITHIN = 30.0
_ENDED_WITHIN = 60.0
_BALANCE = re.compile(r"^relay_conservation_imbalance\{.*\} (\S+)$", re.MULTILINE)
_RETRY = {"first": "200ms", "max": "5s"}
_BREAKER = {"open_after": 5, "probe_max": "5s"}


class Relay:
    """One relay after the other, on one journal and at one address."""

    def __init__(self, folder: Path, retention: float, http: aiohttp.ClientSession) -> None:
        self.life = 0
        self.born = 0.0
        self.ends: list[int] = []
        self.log = folder / "relay.log"
        self.journal = folder / "journal.db"
        self._settings = folder / "relay.yaml"
        self._keystore = folder / "keystore.json"
        self._retention = retention
        self._http = http
        self._port = hold_port()
        self._process: asyncio.subprocess.Process | None = None

    def configure(self, mixin: dict[str, Any], ports: list[int]) -> None:
        """Write the settings."""
        self._keystore.write_text(mixin["keystore"])
        endpoints = [
            {
                "name": name,
                "url": f"http://127.0.0.1:{port}/hook",
                "secret": SECRET,
                "conversations": conversations_of(name),
                "timeout": "2s",
                "retry": _RETRY,
                "breaker": _BREAKER,
            }
            for name, port in zip(ENDPOINTS, ports, strict=True)
        ]
        bot = {
            "name": "soak",
            "keystore_file": str(self._keystore),
            "blaze_url": mixin["blaze_url"],
            "api_url": mixin["api_url"],
            "endpoints": endpoints,
        }
        settings = {
            "listen": f"127.0.0.1:{port_of(self._port)}",
            "journal": f"sqlite:///{self.journal}",
            "log_format": "json",
            "bots": [bot],
        }
        self._settings.write_text(yaml.safe_dump(settings))

    @property
    def pid(self) -> int:
        """The id of the process that lives, or lived last."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Begin a life, and wait until it is ready."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.soak.relay", str(self._retention)),
                *("run", "--config", str(self._settings)),
                env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
                stderr=log,
            )
        self.life += 1
        self.born = time.monotonic()

    async def ready(self) -> None:
        """Wait until it says so."""
        async with asyncio.timeout(_STARTED_WITHIN):
            while not await self._is_ready():  # noqa: ASYNC110 - another process has no event of ours
                await asyncio.sleep(_BREATH)

    async def _is_ready(self) -> bool:
        return await self._get("/readyz") is not None

    async def _get(self, path: str) -> str | None:
        try:
            url = f"http://127.0.0.1:{port_of(self._port)}{path}"
            async with self._http.get(url, timeout=aiohttp.ClientTimeout(5)) as answer:
                return await answer.text() if answer.status == 200 else None
        except (aiohttp.ClientError, TimeoutError):
            return None

    async def imbalance(self) -> float | None:
        """Ask for its balance of messages; None if it does not answer."""
        found = _BALANCE.search(await self._get("/metrics") or "")
        return float(found[1]) if found else None

    async def kill(self) -> None:
        """End a life as a power cut would, and begin the next one."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        await self.start()

    async def requeue(self) -> None:
        """Start it again if it has ended by itself, which it must not."""
        assert self._process is not None
        if self._process.returncode not in {None, -signal.SIGKILL}:
            self.ends.append(self._process.returncode or 0)
            await self.start()

    async def stop(self) -> int | None:
        """Ask for a clean stop; answers with the exit code, None if it had to be killed."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.terminate()
        try:
            return await asyncio.wait_for(self._process.wait(), _ENDED_WITHIN)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            return None

    def journal_bytes(self) -> int:
        """Add up the journal's files."""
        files = (self.journal, *(Path(f"{self.journal}{end}") for end in ("-wal", "-shm")))
        return sum(file.stat().st_size for file in files if file.exists())

    def tracebacks(self) -> int:
        """Count the lines of its log that tell of a bug."""
        with self.log.open(encoding="utf-8", errors="replace") as lines:
            return sum("Traceback" in line or "attempt.crashed" in line for line in lines)
