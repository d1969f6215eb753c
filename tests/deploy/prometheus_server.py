"""A real Prometheus on loopback, with our rules at a pace that a test has the time for."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.acceptance.receiver import hold_port, port_of
from tests.deploy.prometheus_pace import hasten

PROMETHEUS = Path(__file__).parents[2] / "deploy" / "prometheus"
RULES = (PROMETHEUS / "alerts.yml", PROMETHEUS / "recording.yml")

PATIENCE = 80.0
"""Seconds that a wait for something in Prometheus lasts at most."""

_BREATH = 0.05
_GOODBYE = 10.0
_SAME_FOR_ALL = frozenset({"__name__", "alertname", "alertstate", "severity", "job", "instance"})

Sample = tuple[Mapping[str, str], float]
"""The labels and the value of one answer."""


def tool(name: str) -> str:
    """Find a program of Prometheus', or skip what needs it."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"alerts and dashboard can't run here: no {name}")
    return path


@dataclass(frozen=True, slots=True)
class Pace:
    """How many times as fast as life the rules are, and seconds between two scrapes."""

    factor: float = 1.0
    interval: float = 15.0


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert that fires; `labels` tell one bot or endpoint from another."""

    name: str
    labels: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, name: str, **labels: str) -> "Alert":
        """Write one down."""
        return cls(name, frozenset(labels.items()))


class Prometheus:
    """One that runs."""

    def __init__(self, base: str, http: aiohttp.ClientSession) -> None:
        self.base = base
        self._http = http
        self._since = time.time()

    async def ask(self, path: str, **parameters: str) -> Any:
        """Ask the HTTP API; raises AssertionError with Prometheus' own words."""
        async with self._http.post(f"{self.base}/api/v1/{path}", data=parameters) as response:
            answer = await response.json()
        assert answer["status"] == "success", (parameters, answer.get("error"))
        return answer["data"]

    async def query(self, expression: str) -> list[Sample]:
        """Evaluate an expression now."""
        data = await self.ask("query", query=expression)
        if data["resultType"] == "scalar":
            return [({}, float(data["result"][1]))]
        return [(each["metric"], float(each["value"][1])) for each in data["result"]]

    async def firing(self, state: str = "firing") -> set[Alert]:
        """List what fires, or what is pending."""
        answers = await self.query(f'ALERTS{{alertstate="{state}"}}')
        return {
            Alert.of(
                labels["alertname"],
                **{label: labels[label] for label in labels.keys() - _SAME_FOR_ALL},
            )
            for labels, _ in answers
        }

    def forget(self) -> None:
        """Let `fired` begin anew: before its first scrape, Prometheus misses every relay."""
        self._since = time.time()

    async def fired(self) -> set[str]:
        """List the names of all that has fired since `forget`."""
        window = f"{round((time.time() - self._since) * 1000)}ms"
        history = f'count by (alertname) (count_over_time(ALERTS{{alertstate="firing"}}[{window}]))'
        return {labels["alertname"] for labels, _ in await self.query(history)}

    async def fires(self, *alerts: Alert) -> None:
        """Wait until these alerts fire, and no other."""
        seen: set[Alert] = set()

        async def do() -> bool:
            nonlocal seen
            seen = await self.firing()
            return seen == set(alerts)

        try:
            await self.until(do, f"only {[alert.name for alert in alerts]} firing")
        except TimeoutError as error:
            waiting = await self.firing("pending")
            raise TimeoutError(f"{error}; firing: {seen}, pending: {waiting}") from None

    async def has(self, expression: str) -> None:
        """Wait until an expression has an answer."""

        async def does() -> bool:
            return bool(await self.query(expression))

        await self.until(does, f"an answer to {expression}")

    async def until(self, holds: Callable[[], Awaitable[bool]], what: str) -> None:
        """Wait until something holds."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not await holds():  # noqa: ASYNC110 - Prometheus tells nobody of itself
                    await asyncio.sleep(_BREATH)
        except TimeoutError:
            raise TimeoutError(f"{PATIENCE:g} s passed without {what}") from None


@asynccontextmanager
async def running(
    directory: Path, http: aiohttp.ClientSession, targets: Sequence[str], pace: Pace
) -> AsyncIterator[Prometheus]:
    """Run a Prometheus that scrapes these addresses as the job `relay`."""
    held = hold_port()
    config = _configure(directory, targets, pace)
    process = await asyncio.create_subprocess_exec(
        tool("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port_of(held)}",
        "--log.level=warn",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        prometheus = Prometheus(f"http://127.0.0.1:{port_of(held)}", http)
        await prometheus.until(lambda: _is_ready(prometheus.base, http, process), "a Prometheus")
        yield prometheus
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(_GOODBYE):
            await process.wait()
        held.close()


def _configure(directory: Path, targets: Sequence[str], pace: Pace) -> Path:
    directory.mkdir(exist_ok=True)
    for path in RULES:
        rules = hasten(yaml.safe_load(path.read_text(encoding="utf-8")), pace.factor)
        (directory / path.name).write_text(yaml.safe_dump(rules), encoding="utf-8")
    interval = f"{round(pace.interval * 1000)}ms"
    document = {
        "global": {
            "scrape_interval": interval,
            "scrape_timeout": interval,
            "evaluation_interval": interval,
        },
        "rule_files": [path.name for path in RULES],
        "scrape_configs": [{"job_name": "relay", "static_configs": [{"targets": list(targets)}]}],
    }
    config = directory / "prometheus.yml"
    config.write_text(yaml.safe_dump(document), encoding="utf-8")
    return config


async def _is_ready(
    base: str, http: aiohttp.ClientSession, process: asyncio.subprocess.Process
) -> bool:
    assert process.returncode is None, f"prometheus ended with {process.returncode}"
    try:
        async with http.get(f"{base}/-/ready") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False
