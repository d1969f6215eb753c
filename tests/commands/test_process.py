"""The commands as processes: signals, pipes, exit codes, and what is imported for what."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from relay.cli import COMMANDS
from relay.webhook.signature import Signer
from tests.commands.stage import Stage

ROOT = str(Path(__file__).parents[2])
HEAVY = {
    *("aiohttp", "sqlite3", "cryptography", "yaml", "rich", "structlog"),
    *("prometheus_client", "filelock", "jwt", "uvloop", "httptools"),
}
RELAY = [sys.executable, "-c", "from relay.cli import main; main()"]


def _environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RELAY_")}
    return kept | {"PYTHONUNBUFFERED": "1"} | more


@contextmanager
def process(*arguments: str, cwd: Path, **more: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command until the block ends; whoever still lives then is killed."""
    with subprocess.Popen(
        [*RELAY, *arguments],
        cwd=cwd,
        env=_environment(PYTHONPATH=ROOT, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def finish(*arguments: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    with process(*arguments, cwd=cwd, **more) as running:
        out, err = running.communicate()
        return subprocess.CompletedProcess(arguments, running.returncode, out, err)


def _post(url: str, body: bytes, headers: dict[str, str]) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code


@pytest.mark.parametrize(
    ("arguments", "light"),
    [
        *(([command, "--help"], set()) for command in COMMANDS),
        (["--help"], set()),
        (["--version"], set()),
        (["healthcheck"], set()),
        (["messages", "list", "--help"], set()),
        (["dead-letters", "retry", "--help"], set()),
        (["secret"], {"cryptography"}),
        (["check"], {"cryptography", "yaml", "structlog"}),
        (["messages", "list"], HEAVY - {"aiohttp", "rich"}),
    ],
)
def test_a_command_imports_what_it_needs(
    tmp_path: Path, arguments: list[str], light: set[str]
) -> None:
    """Start-up is quick: what takes long to import is left to the commands that need it."""
    code = f"import json, sys; from relay.cli import execute; execute({arguments!r})"
    answered = subprocess.run(
        [sys.executable, "-c", f"{code}; print(json.dumps(list(sys.modules)))"],
        cwd=tmp_path,
        env=_environment(PYTHONPATH=ROOT),
        capture_output=True,
        text=True,
        check=True,
    )
    assert set() == (HEAVY - light) & set(json.loads(answered.stdout.splitlines()[-1]))


def test_the_simulator_serves_until_interrupted(tmp_path: Path) -> None:
    """It makes a keystore for its owner only, says where it is, pushes, and Ctrl-C is no drama."""
    path = tmp_path / "keystore.json"
    options = ["--listen", "127.0.0.1:0", "--write-keystore", "keystore.json", "--rate", "100"]
    with process("simulator", *options, cwd=tmp_path) as running:
        assert running.stdout is not None
        lines = [running.stdout.readline() for _ in range(4)]
        running.send_signal(signal.SIGINT)
        _, err = running.communicate()
    assert lines[0].startswith("RELAY_BLAZE_URL=ws://127.0.0.1:")
    assert lines[1].startswith("RELAY_API_URL=http://127.0.0.1:")
    assert "RELAY_KEYSTORE_FILE=keystore.json\n" == lines[2]
    assert lines[3].startswith("pushed ")
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert {"app_id", "session_id", "session_private_key"} <= json.loads(path.read_text()).keys()
    assert (130, "") == (running.returncode, err)


def test_the_simulator_starts_again_with_the_keystore_that_it_made(tmp_path: Path) -> None:
    """A second start is as the first one, and SIGTERM is a good end."""
    path = tmp_path / "keystore.json"
    options = ["--listen", "127.0.0.1:0", "--write-keystore", "keystore.json", "--rate", "0"]
    made = []
    for _ in range(2):
        with process("simulator", *options, cwd=tmp_path) as running:
            assert running.stdout is not None
            lines = [running.stdout.readline() for _ in range(3)]
            running.send_signal(signal.SIGTERM)
            _, err = running.communicate()
        assert "RELAY_KEYSTORE_FILE=keystore.json\n" == lines[2]
        assert (0, "") == (running.returncode, err)
        made.append(path.read_text())
    assert made[0] == made[1]


def test_the_receiver_verifies_what_a_relay_sends(tmp_path: Path) -> None:
    """It makes a secret for its owner only, says where it is, and prints what it takes."""
    path = tmp_path / "secret"
    with process(
        "receiver",
        "--listen",
        "127.0.0.1:0",
        "--write-secret",
        "secret",
        "--busy",
        "2",
        cwd=tmp_path,
    ) as running:
        assert running.stdout is not None
        url = running.stdout.readline().removeprefix("RELAY_WEBHOOK_URLS=").strip()
        assert "RELAY_WEBHOOK_SECRET_FILE=secret\n" == running.stdout.readline()
        body = b'{"data":{"content":"hello"}}'
        signer = Signer.parse(path.read_text())
        for message_id, signature, status, told in (
            ("m-1", "v1,AAAA", 401, None),
            ("m-1", None, 503, "busy m-1 hello\n"),
            ("m-1", None, 204, "took m-1 hello\n"),
            ("m-2", None, 204, "took m-2 hello\n"),
        ):
            now = int(time.time())
            headers = {
                "webhook-id": message_id,
                "webhook-timestamp": str(now),
                "webhook-signature": signature or signer.sign(message_id, now, body),
            }
            assert status == _post(url, body, headers)
            assert told is None or told == running.stdout.readline()
        running.send_signal(signal.SIGTERM)
        _, err = running.communicate()
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert (0, "") == (running.returncode, err)


def test_a_closed_pipe_is_quiet(stage: Stage) -> None:
    """Whoever stops reading is not told off."""
    reading, writing = os.pipe()
    os.close(reading)
    with subprocess.Popen(
        [*RELAY, "check"],
        cwd=stage.folder,
        env=_environment(PYTHONPATH=ROOT, RELAY_CONFIG="relay.yaml"),
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        os.close(writing)
        _, err = running.communicate()
    assert (141, "") == (running.returncode, err)


def test_a_terminal_that_knows_no_umlauts(stage: Stage) -> None:
    """What a terminal may not know is no reason for a traceback."""
    told = finish("messages", "show", "ü", cwd=stage.folder, PYTHONIOENCODING="ascii")
    assert (2, "") == (told.returncode, told.stdout)
    assert 1 == len(told.stderr.splitlines())
    assert told.stderr.startswith("relay: ID: ")


def test_run_fails_in_a_line_without_its_journal(stage: Stage) -> None:
    """A journal that can't be opened is told in one line on stderr, with exit 1."""
    stage.write_settings(journal="sqlite:///none/journal.db", listen="127.0.0.1:0")
    told = finish("run", "--config", "relay.yaml", cwd=stage.folder)
    assert (1, "") == (told.returncode, told.stdout)
    folder = stage.folder.resolve() / "none"
    line = f"relay: journal {folder}/journal.db: there is no directory {folder}"
    assert line == told.stderr.splitlines()[-1]


def test_run_fails_in_a_line_without_its_port(stage: Stage) -> None:
    """An address that is taken is told in one line on stderr, with exit 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        stage.write_settings(listen=f"127.0.0.1:{taken.getsockname()[1]}")
        told = finish("run", "--config", "relay.yaml", cwd=stage.folder)
    assert (1, "") == (told.returncode, told.stdout)
    assert told.stderr.splitlines()[-1].startswith("relay: listen: ")


def test_settings_without_a_file(tmp_path: Path) -> None:
    """Without anything the mistakes name what is needed, and nothing else is printed."""
    told = finish("run", cwd=tmp_path)
    assert (2, "") == (told.returncode, told.stdout)
    assert ["relay: RELAY_KEYSTORE_FILE", "relay: RELAY_WEBHOOK_URLS"] == [
        line.rpartition(": missing")[0] for line in told.stderr.splitlines()
    ]
