"""What the settings mean to the rest of the relay: routes, policies, endpoints, secrets."""

import re
from collections.abc import Iterator, Sequence
from hashlib import sha256

from relay.config.changes import endpoints_of
from relay.config.settings import Begin, Bot, Endpoint, Ordering, Settings, Unwanted
from relay.delivery.breaker import BreakerPolicy
from relay.delivery.retry import RetryPolicy
from relay.delivery.routing import Route, Routing
from relay.model.messages import EndpointKey
from relay.model.replays import EndpointInfo
from relay.net.proxies import Proxy

_SECRET_HEADER = re.compile(r"auth|cookie|key|pass|secret|sign|token", re.IGNORECASE)
"""Headers whose values are secrets, most likely; a tenant's name is none."""


def endpoint_infos(settings: Settings) -> list[EndpointInfo]:
    """Introduce every endpoint of the settings to the journal, which knows those that are new."""
    return [
        EndpointInfo(key, sha256(each.url.text.encode()).hexdigest(), each.begin is Begin.RETAINED)
        for key, each in endpoints_of(settings.bots).items()
    ]


def routing(bot: Bot) -> Routing:
    """Say which of a bot's endpoints wants what."""
    routes = [
        Route(
            key,
            required=endpoint.required,
            categories=endpoint.categories,
            conversations=frozenset(endpoint.conversations),
            users=frozenset(endpoint.users),
        )
        for key, endpoint in endpoints_of([bot]).items()
    ]
    return Routing(
        routes,
        by_conversation=bot.ordering is Ordering.CONVERSATION,
        unwanted_read=bot.unwanted is Unwanted.READ,
    )


def routes_of(settings: Settings, bot: str) -> Sequence[Route] | None:
    """Give a bot's routes; None if there is no such bot."""
    return next((routing(each).routes for each in settings.bots if each.name == bot), None)


def retry_policy(endpoint: Endpoint) -> RetryPolicy:
    """Say when an endpoint's deliveries are tried again, and when they are given up."""
    return RetryPolicy(**endpoint.retry.values())


def breaker_policy(endpoint: Endpoint) -> BreakerPolicy:
    """Say how many requests an endpoint gets, and when none."""
    return BreakerPolicy(
        concurrency=endpoint.concurrency,
        open_after=endpoint.breaker.open_after,
        probe_first=endpoint.retry.first,
        probe_max=max(endpoint.breaker.probe_max, endpoint.retry.first),
        gone_confirm=endpoint.breaker.gone_confirm,
    )


def back_tokens(settings: Settings) -> dict[EndpointKey, str]:
    """Give the tokens by which receivers say that they are back."""
    return {
        key: endpoint.back_token.get_secret_value()
        for key, endpoint in endpoints_of(settings.bots).items()
        if endpoint.back_token is not None
    }


def secrets_of(settings: Settings) -> Iterator[str]:
    """List what must never come out, wherever it turns up."""
    if settings.admin_token is not None:
        yield settings.admin_token.get_secret_value()
    for endpoint in endpoints_of(settings.bots).values():
        headers = endpoint.request_headers().items()
        yield from (value for name, value in headers if _SECRET_HEADER.search(name))
        if endpoint.target.authorization is not None:
            yield endpoint.target.authorization
        if endpoint.back_token is not None:
            yield endpoint.back_token.get_secret_value()
    proxies = [bot.proxy for bot in settings.bots]
    for proxy in (*proxies, *(each.proxy for each in endpoints_of(settings.bots).values())):
        if isinstance(proxy, Proxy) and proxy.authorization is not None:
            yield proxy.authorization
