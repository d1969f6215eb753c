"""Frames that are no events, kept for inspection: one row per digest, and only so many of a bot."""

from relay.journal.encryption.columns import ColumnCipher
from relay.journal.encryption.keys import Kind
from relay.journal.statements import Connection
from relay.model.admin import UnreadableRecord
from relay.model.journal import UnreadableFrame

MAX_UNREADABLE = 1000
"""So many samples of a bot's frames are kept, the last seen."""

_KEEP = """
  INSERT INTO unreadable (bot, digest, why, times, first_at, last_at, sample, sealed_by)
  VALUES (:bot, :digest, :why, 1, :now, :now, :sample, :sealed_by)
  ON CONFLICT (bot, digest) DO UPDATE SET
    times = unreadable.times + 1, last_at = excluded.last_at
"""
_COUNT = "SELECT count(*) FROM unreadable WHERE bot = :bot"
_FORGET = """
  DELETE FROM unreadable WHERE bot = :bot AND digest IN (
    SELECT digest FROM unreadable WHERE bot = :bot ORDER BY last_at, digest DESC LIMIT :excess
  )
"""
_LAST_SEEN = """
  SELECT bot, digest, why, times, first_at, last_at, CAST(sample AS BLOB) AS sample, sealed_by
  FROM unreadable WHERE :bot IS NULL OR bot = :bot
  ORDER BY last_at DESC, digest, bot LIMIT :limit
"""


def keep(
    connection: Connection, bot: str, frame: UnreadableFrame, now: float, cipher: ColumnCipher
) -> None:
    """Keep a sample of a frame, or count it again; forget what was not seen for longest."""
    sample, sealed_by = cipher.seal(Kind.SAMPLE, (bot, frame.digest), frame.sample)
    connection.run(
        _KEEP,
        bot=bot,
        digest=frame.digest,
        why=frame.why,
        now=now,
        sample=sample,
        sealed_by=sealed_by,
    )
    excess = connection.value(_COUNT, bot=bot) - MAX_UNREADABLE
    if excess > 0:
        connection.run(_FORGET, bot=bot, excess=excess)


def last_seen(
    connection: Connection, bot: str | None, limit: int, cipher: ColumnCipher
) -> list[UnreadableRecord]:
    """List them, of one bot or of all, the last seen first."""
    return [
        UnreadableRecord(
            row.bot,
            row.digest,
            row.why,
            row.times,
            row.first_at,
            row.last_at,
            cipher.show(Kind.SAMPLE, (row.bot, row.digest), row.sample, row.sealed_by),
        )
        for row in connection.rows(_LAST_SEEN, bot=bot, limit=limit)
    ]
