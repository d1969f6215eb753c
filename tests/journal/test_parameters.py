"""Many values as one parameter."""

import pytest

from relay.journal.parameters import padded


@pytest.mark.parametrize(("count", "length"), [(0, 0), (1, 1), (2, 2), (3, 4), (5, 8), (500, 512)])
def test_texts_are_padded_to_few_lengths(count: int, length: int) -> None:
    """What is added is there already: a statement says the same with it."""
    texts = [str(number) for number in range(count)]
    assert (length, set(texts)) == (len(padded(texts)), set(padded(texts)))
    assert texts == padded(texts)[:count]
