"""When READ is owed and when a message is finished: the relay's promise, and its only copy.

A message counts what of its deliveries is `open` (without end) and what is `holding` READ back
(required, and neither taken nor waived), and keeps how it finishes when nothing is open: `ends_as`.
Replays count for nothing. An attempt's end subtracts; whatever an operator or a change of endpoints
does is followed by a new count. Either way the counts then say what becomes of the message.
"""

from functools import cache

from relay.journal.number_lists import is_in
from relay.model.messages import MessageOutcome, ReceiptState

RECEIPTED = frozenset({ReceiptState.CONFIRMED.value, ReceiptState.REFUSED.value})
"""The states in which a receipt has been answered for good, unless the message comes again."""

READ, UNWANTED, DEAD = MessageOutcome.READ.value, MessageOutcome.UNWANTED.value, "dead"

MAY_BE_READ = "ends_as NOT IN ('dead', 'discarded')"
"""Nothing that a message requires was lost, so that it may still become READ by itself."""

HOLDS = "(required AND state NOT IN ('delivered', 'waived'))"
"""A delivery holds READ back."""

COUNTS = f"""
  SELECT
    seq AS number,
    sum(state = 'pending') AS open,
    sum({HOLDS}) AS holding,
    CASE
      WHEN max(required AND state = 'dead') THEN 'dead'
      WHEN max(required AND state = 'discarded') THEN 'discarded'
      WHEN max(required AND state = 'waived') THEN 'waived'
      ELSE 'read'
    END AS ends_as
  FROM deliveries WHERE {is_in("seq", "seqs")} AND replay IS NULL GROUP BY seq
"""
"""The counts of messages that are owed to somebody, from their deliveries."""


@cache
def on_arrival(
    owed: int,
    required: int,
    unwanted_read: bool,  # noqa: FBT001 - by position, for the cache
) -> tuple[str, str | None, str]:
    """Say how a new message stands: its receipt, its outcome if it is finished, its `ends_as`.

    READ is owed at once if no required endpoint is owed the message; one that nobody wants is READ
    or, as the settings say, left alone.
    """
    ends_as = READ if owed else UNWANTED
    if required:
        return ReceiptState.NONE.value, None, ends_as
    if owed or unwanted_read:
        return ReceiptState.OWED.value, None, ends_as
    return ReceiptState.NONE.value, UNWANTED, ends_as


def judged(open_: str, holding: str, ends_as: str) -> str:
    """Say in SQL what new counts make of a message: for the SET of an UPDATE, with a `:now`.

    Once nothing is open it is finished, unless its READ has still to be answered.
    """
    receipt = f"CASE WHEN receipt = 'none' AND {holding} = 0 THEN 'owed' ELSE receipt END"
    outcome = f"CASE WHEN {open_} > 0 THEN NULL WHEN {holding} > 0 THEN {ends_as}"
    outcome += f" WHEN {receipt} = 'owed' THEN NULL ELSE {OUTCOME.format(ends_as=ends_as)} END"
    return (
        f"open = {open_}, holding = {holding}, ends_as = {ends_as}, receipt = {receipt},"
        f" outcome = {outcome}, finished_at = CASE WHEN ({outcome}) IS NULL THEN NULL ELSE :now END"
    )


OUTCOME = "CASE {ends_as} WHEN 'waived' THEN 'discarded' ELSE {ends_as} END"
"""How a message finishes whose READ was answered: one that was waived is given up all the same."""


REMOVED = "removed"
"""Why a delivery is dead whose endpoint is no longer configured."""

CANCELLED = "cancelled"
"""Why a delivery of a replay is discarded that an operator cancelled."""
