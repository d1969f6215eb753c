"""Log lines: one pipeline for what the relay tells and for what its libraries do."""

import json
import logging
import re
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from enum import StrEnum
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

from relay.telemetry.redaction import Redactor

_QUIET = {
    # Below a warning these tell every statement with its values: people's messages.
    "sqlalchemy": logging.WARNING,
    # Below a warning these tell of each command and of each probe that all is well.
    "alembic": logging.WARNING,
    "aiohttp.access": logging.WARNING,
    "asyncio": logging.WARNING,
}

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_BREAK = re.compile(r"[\t\n\u2028\u2029]")
_ENCODER = json.JSONEncoder(default=repr)
_MULTILINE = ("exception", "stack")


class LogFormat(StrEnum):
    """How a line looks: for machines or for people."""

    JSON = "json"
    CONSOLE = "console"


class Sink:
    """Writes lines to a stream. A line that can't be written is lost, and nothing else is."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._encoding = getattr(stream, "encoding", None) or "utf-8"

    def msg(self, line: str) -> None:
        """Write one line at once."""
        writable = line.encode(self._encoding, "backslashreplace").decode(self._encoding)
        with self._lock, suppress(OSError, ValueError):
            if self._stream is not None:
                self._stream.write(f"{writable}\n")
                self._stream.flush()

    debug = info = warning = error = critical = msg


def configure_logging(
    level: str = "info",
    log_format: LogFormat | None = None,
    stream: TextIO | None = None,
    *,
    secrets: Iterable[str] = (),
    redactor: Redactor | None = None,
) -> FilteringBoundLogger:
    """Route all logging of this process to a stream, standard error by default.

    Without a format it is the console's on a terminal, else JSON. `secrets` never come out,
    wherever they turn up; a `redactor` that learns others later takes their place. May be called
    again, and then replaces what was set up before.
    """
    stream = stream if stream is not None else sys.stderr
    terminal = _is_terminal(stream)
    log_format = log_format or (LogFormat.CONSOLE if terminal else LogFormat.JSON)
    sink = Sink(stream)
    processors = _pipeline(log_format, redactor or Redactor(secrets), colors=terminal)
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: sink,
        cache_logger_on_first_use=False,
    )
    _route_standard_logging(level, sink, processors)
    logger: FilteringBoundLogger = structlog.get_logger()
    return logger


def _is_terminal(stream: TextIO | None) -> bool:
    with suppress(OSError, ValueError):
        return stream is not None and stream.isatty()
    return False


def _pipeline(log_format: LogFormat, redactor: Redactor, *, colors: bool) -> list[Processor]:
    before: list[Processor] = [
        structlog.processors.format_exc_info,
        redactor,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    match log_format:
        case LogFormat.JSON:
            return [*before, _as_json]
        case LogFormat.CONSOLE:
            plain = structlog.dev.plain_traceback
            console = structlog.dev.ConsoleRenderer(
                colors=colors, exception_formatter=plain, sort_keys=False
            )
            return [*before, _printable, console]


def _as_json(_logger: Any, _method: str, event: EventDict) -> str:
    head = {key: event.pop(key, "") for key in ("timestamp", "level", "event")}
    return _ENCODER.encode({**head, **event})


def _printable(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Show control characters instead of obeying them: a stranger's text must not draw lines."""
    for key, value in event.items():
        if isinstance(value, str):
            text = _CONTROL.sub(_escaped, value)
            event[key] = text if key in _MULTILINE else _BREAK.sub(_escaped, text)
    return event


def _escaped(character: re.Match[str]) -> str:
    return character[0].encode("unicode_escape").decode()


class Route(logging.Handler):
    """Takes what libraries log into the relay's own pipeline."""

    def __init__(self, sink: Sink, processors: list[Processor]) -> None:
        super().__init__()
        self._sink = sink
        self.formatter = structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *processors],
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; one that can't be rendered is lost."""
        with suppress(Exception):
            self._sink.msg(self.format(record))


def _route_standard_logging(level: str, sink: Sink, processors: list[Processor]) -> None:
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, Route)]:
        root.removeHandler(handler)
    root.addHandler(Route(sink, processors))
    root.setLevel(level.upper())
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(max(least, root.level))
