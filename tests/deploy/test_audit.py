"""`make audit` says yes only after every locked dependency was looked up."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ["requirements.lock", "tests/requirements.lock", "tests/audit.lock"]
FOUND = {
    "id": "PYSEC-2026-1",
    "modified": "2026-01-01T00:00:00Z",
    "details": "made up for a test",
    "affected": [{"package": {"name": "aiohttp", "ecosystem": "PyPI"}, "versions": []}],
}


def pinned(lock: str) -> list[str]:
    """List what a lock file pins, each with all that belongs to it."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return [entry for entry in re.split(r"\n(?=\S)", lines.strip()) if entry]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_dependency_is_pinned_by_its_hash(lock: str) -> None:
    """Nothing is installed that was not there when the lock was made, wherever it comes from."""
    entries = pinned(lock)
    assert entries
    assert [] == [e for e in entries if "==" not in e or "--hash=sha256:" not in e]
    assert "://" not in "".join(entries)


def test_an_audit_that_could_not_look_has_not_passed() -> None:
    """Without --strict, pip-audit finds "no known vulnerabilities" where it could not ask."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    assert re.search(r"^audit:", makefile, re.MULTILINE)
    assert re.search(r"pip-audit .*--strict", makefile)


@contextmanager
def database(answer: Callable[[str], Any]) -> Iterator[str]:
    """Serve a database of vulnerabilities on this machine; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found = answer(asked["package"]["name"])
            body = json.dumps(found).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()
        thread.join()


@pytest.mark.prove
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("answer", "passes", "says"),
    [
        (lambda _: {}, True, "No known vulnerabilities found"),
        (lambda name: {"vulns": [FOUND]} if name == "aiohttp" else {}, False, "PYSEC-2026-1"),
        (lambda _: None, False, "audit: not passed"),
    ],
    ids=["nothing found", "something found", "nobody to ask"],
)
def test_the_audit_is_what_the_database_says(
    answer: Callable[[str], Any], *, passes: bool, says: str
) -> None:
    """It passes where every dependency is known and none is vulnerable, and nowhere else."""
    asked: set[str] = set()

    def remembering(name: str) -> Any:
        asked.add(name)
        return answer(name)

    with database(remembering) as address:
        flags = f"AUDIT_FLAGS=--vulnerability-service osv --osv-url {address}"
        command = ["make", "--assume-old=.venv/.set-up", "audit", flags]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    if "pip-audit" in said and "failed to fetch" in said.lower():
        pytest.skip("the audit can't run here: pip-audit can't be had from the index")
    assert (passes, True) == (done.returncode == 0, says in said), said
    if passes:
        assert {re.split(r"==", entry)[0] for entry in pinned("requirements.lock")} == asked
