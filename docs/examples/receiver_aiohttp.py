"""A receiver with aiohttp and the `standardwebhooks` package: verify, write down, answer, work.

Run it: pip install aiohttp standardwebhooks; WEBHOOK_SECRET=whsec_... python receiver_aiohttp.py
"""

import asyncio
import json
import os
import sqlite3
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["WEBHOOK_SECRET"])
inbox = sqlite3.connect("inbox.db")
inbox.execute("CREATE TABLE IF NOT EXISTS inbox (id TEXT PRIMARY KEY, event TEXT, done INTEGER)")
arrived = asyncio.Event()


async def receive(request: web.Request) -> web.Response:
    """Verify one request and write its event down, once."""
    body = await request.read()  # the bytes as they came: the signature is over them
    try:
        webhook.verify(body, dict(request.headers))
    except (WebhookVerificationError, ValueError):
        return web.Response(status=401, text="the signature does not match")
    event = (request.headers["webhook-id"], body.decode())
    with inbox:  # commits, or raises, and then aiohttp answers 500
        inbox.execute("INSERT OR IGNORE INTO inbox VALUES (?, ?, 0)", event)
    arrived.set()
    return web.Response(status=204)  # from here on the message counts as taken


async def work() -> None:
    """Handle the events of the inbox, oldest first."""
    while True:
        todo = inbox.execute("SELECT id, event FROM inbox WHERE done = 0 ORDER BY rowid")
        for webhook_id, event in todo.fetchall():
            await handle(json.loads(event))
            with inbox:
                inbox.execute("UPDATE inbox SET done = 1 WHERE id = ?", (webhook_id,))
        await arrived.wait()
        arrived.clear()


async def handle(event: dict[str, Any]) -> None:
    """Do what the bot does, for as long as it takes."""
    if event["type"].startswith("message."):  # relay.test comes from `relay check --connect`
        print(f"{event['data']['user_id']}: {event['data']['content']}", flush=True)


async def working(_app: web.Application) -> AsyncIterator[None]:
    """Work while the server runs."""
    task = asyncio.create_task(work())
    yield
    task.cancel()


app = web.Application()
app.router.add_post("/hooks/mixin", receive)
app.cleanup_ctx.append(working)
if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(os.environ.get("PORT", "8000")))
