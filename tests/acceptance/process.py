"""One `relay` process: its log, its signals, its HTTP surface."""

import asyncio
import json
import os
import resource
import signal
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.nursery import Child, Order, Starter

_LONGEST_LINE = 1 << 20
_LINES_TOLD = 300

Until = Callable[[Callable[[], bool], str], Awaitable[None]]
"""Waits until something holds, looked at whenever anything happened in the house."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where processes are started, and who hears of what they do."""

    starter: Starter
    http: aiohttp.ClientSession
    until: Until
    changed: Callable[[], None]


class Metrics:
    """One scrape."""

    def __init__(self, text: str) -> None:
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self._samples: dict[tuple[str, frozenset[tuple[str, str]]], float] = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        """Give one sample; raises KeyError if there is none."""
        return self._samples[name, frozenset(labels.items())]

    def total(self, name: str, **labels: str) -> float:
        """Add up the samples of that name that have these labels, whatever others they have."""
        return sum(
            value
            for (known, has), value in self._samples.items()
            if known == name and labels.items() <= dict(has).items()
        )


@dataclass(frozen=True, slots=True)
class Probe:
    """What /readyz or /livez answered."""

    status: int
    reasons: Mapping[str, str] = field(default_factory=dict)


class Output:
    """What a process writes to one of its streams, line by line as it comes, and its log events."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self.lines: list[str] = []
        self.events: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.ended = False
        self._changed = changed
        reading, self.descriptor = os.pipe()
        self._pipe = os.fdopen(reading, "rb", buffering=0)

    async def follow(self) -> None:
        """Read until every writer is gone."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=_LONGEST_LINE)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), self._pipe)
        while line := await reader.readline():
            self._take(line.decode(errors="replace").rstrip("\n"))
            self._changed()
        self.ended = True
        self._changed()

    def _take(self, line: str) -> None:
        self.lines.append(line)
        with suppress(ValueError):
            event = json.loads(line)
            if isinstance(event, dict) and "event" in event:
                self.events[event["event"]].append(event)


class Process:
    """A command that runs."""

    def __init__(
        self, place: Place, arguments: list[str], environ: Mapping[str, str], directory: Path
    ) -> None:
        self.out = Output(place.changed)
        self.err = Output(place.changed)
        self._place = place
        self._reading = [
            asyncio.create_task(self.out.follow()),
            asyncio.create_task(self.err.follow()),
        ]
        order = Order(arguments, environ, directory, self.out.descriptor, self.err.descriptor)
        self._child: Child = place.starter.start(order)
        os.close(self.out.descriptor)
        os.close(self.err.descriptor)
        self.exit_code: int | None = None

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._child.pid

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    async def ended(self) -> int:
        """Wait for the end; answers with the exit code, or minus the signal."""
        if self.exit_code is None:
            await self._place.until(lambda: self.out.ended and self.err.ended, "end of a process")
            await asyncio.gather(*self._reading)
            self.exit_code = self._child.wait()
        return self.exit_code

    def story(self) -> str:
        """Tell how it went, for whoever looks into a test that failed."""
        lines = "\n".join(self.err.lines[-_LINES_TOLD:])
        return f"--- {self.pid} ended with {self.exit_code}\n{lines}\n"

    async def kill(self) -> None:
        """Kill it, as a crash or a power cut would; also once it has ended."""
        if self.exit_code is None:
            self.signal(signal.SIGKILL)
            await self.ended()


class RelayProcess(Process):
    """`relay run`, with its HTTP surface at `base`."""

    def __init__(
        self,
        place: Place,
        arguments: list[str],
        environ: Mapping[str, str],
        directory: Path,
        base: str,
    ) -> None:
        super().__init__(place, arguments, environ, directory)
        self.base = base

    # --- The log

    def events(self, name: str, **fields: Any) -> list[dict[str, Any]]:
        """List the log events of that name with these fields, so far."""
        return [
            event
            for event in self.err.events[name]
            if all(event.get(key) == value for key, value in fields.items())
        ]

    async def said(self, name: str, times: int = 1, **fields: Any) -> dict[str, Any]:
        """Wait until such an event was logged so many times; answers with the last of them."""
        what = f"{times} of {name} {fields}"
        await self._place.until(
            lambda: self.err.ended or len(self.events(name, **fields)) >= times, what
        )
        found = self.events(name, **fields)
        if len(found) < times:
            raise AssertionError(f"the relay ended without {what}")
        return found[times - 1]

    # --- Signals

    async def stop(self) -> int:
        """Ask for a clean stop; answers with the exit code."""
        self.signal(signal.SIGTERM)
        return await self.ended()

    def open_files(self) -> list[str]:
        """List the files that it has open, as Linux tells."""
        files = Path(f"/proc/{self.pid}/fd")
        return [str(file.readlink()) for file in files.iterdir() if file.is_symlink()]

    def fill_disk(self) -> None:
        """Let no file grow or change any more, as on a full disk: SQLite's writes fail."""
        _, most = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (0, most))

    def free_disk(self) -> None:
        """Let files be written again."""
        _, most = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (most, most))

    # --- The HTTP surface

    async def probe(self, path: str) -> Probe:
        """Ask /readyz or /livez."""
        async with self._place.http.get(f"{self.base}{path}?verbose") as response:
            answer = await response.json()
        reasons = {part["name"]: part["reason"] for part in answer["components"] if not part["ok"]}
        return Probe(response.status, reasons)

    async def ready(self) -> Probe:
        """Ask /readyz; `reasons` has what is not well."""
        return await self.probe("/readyz")

    async def alive(self) -> Probe:
        """Ask /livez."""
        return await self.probe("/livez")

    async def metrics(self) -> Metrics:
        """Scrape /metrics."""
        async with self._place.http.get(f"{self.base}/metrics") as response:
            return Metrics(await response.text())
