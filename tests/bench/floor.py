"""The floor: the least that carries a message with uvloop and aiohttp, to compare the relay with.

A websocket in, `IN_FLIGHT` signed POSTs at once, receipts in batches. No journal, no retries, no
metrics, no reconnect: whatever fails is left unread. It takes the relay's variables.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import time
import zlib
from typing import Any
from uuid import uuid4

import aiohttp
import jwt
import msgspec
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

IN_FLIGHT = 64
_BATCH = 100
_PATIENCE = 0.005
"""Seconds that receipts wait for others."""


class Floor:
    """One bot's messages on their way."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http
        self._keystore = json.loads(os.environ["RELAY_KEYSTORE"])
        seed = bytes.fromhex(self._keystore["session_private_key"])
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self._hooks = os.environ["RELAY_WEBHOOK_URLS"].split(",")
        secret = os.environ["RELAY_WEBHOOK_SECRET"].removeprefix("whsec_")
        self._secret = base64.b64decode(secret)
        self._waiting: asyncio.Queue[dict[str, Any]] = asyncio.Queue(1_000)
        self._taken: list[str] = []
        self._owed = asyncio.Event()

    async def run(self) -> None:
        """Relay until the socket ends."""
        token = self._token("GET", "/", b"")
        async with (
            self._http.ws_connect(
                os.environ["RELAY_BLAZE_URL"],
                protocols=("Mixin-Blaze-1",),
                headers={"authorization": f"Bearer {token}"},
                max_msg_size=0,
            ) as socket,
            asyncio.TaskGroup() as tasks,
        ):
            others = [tasks.create_task(self._carry()) for _ in range(IN_FLIGHT)]
            others.append(tasks.create_task(self._acknowledge()))
            request = {"id": str(uuid4()), "action": "LIST_PENDING_MESSAGES"}
            await socket.send_bytes(zlib.compress(msgspec.json.encode(request), 1, 31))
            async for frame in socket:
                event = msgspec.json.decode(zlib.decompress(frame.data, 31))
                if event["action"] == "CREATE_MESSAGE":
                    await self._waiting.put(event["data"])
            for task in others:
                task.cancel()

    async def _carry(self) -> None:
        while True:
            message = await self._waiting.get()
            body = msgspec.json.encode({"type": "message.plain_text", "data": message})
            message_id, now = message["message_id"], int(time.time())
            mac = hmac.digest(
                self._secret, b"%b.%d.%b" % (message_id.encode(), now, body), "sha256"
            )
            headers = {
                "content-type": "application/json",
                "webhook-id": message_id,
                "webhook-timestamp": str(now),
                "webhook-signature": f"v1,{base64.b64encode(mac).decode()}",
            }
            if len(self._hooks) == 1:
                taken = await self._post(self._hooks[0], body, headers)
            else:
                posts = (self._post(hook, body, headers) for hook in self._hooks)
                taken = all(await asyncio.gather(*posts))
            if taken:
                self._taken.append(message_id)
                self._owed.set()

    async def _post(self, url: str, body: bytes, headers: dict[str, str]) -> bool:
        async with self._http.post(url, data=body, headers=headers) as answer:
            return answer.ok

    async def _acknowledge(self) -> None:
        url = os.environ["RELAY_API_URL"] + "/acknowledgements"
        while True:
            await self._owed.wait()
            if len(self._taken) < _BATCH:
                await asyncio.sleep(_PATIENCE)
            some, self._taken = self._taken[:_BATCH], self._taken[_BATCH:]
            if not self._taken:
                self._owed.clear()
            body = msgspec.json.encode([{"message_id": each, "status": "READ"} for each in some])
            token = self._token("POST", "/acknowledgements", body)
            headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
            async with self._http.post(url, data=body, headers=headers) as answer:
                await answer.read()

    def _token(self, method: str, path: str, body: bytes) -> str:
        now = int(time.time())
        claims = {
            "uid": self._keystore["app_id"],
            "sid": self._keystore["session_id"],
            "iat": now,
            "exp": now + 60,
            "jti": str(uuid4()),
            "sig": hashlib.sha256(f"{method}{path}".encode() + body).hexdigest(),
            "scp": "FULL",
        }
        return jwt.encode(claims, self._key, algorithm="EdDSA")


async def main() -> None:
    """Relay what Blaze has for one bot."""
    connections = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connections, auto_decompress=False) as http:
        await Floor(http).run()


if __name__ == "__main__":
    uvloop.run(main())
