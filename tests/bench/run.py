"""One run: the relay, or the floor, carries one load, and what that took."""

import asyncio
import os
import re
import sqlite3
import ssl
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import trustme
import yaml

import tests
from relay.simulator import Bot, make_keystore
from tests.acceptance.receiver import hold_port, port_of
from tests.bench.process import SECRET, peer_process
from tests.bench.world import Load, World, world
from tests.soak.processes import busy, figures

HARNESS_CORE, PEER_CORE = 0, 1

RELAY = "relay"
FLOOR = "floor"
PEERS = (FLOOR, RELAY)

_MODULES = {RELAY: ("relay", "run"), FLOOR: ("tests.bench.floor",)}
_ROOT = Path(tests.__file__).parents[1]
_MIB = 1024 * 1024
_PATIENCE = 120.0
"""Seconds for a start, and for a backlog."""

_LATE = 2.0
"""Seconds in which the last receipts of a live load have to come."""

_REST = 3.0
"""Seconds after which memory is looked at."""

_BREATH = 0.1
_TENTHS = 10


@dataclass(frozen=True, slots=True)
class Run:
    """What one run showed; seconds, CPU seconds a message, MiB.

    `p50` and `p99` are from push to webhook; `drift` is by how much push to READ grew from the
    first tenth to the last; `harness` is the share of its core that the harness used, and `others`
    the share of the machine that strangers did. `wrong` says what must not be.
    """

    load: Load
    seconds: float = 0.0
    cpu: float = 0.0
    p50: float = 0.0
    p99: float = 0.0
    drift: float = 0.0
    peak: float = 0.0
    harness: float = 0.0
    others: float = 0.0
    wrong: Sequence[str] = ()

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.load.messages / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class Setting:
    """What a peer runs in: its folder, its webhooks, and what it is told beside them."""

    folder: Path
    hooks: Sequence[str]
    concurrency: int | None = None
    variables: Mapping[str, str] = field(default_factory=dict)


def pin() -> None:
    """Keep this process to one core, so that the peer has another one to itself."""
    if _cores() > 1:
        os.sched_setaffinity(0, {HARNESS_CORE})


def _cores() -> int:
    return os.cpu_count() or 1


# --- A load ---------------------------------------------------------------------------------------


async def carry(peer: str, load: Load, *, tls: bool = False, concurrency: int | None = None) -> Run:
    """Let a peer carry a load, from the first push to the last READ; webhooks over TLS if asked.

    With `concurrency` the relay has so many requests in flight; the floor always has 64 messages.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        context, trust = _certificates(folder) if tls else (None, {})
        async with world(load, tls=context) as around:
            hooks = around.hooks("https" if tls else "http")
            setting = Setting(folder, hooks, concurrency, trust)
            async with _started(peer, around, setting) as process:
                return await _watched(around, process, folder)


def _certificates(folder: Path) -> tuple[ssl.SSLContext, dict[str, str]]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(folder / "ca.pem")
    return context, {"SSL_CERT_FILE": str(folder / "ca.pem"), "SSL_CERT_DIR": str(folder / "none")}


@asynccontextmanager
async def _started(
    peer: str, around: World, setting: Setting
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a peer, by variables; the relay by a file where they can't say it."""
    keystore, blaze = Bot.of(make_keystore()).keystore_json(), f"127.0.0.1:{around.blaze_port}"
    variables = {
        "RELAY_BLAZE_URL": f"ws://{blaze}/",
        "RELAY_API_URL": f"http://{blaze}",
        "RELAY_JOURNAL": "sqlite:///journal.db",
        "RELAY_LISTEN": "127.0.0.1:0",
        "PYTHONPATH": str(_ROOT),
        **setting.variables,
    }
    if peer == RELAY and setting.concurrency is not None:
        (setting.folder / "relay.yaml").write_text(_settings(keystore, setting))
        variables["RELAY_CONFIG"] = "relay.yaml"
    else:
        hooks = ",".join(setting.hooks)
        variables |= {"RELAY_KEYSTORE": keystore, "RELAY_WEBHOOK_URLS": hooks}
        variables["RELAY_WEBHOOK_SECRET"] = SECRET
    core = PEER_CORE if _cores() > 1 else None
    async with peer_process(_MODULES[peer], variables, setting.folder, core=core) as process:
        yield process


