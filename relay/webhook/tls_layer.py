"""TLS over a transport that knows nothing of it: bytes in, bytes out.

asyncio's own TLS waits for the other side's end of TLS when a connection closes. This never waits.
"""

import ssl
from contextlib import suppress

_RECORD = 16 * 1024


class TlsLayer:
    """The client's side of one TLS connection. What `outgoing` gives is for the caller to send."""

    def __init__(self, context: ssl.SSLContext, server_name: str) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=server_name)
        self.established = False

    def outgoing(self) -> bytes:
        """Take what is to be sent now."""
        return self._out.read()

    def hello(self) -> bytes:
        """Begin; gives what is to be sent."""
        self.shake_hands(b"")
        return self.outgoing()

    def shake_hands(self, data: bytes) -> bool:
        """Take what the other side says of the handshake, and say whether that is over now.

        Raises `ssl.SSLError`.
        """
        self._in.write(data)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        self.established = True
        return True

    def encrypt(self, data: bytes) -> bytes:
        """Give what is to be sent for these bytes. Raises `ssl.SSLError`."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._tls.write(rest) :]
        return self._out.read()

    def decrypt(self, data: bytes = b"") -> tuple[bytes, bool]:
        """Give what these bytes say, and whether the other side has ended TLS.

        Raises `ssl.SSLError`.
        """
        self._in.write(data)
        plain = b""
        try:
            while True:
                piece = self._tls.read(_RECORD)
                if not piece:
                    return plain, True
                plain = plain + piece if plain else piece
                if not self._in.pending and not self._tls.pending():
                    return plain, False
        except ssl.SSLWantReadError:
            return plain, False
        except ssl.SSLZeroReturnError:
            return plain, True

    def farewell(self) -> bytes:
        """End TLS from our side; gives what is to be sent, which nobody answers."""
        with suppress(ssl.SSLError):  # it wants to read the other side's farewell, and we do not
            self._tls.unwrap()
        return self._out.read()
