"""What a service manager is told, over a real socket of its own."""

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from relay.process import ServiceManager
from relay.telemetry.events import JournalRecovered, LoopLagged, RelayStarted, RelayStopping

STARTED = RelayStarted("1.2.3", ("support",), clean=True)


@pytest.fixture(params=["a file", "an abstract name"])
def listening(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[socket.socket]:
    """Listen as systemd does, at either kind of address."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listening:
        path = str(tmp_path / "notify")
        listening.bind(path if request.param == "a file" else f"\0{path}")
        listening.settimeout(0)
        yield listening


def address(listening: socket.socket) -> str:
    """Write a socket's address as NOTIFY_SOCKET has it."""
    name = listening.getsockname()
    return name if isinstance(name, str) else f"@{name[1:].decode()}"


def heard(listening: socket.socket) -> list[bytes]:
    """Take everything that was said."""
    said = []
    while True:
        try:
            said.append(listening.recv(4096))
        except BlockingIOError:
            return said


def test_each_turn_is_told(listening: socket.socket) -> None:
    """Ready once started, alive with each beat, stopping when asked to; nothing else."""
    manager = ServiceManager.of({"NOTIFY_SOCKET": address(listening)})
    assert manager is not None
    for event in (
        STARTED,
        JournalRecovered(),
        LoopLagged(0.0),
        LoopLagged(3.0),
        RelayStopping("x"),
    ):
        manager(event)
    assert [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1", b"STOPPING=1"] == heard(listening)


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1"}])
def test_without_a_service_manager_nobody_is_told(environ: dict[str, str]) -> None:
    """In a container or on a terminal there is none, or one that is spoken to in another way."""
    assert ServiceManager.of(environ) is None


def test_one_that_does_not_listen_costs_nothing(tmp_path: Path) -> None:
    """Nobody at the address is no reason to fail."""
    manager = ServiceManager.of({"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    assert manager is not None
    manager(STARTED)
