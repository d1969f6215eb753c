"""Certificates: an authority of the test's own, and what goes wrong with them."""

import datetime as dt
import ssl
import warnings
from pathlib import Path

import trustme

HERE = "127.0.0.1"


class Authority:
    """A certificate authority, with its file for those who trust it."""

    def __init__(self, directory: Path) -> None:
        self._ca = trustme.CA()
        self._directory = directory
        self.file = str(directory / "ca.pem")
        self._ca.cert_pem.write_to_path(self.file)

    def server(self, name: str = HERE, *, days: tuple[int, int] = (-1, 30)) -> ssl.SSLContext:
        """Make a server's context with a certificate for a name, valid from day to day."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        now = dt.datetime.now(dt.UTC)
        since, until = (now + dt.timedelta(days=day) for day in days)
        self._ca.issue_cert(name, not_before=since, not_after=until).configure_cert(context)
        return context

    def old_server(self) -> ssl.SSLContext:
        """Make a server's context that speaks TLS 1.1 at most, with every cipher there is."""
        context = self.server()
        with warnings.catch_warnings(action="ignore"):
            context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        return context

    def demanding_server(self, version: ssl.TLSVersion) -> ssl.SSLContext:
        """Make a server's context that lets in whom this authority knows, and nobody else."""
        context = self.server()
        context.minimum_version = context.maximum_version = version
        context.verify_mode = ssl.CERT_REQUIRED
        self._ca.configure_trust(context)
        return context

    def client(self) -> dict[str, str]:
        """Write a client's certificate and key; answers with an endpoint's settings `tls`."""
        names = {"client_cert_file": "client.pem", "client_key_file": "client-key.pem"}
        tls = {key: str(self._directory / name) for key, name in names.items()}
        self.renew(tls)
        return {"ca_file": self.file, **tls}

    def renew(self, tls: dict[str, str]) -> None:
        """Write a new certificate of this authority's into the files of settings `tls`."""
        pair = self._ca.issue_cert("relay.test")
        pair.cert_chain_pems[0].write_to_path(tls["client_cert_file"])
        pair.private_key_pem.write_to_path(tls["client_key_file"])


def founded(directory: Path, name: str) -> Authority:
    """Found an authority in a folder of its own."""
    folder = directory / name
    folder.mkdir()
    return Authority(folder)
