"""The oracle can fail: whatever it should complain of, it does, and of nothing else."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.acceptance.house import conversation
from tests.acceptance.receiver import Post
from tests.drivers.simulator_client import simulated
from tests.prove.oracle import (
    MOST_RSS,
    Era,
    Obligation,
    bloated,
    content_of,
    imbalanced,
    judge,
    late,
    misread,
    moved,
)

ONE, TWO, THREE = (
    Obligation(number, f"m{number}", conversation(1), doomed=False) for number in (1, 2, 3)
)
DOOMED = Obligation(4, "m4", conversation(1), doomed=True)
ALL = (ONE, TWO, THREE, DOOMED)
ARRIVED = {one.message_id: one.number for one in ALL}
WHOLE = Era(ARRIVED, {"crm": 0})


def post(one: Obligation, prior: str = "none", status: int | None = 200, **data: Any) -> Post:
    """Make a request for a message as it should be."""
    content = {"content": one.content, "conversation_id": one.conversation_id}
    return Post(0.0, one.message_id, 1, prior, {}, {"data": content | data}, status)


def complaints(*posts: Post, eras: Sequence[Era] = (WHOLE,), ordered: bool = True) -> list[str]:
    """Have these requests judged."""
    return list(judge(ALL, "crm", posts, eras=eras, ordered=ordered))


def test_what_is_as_it_must_be_is_praised() -> None:
    """Each once, in order, the doomed one refused: nothing to complain of."""
    assert [] == complaints(post(ONE), post(DOOMED, status=400), post(TWO), post(THREE))


def test_a_lost_message() -> None:
    """A message that was accepted and never taken is missed, also if it was tried."""
    missed = ["crm: m2 never came"]
    assert missed == complaints(post(ONE), post(THREE))
    assert missed == complaints(post(ONE), post(TWO, status=500), post(THREE))
    assert missed == complaints(post(ONE), post(TWO, status=None), post(THREE))


def test_a_message_from_nowhere() -> None:
    """A message that nobody wrote is noticed."""
    stranger = replace(post(ONE), message_id="m9")
    found = complaints(post(ONE), post(TWO), post(THREE), stranger, ordered=False)
    assert ["crm: m9 came from nowhere"] == found


@pytest.mark.parametrize(
    "change", [{"content": content_of(2)[:-1]}, {"content": None}, {"conversation_id": "other"}]
)
@pytest.mark.parametrize("status", [200, 500])
def test_a_changed_payload(change: dict[str, Any], status: int) -> None:
    """One letter less is noticed, in every request, whatever the answer."""
    posts = [post(ONE), post(TWO, status=status, **change), post(TWO, "unknown"), post(THREE)]
    assert ["crm: m2 came changed"] == complaints(*posts)


def test_disorder() -> None:
    """A later message of a conversation that was taken first is noticed, if order was promised."""
    posts = [post(TWO), post(ONE), post(THREE)]
    assert ["crm: m1 came after a later one of its conversation"] == complaints(*posts)
    assert [] == complaints(*posts, ordered=False)


def test_first_deliveries_make_the_order() -> None:
    """What comes again, or was refused before, is not out of order."""
    posts = [
        post(ONE),
        post(TWO, status=500),
        post(TWO, "failed"),
        post(ONE, "unknown"),
        post(THREE),
    ]
    assert [] == complaints(*posts)


def test_a_message_that_the_journal_never_had() -> None:
    """What is delivered must be in the journal."""
    blank = Era({"m1": 1, "m2": 2}, {"crm": 0})
    expected = ["crm: m3 came, and the journal doesn't know it"]
    assert expected == complaints(post(ONE), post(TWO), post(THREE), eras=[blank])


@pytest.mark.parametrize("prior", ["none", "failed"])
@pytest.mark.parametrize("status", [200, None])
def test_an_unannounced_duplicate(prior: str, status: int | None) -> None:
    """What was taken, or may have been, comes again as `unknown` and not otherwise."""
    first, rest = post(ONE, status=status), [post(TWO), post(THREE)]
    assert [] == complaints(first, post(ONE, "unknown"), *rest)
    assert [f"crm: m1 came again as {prior}"] == complaints(first, post(ONE, prior), *rest)


def test_a_failure_that_is_denied() -> None:
    """Nor does what failed before come as if it were the first time."""
    posts = [post(ONE, status=500), post(ONE), post(TWO), post(THREE)]
    assert ["crm: m1 came again as none"] == complaints(*posts)


# --- A journal that was lost ----------------------------------------------------------------------


def afterwards(*unread: str, begins: int = 2) -> list[Era]:
    """Say that a fresh journal began after some requests, when Mixin still held these."""
    return [WHOLE, Era({"m1": 3, "m2": 4, "m3": 5}, {"crm": begins}, frozenset(unread))]


def test_what_was_unread_may_come_again() -> None:
    """A fresh journal knows of nothing: what Mixin still holds comes as if for the first time."""
    posts = [post(ONE), post(TWO), post(TWO), post(THREE)]
    assert [] == complaints(*posts, eras=afterwards("m2", "m3"))


def test_what_was_read_may_not() -> None:
    """Mixin doesn't push what is READ; whoever delivers it again has made it up."""
    posts = [post(ONE), post(TWO), post(TWO), post(THREE)]
    assert ["crm: m2 came again, and was READ"] == complaints(*posts, eras=afterwards("m3"))


