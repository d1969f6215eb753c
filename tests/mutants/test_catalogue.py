"""The catalogue keeps up with the product: `make mutants` is only worth what still applies."""

from collections import Counter
from pathlib import Path

import pytest

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Mutant

ROOT = Path(__file__).parents[2]
PARTS = (
    "dispatcher",
    "lanes",
    "intake",
    "breaker",
    "retry",
    "outbox",
    "isolation",
    "writer",
    "maintenance",
    "bot",
    "supervisor",
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_applies(mutant: Mutant) -> None:
    """Its text is in the product once, what it makes of it is Python, and its tests exist."""
    text = (ROOT / mutant.file).read_text()
    mutated = mutant.apply(text)
    assert text != mutated
    compile(mutated, mutant.file, "exec")
    assert [] == [test for test in mutant.tests if not (ROOT / test).is_file()]


def test_names_are_unique() -> None:
    """A mutant is known by its name."""
    assert [] == [name for name, count in Counter(m.name for m in MUTANTS).items() if count > 1]


def test_every_part_of_the_core_has_mutants() -> None:
    """No file of the core goes unbroken."""
    broken = {Path(mutant.file).stem for mutant in MUTANTS}
    assert set() == {*PARTS, "verdict", "rules", "outcomes"} - broken
    assert "relay/journal/lanes.py" in {mutant.file for mutant in MUTANTS}  # a namesake is in PARTS
