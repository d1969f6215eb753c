"""Plain lines: one for each message that is READ, and one for each failed attempt."""

from typing import Self, TextIO

from relay.demo.board import Passage, State
from relay.demo.score import Score
from relay.demo.summary import complaints, counts, verdict


class PlainView:
    """Writes lines; those of messages at each refresh."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lines: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass

    def hear(self, passage: Passage) -> None:
        """Write a line about a message that is READ or has failed, at the next refresh."""
        match passage.state:
            case State.READ:
                self._lines.append(_read(passage))
            case State.FAILED:
                self._lines.append(_failed(passage))
            case _:
                pass

    def say(self, line: str) -> None:
        """Write a line at the next refresh."""
        self._lines.append(line)

    def refresh(self, _: Score) -> None:
        """Write what has gathered. Raises BrokenPipeError when nobody reads any more."""
        lines, self._lines = self._lines, []
        if lines:
            print(*lines, sep="\n", file=self._out, flush=True)

    def sum_up(self, score: Score, *, metrics: str) -> None:
        """Write the counts, what is missing, and the verdict."""
        self.say("")
        self._lines += [f"{name:<20} {value}" for name, value in counts(score)]
        self._lines.append(f"{'metrics were at':<20} {metrics}")
        self._lines += complaints(score)
        self.say(verdict(score))
        self.refresh(score)


def _read(passage: Passage) -> str:
    tried = "1 attempt" if passage.attempts == 1 else f"{passage.attempts} attempts"
    return f"READ   {_what(passage)} {tried}, {passage.took:.2f} s: {passage.preview}"


def _failed(passage: Passage) -> str:
    return f"failed {_what(passage)} attempt {passage.attempts}: {passage.failure}"


def _what(passage: Passage) -> str:
    return f"{passage.message_id} {passage.conversation:<7} {passage.category:<23}"