def _settings(keystore: str, setting: Setting) -> str:
    endpoints = [
        {
            "name": f"webhook-{number}",
            "url": url,
            "secret": SECRET,
            "concurrency": setting.concurrency,
        }
        for number, url in enumerate(setting.hooks)
    ]
    return yaml.safe_dump({"bots": [{"name": "b", "keystore": keystore, "endpoints": endpoints}]})


async def _watched(around: World, process: asyncio.subprocess.Process, folder: Path) -> Run:
    """Measure from the first push to the last READ."""
    load = around.load
    if not await _happens(around.begun, process, _PATIENCE):
        return Run(load, wrong=("it did not begin", _last_words(folder)))
    before = _spent(process.pid)
    patience = _PATIENCE if load.rate is None else load.messages / load.rate + _LATE
    done = await _happens(around.done, process, patience)
    after = _spent(process.pid)
    seconds, cpu, own, all_busy = (late - early for late, early in zip(after, before, strict=True))
    wrong = [*around.complaints[:3]]
    if not done:
        wrong.append(f"{sum(map(bool, around.read))} of {load.messages} READ in time")
    if done and around.posts != load.messages * load.endpoints:
        wrong.append(f"{around.posts} requests for {load.messages} messages")
    hook, read = _delays(around.pushed, around.posted), _delays(around.pushed, around.read)
    tenth = max(1, len(read) // _TENTHS)
    return Run(
        load=load,
        seconds=seconds,
        cpu=cpu / load.messages,
        p50=_share(hook, 0.5),
        p99=_share(hook, 0.99),
        drift=median(read[-tenth:]) - median(read[:tenth]) if read else 0.0,
        peak=_peak(process.pid),
        harness=own / seconds,
        others=max(0.0, all_busy - own - cpu) / seconds / _cores(),
        wrong=wrong,
    )


async def _happens(
    event: asyncio.Event, process: asyncio.subprocess.Process, patience: float
) -> bool:
    """Wait for something, for so many seconds at most and no longer than the process lives."""
    waiting = [asyncio.ensure_future(event.wait()), asyncio.ensure_future(process.wait())]
    await asyncio.wait(waiting, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
    for each in waiting:
        each.cancel()
    return event.is_set()


def _spent(pid: int) -> tuple[float, float, float, float]:
    """Tell the time, and the CPU seconds of a process, of this one, and of the whole machine."""
    peer, own = figures(pid), os.times()
    cpu = peer.cpu if peer else 0.0
    return time.monotonic(), cpu, own.user + own.system, busy()


def _delays(begins: Sequence[float], ends: Sequence[float]) -> list[float]:
    """Give how long each took, in the order of the pushes, without the first tenth."""
    pairs = [*zip(begins, ends, strict=True)]
    return [end - begin for begin, end in pairs[len(pairs) // _TENTHS :] if end]


def _share(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def _peak(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return sum(int(size) for size in re.findall(r"VmHWM:\s*(\d+) kB", status)) / 1024


def _last_words(folder: Path) -> str:
    return (folder / "log").read_text(errors="replace").strip()[-500:]


# --- Memory ---------------------------------------------------------------------------------------


async def memory(peer: str, pending: int, *, rest: float = _REST) -> float:
    """Tell how many MiB a peer has while so many messages wait for a receiver that is away.

    With none it is idle. It is looked at once the peer has had `rest` seconds to itself.
    """
    with TemporaryDirectory() as name, closing(hold_port()) as away:
        folder = Path(name)
        setting = Setting(folder, [f"http://127.0.0.1:{port_of(away)}/hook/0"])
        async with (
            world(Load(pending)) as around,
            _started(peer, around, setting) as process,
        ):
            if not await _happens(around.listed, process, _PATIENCE):
                raise RuntimeError(_last_words(folder))
            async with asyncio.timeout(_PATIENCE):
                while pending and _journaled(folder) < pending:  # noqa: ASYNC110 - told by a file
                    await asyncio.sleep(_BREATH)
            await asyncio.sleep(rest)
            found = figures(process.pid)
            return found.rss / _MIB if found else 0.0


def _journaled(folder: Path) -> int:
    """Count the messages that the relay has written down."""
    with closing(sqlite3.connect(folder / "journal.db")) as journal:
        (count,) = journal.execute("SELECT count(*) FROM messages").fetchone()
        return int(count)
