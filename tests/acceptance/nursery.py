"""Starts commands: each a real process, with a pid, signals and an end of its own.

Importing the relay takes a second. So one process imports it and forks on demand: whatever it
forks goes on as `relay` would, from its first line to the interpreter's end. `Shell` starts the
installed command instead, for a test that is about the command itself.
"""

import contextlib
import gc
import importlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

COMMAND = Path(sys.executable).with_name("relay")

FAIL_POINT = "RELAY_FAIL_POINT"
HURTS = "RELAY_HURTS"
"""What tests.prove.fail_points is told by; without them a child has nothing of it."""

_MODULES = (
    *("run", "reload", "endpoints", "messages", "dead_letters"),
    *("replays", "healthcheck"),
)
_IMPORTED_AT_WORK = (
    *("relay.service", "relay.admin.operations", "relay.admin.answers", "relay.config.policies"),
    *("relay.telemetry.logs", "relay.telemetry.event_bus", "relay.journal.encryption.file_tools"),
)
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Order:
    """What to start; `out` and `err` are the writing ends of pipes, which the starter closes."""

    arguments: Sequence[str]
    environ: Mapping[str, str]
    directory: Path
    out: int
    err: int


class Child(Protocol):
    """A process that was started."""

    @property
    def pid(self) -> int:
        """Its id."""

    def wait(self) -> int:
        """Reap it, once it ends; answers with the exit code, or minus the signal."""


class Starter(Protocol):
    """Starts `relay` processes."""

    def start(self, order: Order) -> Child:
        """Start one."""


# --- The installed command ------------------------------------------------------------------------


class Shell:
    """Starts the installed command."""

    def start(self, order: Order) -> Child:
        """Start one."""
        return subprocess.Popen(
            [COMMAND, *order.arguments],
            env=dict(order.environ),
            cwd=order.directory,
            stdin=subprocess.DEVNULL,
            stdout=order.out,
            stderr=order.err,
        )


# --- The nursery ----------------------------------------------------------------------------------


class Nursery:
    """Starts processes by way of the one that has imported everything."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control

    def start(self, order: Order) -> Child:
        """Fork one."""
        request = {
            "arguments": list(order.arguments),
            "environ": dict(order.environ),
            "directory": str(order.directory),
        }
        return _Forked(self, self._ask(request, order.out, order.err))

    def reap(self, pid: int) -> int:
        """Wait for the end of one."""
        return self._ask({"reap": pid})

    def _ask(self, request: Mapping[str, Any], *descriptors: int) -> int:
        message = json.dumps(request).encode() + b"\n"
        sent = socket.send_fds(self._control, [message], descriptors)
        self._control.sendall(message[sent:])
        answer = self._control.recv(64)
        if not answer:
            raise RuntimeError("the nursery is gone; its end is on stderr")
        return int(answer)


@dataclass(frozen=True, slots=True)
class _Forked:
    nursery: Nursery
    pid: int

    def wait(self) -> int:
        return self.nursery.reap(self.pid)


@contextlib.contextmanager
def opened_nursery() -> Iterator[Nursery]:
    """Run a nursery beside the tests; it goes when its end of the socket does."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = [sys.executable, "-W", "always", __file__, str(theirs.fileno())]
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        theirs.close()
        try:
            yield Nursery(ours)
        finally:
            ours.close()
            process.wait()


def _serve(control: socket.socket) -> bool:
    """Do what is asked until nobody asks; answers in a child, which goes on as a relay."""
    while request := _next(control):
        asked, descriptors = request
        if "reap" in asked:
            _, status = os.waitpid(asked["reap"], 0)
            answer = os.waitstatus_to_exitcode(status)
        elif (answer := os.fork()) == 0:
            control.close()
            _become(asked, descriptors)
            return True
        for descriptor in descriptors:
            os.close(descriptor)
        control.sendall(str(answer).encode())
    return False


def _next(control: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    text, descriptors, _, _ = socket.recv_fds(control, _MOST_BYTES, 2)
    while text and not text.endswith(b"\n"):
        text += control.recv(_MOST_BYTES)
    return (json.loads(text), descriptors) if text else None


def _become(asked: Mapping[str, Any], descriptors: Sequence[int]) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, descriptor in enumerate((nothing, *descriptors)):
        os.dup2(descriptor, number)
        os.close(descriptor)
    # What stood here before was seekable, and a stream remembers that.
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - for as long as the process lives
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115 - likewise
    os.chdir(asked["directory"])
    os.environ.clear()
    os.environ.update(asked["environ"])
    sys.argv = ["relay", *asked["arguments"]]


def main() -> None:
    """Be the nursery, or in a child the relay."""
    from relay.cli import main as relay

    for module in _MODULES:
        importlib.import_module(f"relay.commands.{module}")
    for module in _IMPORTED_AT_WORK:
        importlib.import_module(module)
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as control:
        is_child = _serve(control)
    if is_child:
        if {FAIL_POINT, HURTS} & os.environ.keys():
            importlib.import_module("tests.prove.fail_points").arm(os.environ)
        relay()


if __name__ == "__main__":
    main()
