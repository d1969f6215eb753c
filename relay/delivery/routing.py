"""Which endpoints a message is owed to, and in which lane it waits there. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from relay.model.journal import Arrival, Owed
from relay.model.messages import EndpointKey, Message
from relay.model.replays import Pick


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint's filters; an empty one lets everything through."""

    endpoint: EndpointKey
    required: bool = True
    categories: tuple[str, ...] = ()
    conversations: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()

    def wants(self, message: Message) -> bool:
        """Say whether the endpoint is owed the message: all of its filters must agree."""
        return (
            (not self.conversations or self.wants_conversation(message.conversation_id))
            and (not self.users or self.wants_user(message.user_id))
            and (not self.categories or self.wants_category(message.category))
        )

    def wants_conversation(self, conversation_id: str) -> bool:
        """Say whether this filter alone lets a message through."""
        return not self.conversations or conversation_id in self.conversations

    def wants_user(self, user_id: str) -> bool:
        """Say whether this filter alone lets a message through."""
        return not self.users or user_id in self.users

    def wants_category(self, category: str) -> bool:
        """Say whether this filter alone lets a message through."""
        return not self.categories or any(
            fnmatchcase(category, pattern) for pattern in self.categories
        )


@dataclass(frozen=True, slots=True)
class Routing:
    """One bot's routes and what it does with a message that nobody wants."""

    routes: Sequence[Route]
    by_conversation: bool = True
    unwanted_read: bool = True

    def arrival(
        self,
        message: Message,
        reserve: Callable[[EndpointKey, str], bool] = lambda _key, _lane: False,
    ) -> Arrival:
        """Say what is owed of a message; `reserve` keeps a place in an endpoint's lane, if it can.

        With ordering by conversation a lane is one conversation, else every message has its own.
        """
        lane = self._lane(message)
        owed = tuple(
            [
                Owed(route.endpoint, lane, route.required, reserve(route.endpoint, lane))
                for route in self.routes
                if route.wants(message)
            ]
        )
        return Arrival(message, owed, self.unwanted_read)

    def pick(self, endpoint: EndpointKey) -> Pick:
        """Say of a message that came before in which lane an endpoint wants it now, if it does."""
        routes = [route for route in self.routes if route.endpoint == endpoint]

        def pick(message: Message) -> str | None:
            return self._lane(message) if any(each.wants(message) for each in routes) else None

        return pick

    def _lane(self, message: Message) -> str:
        lane = message.conversation_id if self.by_conversation else message.message_id
        return lane or message.message_id
