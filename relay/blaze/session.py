"""The Blaze protocol without a socket: bytes in, events out.

Any frame becomes an event, never an exception: a stranger's bytes must not end the socket's loop.
"""

import hashlib
from typing import Any

from msgspec import Struct

from relay.blaze.wire import Undecodable, decode, encode, read_number, read_text, read_uuid
from relay.model.journal import UnreadableFrame
from relay.model.messages import Message, Source

UNAUTHORIZED = 401

# A UUID takes 36 and the longest known category 24 characters; this keeps a forged one from
# filling the journal's columns.
MAX_FIELD = 256
# Enough to see what a frame was meant to be.
MAX_SAMPLE = 4096

_LIST_PENDING = "LIST_PENDING_MESSAGES"
_PUSHES = frozenset({"CREATE_MESSAGE", "CREATE_CALL", "CREATE_KRAKEN"})
_RECEIPTS = frozenset({"ACKNOWLEDGE_MESSAGE_RECEIPT", "ACKNOWLEDGE_MESSAGE_RECEIPTS"})
_ERROR = "ERROR"


class Pushed(Struct, frozen=True):
    """A message came."""

    message: Message


class Echoed(Struct, frozen=True):
    """Mixin answered a request without an error."""

    request_id: str
    action: str


class OwnEcho(Struct, frozen=True):
    """A message that the bot itself sent came back (docs/protocol.md, Actions)."""


class StatusPushed(Struct, frozen=True):
    """A message that the bot sent was delivered or read (docs/protocol.md, Actions)."""


class Refused(Struct, frozen=True):
    """Mixin answered with an error; `of_hello` says that it is the answer to our `hello`."""

    code: int
    description: str
    of_hello: bool = False

    @property
    def unauthorized(self) -> bool:
        """Whether the token is what Mixin refuses."""
        return self.code == UNAUTHORIZED


class Unreadable(Struct, frozen=True):
    """A frame came that says nothing; `size` is in bytes as received."""

    frame: UnreadableFrame
    size: int


class Ignored(Struct, frozen=True):
    """A frame came that is none of our business."""

    action: str


Event = Pushed | Echoed | OwnEcho | StatusPushed | Refused | Unreadable | Ignored


class Session:
    """One bot's end of one socket."""

    def __init__(self, bot: str, app_id: str) -> None:
        self._bot = bot
        self._app_id = app_id
        self._hello_id = ""

    def hello(self, request_id: str) -> bytes:
        """Write the frame that starts delivery: the first one to send, and once only."""
        self._hello_id = request_id
        return encode({"id": request_id, "action": _LIST_PENDING})

    def receive(self, frame: bytes | str, *, received_at: float) -> Event:
        """Say what a frame means; a text frame means nothing (docs/protocol.md, Frames)."""
        if isinstance(frame, str):
            raw = frame.encode("utf-8", "replace")
            return _unreadable("text", raw, identity=raw, size=len(raw))
        decoded = decode(frame)
        if isinstance(decoded, Undecodable):
            return _unreadable(decoded.why, decoded.readable, identity=frame, size=len(frame))
        text, envelope = decoded.text, decoded.value
        event = self._event(envelope, text, received_at)
        if isinstance(event, str):
            return _unreadable(event, text, identity=_identity(envelope, text), size=len(frame))
        return event

    def _event(  # noqa: PLR0911 - one line for each kind of frame
        self, envelope: Any, text: bytes, received_at: float
    ) -> Event | str:
        """Tell an envelope's meaning, or in a word why it has none."""
        if not isinstance(envelope, dict):
            return "no_object"
        if envelope.get("error") or envelope.get("action") == _ERROR:
            return self._refusal(envelope)
        match envelope.get("action"), envelope.get("data"):
            case str(action), dict(data) if action in _PUSHES:
                return self._push(data, text, received_at)
            case "CREATE_MESSAGE", _:
                return "no_data"
            case str(action), dict() if action in _RECEIPTS:
                return StatusPushed()
            case str(action), _ if action == _LIST_PENDING or action in _RECEIPTS:
                return Echoed(read_text(envelope.get("id"), MAX_FIELD), action)
            case str(action), _:
                return Ignored(read_text(action, MAX_FIELD))
            case _:
                return "no_action"

    def _push(self, data: dict[str, Any], text: bytes, received_at: float) -> Event | str:
        user_id = _column(data, "user_id").lower()
        if user_id == self._app_id and data.get("category") in (None, ""):
            return OwnEcho()
        message_id = read_uuid(data.get("message_id"))
        if message_id is None:
            return "no_message_id"
        return Pushed(
            Message(
                bot=self._bot,
                message_id=message_id,
                conversation_id=_column(data, "conversation_id").lower(),
                user_id=user_id,
                category=_column(data, "category"),
                source=Source.PENDING if data.get("source") == _LIST_PENDING else Source.LIVE,
                frame=text,
                received_at=received_at,
            )
        )

    def _refusal(self, envelope: dict[str, Any]) -> Refused:
        error = envelope.get("error")
        if not isinstance(error, dict):
            error = {"description": error}
        return Refused(
            code=read_number(error.get("code")),
            description=read_text(_description(error), MAX_FIELD),
            of_hello=bool(self._hello_id) and envelope.get("id") == self._hello_id,
        )


def _column(data: dict[str, Any], name: str) -> str:
    return read_text(data.get(name), MAX_FIELD)


def _description(error: dict[str, Any]) -> Any:
    """Find the text of an error, under whatever key: the documents misspell it once."""
    if "description" in error:
        return error["description"]
    others = (value for name, value in error.items() if name not in ("code", "status"))
    return next((value for value in others if isinstance(value, str)), "")


def _identity(envelope: Any, text: bytes) -> bytes:
    """Leave out the envelope's id: it is new on each push, and the same push counts once."""
    request_id = envelope.get("id") if isinstance(envelope, dict) else None
    if not isinstance(request_id, str):
        return text
    return text.replace(request_id.encode("utf-8", "replace"), b"")


def _unreadable(why: str, readable: bytes, *, identity: bytes, size: int) -> Unreadable:
    digest = hashlib.sha256(identity).hexdigest()
    return Unreadable(UnreadableFrame(digest, why, readable[:MAX_SAMPLE]), size)
