"""Makes connections: names, addresses that may be dialled, sockets, and whom TLS trusts."""

import os
import re
import socket
import ssl
from pathlib import Path

from aiohappyeyeballs import start_connection

from relay.net.lookups import AddrInfo, Lookup
from relay.net.tls import system_trust, trusting
from relay.webhook.address_guard import AddressGuard
from relay.webhook.exchange import Failure, NotConnectedError, TlsSettings

HEAD_START = 0.25
"""Seconds that an address has before the next one is dialled beside it (RFC 8305)."""


class Dialler:
    """Opens sockets to hosts, but never to an address that the guard refuses, if there is one."""

    def __init__(self, guard: AddressGuard | None, lookup: Lookup) -> None:
        self._guard = guard
        self._lookup = lookup

    async def dial(self, host: str, port: int) -> socket.socket:
        """Connect to the first address that lets us in. Raises `NotConnectedError`."""
        try:
            found = await self._lookup(host, port)
        except OSError as error:
            raise NotConnectedError(Failure.DNS, error.strerror or str(error)) from None
        guard = self._guard
        refused = {info: guard.refuses(str(info[4][0])) if guard else None for info in found}
        allowed = [info for info, why in refused.items() if why is None]
        if not allowed:
            (_, _, _, _, (address, *_)), why = next(iter(refused.items()))
            raise NotConnectedError(Failure.BLOCKED, f"{address} is refused: {why}")
        try:
            return await start_connection(
                allowed, happy_eyeballs_delay=HEAD_START, socket_factory=_open_socket
            )
        except TimeoutError as error:
            raise NotConnectedError(Failure.CONNECT_TIMEOUT, _words(error)) from None
        except (OSError, RuntimeError) as error:
            raise NotConnectedError(Failure.CONNECT, _words(error)) from None


def _open_socket(address: AddrInfo) -> socket.socket:
    family, kind, protocol, _, _ = address
    opened = socket.socket(family, kind, protocol)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return opened


_CONNECT = re.compile(r"\[Errno ([0-9]{1,5})\] Connect call failed \('([^']*)', ([0-9]+)[^)]*\)")
"""asyncio's own words for an address that did not let us in; there may be several in one text."""


def _words(error: Exception) -> str:
    return _CONNECT.sub(_connect_words, str(error)) if str(error) else type(error).__name__


def _connect_words(found: "re.Match[str]") -> str:
    number, host, port = found.groups()
    return f"{os.strerror(int(number))} ({f'[{host}]' if ':' in host else host}:{port})"


_Look = tuple[int, int, int] | None


class Trust:
    """The TLS context of one target; what its files say is read anew when they change."""

    def __init__(self, settings: TlsSettings) -> None:
        self._settings = settings
        files = (settings.ca_file, settings.client_cert_file, settings.client_key_file)
        self._files = [Path(file) for file in files if file is not None]
        self._looks: list[_Look] = []
        self._context: ssl.SSLContext | None = None

    def changed(self) -> bool:
        """Say whether the files are no longer those that the context was made of."""
        return bool(self._files) and self._looks != [_look(file) for file in self._files]

    def context(self) -> ssl.SSLContext:
        """Give the context. Raises `NotConnectedError` for files that are no good."""
        if self._context is None or self.changed():
            self._context = None
            self._looks = [_look(file) for file in self._files]  # first: what changes is read again
            self._context = self._make()
        return self._context

    def _make(self) -> ssl.SSLContext:
        settings = self._settings
        if settings == TlsSettings():
            return system_trust()
        try:
            context = trusting(settings.ca_file)
            if settings.client_cert_file is not None:
                # Without a password OpenSSL would ask for one on the terminal.
                context.load_cert_chain(
                    settings.client_cert_file, settings.client_key_file, password=""
                )
        except (OSError, ValueError):
            raise NotConnectedError(Failure.TLS, "the files of `tls` can't be read") from None
        return context


def _look(file: Path) -> _Look:
    """Tell a file from the same at another time; None for one that is not there."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
