"""Dead letters as they are printed: as they come for programs, in a table for a person."""

import sys
import time
from collections.abc import Sequence

import click

from relay.admin.answers import to_json
from relay.commands.printing import print_note, print_table
from relay.model.admin import DeadLetter
from relay.model.times import moment

SHOWN = 20
"""What a person is shown of what was acted on, half a screen; programs get all of it."""

_COLUMNS = ("died", "message", "endpoint", "category", "attempts", "reason", "status", "detail")


class Sheet:
    """Prints batches of dead letters, of which there may be millions, and how many they were.

    With `holds` a table on a terminal waits for the end, so that a progress bar has the screen.
    """

    def __init__(self, *, as_json: bool, holds: bool = False) -> None:
        self.count = 0
        self._as_json = as_json
        self._holds = holds and sys.stdout.isatty()
        self._held: list[DeadLetter] = []

    def add(self, letters: Sequence[DeadLetter]) -> None:
        """Print some more, or keep them until the end."""
        if self._as_json:
            for letter in letters:
                document = to_json(letter)
                click.echo('{"dead_letters": [' if self.count == 0 else ",", nl=False)
                click.echo(f"\n  {document}", nl=False)
                self.count += 1
            return
        self.count += len(letters)
        if self._holds:
            self._held += letters[: SHOWN - len(self._held)]
        else:
            _print(letters)

    def end(self, cursor: str | None = None) -> None:
        """Print what is left to print."""
        if self._as_json:
            head = "" if self.count else '{"dead_letters": ['
            rest = f'"{cursor}"' if cursor else "null"
            click.echo(f'{head}\n], "count": {self.count}, "next_cursor": {rest}}}')
            return
        if self._held or not self.count:
            _print(self._held)
        if self._holds and self.count > len(self._held):
            print_note(f"and {self.count - len(self._held)} more")
        if cursor:
            print_note(f"there may be more: --cursor {cursor}, --limit N or --all")


def _print(letters: Sequence[DeadLetter]) -> None:
    now = time.time()
    print_table(_COLUMNS, [_row(letter, now) for letter in letters])


def _row(letter: DeadLetter, now: float) -> tuple[str, ...]:
    return (
        moment(letter.ended_at, now),
        letter.message_id,
        str(letter.endpoint),
        letter.category,
        str(letter.attempts),
        letter.reason if letter.replay is None else f"{letter.reason}, replay {letter.replay}",
        "-" if letter.status is None else str(letter.status),
        letter.detail or "-",
    )
