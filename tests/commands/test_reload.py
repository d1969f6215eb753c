"""`relay reload`, as far as no relay is needed for it; tests/acceptance/test_reload.py has one."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from tests.commands.stage import Said, Stage

TOKEN = "correct-horse-battery-staple"
DONE = {
    "added": ["support/log"],
    "removed": [],
    "changed": [{"endpoint": "support/crm", "keys": ["url"]}],
    "settings": [],
    "discarded": 2,
    "bots_added": ["sales"],
    "bots_removed": ["old"],
    "bots_restarted": ["support"],
}


class Surface(HTTPServer):
    """An admin API that answers as it is told, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer: tuple[int, Any] = (200, DONE)
        self.asked: list[tuple[str, str | None, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Surface

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append((self.path, self.headers["authorization"], body))
        status, answer = self.server.answer
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

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


def reload(stage: Stage, surface: Surface, *options: str) -> Said:
    config = stage.write_settings(admin_token=TOKEN)
    return stage.relay("reload", "--config", str(config), "--url", surface.url, *options)


def test_it_says_what_changed(stage: Stage, surface: Surface) -> None:
    """A line for each thing; what is owed is discarded only if that is asked for."""
    said = reload(stage, surface)
    assert (0, "") == (said.code, said.err)
    assert [
        "added bot sales",
        "removed bot old",
        "restarted bot support",
        "added support/log",
        "changed support/crm: url",
        "discarded 2 owed deliveries",
    ] == said.out.splitlines()
    assert DONE == reload(stage, surface, "--discard-owed", "--json").document
    path, token = "/api/v1/reload", f"Bearer {TOKEN}"
    assert [(path, token, {"discard_owed": each}) for each in (False, True)] == surface.asked


def test_nothing_has_changed(stage: Stage, surface: Surface) -> None:
    """Then that is what it says."""
    surface.answer = (
        200,
        {
            "added": [],
            "removed": [],
            "changed": [],
            "settings": [],
            "discarded": 0,
        },
    )
    assert "nothing has changed\n" == reload(stage, surface).out


def test_a_refusal_is_a_failure(stage: Stage, surface: Surface) -> None:
    """With the relay's own reasons."""
    mistakes = [{"where": "support/log", "what": "is owed 3 deliveries"}]
    surface.answer = 409, {"title": "Conflict", "mistakes": mistakes}
    said = reload(stage, surface)
    assert (1, "") == (said.code, said.out)
    assert "relay: support/log: is owed 3 deliveries" == said.err.splitlines()[0]
    surface.answer = 404, {"title": "Not Found", "detail": "the admin API is off"}
    assert "relay: 404: the admin API is off; expected 200\n" == reload(stage, surface).err
    surface.answer = 401, {"title": "Unauthorized", "detail": "the bearer token is wrong here"}
    another = (
        "relay: admin_token: the relay that runs has another one; it read its own at its start\n"
    )
    assert another == reload(stage, surface).err


def test_without_the_admin_api_a_signal_is_needed(stage: Stage, surface: Surface) -> None:
    """Exit 2, as for any other setting that is missing; nobody is asked."""
    said = stage.relay("reload", "--config", str(stage.write_settings()), "--url", surface.url)
    assert (2, "relay: admin_token: missing;") == (said.code, said.err[:28])
    assert [] == surface.asked


def test_a_relay_that_does_not_run(stage: Stage) -> None:
    """Exit 1, and where it was looked for; a bad file is told before anybody is asked."""
    config = stage.write_settings(admin_token=TOKEN, listen="127.0.0.1:1")
    said = stage.relay("reload", "--config", str(config))
    assert (1, True) == (said.code, "http://127.0.0.1:1: out of reach" in said.err)
    config = stage.write_settings(admin_token=TOKEN, listen="127.0.0.1:0")
    assert 2 == stage.relay("reload", "--config", str(config)).code
    config = stage.write_settings(admin_token=TOKEN, retention="soon")
    assert 2 == stage.relay("reload", "--config", str(config)).code
