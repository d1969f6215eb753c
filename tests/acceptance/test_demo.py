"""`relay demo` as a person runs it: in a pipe, on a terminal, and interrupted."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.nursery import COMMAND

SIGPIPE_EXIT = 141
ROWS, COLUMNS = 40, 120


@contextmanager
def demo(
    *options: str, folder: Path, out: int = subprocess.PIPE, **environ: str
) -> Iterator[subprocess.Popen[str]]:
    """Run the installed command; its journal is somewhere below `folder`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RELAY_")}
    with subprocess.Popen(
        [COMMAND, "demo", *options],
        cwd=folder,
        env={**kept, "TMPDIR": str(folder), "PYTHONUTF8": "1", **environ},
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=out if out != subprocess.PIPE else subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def read_until(running: subprocess.Popen[str], beginning: str) -> str:
    """Read lines up to the first that begins so, and give it."""
    assert running.stdout is not None
    for line in running.stdout:
        if line.startswith(beginning):
            return line
    raise AssertionError(f"the demo ended without a line that begins with {beginning!r}")


def counts(lines: Sequence[str]) -> dict[str, str]:
    """Take the summary apart."""
    summary = lines[lines.index("") + 1 : -1]
    return dict(re.split(r"  +", line, maxsplit=1) for line in summary)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """Run the demo once in a pipe, to its end."""
    with demo("--messages", "40", "--rate", "0", folder=tmp_path_factory.mktemp("demo")) as running:
        out, err = running.communicate()
        return subprocess.CompletedProcess(running.args, running.returncode, out, err)


def test_without_a_terminal_a_line_tells_of_each_message(
    plain: subprocess.CompletedProcess[str],
) -> None:
    """Every message is delivered and READ, once, and each failed attempt is told; exit 0."""
    lines = plain.stdout.splitlines()
    read = [line.split()[1] for line in lines if line.startswith("READ ")]
    failed = [line.split()[1] for line in lines if line.startswith("failed ")]
    assert 0 == plain.returncode
    assert (40, 40) == (len(read), len(set(read)))
    assert (2, True) == (len(failed), set(failed) <= set(read))
    assert "OK: every message was delivered and marked READ" == lines[-1]
    assert "\x1b" not in plain.stdout
    assert [] == [line for line in plain.stderr.splitlines() if '"level": "warning"' not in line]


def test_the_counts_agree(plain: subprocess.CompletedProcess[str]) -> None:
    """The receiver, the simulator and the relay tell the same story, retries included."""
    lines = plain.stdout.splitlines()
    told = counts(lines)
    assert {
        "messages pushed": "40",
        "delivered": "40",
        "marked READ": "40",
        "attempts": "42",
        "refused with 503": "2",
        "retries": "2",
        "duplicates": "0",
        "signatures verified": "42",
        "signatures bad": "0",
        "violations": "0",
    } == {name: told[name] for name in list(told)[:10]}
    assert told["metrics were at"] == lines[3].split()[-1]


@pytest.mark.parametrize(
    "word",
    [
        *("PLAIN_TEXT", "ENCRYPTED_TEXT", "PLAIN_STICKER", "SYSTEM_SAFE_SNAPSHOT"),
        *("Alice", "Bob", "Carol", "a group", "Message 2 from", "transfer of", "sticker "),
    ],
)
def test_the_traffic_is_of_many_kinds(plain: subprocess.CompletedProcess[str], word: str) -> None:
    """Texts, stickers, transfers and encrypted messages come, from several conversations."""
    assert word in plain.stdout


def test_ctrl_c_ends_it_with_the_summary(tmp_path: Path) -> None:
    """What is under way still arrives, the counts are told, and no file is left: exit 130."""
    with demo("--messages", "100000", "--rate", "20", folder=tmp_path) as running:
        metrics = read_until(running, "  metrics").split()[-1]
        read_until(running, "READ ")
        with urllib.request.urlopen(metrics) as response:
            scraped = response.read().decode()
        running.send_signal(signal.SIGINT)
        read_until(running, "stopping: ")
        out, err = running.communicate()
    lines = out.splitlines()
    assert 'relay_blaze_connected{bot="default"} 1.0' in scraped
    assert (128 + signal.SIGINT, False) == (running.returncode, "Traceback" in err)
    assert "ended early: every message so far was delivered and marked READ" == lines[-1]
    told = counts(lines)
    assert f"{told['delivered']} of 100000" == told["messages pushed"]
    assert told["delivered"] == told["marked READ"]
    assert [] == list(tmp_path.iterdir())


def test_a_second_ctrl_c_ends_it_at_once(tmp_path: Path) -> None:
    """Nobody has to wait; even then there is no traceback, and no file is left."""
    with demo("--messages", "100000", "--rate", "0", folder=tmp_path) as running:
        read_until(running, "READ ")
        running.send_signal(signal.SIGINT)
        read_until(running, "stopping: ")
        running.send_signal(signal.SIGINT)
        _, err = running.communicate()
    assert 128 + signal.SIGINT == running.returncode
    assert "Traceback" not in err
    assert [] == list(tmp_path.iterdir())


def test_nobody_reading_ends_it_quietly(tmp_path: Path) -> None:
    """`relay demo | head` is no error to explain."""
    with demo("--messages", "100000", "--rate", "20", folder=tmp_path) as running:
        read_until(running, "READ ")
        assert running.stdout is not None
        running.stdout.close()
        running.wait()
        assert running.stderr is not None
        assert "Traceback" not in running.stderr.read()
    assert SIGPIPE_EXIT == running.returncode
    assert [] == list(tmp_path.iterdir())


def read_terminal(descriptor: int) -> str:
    """Read what is written to a pseudo terminal until its last writer is gone."""
    drawn = b""
    while True:
        try:
            part = os.read(descriptor, 65536)
        except OSError:  # how Linux tells that the other side is closed
            break
        if not part:
            break
        drawn += part
    return drawn.decode()


def test_on_a_terminal_the_view_is_live(tmp_path: Path) -> None:
    """A table, a bar and the counts are drawn in place, warnings above; then the summary."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    options = ("--messages", "20", "--rate", "20")
    with demo(*options, folder=tmp_path, out=theirs, TERM="xterm-256color") as running:
        os.close(theirs)
        drawn = read_terminal(ours)
        os.close(ours)
        running.wait()
    picture, _, summary = drawn.rpartition("20 of 20 READ")

    assert 0 == running.returncode
    assert "\x1b[1A" in picture  # drawn again over itself
    for word in ("category", "tries", "PLAIN_STICKER", "READ, ", "503, again in", "20 of 20 READ"):
        assert word in drawn
    assert "endpoint.failed" in picture
    assert "OK: every message was delivered and marked READ" in summary
    assert "\x1b[?25h" in summary  # the cursor is back
    assert [] == list(tmp_path.iterdir())


def test_a_terminal_that_can_draw_nothing_gets_plain_lines(tmp_path: Path) -> None:
    """No escape sequence goes to a dumb terminal, whatever colours are asked for elsewhere."""
    ours, theirs = pty.openpty()
    options = ("--messages", "3", "--rate", "0")
    with demo(*options, folder=tmp_path, out=theirs, TERM="dumb", FORCE_COLOR="1") as running:
        os.close(theirs)
        drawn = read_terminal(ours)
        os.close(ours)
        running.wait()
    assert (0, 3) == (running.returncode, drawn.count("\nREAD "))
    assert "\x1b" not in drawn
