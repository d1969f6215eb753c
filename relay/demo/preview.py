"""A message's content in a few words, safe to print."""

import json
from collections.abc import Mapping
from typing import Any, Final

MOST_CHARACTERS: Final = 48
"""Of a content; more would leave no room for the rest of the line."""


def preview(content: Any) -> str:
    """Say in a few words what a webhook's `content` says."""
    return one_line(_in_words(content))


def one_line(text: str, most: int = MOST_CHARACTERS) -> str:
    """Cut a text to one line; what could move a cursor or turn a line around becomes a space."""
    words = "".join(c if c.isprintable() else " " for c in text[: 4 * most]).split()
    line = " ".join(words)
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _in_words(content: Any) -> str:
    match content:
        case None:
            return "-"
        case {"sticker_id": str() as sticker}:
            return f"sticker {sticker[:8]}"
        case {"amount": str() as amount, "asset_id": str() as asset}:
            return f"transfer of {amount}, asset {asset[:8]}"
        case {"mime_type": str() as kind, "size": int() as size}:
            return f"{content.get('name') or kind}, {size} bytes"
        case Mapping():
            return ", ".join(f"{key} {_plain(value)}" for key, value in content.items())
        case _:
            return _plain(content)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
