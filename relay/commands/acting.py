"""Acts on dead letters, some at a time, and shows how far it has come."""

import asyncio
import time
from dataclasses import replace

from relay.admin.batches import Act, in_batches
from relay.commands.failure import Failure
from relay.commands.printing import print_note
from relay.commands.progress import progress
from relay.commands.sheet import Sheet
from relay.model.admin import AdminStore, DeadLetterQuery
from relay.model.ports import JournalDamaged, JournalUnavailable

_SHARE = 0.5
"""Between two batches the journal is left to the relay for this part of the time that one took."""


class Acting:
    """One command that changes dead letters; `done` is the word for what it does to them."""

    def __init__(self, desk: AdminStore, done: str, *, as_json: bool) -> None:
        self._desk = desk
        self._done = done
        self._as_json = as_json

    async def on(self, query: DeadLetterQuery, act: Act) -> set[str]:
        """Act on what a query asks for as it is now; answers with the ids if the query names some.

        Raises `Failure` if the journal fails half-way, and says how far it came.
        """
        sheet = Sheet(as_json=self._as_json, holds=True)
        acted: set[str] = set()
        try:
            await self._act(query, act, sheet, acted)
        except (JournalUnavailable, JournalDamaged) as error:
            came = f"{sheet.count} {self._done} before that; the same again goes on from there"
            raise Failure(f"journal {error}; {came}") from None
        finally:  # what is done is told, also after Ctrl-C
            sheet.end()
            if not self._as_json:
                soon = "a running relay takes notice within 5 seconds"
                print_note(f"{sheet.count} {self._done}; {soon}")
        return acted

    async def _act(self, query: DeadLetterQuery, act: Act, sheet: Sheet, acted: set[str]) -> None:
        named = query.message_ids is not None
        if query.message_ids is not None:  # there may be more than one statement takes
            total = len(set(query.message_ids))
        else:
            total = await self._desk.count_dead_letters(query)
        meant = min(total, query.limit or total)
        # What dies again while this goes on is not what was meant.
        most = query.limit if named else meant
        with progress(self._done, meant) as advance:
            began = time.monotonic()
            async for letters in in_batches(act, replace(query, limit=most)):
                sheet.add(letters)
                advance(len(letters))
                if named:
                    acted.update(letter.message_id for letter in letters)
                await asyncio.sleep(_SHARE * (time.monotonic() - began))
                began = time.monotonic()
