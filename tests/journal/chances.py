"""What may be drawn at random for a journal to do."""

from collections.abc import Callable, Collection
from functools import partial
from random import Random

from relay.model.admin import DeadLetterQuery
from relay.model.journal import Arrival, Owed
from relay.model.messages import Delivery, EndpointKey, Outcome, Reason, Rejected, Transient
from tests.journal.samples import CRM, LOG, dead, delivered, message, postponed, uuid

End = Callable[[Delivery], Outcome]

ELSE = EndpointKey("other", "crm")
ENDPOINTS = (CRM, LOG, ELSE)
BOTS = ("bot", "other")
LANES = ("a", "b'\x00\U0001f600")
VERDICTS = (
    Transient(Reason.HTTP_503, 503, pause=60.0),
    Transient(Reason.TIMEOUT, doubtful=True),
    Rejected(Reason.HTTP_4XX, 400, "no"),
)


def draw_arrival(dice: Random, number: int, configured: Collection[EndpointKey]) -> Arrival:
    """Draw a message for some of its bot's endpoints."""
    bot, lane = dice.choice(BOTS), dice.choice(LANES)
    frame = b"x" * dice.choice([0, 10, 1000])
    wishes = {key: dice.choice(["required", "required", "optional", ""]) for key in ENDPOINTS}
    owed = tuple(
        Owed(key, lane, required=wishes[key] == "required", in_window=dice.random() < 0.5)
        for key in ENDPOINTS
        if key in configured and key.bot == bot and wishes[key]
    )
    came = message(number, bot=bot, conversation=lane, frame=frame)
    return Arrival(came, owed, dice.random() < 0.5)


def draw_end(dice: Random, now: float) -> End:
    """Draw what an attempt comes to."""
    verdict = dice.choice(VERDICTS)
    wait = dice.choice([dice.randrange(20), 7200])  # the longer only if the clock is set back
    later = partial(postponed, due_at=now + wait, verdict=verdict)
    ends: list[End] = [delivered, later, partial(dead, verdict=verdict)]
    return dice.choice(ends)


def draw_query(dice: Random, now: float, seen: int) -> DeadLetterQuery:
    """Draw conditions on dead letters, none as often as any."""
    if dice.random() < 0.5:
        return DeadLetterQuery()
    some = tuple(uuid(dice.randint(1, seen + 1)) for _ in range(5))
    return DeadLetterQuery(
        message_ids=dice.choice([None, some]),
        bot=dice.choice([None, None, *BOTS]),
        endpoint=dice.choice([None, None, "crm", "log"]),
        reason=dice.choice([None, None, "http_4xx", "timeout", "removed"]),
        until=dice.choice([None, now - dice.randrange(20)]),
        limit=dice.choice([None, dice.randint(1, 3)]),
    )
