"""What routing promises: filters and lanes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.delivery.routing import Route, Routing
from relay.model.journal import Owed
from tests.core.samples import CRM, LOG, message


@pytest.mark.parametrize(
    ("patterns", "category", "wanted"),
    [
        ((), "ANYTHING", True),
        (("PLAIN_TEXT",), "PLAIN_TEXT", True),
        (("PLAIN_TEXT",), "PLAIN_TEXTS", False),
        (("PLAIN_TEXT",), "plain_text", False),
        (("SYSTEM_*",), "SYSTEM_ACCOUNT_SNAPSHOT", True),
        (("SYSTEM_*",), "PLAIN_TEXT", False),
        (("PLAIN_?EXT", "X"), "PLAIN_TEXT", True),
        (("[PE]*_TEXT",), "ENCRYPTED_TEXT", True),
        (("*",), "", True),
    ],
)
def test_categories_are_shell_patterns(
    patterns: tuple[str, ...], category: str, *, wanted: bool
) -> None:
    """A category is wanted if any pattern fits all of it, in the same case."""
    assert wanted is Route(CRM, categories=patterns).wants(message(1, category=category))


def test_conversations_and_users_filter() -> None:
    """Only what comes from the named conversations and users is wanted."""
    wanted = message(1, "c", user="u")
    assert Route(CRM, conversations=frozenset({"c", "d"})).wants(wanted)
    assert not Route(CRM, conversations=frozenset({"d"})).wants(wanted)
    assert Route(CRM, users=frozenset({"u"})).wants(wanted)
    assert not Route(CRM, users=frozenset({"v"})).wants(wanted)


@given(st.booleans(), st.booleans(), st.booleans())
def test_all_filters_must_agree(category: bool, conversation: bool, user: bool) -> None:  # noqa: FBT001 - drawn, not called
    """One filter that says no is enough."""
    route = Route(
        CRM,
        categories=("PLAIN_TEXT" if category else "OTHER",),
        conversations=frozenset({"c" if conversation else "d"}),
        users=frozenset({"u" if user else "v"}),
    )
    assert (category and conversation and user) is route.wants(message(1, "c", user="u"))


def test_a_message_is_owed_to_all_who_want_it() -> None:
    """Each endpoint is owed in the order of the settings, required or not."""
    routing = Routing([Route(CRM), Route(LOG, required=False)])
    owed = (Owed(CRM, "c", required=True), Owed(LOG, "c", required=False))
    assert owed == routing.arrival(message(1, "c")).owed


def test_nobody_wants_some() -> None:
    """What every filter excludes is owed to nobody, and the bot's setting says what follows."""
    routes = [Route(CRM, categories=("SYSTEM_*",))]
    for unwanted_read in (True, False):
        arrival = Routing(routes, unwanted_read=unwanted_read).arrival(message(1))
        assert ((), unwanted_read) == (arrival.owed, arrival.unwanted_read)


def test_lanes_are_conversations() -> None:
    """With ordering by conversation, one conversation is one lane."""
    routing = Routing([Route(CRM)])
    lanes = [routing.arrival(message(n, "c" if n < 3 else "d")).owed[0].lane for n in (1, 2, 3)]
    assert ["c", "c", "d"] == lanes


def test_without_ordering_every_message_has_a_lane_of_its_own() -> None:
    """Nothing waits for anything else."""
    routing = Routing([Route(CRM)], by_conversation=False)
    first, second = (message(n, "c") for n in (1, 2))
    lanes = [routing.arrival(each).owed[0].lane for each in (first, second)]
    assert [first.message_id, second.message_id] == lanes


def test_messages_without_a_conversation_do_not_wait_for_each_other() -> None:
    """No conversation is not one and the same conversation."""
    first = message(1, "")
    assert first.message_id == Routing([Route(CRM)]).arrival(first).owed[0].lane


def test_a_replay_asks_for_the_lane_of_today() -> None:
    """What an endpoint wants now goes in the lane in which it would wait now; the rest does not."""
    routes = [Route(CRM, categories=("APP_*",)), Route(LOG)]
    card, text = message(1, category="APP_CARD"), message(2, category="PLAIN_TEXT")
    in_order, free = Routing(routes), Routing(routes, by_conversation=False)
    assert card.conversation_id == in_order.pick(CRM)(card) == in_order.pick(LOG)(card)
    assert in_order.pick(CRM)(text) is None
    assert card.message_id == free.pick(CRM)(card)
