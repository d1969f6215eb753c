"""What the commands have in common that serve on this machine until somebody ends them."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click

from relay.commands.failure import Failure, WrongUsage
from relay.commands.params import LISTEN

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def listen_option(default: str, help_text: str) -> Callable[[F], F]:
    """Add `--listen`."""
    options: dict[str, Any] = {"type": LISTEN, "metavar": "HOST:PORT", "show_default": True}
    return click.option("--listen", default=default, help=help_text, **options)


def serve_until_terminated(serving: Coroutine[None, None, None], listen: Any) -> None:
    """Serve until SIGTERM, which is a good end: the first process of a container must heed it."""
    from relay.process import run_loop

    try:
        run_loop(_until_terminated(serving))
    except OSError as error:
        raise Failure(f"--listen: '{listen}': {error.strerror or error}") from None


async def _until_terminated(serving: Coroutine[None, None, None]) -> None:
    terminated = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminated.set)
    waiters = {asyncio.ensure_future(serving), asyncio.ensure_future(terminated.wait())}
    try:
        done, _ = await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiter in waiters:
            waiter.cancel()
        await asyncio.gather(*waiters, return_exceptions=True)
    for waiter in done:
        waiter.result()


def secret_file(
    to_read: tuple[str, Path | None],
    to_write: tuple[str, Path | None],
    make: Callable[[], str],
    parse: Callable[[str], T],
    expected: str,
) -> T:
    """Read a secret from a file that one option names, or make it up and write it to another's.

    If the latter's is there already, that is read. `parse` reads a text and raises what it may;
    `expected` says what should be in the file. Raises `Failure`.
    """
    (option, path), (write_option, new) = to_read, to_write
    if path and new:
        raise WrongUsage(f"{write_option}: expected alone, since {option} names one")
    text = make()
    try:
        if new:
            _write_new(new, text)
    except FileExistsError:
        option, path = write_option, new
    except (OSError, ValueError) as error:
        raise Failure(f"{write_option}: '{new}': can't be written ({error})") from None
    if path is None:
        return parse(text)
    try:
        return parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        why = error.strerror or "unusable"
        raise WrongUsage(f"{option}: '{path}': expected a readable file ({why})") from None
    except (ValueError, LookupError, TypeError, AttributeError):
        raise WrongUsage(f"{option}: '{path}': expected {expected}") from None


def _write_new(path: Path, text: str) -> None:
    """Write a new file, for its owner's eyes only."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
