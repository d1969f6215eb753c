"""A sender under given conditions, for whatever target a test's request names."""

import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

from relay.net.lookups import AddrInfo
from relay.webhook.address_guard import AddressGuard
from relay.webhook.exchange import Answer, Failure, Request, Sent, Target, TlsSettings
from relay.webhook.pool import PoolPolicy
from relay.webhook.sender import HttpSender

# Never reached: an attempt that takes so long is a failure of the test.
PATIENT = 20.0
# The deadline where it is what is tested.
SHORT = 0.25
# Far shorter than that, so that a drip is alive all the time.
DRIP = 0.02

BODY = b'{"type":"relay.test"}'


@dataclass(frozen=True, slots=True)
class Post:
    """A request and where it goes."""

    target: Target
    request: Request


class Names:
    """A DNS that knows a few names only, and how often it was asked."""

    def __init__(self, names: Mapping[str, tuple[str, ...]]) -> None:
        self.names = dict(names)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[AddrInfo]:
        self.asked.append(host)
        if host not in self.names:
            try:
                return [_info(host, port)]
            except ValueError:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known") from None
        return [_info(address, port) for address in self.names[host]]


def _info(address: str, port: int) -> AddrInfo:
    if ":" in address:
        socket.inet_pton(socket.AF_INET6, address)
        return socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0)
    try:
        socket.inet_pton(socket.AF_INET, address)
    except OSError:
        raise ValueError(address) from None
    return socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a test asks of a sender; `names` is all the DNS there is."""

    blocked: tuple[str, ...] = ()
    connections: int = 8
    keep_idle: float = 4.0
    body_patience: float = 2.0
    lifetime: float = 3600.0
    listen: float = 0.0
    names: Mapping[str, tuple[str, ...]] | Names = field(default_factory=dict)

    @property
    def guard(self) -> AddressGuard:
        return AddressGuard(ip_network(network) for network in self.blocked)

    @property
    def policy(self) -> PoolPolicy:
        lifetime = (self.lifetime, self.lifetime)
        return PoolPolicy(
            self.connections, self.keep_idle, self.body_patience, lifetime, self.listen
        )


class AnySender:
    """A sender for each target, as an endpoint has one for its own."""

    def __init__(self, conditions: Conditions) -> None:
        self._conditions = conditions
        names = conditions.names
        self._lookup = names if isinstance(names, Names) else Names(names)
        self._senders: dict[Target, HttpSender] = {}
        self._closed = False

    async def send(self, post: Post) -> Answer:
        return await self.to(post.target).send(post.request)

    def to(self, target: Target) -> HttpSender:
        if target not in self._senders:
            conditions = self._conditions
            self._senders[target] = HttpSender(
                target, conditions.guard, conditions.policy, lookup=self._lookup
            )
        return self._senders[target]

    async def close(self) -> None:
        for sender in self._senders.values():
            await sender.close()


MakeSender = Callable[..., AnySender]


@asynccontextmanager
async def sender_factory() -> AsyncIterator[MakeSender]:
    """Make senders under given `Conditions`, and close them in the end."""
    made: list[AnySender] = []

    def make(**conditions: Any) -> AnySender:
        made.append(AnySender(Conditions(**conditions)))
        return made[-1]

    yield make
    for sender in made:
        await sender.close()


def post(
    port: int,
    *,
    scheme: str = "http",
    host: str = "127.0.0.1",
    path: str = "/hook",
    tls: TlsSettings | None = None,
    headers: Mapping[str, str] | None = None,
    body: bytes = BODY,
    timeout: float = PATIENT,
    connect_timeout: float = PATIENT,
) -> Post:
    """Write a request to a server of this machine."""
    usual = {"content-type": "application/json", "webhook-id": "an-id"}
    return Post(
        Target.parse(f"{scheme}://{host}:{port}{path}", tls),
        Request(headers or usual, body, timeout=timeout, connect_timeout=connect_timeout),
    )


def outcome(answer: Answer) -> tuple[int | None, Failure | None, Sent]:
    """Say what a verdict is made of."""
    return answer.status, answer.failure, answer.sent
