"""A client for the simulator's own tests, written apart from both the simulator and the relay."""

import asyncio
import gzip
import hashlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import aiohttp
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import relay.simulator
from tests.support.simulator import Bot, Simulator

PATIENCE = 10.0


def new_id() -> str:
    return str(uuid4())


def signing_key(bot: Bot) -> Any:
    """Find the key that a bot signs with: PEM text, or Ed25519."""
    keystore = bot.keystore
    pem = keystore.get("session_key") or keystore.get("private_key", "")
    if pem.startswith("-----BEGIN"):
        return pem
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(keystore["session_private_key"]))


def token_for(bot: Bot, method: str, uri: str, body: bytes = b"", **changes: Any) -> str:
    """Sign a token for one request; `changes` replaces claims, None drops one."""
    now = int(time.time())
    claims = {
        "uid": bot.app_id,
        "sid": bot.session_id,
        "iat": now,
        "exp": now + 300,
        "jti": new_id(),
        "sig": hashlib.sha256(method.encode() + uri.encode() + body).hexdigest(),
        "scp": "FULL",
        **changes,
    }
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, signing_key(bot), algorithm=bot.algorithm)


@dataclass
class Socket:
    """One client's socket."""

    ws: aiohttp.ClientWebSocketResponse

    async def send(self, action: str, **params: Any) -> str:
        request_id = new_id()
        envelope = {"id": request_id, "action": action, "params": params}
        await self.ws.send_bytes(gzip.compress(json.dumps(envelope).encode()))
        return request_id

    async def list_pending(self) -> str:
        return await self.send("LIST_PENDING_MESSAGES")

    async def acknowledge(self, message_id: str) -> str:
        return await self.send("ACKNOWLEDGE_MESSAGE_RECEIPT", message_id=message_id, status="READ")

    async def take_raw(self) -> aiohttp.WSMessage:
        return await asyncio.wait_for(self.ws.receive(), PATIENCE)

    async def take(self) -> dict[str, Any]:
        """Take the next frame; anything but a frame is an error."""
        message = await self.take_raw()
        assert aiohttp.WSMsgType.BINARY is message.type, message
        envelope: dict[str, Any] = json.loads(gzip.decompress(message.data))
        return envelope

    async def take_data(self) -> dict[str, Any]:
        data: dict[str, Any] = (await self.take())["data"]
        return data

    async def take_ids(self, count: int) -> list[str]:
        return [(await self.take_data())["message_id"] for _ in range(count)]

    async def closed(self) -> int | None:
        """Take what still comes until the end; answers with the close code."""
        while (await self.take_raw()).type in {
            aiohttp.WSMsgType.BINARY,
            aiohttp.WSMsgType.TEXT,
            aiohttp.WSMsgType.PING,
        }:
            pass
        return self.ws.close_code


@dataclass
class Client:
    """One bot's client."""

    simulator: relay.simulator.Simulator
    session: aiohttp.ClientSession
    bot: Bot

    @asynccontextmanager
    async def connect(self, token: str | None = None, **arguments: Any) -> AsyncIterator[Socket]:
        """Connect with a fresh token unless one is given."""
        token = token_for(self.bot, "GET", "/") if token is None else token
        headers = {"Authorization": f"Bearer {token}", **arguments.pop("headers", {})}
        arguments = {"protocols": ("Mixin-Blaze-1",), **arguments}
        url = self.simulator.blaze_url
        async with self.session.ws_connect(url, headers=headers, **arguments) as ws:
            yield Socket(ws)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Socket]:
        """Connect, list, and take the echo."""
        async with self.connect() as socket:
            await socket.list_pending()
            await socket.take()
            yield socket

    async def call(
        self, method: str, path: str, content: Any = None, **claims: Any
    ) -> tuple[int, Any]:
        """Make a signed request; answers with the status and the parsed body, or its text."""
        body = b"" if content is None else json.dumps(content).encode()
        token = token_for(self.bot, method, path, body, **claims)
        headers = {"Authorization": f"Bearer {token}"}
        url = self.simulator.api_url + path
        async with self.session.request(method, url, data=body, headers=headers) as response:
            text = await response.text()
            is_json = response.content_type == "application/json"
            return response.status, json.loads(text) if is_json else text

    async def mark_read(self, *message_ids: str) -> tuple[int, Any]:
        """Acknowledge over HTTP."""
        items = [{"message_id": one, "status": "READ"} for one in message_ids]
        return await self.call("POST", "/acknowledgements", items)


@asynccontextmanager
async def simulated(**arguments: Any) -> AsyncIterator[tuple[Simulator, Client]]:
    """Run a simulator and a client of its first bot."""
    async with (
        Simulator(patience=PATIENCE, **arguments) as simulator,
        aiohttp.ClientSession() as session,
    ):
        yield simulator, Client(simulator, session, simulator.bot)
