"""The journal for those who mind its keys: what is sealed with which, and sealing it anew."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from relay.journal import endpoints, migrations
from relay.journal.encryption import rotation
from relay.journal.encryption.columns import ColumnCipher
from relay.journal.encryption.keys import Keyring
from relay.journal.encryption.rotation import SHELVES, KeyUse, Shelf
from relay.journal.sqlite.engine import Database
from relay.journal.sqlite.lock import Lock, LockHeld, refusals
from relay.model.ports import JournalUnavailable


@dataclass(slots=True)
class Resealed:
    """What came of sealing anew.

    `damaged` names rows that can't be opened and stay as they are, `unneeded` keys that seal
    nothing any more. What was there before may still be in the file's free pages if it was done
    `beside_a_relay`, or for the reason in `lingering`.
    """

    rows: int = 0
    damaged: list[str] = field(default_factory=list)
    unneeded: tuple[str, ...] = ()
    beside_a_relay: bool = False
    lingering: str = ""


class FileTools:
    """A journal and the keys that are there for it."""

    def __init__(self, database: Database, keys: Keyring | None) -> None:
        self._database = database
        self._keys = keys
        self._lock = Lock(database.path)

    def size_bytes(self) -> int:
        """Measure the files."""
        return self._database.size_bytes()

    async def uses(self) -> list[KeyUse]:
        """Count what each key seals, and, last, what is not sealed."""
        return await self._database.read(rotation.count)

    async def reseal(
        self,
        *,
        plain: bool = False,
        begin: Callable[[int], None] = lambda _: None,
        advance: Callable[[int], None] = lambda _: None,
    ) -> Resealed:
        """Seal everything with the first key, or with `plain` nothing; then write the file anew.

        Works beside a relay that seals alike, without the latter; whoever breaks off goes on by
        calling it again. `begin` and `advance` are told of rows. Raises `JournalRefused`.
        """
        cipher = ColumnCipher(self._keys, plain=plain)
        with refusals(self._database.path):
            await self._database.read(rotation.require_keys, self._keys)
            alone = self._try_to_lock()
            try:
                begin(await self._database.read(rotation.left, cipher.seals_with))
                resealed = await self._reseal(cipher, advance, alone=alone)
                if self._lock.held or self._try_to_lock():
                    resealed.lingering = await self._rewrite()
                else:
                    resealed.beside_a_relay = True
            finally:
                self._lock.release()
        return resealed

    async def back_up(self, path: Path) -> None:
        """Copy the journal into a new file for its owner's eyes only, beside a relay or without.

        A relay that starts on the copy treats all that is unfinished as it does after a crash,
        since what was delivered meanwhile is delivered again. Raises `JournalRefused`.
        """
        with refusals(path), _new_file(path):
            await self._database.copy(path)
            copy = Database(path)
            try:
                await copy.write(endpoints.interrupt)
            finally:
                await copy.close()

    async def compact(self) -> None:
        """Write the file anew while no relay runs, without the free room in it.

        From then on a relay gives back what it no longer needs. Needs as much room again for a
        while. Raises `JournalRefused`.
        """
        with refusals(self._database.path), self._lock:
            await self._database.rewrite()

    async def downgrade(self, version: str | None = None) -> str:
        """Take the schema back to an earlier version, or the one before, while no relay runs.

        Answers with the version. Raises `JournalRefused`, also if the journal holds what that one
        can't.
        """
        version = version or migrations.PREVIOUS
        with refusals(self._database.path), self._lock:
            await self._database.write(migrations.downgrade, version)
        return version

    def _try_to_lock(self) -> bool:
        """Keep relays from starting; False if one runs."""
        try:
            self._lock.take()
        except LockHeld:
            return False
        return True

    async def _reseal(
        self, cipher: ColumnCipher, advance: Callable[[int], None], *, alone: bool
    ) -> Resealed:
        resealed = Resealed()
        if not alone:
            await self._database.read(rotation.require_same_key, cipher.seals_with)
        for shelf in SHELVES:
            await self._go_through(shelf, cipher, resealed, advance, alone=alone)
        used = await self._database.read(rotation.keys_in_use)
        known = self._keys.ids if self._keys else ()
        resealed.unneeded = tuple(key for key in known if key not in {*used, cipher.seals_with})
        return resealed

    async def _go_through(
        self,
        shelf: Shelf,
        cipher: ColumnCipher,
        resealed: Resealed,
        advance: Callable[[int], None],
        *,
        alone: bool,
    ) -> None:
        after = None
        seals = cipher.seals_with
        while upto := await self._database.read(rotation.find, shelf, seals, after):
            began = time.monotonic()
            batch = await self._database.write(
                rotation.reseal, shelf, cipher, after, upto, beside_a_relay=not alone
            )
            resealed.rows += batch.done
            resealed.damaged += batch.damaged
            advance(batch.done + len(batch.damaged))
            after = upto
            if not alone:  # SQLite queues nobody: a relay that waits for its turn needs a gap
                await asyncio.sleep(time.monotonic() - began)

    async def _rewrite(self) -> str:
        """Leave nothing of what was there before in free pages; or say why something may be."""
        try:
            whole = await self._database.rewrite()
        except JournalUnavailable as unavailable:
            return str(unavailable)
        return "" if whole else "somebody else reads it"


@contextmanager
def _new_file(path: Path) -> Iterator[None]:
    """Make a file for its owner only; if what should be written into it fails, it goes again."""
    path.touch(mode=0o600, exist_ok=False)
    try:
        yield
    except BaseException:
        path.unlink()
        raise
