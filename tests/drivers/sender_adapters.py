"""Every adapter of the HTTP port, made alike, so that one contract suite can judge them all."""

import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from relay.webhook.address_guard import AddressGuard
from relay.webhook.exchange import Answer, Failure, Request, Sender, Sent, Target, TlsSettings
from relay.webhook.sender import AiohttpSender

# Never reached: an attempt that takes so long is a failure of the test.
PATIENT = 20.0
# The deadline where it is what is tested.
SHORT = 0.25
# Far shorter than that, so that a drip is alive all the time.
DRIP = 0.02

BODY = b'{"type":"relay.test"}'


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a test asks of a sender; `names` is all the DNS there is."""

    blocked: tuple[str, ...] = ()
    connections: int = 8
    keep_idle: float = 4.0
    body_patience: float = 2.0
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def guard(self) -> AddressGuard:
        return AddressGuard(ip_network(network) for network in self.blocked)


class Names(AbstractResolver):
    """A DNS that knows a few names only."""

    def __init__(self, names: Mapping[str, tuple[str, ...]]) -> None:
        self._names = names

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if host not in self._names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in self._names[host]
        ]

    async def close(self) -> None:
        pass


def _aiohttp(conditions: Conditions) -> Sender:
    return AiohttpSender(
        conditions.guard,
        connections=conditions.connections,
        keep_idle=conditions.keep_idle,
        body_patience=conditions.body_patience,
        resolver=Names(conditions.names),
    )


ADAPTERS: Mapping[str, Callable[[Conditions], Sender]] = {"aiohttp": _aiohttp}

MakeSender = Callable[..., Sender]


@asynccontextmanager
async def sender_factory(adapter: str) -> AsyncIterator[MakeSender]:
    """Make senders under given `Conditions`, and close them in the end."""
    async with AsyncExitStack() as open_senders:

        def make(**conditions: Any) -> Sender:
            sender = ADAPTERS[adapter](Conditions(**conditions))
            open_senders.push_async_callback(sender.close)
            return sender

        yield make


def post(
    port: int,
    *,
    scheme: str = "http",
    host: str = "127.0.0.1",
    path: str = "/hook",
    tls: TlsSettings | None = None,
    body: bytes = BODY,
    timeout: float = PATIENT,
    connect_timeout: float = PATIENT,
) -> Request:
    """Write a request to a server of this machine."""
    return Request(
        target=Target.parse(f"{scheme}://{host}:{port}{path}", tls),
        headers={"content-type": "application/json", "webhook-id": "an-id"},
        body=body,
        timeout=timeout,
        connect_timeout=connect_timeout,
    )


def outcome(answer: Answer) -> tuple[int | None, Failure | None, Sent]:
    """Say what a verdict is made of."""
    return answer.status, answer.failure, answer.sent
