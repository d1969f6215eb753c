"""Answers a user over Mixin's HTTP API, with the bot's own keystore.

Run it: pip install PyJWT cryptography; KEYSTORE=keystore.json python reply.py "Hi!" < event.json
"""

import base64
import hashlib
import json
import os
import sys
import time
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

API = os.environ.get("MIXIN_API_URL", "https://api.mixin.one")
KEYSTORE = json.loads(Path(os.environ["KEYSTORE"]).read_text(encoding="utf-8"))
KEY = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(KEYSTORE["session_private_key"]))


def reply(event: dict[str, Any], text: str) -> None:
    """Answer one event with a text; if that is done twice, Mixin takes it once."""
    data = event["data"]
    message = {
        "conversation_id": data["conversation_id"],
        "recipient_id": data["user_id"],
        "message_id": str(uuid.uuid5(uuid.NAMESPACE_OID, data["message_id"])),
        "category": "PLAIN_TEXT",
        "data_base64": base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    }
    call("POST", "/messages", json.dumps([message]).encode())


def call(method: str, path: str, body: bytes) -> Any:
    """Make a signed request; raises OSError for no success, RuntimeError for Mixin's errors."""
    now = int(time.time())
    claims = {
        "uid": KEYSTORE["app_id"],
        "sid": KEYSTORE["session_id"],
        "iat": now,
        "exp": now + 300,
        "jti": str(uuid.uuid4()),
        "sig": hashlib.sha256(f"{method}{path}".encode() + body).hexdigest(),  # of these very bytes
        "scp": "FULL",
    }
    token = jwt.encode(claims, KEY, algorithm="EdDSA")
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    request = urllib.request.Request(API + path, body, headers, method=method)
    with urllib.request.urlopen(request, timeout=15) as response:
        answer = json.load(response)
    if "error" in answer:  # with status 202
        raise RuntimeError(answer["error"])
    return answer.get("data")


if __name__ == "__main__":
    reply(json.load(sys.stdin), sys.argv[1])
