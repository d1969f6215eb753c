"""Why an endpoint is not owed a message. Pure."""

from relay.delivery.routing import Route
from relay.model.admin import MessageSummary


def left_out(route: Route, summary: MessageSummary) -> str:
    """Say why a configured endpoint has no delivery of a message: by today's filter, or not."""
    where = route.endpoint
    if not route.wants_category(summary.category):
        patterns = ", ".join(route.categories)
        return f"{where} is not owed it: {summary.category} is none of its categories ({patterns})."
    if not route.wants_conversation(summary.conversation_id):
        return f"{where} is not owed it: its filter leaves the conversation out."
    if not route.wants_user(summary.user_id):
        return f"{where} is not owed it: its filter leaves the user {summary.user_id} out."
    return (
        f"{where} is not owed it, although its filter would let it through: the endpoint or the "
        "filter came into the settings after the message."
    )
