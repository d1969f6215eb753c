"""Log lines: one pipeline for what the relay tells and for what its libraries do.

A line is redacted, gets its time and its level, and is written as JSON or for people. Without a
library: structlog, which brings rich along, takes 5 MiB of every relay and 50 ms of every start.
"""

import json
import logging
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TextIO

from relay.model.messages import BreakerState
from relay.telemetry.redaction import Redactor

_QUIET = {
    # Below a warning these tell of each command and of each probe that all is well.
    "aiohttp.access": logging.WARNING,
    "asyncio": logging.WARNING,
}

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_BREAK = re.compile(r"[\t\n\u2028\u2029]")
_ENCODER = json.JSONEncoder(default=repr)
_EVENT_WIDTH = 30
_LEVEL_WIDTH = 9
_DIM, _BOLD, _PLAIN = "\x1b[2m", "\x1b[1m", "\x1b[0m"
_KEY_COLOUR, _VALUE_COLOUR, _NAME_COLOUR = "\x1b[36m", "\x1b[35m", "\x1b[34m"
_COLOURS = {"debug": "\x1b[32m", "info": "\x1b[32m", "warning": "\x1b[33m"}
_ALARM = "\x1b[31m"

Render = Callable[[dict[str, Any]], str]
"""Writes a line that begins with `timestamp`, `level` and `event`."""


class Log:
    """Says events, dotted and in the past tense, with fields; below its level it says nothing."""

    def __init__(self, level: str, say: Callable[[str, dict[str, Any]], None]) -> None:
        self._least = logging.getLevelNamesMapping()[level.upper()]
        self._say = say

    def is_enabled_for(self, level: int) -> bool:
        """Tell whether lines of a level are said; for those that are dear to put together."""
        return self._least <= level

    def debug(self, event: str, **fields: Any) -> None:
        """Say what is of interest only while looking for a fault."""
        if self._least <= logging.DEBUG:
            self._say("debug", {"event": event, **fields})

    def info(self, event: str, **fields: Any) -> None:
        """Say what is as it should be."""
        if self._least <= logging.INFO:
            self._say("info", {"event": event, **fields})

    def warning(self, event: str, **fields: Any) -> None:
        """Say what somebody should know of."""
        if self._least <= logging.WARNING:
            self._say("warning", {"event": event, **fields})

    def error(self, event: str, **fields: Any) -> None:
        """Say what somebody should do something about."""
        self._say("error", {"event": event, **fields})

    def exception(self, event: str, **fields: Any) -> None:
        """Say what somebody should do something about, with the trace of what is being handled."""
        self.error(event, **fields, exception=traceback.format_exc().rstrip())


