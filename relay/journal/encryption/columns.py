"""What people wrote, on its way into the journal's rows and out of them: sealed if there is a key.

A row says by which key it is sealed, or that it is not: rows from before there was a key stay as
they are. An empty text is never sealed, since there is nothing in it.
"""

import base64
import binascii
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from relay.journal.encryption.keys import NONCE_BYTES, Damaged, Keyring, Kind, place
from relay.model.messages import EndpointKey
from relay.model.ports import JournalUnavailable

CLOSED = "(sealed in the journal, and can't be opened: damaged or altered)"
"""Stands where an operator would read what can't be opened."""

Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ColumnCipher:
    """Seals with the first of its keys, unless there is none or `plain` says so; opens with all."""

    keys: Keyring | None = None
    plain: bool = False
    nonce: Callable[[], bytes] = lambda: os.urandom(NONCE_BYTES)

    @property
    def seals_with(self) -> str | None:
        """The id of the key that seals; None if nothing is sealed."""
        return None if self.keys is None or self.plain else self.keys.first.id

    def seal(self, kind: Kind, names: Names, body: bytes) -> tuple[bytes, str | None]:
        """Make of a body what its row holds, and by which key it is sealed."""
        if self.keys is None or self.plain:
            return body, None
        sealed = self.keys.seal(body, place(kind, *names), nonce=self.nonce())
        return sealed, self.keys.first.id

    def seal_text(self, kind: Kind, names: Names, text: str) -> tuple[str, str | None]:
        """Do the same with a text; sealed it is Base64."""
        if self.keys is None or self.plain or not text:
            return text, None
        sealed, sealed_by = self.seal(kind, names, text.encode())
        return base64.b64encode(sealed).decode(), sealed_by

    def open(self, kind: Kind, names: Names, kept: bytes, sealed_by: str | None) -> bytes:
        """Give back the body that a row holds.

        Raises `Damaged`, or `JournalUnavailable` if its key was never read.
        """
        if sealed_by is None:
            return kept
        if self.keys is None or sealed_by not in self.keys.ids:
            text = f"a row is sealed with key {sealed_by}, which this process has not read"
            raise JournalUnavailable(text)
        return self.keys.open(kept, place(kind, *names), sealed_by)

    def open_text(self, kind: Kind, names: Names, kept: bytes, sealed_by: str | None) -> str:
        """Do the same with a text."""
        if sealed_by is None:
            return kept.decode(errors="replace")
        try:
            return self.open(kind, names, base64.b64decode(kept, validate=True), sealed_by).decode()
        except (binascii.Error, ValueError):
            raise Damaged("not as it was sealed") from None

    def show(self, kind: Kind, names: Names, kept: bytes, sealed_by: str | None) -> bytes:
        """Give a body for an operator to look at; what is damaged is said to be."""
        try:
            return self.open(kind, names, kept, sealed_by)
        except Damaged:
            return CLOSED.encode()

    def show_text(self, kind: Kind, names: Names, kept: bytes, sealed_by: str | None) -> str:
        """Do the same with a text."""
        try:
            return self.open_text(kind, names, kept, sealed_by)
        except Damaged:
            return CLOSED

    def open_frame(self, row: Any) -> tuple[bytes, str]:
        """Give the frame of a message's row; or none, and why there is none."""
        try:
            frame = self.open(Kind.FRAME, (row.bot, row.message_id), row.frame, row.sealed_by)
        except Damaged as damaged:
            return b"", f"its copy in the journal can't be opened: {damaged}"
        return frame, ""


def detail_names(endpoint: EndpointKey, message_id: str, number: int) -> Names:
    """Name the place of what a receiver said to one attempt."""
    return (endpoint.bot, message_id, endpoint.name, str(number))
