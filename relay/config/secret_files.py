"""Secrets from files: `X_file` is read and laid where `X` would stand."""

from pathlib import Path

from relay.config.draft import Draft, mappings
from relay.config.mistakes import KeyPath

_MOST_BYTES = 65_536
"""The longest keystore has some 4 KB; whatever is longer is no secret, and may have no end."""


def read_secret_files(draft: Draft) -> None:
    """Read every secret file that the draft names; what can't be read is noted in the draft."""
    _read(draft, (), "admin_token")
    for bot_position, bot in mappings(draft.tree.get("bots")):
        path: KeyPath = ("bots", bot_position)
        _read(draft, path, "keystore")
        for position, _ in mappings(bot.get("endpoints")):
            _read(draft, (*path, "endpoints", position), "secret")
            _read(draft, (*path, "endpoints", position), "bearer_token")
            _read(draft, (*path, "endpoints", position), "back_token")


def _read(draft: Draft, section_path: KeyPath, key: str) -> None:
    section = draft.at(section_path)
    file_key = f"{key}_file"
    file_path = (*section_path, file_key)
    if key in section:
        if file_key in section:
            draft.blame(file_path, f"expected {key} or {file_key}, not both")
        return
    draft.origins[(*section_path, key)] = draft.name(file_path)  # also where both are missing
    if isinstance(section.get(file_key), str):
        try:
            section[key] = read_secret_file(section[file_key])
        except ValueError as error:
            draft.blame(file_path, str(error))


def read_secret_file(path: str) -> str:
    """Read a small text file, without the white space around. Raises `ValueError` that says why."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        text = content.decode()
    except OSError as error:
        raise ValueError(f"expected a readable file ({error.strerror or 'unusable'})") from None
    except ValueError:
        raise ValueError("expected a file of UTF-8 text") from None
    if len(content) > _MOST_BYTES:
        raise ValueError(f"expected a file of at most {_MOST_BYTES} bytes")
    if not text.strip():
        raise ValueError("the file is empty; expected a secret in it")
    return text.strip()
