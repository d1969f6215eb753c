"""A receiver with nothing but Python's standard library: the signature is verified by hand.

Run it: WEBHOOK_SECRET=whsec_... python receiver_by_hand.py
"""

import base64
import hashlib
import hmac
import json
import os
import sqlite3
import threading
import time
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))
TOLERANCE = 300  # seconds that the clocks may differ, and that a request may be old

database = sqlite3.connect("bot.db", check_same_thread=False)
database.execute("CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY)")
lock = threading.Lock()


def is_genuine(headers: Message, body: bytes) -> bool:
    """Verify a request by Standard Webhooks: the signature, then the time that it covers."""
    webhook_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    expected = base64.b64encode(hmac.digest(SECRET, signed, hashlib.sha256))
    # There may be several, one for each secret of the relay: any one that matches is enough.
    for signature in headers.get("webhook-signature", "").split():
        version, _, value = signature.partition(",")
        if version == "v1" and hmac.compare_digest(expected, value.encode()):
            return abs(time.time() - int(timestamp)) <= TOLERANCE
    return False


def take(webhook_id: str, event: dict[str, Any]) -> None:
    """Do what the bot does and note the id, both in one transaction, or neither."""
    with lock, database:
        new = database.execute("INSERT OR IGNORE INTO seen VALUES (?)", (webhook_id,)).rowcount
        if new and event["type"].startswith("message."):
            print(f"{event['data']['user_id']}: {event['data']['content']}", flush=True)


class Handler(BaseHTTPRequestHandler):
    """Answers one connection's requests."""

    protocol_version = "HTTP/1.1"  # keeps the connection open for the next message
    timeout = 60  # seconds without a request, after which it is closed

    def do_POST(self) -> None:
        """Verify, take, answer; what raises closes the connection, and comes again."""
        body = self.rfile.read(int(self.headers["content-length"]))
        genuine = is_genuine(self.headers, body)
        if genuine:
            take(self.headers["webhook-id"], json.loads(body))
        self.send_response(204 if genuine else 401)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print no line for each request."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8000"))), Handler)
    print(f"listening on http://127.0.0.1:{server.server_port}/hooks/mixin", flush=True)
    server.serve_forever()