class Sink:
    """Writes lines to a stream. A line that can't be written is lost, and nothing else is."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._encoding = getattr(stream, "encoding", None) or "utf-8"

    def write(self, line: str) -> None:
        """Write one line at once."""
        writable = line.encode(self._encoding, "backslashreplace").decode(self._encoding)
        with self._lock, suppress(OSError, ValueError):
            if self._stream is not None:
                self._stream.write(f"{writable}\n")
                self._stream.flush()


def configure_logging(
    level: str = "info",
    log_format: str | None = None,
    stream: TextIO | None = None,
    *,
    secrets: Iterable[str] = (),
    redactor: Redactor | None = None,
) -> Log:
    """Route all logging of this process to a stream, standard error by default.

    The format is `json`, or `console` for people; without one it is the console's on a terminal,
    else JSON. `secrets` never come out, wherever they turn up; a `redactor` that learns others
    later takes their place. May be called again, and then replaces what was set up before.
    """
    stream = stream if stream is not None else sys.stderr
    terminal = _is_terminal(stream)
    for_people = log_format == "console" if log_format else terminal
    render = _for_people(colours=terminal) if for_people else _as_json
    redact, sink = redactor or Redactor(secrets), Sink(stream)

    def say(level: str, event: dict[str, Any]) -> None:
        at = datetime.now(UTC).isoformat(timespec="microseconds").removesuffix("+00:00")
        sink.write(render({"timestamp": f"{at}Z", "level": level, **redact(event)}))

    _route_standard_logging(level, say)
    return Log(level, say)


def _is_terminal(stream: TextIO | None) -> bool:
    with suppress(OSError, ValueError):
        return stream is not None and stream.isatty()
    return False


def _as_json(line: dict[str, Any]) -> str:
    return _ENCODER.encode(line)


def _for_people(*, colours: bool) -> Render:
    def paint(text: str, *colour: str) -> str:
        return f"{''.join(colour)}{text}{_PLAIN}" if colours else text

    def render(line: dict[str, Any]) -> str:
        at, level, event, logger, trace = (
            _printable(line.pop(key, ""), whole=key == "exception")
            for key in ("timestamp", "level", "event", "logger", "exception")
        )
        words = [
            paint(at, _DIM),
            f"[{paint(level.ljust(_LEVEL_WIDTH), _COLOURS.get(level, _ALARM), _BOLD)}]",
            paint(event.ljust(_EVENT_WIDTH), _BOLD),
            *([f"[{paint(logger, _BOLD, _NAME_COLOUR)}]"] if logger else []),
        ]
        pairs = (
            f"{paint(key, _KEY_COLOUR)}={paint(_quoted(value), _VALUE_COLOUR)}"
            for key, value in line.items()
        )
        return " ".join((*words, *pairs)) + (f"\n{trace}" if trace else "")

    return render


def _quoted(value: Any) -> str:
    """Write a value; a text that could be mistaken for more than one stands in quotes."""
    if not isinstance(value, str):
        return repr(value)
    text = _printable(value)
    return repr(text) if set(text) & set(" \t=\r\n\"'") else text


def _printable(text: Any, *, whole: bool = False) -> str:
    """Show control characters instead of obeying them: a stranger's text must not draw lines."""
    text = _CONTROL.sub(_escaped, str(text))
    return text if whole else _BREAK.sub(_escaped, text)


def _escaped(character: re.Match[str]) -> str:
    return character[0].encode("unicode_escape").decode()


class Route(logging.Handler):
    """Takes what libraries log into the relay's own pipeline."""

    def __init__(self, say: Callable[[str, dict[str, Any]], None]) -> None:
        super().__init__()
        self._say_line = say

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; one that can't be rendered is lost."""
        with suppress(Exception):
            event = {"event": record.getMessage(), "logger": record.name}
            if record.exc_info:
                event["exception"] = "".join(traceback.format_exception(*record.exc_info)).rstrip()
            self._say_line(record.levelname.lower(), event)


def _route_standard_logging(level: str, say: Callable[[str, dict[str, Any]], None]) -> None:
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, Route)]:
        root.removeHandler(handler)
    root.addHandler(Route(say))
    root.setLevel(level.upper())
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(max(least, root.level))


BURST = 10
"""Loud lines at once about one bot or endpoint; enough for any change that a person follows."""

PERIOD = 60.0
"""Seconds in which a spent burst comes back."""


class Allowance:
    """Grants a burst of loud lines, then one every few seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._left = float(BURST)
        self._counted_at = clock()

    def spend(self) -> bool:
        """Take one line off the allowance, if there is one left."""
        now = self._clock()
        self._left = min(BURST, self._left + (now - self._counted_at) * BURST / PERIOD)
        self._counted_at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class BotLoudness:
    """What was last said aloud of a bot.

    What there was no allowance for was not said: it stays due, and is said once there is.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.allowance = Allowance(clock)
        self.unreachable: dict[str, str] = {}
        self.receipts_delayed: str | None = None


class EndpointLoudness:
    """What was last said aloud of an endpoint, by the same rule."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.allowance = Allowance(clock)
        self.trouble: tuple[object, ...] | None = None
        self.rejection: tuple[object, ...] | None = None
        self.circuit = BreakerState.CLOSED