def test_it_may_come_again_only_once() -> None:
    """Within the fresh journal's time a duplicate is one."""
    posts = [post(ONE), post(TWO), post(TWO), post(TWO), post(THREE)]
    expected = ["crm: m2 came again as none"]
    assert expected == complaints(*posts, eras=afterwards("m2", "m3"))


def test_order_holds_in_each_journal() -> None:
    """Messages that are first taken with the fresh journal are in its order."""
    posts = [post(ONE), post(THREE), post(TWO)]
    second = afterwards("m2", "m3", begins=1)
    assert 1 == len(complaints(*posts, eras=second))
    assert [] == complaints(post(ONE), post(TWO), post(THREE), eras=second)


def test_a_loss_in_either_time() -> None:
    """A message that no journal's relay has delivered is lost."""
    posts = [post(ONE), post(TWO)]
    assert ["crm: m3 never came"] == complaints(*posts, eras=afterwards("m3"))


@pytest.mark.parametrize("aside", [[], ["a", "b"]])
def test_as_many_are_set_aside_as_were_damaged(aside: list[str]) -> None:
    """A damaged journal that nobody noticed is told, and a sound one that was given up."""
    assert [] == list(moved(["a", "a-shm"], 1))
    assert 1 == len(list(moved(aside, 1)))


# --- Upstream, the books and the time -------------------------------------------------------------


async def test_a_read_before_the_2xx() -> None:
    """The simulator notes each READ of a message that its receivers have not taken yet."""
    async with simulated() as (simulator, client), client.listening() as socket:
        taken = {simulator.push("taken")}
        simulator.journal.allow_read = taken.__contains__
        too_early = simulator.push("not yet")
        await socket.take_ids(2)
        await client.mark_read(*taken)
        assert [] == simulator.journal.violations
        await client.mark_read(too_early)
        assert [too_early in str(violation) for violation in simulator.journal.violations] == [True]


def test_what_nobody_took_is_unread() -> None:
    """A message that every receiver refuses is pending at Mixin to the end."""
    assert [] == list(misread(ALL, ["m4"]))
    assert ["m4 is READ and was never taken"] == list(misread(ALL, ["m3"]))


@pytest.mark.parametrize("imbalance", [1.0, -1.0])
def test_books_that_do_not_balance(imbalance: float) -> None:
    """Any imbalance is told, whichever way."""
    assert [] == list(imbalanced(0.0))
    assert [f"relay_conservation_imbalance is {imbalance:g}"] == list(imbalanced(imbalance))


def test_memory_has_a_bound() -> None:
    """However much waits, it waits in the journal."""
    assert [] == list(bloated(MOST_RSS))
    assert ["the relay takes 151 MiB"] == list(bloated(MOST_RSS + 2**20))


def test_a_drain_that_comes_late() -> None:
    """One message that is left when time is up is too many."""
    assert [] == list(late(0, 120.0))
    assert ["1 messages unread 120 s after the last fault"] == list(late(1, 120.0))
