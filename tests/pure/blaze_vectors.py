"""Published vectors, captured frames (docs/protocol.md), and short ways to write frames."""

import gzip
import json
from base64 import b64decode, urlsafe_b64decode
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from relay.blaze.keystore import Keystore

APP_ID = "33333333-3333-4333-8333-333333333333"
SESSION_ID = "22222222-2222-4222-8222-222222222222"
OTHER_SESSION_ID = "11111111-1111-4111-8111-111111111111"
REQUEST_ID = "44444444-4444-4444-8444-444444444444"

SENDER_SEED = bytes(range(0x20))
SEED = bytes(range(0x20, 0x40))
OTHER_SEED = bytes(range(0x40, 0x60))
PAIR = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8prLrhQbzK8LIuGpTTTQvHNh5SbQv-EsiXlLyTIpZt1w"

KEYSTORE = Keystore(APP_ID, SESSION_ID, Ed25519PrivateKey.from_private_bytes(SEED))

# 2.1
SOCKET_DIGEST = "f837ebeb4c2981ad9c64b70d0b0d18724c76c60781b9e4bf7a582510df7ada39"
RECEIPT_BODY = b'[{"message_id":"928c5c40-769c-3e97-8387-fb1ae0645311","status":"READ"}]'
RECEIPT_DIGEST = "b8b126d65f8e2516d2b282cd9576852fb543a94bfe7809851f145f5ff68c92f6"
TOKEN = (
    "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9.eyJ1aWQiOiIzMzMzMzMzMy0zMzMzLTQzMzMtODMzMy0zMzMzMzMzMzMz"
    "MzMiLCJzaWQiOiIyMjIyMjIyMi0yMjIyLTQyMjItODIyMi0yMjIyMjIyMjIyMjIiLCJpYXQiOjE3MDAwMDAwMDAsImV4"
    "cCI6MTcwMDAwMDA2MCwianRpIjoiNDQ0NDQ0NDQtNDQ0NC00NDQ0LTg0NDQtNDQ0NDQ0NDQ0NDQ0Iiwic2lnIjoiZjgz"
    "N2ViZWI0YzI5ODFhZDljNjRiNzBkMGIwZDE4NzI0Yzc2YzYwNzgxYjllNGJmN2E1ODI1MTBkZjdhZGEzOSIsInNjcCI6"
    "IkZVTEwifQ.cRKicf4hjwMeRr1L-E7WV-ZwuMtdnKLoa1SyYPfLEXPSyvI8hlE_gS8loPISrVQ7x5P6nH14PP1uWXyqb0"
    "A6BQ"
)

# 7.5 (a): one session, made by the Flutter app's tests
FLUTTER_SEED = b64decode("JgW0ffnk+0PN8nJVtfCWZmxv99QIqPw5lquMUov26u0=")
FLUTTER_SESSION_ID = "ebf59efa-7e44-4799-a014-99ecd2ae1579"
FLUTTER_BLOB = b64decode(
    "AQEApm78Ps6VRCy0MCdUtYGEpBb8bxxaGYkn93pjgaP5RlDr9Z76fkRHmaAUmezSrhV59cj7xD+c9V37wRZPdFVgGTkjhv8F"
    "Trj25j/DERttJqIdPnzMLYgWmOA1VJ1PfoE8Jso0liRlFVywvX0ocX+LQw30r454kKsar2oXerP4"
)

# 7.5 (d): two sessions, not ASCII
BLOB = urlsafe_b64decode(
    "AQIARwHQhIhFH1RaQJ-1iuPlhYHKQKw_fxFGmM1x3qxzygERERERERFBEYERERERERERwMHCw8TFxsfIycrLzM3Oz66c6Pes"
    "hiaN00W8FXWQHK3kvoyT66lIRLr1gEDFvVcHIiIiIiIiQiKCIiIiIiIiItDR0tPU1dbX2Nna29zd3t_mp-zG7iPx16shWLSJ"
    "YvqKHQPWAz95YcJ_JcSnAUqX-bCxsrO0tba3uLm6u4EC6jc5X8IUGv7HXiDJFVHvFwM5n90oS9U="
)
BLOB_TEXT = "hi 你好"

# 2.5, 4.2, 4.3, 4.4, 4.5: frames as captured
UNAUTHORIZED_FRAME = (
    b'{"id":"00000000-0000-0000-0000-000000000000","action":"ERROR","error":{"status":202,'
    b'"code":401,"description":"Unauthorized, maybe invalid token."}}'
)
PUSH_FRAME = (
    b'{"id":"71639e3f-561c-4cbb-b995-4996a72b46b3","action":"CREATE_MESSAGE","data":{'
    b'"type":"message","representative_id":"","quote_message_id":"",'
    b'"conversation_id":"534d23a7-9ee5-38a0-9769-0f20f83521f6",'
    b'"user_id":"53bac64e-e1ff-408a-ad0e-aca20cdc68bd",'
    b'"session_id":"6ab63de1-7483-497c-8916-35d1249ce9c0",'
    b'"message_id":"f381aaa0-a462-4333-af10-e3f5bff7bec7","category":"PLAIN_TEXT",'
    b'"data":"YWJj","data_base64":"YWJj","status":"SENT","source":"CREATE_MESSAGE",'
    b'"silent":false,"expire_in":0,"created_at":"2023-04-28T10:01:32.387507Z",'
    b'"updated_at":"2023-04-28T10:01:32.387507Z"}}'
)
STATUS_FRAME = (
    b'{"id":"cf69c7a2-787b-4a91-be22-f51f38338179","action":"ACKNOWLEDGE_MESSAGE_RECEIPT",'
    b'"data":{"type":"message","representative_id":"","quote_message_id":"","conversation_id":"",'
    b'"user_id":"","message_id":"9054acea-1a62-4716-9fa3-1a8c70a2165a","category":"","data":"",'
    b'"status":"DELIVERED","source":"ACKNOWLEDGE_MESSAGE_RECEIPT",'
    b'"created_at":"0001-01-01T00:00:00Z","updated_at":"2019-01-10T03:44:23.236843Z"}}'
)

MESSAGE_ID = "f381aaa0-a462-4333-af10-e3f5bff7bec7"


def frame(value: Any) -> bytes:
    """Write any JSON value as a frame."""
    return gzip.compress(json.dumps(value).encode(), mtime=0)


def push(action: str = "CREATE_MESSAGE", **fields: Any) -> dict[str, Any]:
    """Write the captured push, some fields of its data changed."""
    envelope: dict[str, Any] = json.loads(PUSH_FRAME)
    return envelope | {"action": action, "data": envelope["data"] | fields}
