"""Every mutant, by the part that it breaks."""

from tests.mutants import (
    of_both_ends,
    of_damage,
    of_judging,
    of_lanes,
    of_operators,
    of_receipts,
    of_reloading,
    of_replays,
    of_sealing,
    of_the_dispatcher,
    of_the_journal,
    of_the_sender,
    of_the_wire,
)

MUTANTS = (
    *of_the_dispatcher.MUTANTS,
    *of_lanes.MUTANTS,
    *of_operators.MUTANTS,
    *of_judging.MUTANTS,
    *of_both_ends.MUTANTS,
    *of_receipts.MUTANTS,
    *of_the_journal.MUTANTS,
    *of_damage.MUTANTS,
    *of_sealing.MUTANTS,
    *of_reloading.MUTANTS,
    *of_replays.MUTANTS,
    *of_the_sender.MUTANTS,
    *of_the_wire.MUTANTS,
)
