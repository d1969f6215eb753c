"""Tells the service manager that started us how we fare: systemd, by its protocol sd_notify(3)."""

import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Self

from relay.telemetry.events import Fact, LoopLagged, RelayStarted, RelayStopping

_READY = b"READY=1"
_STOPPING = b"STOPPING=1"
_ALIVE = b"WATCHDOG=1"


class ServiceManager:
    """A `relay.telemetry.events.Telemetry`. Whoever started us may not listen."""

    def __init__(self, address: str) -> None:
        # A name that begins with @ is of the abstract kind, which no file stands for.
        self._address = f"\0{address[1:]}" if address.startswith("@") else address

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self | None:
        """Find the service manager, if there is one."""
        address = environ.get("NOTIFY_SOCKET", "")
        return cls(address) if address[:1] in {"/", "@"} else None

    def __call__(self, fact: Fact) -> None:
        """Say what a fact means to who looks after the process."""
        match fact:
            case RelayStarted():
                self._say(_READY)
            case LoopLagged():  # told with every beat, late or not
                self._say(_ALIVE)
            case RelayStopping():
                self._say(_STOPPING)
            case _:
                pass

    def _say(self, word: bytes) -> None:
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaking:
            speaking.settimeout(0)
            speaking.sendto(word, self._address)
