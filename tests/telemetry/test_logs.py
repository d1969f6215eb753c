"""Log lines, for machines and for people, and what becomes of them when they can't be written."""

import io
import json
import logging
from typing import Any

import pytest

from relay.config import LogFormat
from relay.telemetry.logs import Sink, configure_logging

pytestmark = pytest.mark.usefixtures("logging_restored")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Broken(io.StringIO):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error
        self.tries = 0

    def write(self, _: str) -> int:
        self.tries += 1
        raise self.error


class Latin(io.StringIO):
    encoding = "latin-1"


def read(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_json_with_its_head_first() -> None:
    """A line is one JSON object: time, level, event, then the fields as they were given."""
    stream = io.StringIO()

    configure_logging("info", LogFormat.JSON, stream).info("delivery.settled", bot="a", attempts=3)

    (line,) = read(stream)
    assert ["timestamp", "level", "event", "bot", "attempts"] == list(line)
    assert ("info", "delivery.settled", "a", 3) == tuple(line.values())[1:]


def test_times_are_iso_in_utc() -> None:
    """A timestamp is ISO 8601 and ends in Z."""
    stream = io.StringIO()

    configure_logging("info", LogFormat.JSON, stream).info("x.happened")

    assert read(stream)[0]["timestamp"].endswith("Z")
    assert "T" in read(stream)[0]["timestamp"]


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_levels_below_the_configured_one_are_silent(level: str, expected: list[str]) -> None:
    """Our own lines and the libraries' are filtered alike."""
    stream = io.StringIO()
    log = configure_logging(level, LogFormat.JSON, stream)
    library = logging.getLogger("some.library")

    for name in ("debug", "info", "warning", "error"):
        getattr(log, name)("ours")
        getattr(library, name)("theirs")

    assert expected == [line["level"] for line in read(stream) if line["event"] == "ours"]
    assert expected == [line["level"] for line in read(stream) if line["event"] == "theirs"]


def test_what_is_filtered_is_not_rendered() -> None:
    """A line below the level costs no rendering: its values are not even looked at."""

    class Costly:
        shown = 0

        def __repr__(self) -> str:
            Costly.shown += 1
            return "costly"

    log = configure_logging("info", LogFormat.JSON, io.StringIO())
    log.debug("x.happened", value=Costly())
    assert 0 == Costly.shown

    log.info("x.happened", value=Costly())
    assert 1 == Costly.shown


def test_libraries_speak_through_the_same_pipeline() -> None:
    """A library's line looks like ours, with its logger's name and no secrets."""
    stream = io.StringIO()
    configure_logging("info", LogFormat.JSON, stream)

    logging.getLogger("aiohttp.server").warning("refused %s", "Bearer abc.def")

    (line,) = read(stream)
    assert ["timestamp", "level", "event", "logger"] == list(line)
    assert ("warning", "refused Bearer ***", "aiohttp.server") == tuple(line.values())[1:]


@pytest.mark.parametrize("log_format", list(LogFormat))
def test_exceptions_are_shown_without_secrets(log_format: LogFormat) -> None:
    """A trace is part of its line, and what it quotes is redacted too."""
    stream = io.StringIO()
    log = configure_logging("info", log_format, stream, secrets=["correct horse"])

    try:
        raise ValueError("GET https://u:hunter2@example.com/?q=hunter2 with correct horse")  # noqa: TRY301 - the test is about the trace
    except ValueError:
        log.exception("x.failed")
        logging.getLogger("some.library").exception("also failed")

    said = stream.getvalue()
    assert 2 == said.count("ValueError: GET https://***@example.com/?*** with ***")
    assert 2 == said.count("Traceback")
    assert "hunter2" not in said
    assert "correct horse" not in said


def test_the_console_is_the_default_on_a_terminal() -> None:
    """A person at a terminal gets lines for people, and everyone else JSON."""
    terminal, pipe = Terminal(), io.StringIO()

    configure_logging("info", None, terminal).info("x.happened", bot="a")
    configure_logging("info", None, pipe).info("x.happened", bot="a")

    assert "x.happened" in terminal.getvalue()
    assert not terminal.getvalue().startswith("{")
    assert "x.happened" == read(pipe)[0]["event"]


@pytest.mark.parametrize("value", ["a\nb", "\x1b[31mred", "\x9bred", "a\r", "\u2028b", "x y\x1b["])
def test_strangers_draw_nothing_on_a_terminal(value: str) -> None:
    """Control characters and line breaks in values are shown and not obeyed."""
    stream = io.StringIO()
    log = configure_logging("info", LogFormat.CONSOLE, stream)

    log.info("x.happened", detail=value)
    logging.getLogger("some.library").warning(value)

    lines = stream.getvalue().split("\n")
    assert 3 == len(lines)
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize(
    "error",
    [BrokenPipeError(), OSError(28, "No space left on device"), ValueError("I/O on closed file")],
)
def test_a_line_that_cannot_be_written_hurts_nobody(error: Exception) -> None:
    """A full disk or a closed stream costs the line and nothing else."""
    stream = Broken(error)
    log = configure_logging("info", LogFormat.JSON, stream)

    log.info("x.happened")
    logging.getLogger("some.library").warning("x")

    assert 2 == stream.tries


def test_a_closed_stream_hurts_nobody() -> None:
    """A stream that is closed already can be configured and written to."""
    stream = io.StringIO()
    stream.close()

    configure_logging("info", None, stream).info("x.happened")


def test_no_stream_at_all_hurts_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was started without standard error runs all the same."""
    monkeypatch.setattr("sys.stderr", None)

    configure_logging().info("x.happened")


def test_standard_error_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a stream lines go to standard error."""
    configure_logging().info("x.happened")

    assert "x.happened" in capsys.readouterr().err


def test_what_a_stream_cannot_encode_is_escaped() -> None:
    """A line is never lost for a character."""
    stream = Latin()

    Sink(stream).write("grün 東")

    assert "grün \\u6771\n" == stream.getvalue()


def test_a_library_line_that_cannot_be_rendered_hurts_nobody() -> None:
    """A wrong format string in a library costs its line."""
    stream = io.StringIO()
    logging.getLogger().handlers.clear()  # pytest's own, which raise where a service goes on
    configure_logging("info", LogFormat.JSON, stream)

    logging.getLogger("some.library").warning("%d", "not a number")
    logging.getLogger("some.library").warning("fine")

    assert ["fine"] == [line["event"] for line in read(stream)]


def test_configuring_again_replaces_what_was() -> None:
    """The last configuration holds, and no line is written twice."""
    first, second = io.StringIO(), io.StringIO()

    configure_logging("info", LogFormat.JSON, first)
    log = configure_logging("info", LogFormat.JSON, second)
    log.info("ours")
    logging.getLogger("some.library").warning("theirs")

    assert "" == first.getvalue()
    assert ["ours", "theirs"] == [line["event"] for line in read(second)]
