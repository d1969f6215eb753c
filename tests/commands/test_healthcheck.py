"""`relay healthcheck`."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from tests.commands.stage import Stage


class Surface(HTTPServer):
    """An HTTP surface that answers as it is told, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.body = b""
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Surface

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.server.status:
            self.send_response(self.server.status)
            self.end_headers()
            self.wfile.write(self.server.body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def surface() -> Iterator[Surface]:
    with Surface() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_ready(stage: Stage, surface: Surface) -> None:
    """Exit 0, and not a word, if /readyz says 200."""
    said = stage.relay("healthcheck", "--url", f"{surface.url}/base/")
    assert (0, "", "") == (said.code, said.out, said.err)
    assert ["/base/readyz?verbose"] == surface.asked


@pytest.mark.parametrize("status", [503, 404, 204, 302])
def test_not_ready(stage: Stage, surface: Surface, status: int) -> None:
    """Exit 1 with a line if it says anything else."""
    surface.status = status
    said = stage.relay("healthcheck", "--url", surface.url)
    assert (1, "", f"relay: {surface.url}/readyz: {status}; expected 200\n") == (
        said.code,
        said.out,
        said.err,
    )


def test_what_is_not_well(stage: Stage, surface: Surface) -> None:
    """The parts that are not well are named, with the reason."""
    surface.status = 503
    parts = [("journal", True, "accepts writes"), ("bot support", False, "away for 40 s")]
    components = [{"name": name, "ok": ok, "reason": why} for name, ok, why in parts]
    surface.body = json.dumps({"status": "failing", "components": components}).encode()
    said = stage.relay("healthcheck", "--url", surface.url)
    why = "503; expected 200; bot support: away for 40 s"
    assert (1, f"relay: {surface.url}/readyz: {why}\n") == (said.code, said.err)


@pytest.mark.parametrize("body", [b"no", b"[]", b'{"components": [1]}', b"\xff"])
def test_another_service(stage: Stage, surface: Surface, body: bytes) -> None:
    """Whatever answers at that address, it is a line."""
    surface.status, surface.body = 500, body
    said = stage.relay("healthcheck", "--url", surface.url)
    assert (1, f"relay: {surface.url}/readyz: 500; expected 200\n") == (said.code, said.err)


def test_out_of_reach(stage: Stage, surface: Surface) -> None:
    """Exit 1 with a line if nobody answers, or not in HTTP."""
    surface.status = 0
    for url, why in (("http://127.0.0.1:9", "refused"), (surface.url, "closed")):
        said = stage.relay("healthcheck", "--url", url)
        assert (1, "") == (said.code, said.out)
        assert said.err.startswith(f"relay: {url}/readyz: out of reach (")
        assert why in said.err
        assert 1 == len(said.err.splitlines())


def test_the_port_is_that_of_the_settings(
    stage: Stage, surface: Surface, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --url the port of `listen` is asked on 127.0.0.1, from the file or a variable."""
    port = surface.server_port
    path = stage.write_settings(listen=f"0.0.0.0:{port}")
    text = path.read_text()
    plain = f"listen: 0.0.0.0:{port}\n"
    assert plain in text
    for listen in (plain, f'listen: "[::]:{port}"  # all\n', f'"listen" :\n  0.0.0.0:{port}\n'):
        path.write_text(text.replace(plain, listen))
        assert 0 == stage.relay("healthcheck").code
    monkeypatch.setenv("PORT", str(port))
    path.write_text(text.replace(plain, "listen: 0.0.0.0:${PORT}\n"))
    monkeypatch.delenv("RELAY_CONFIG")
    assert 0 == stage.relay("healthcheck", "--config", "relay.yaml").code
    monkeypatch.setenv("RELAY_LISTEN", f"[::]:{surface.server_port}")
    assert 0 == stage.relay("healthcheck").code
    assert 5 == len(surface.asked)


@pytest.mark.parametrize("listen", ["x", "0.0.0.0:0", ":99999999", ""])
def test_a_port_that_cannot_be_known(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, listen: str
) -> None:
    """A `listen` that names no port is told as such."""
    monkeypatch.delenv("RELAY_CONFIG")
    monkeypatch.setenv("RELAY_LISTEN", listen)
    said = stage.relay("healthcheck")
    assert (2, "") == (said.code, said.out)
    assert said.err.startswith(f"relay: RELAY_LISTEN: {listen!r}: expected HOST:PORT")


def test_a_port_that_the_system_chooses(stage: Stage) -> None:
    """Port 0 in the settings file leaves the address open."""
    stage.write_settings(listen="127.0.0.1:0")
    said = stage.relay("healthcheck")
    assert (2, "relay: listen: '127.0.0.1:0': expected a port, or --url\n") == (
        said.code,
        said.err,
    )
