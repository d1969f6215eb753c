"""Keeps what messages count, and what follows from it: `rules.py` applied, for many at once."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from relay.journal.number_lists import is_in, numbers
from relay.journal.rules import COUNTS, judged
from relay.journal.statements import Connection
from relay.model.messages import MessageOutcome

_THESE = is_in("seq", "seqs")
_ENDED = f"""
  UPDATE messages SET {judged("(open - :ended)", "(holding - :released)", "ends_as")}
  WHERE {_THESE} RETURNING seq, holding = 0 AND receipt = 'owed' AS owed, outcome
"""
_ENDED_DEAD = f"""
  UPDATE messages SET {judged("(open - :ended)", "(holding - :released)", "'dead'")}
  WHERE {_THESE} RETURNING seq, 0 AS owed, outcome
"""
_BEFORE = f"SELECT seq, outcome FROM messages WHERE {_THESE}"
_COUNTED_ANEW = f"""
  UPDATE messages SET {judged("counted.open", "counted.holding", "counted.ends_as")}
  FROM ({COUNTS}) AS counted WHERE messages.seq = counted.number
  RETURNING seq, bot, outcome
"""
_TALLY = """
  INSERT INTO tallies (bot, received, finished) VALUES (?, ?, ?)
  ON CONFLICT (bot) DO UPDATE SET
    received = tallies.received + excluded.received, finished = tallies.finished + excluded.finished
"""

OUTCOMES = {outcome.value: outcome for outcome in MessageOutcome}


@dataclass(slots=True)
class Tallies:
    """What was received and what finished in a transaction, by bot, to be added to the books."""

    received: Counter[str] = field(default_factory=Counter)
    finished: Counter[str] = field(default_factory=Counter)

    def write(self, connection: Connection) -> None:
        """Add it."""
        bots = sorted(self.received.keys() | self.finished.keys())
        if bots:
            counts = [(bot, self.received[bot], self.finished[bot]) for bot in bots]
            connection.many(_TALLY, counts)


class Ended(NamedTuple):
    """What attempts did to a message: deliveries `ended`, of which required ones were taken.

    `dead` says that a required one became a dead letter.
    """

    ended: int
    released: int
    dead: bool

    def and_(self, other: "Ended") -> "Ended":
        """Add what else has ended of it."""
        return Ended(
            self.ended + other.ended, self.released + other.released, self.dead or other.dead
        )


class Change(NamedTuple):
    """What became of a message: whether it is owed READ now, and its outcome if it is finished."""

    owed: bool
    outcome: str | None


class Judged(NamedTuple):
    """A message that was counted anew: its outcome `before`, and now."""

    seq: int
    bot: str
    before: str | None
    outcome: str | None


def subtract(connection: Connection, ended: Mapping[int, Ended], now: float) -> dict[int, Change]:
    """Subtract what has ended from the counts of messages by `seq`; answers with what follows."""
    alike: dict[Ended, list[int]] = {}
    for seq, what in ended.items():
        alike.setdefault(what, []).append(seq)
    changes: dict[int, Change] = {}
    for what, seqs in alike.items():
        rows = connection.rows(
            _ENDED_DEAD if what.dead else _ENDED,
            seqs=numbers(seqs),
            ended=what.ended,
            released=what.released,
            now=now,
        )
        for seq, owed, outcome in rows:
            changes[seq] = Change(bool(owed and what.released), outcome)
    return changes


def count_anew(connection: Connection, seqs: Collection[int], now: float) -> list[Judged]:
    """Judge messages by their deliveries as they are now."""
    if not seqs:
        return []
    these = numbers(seqs)
    before = dict(connection.rows(_BEFORE, seqs=these))
    rows = connection.rows(_COUNTED_ANEW, seqs=these, now=now)
    judged_anew = [Judged(seq, bot, before[seq], outcome) for seq, bot, outcome in rows]
    tallies = Tallies()
    for each in judged_anew:
        tallies.finished[each.bot] += (each.outcome is not None) - (each.before is not None)
    tallies.write(connection)
    return judged_anew
