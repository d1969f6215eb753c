"""Builds bots from their settings: here the drivers meet what they work for."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from typing import cast

import aiohttp
from yarl import URL

from relay import __version__
from relay.blaze.acknowledger import MixinAcknowledger
from relay.blaze.api import MixinApi
from relay.blaze.credentials import Credentials
from relay.blaze.encryption import Decryptor
from relay.blaze.listener import Listener
from relay.blaze.transport import Http, ProxiedHttp
from relay.bot import Bot, BotChanges, Webhook, WebhookChange
from relay.config import Bot as BotSettings
from relay.config import Endpoint
from relay.config.changes import Changes, endpoints_of
from relay.config.policies import breaker_policy, retry_policy, routing
from relay.delivery.breaker import CircuitBreaker
from relay.delivery.dispatcher import AttemptPolicy, Dispatcher
from relay.delivery.intake import Intake
from relay.journal.writer import Writer
from relay.model.journal import EndpointNote
from relay.model.messages import BreakerState, EndpointKey, Message
from relay.model.ports import Clock, Journal
from relay.net.proxies import Proxy
from relay.receipts.outbox import Outbox
from relay.telemetry.events import MixinProxied, Telemetry
from relay.webhook.address_guard import AddressGuard
from relay.webhook.courier import Courier, Destination
from relay.webhook.envelope import Envelopes, build_envelope
from relay.webhook.exchange import Sender
from relay.webhook.pool import PoolPolicy
from relay.webhook.sender import HttpSender

USER_AGENT = f"blaze-relay/{__version__}"

_NEW_CONNECTIONS = frozenset({"url", "tls", "concurrency", "proxy"})
"""Settings of an endpoint that make new connections; with others those that are open stay."""


@dataclass(frozen=True, slots=True)
class Context:
    """What the bots of a process share.

    `http` is for Mixin, `clock` what waits go by, and `wall` the time that others see.
    """

    journal: Journal
    writer: Writer
    http: aiohttp.ClientSession
    guard: AddressGuard
    telemetry: Telemetry
    clock: Clock
    wall: Clock


class BotBuilder:
    """Builds one bot, and later what is new of it in other settings."""

    def __init__(self, settings: BotSettings, context: Context) -> None:
        self._settings = settings
        self._context = context
        self._envelopes = envelopes_of(settings)

    async def build(self) -> Bot:
        """Put the bot together as the journal has left it. Raises `JournalUnavailable`."""
        bot, context = self._settings, self._context
        http = http_of(bot, context.http)
        urls = [url.text for url in bot.api_url]
        api = MixinApi(http, urls, bot.keystore, clock=context.wall)
        credentials = Credentials(bot.name, api, context.telemetry)
        outbox = Outbox(
            bot.name,
            context.journal,
            context.writer,
            MixinAcknowledger(api, credentials),
            telemetry=context.telemetry,
            clock=context.clock,
        )
        webhooks = {
            key: self._webhook(key, each, await context.journal.endpoint_note(key), outbox)
            for key, each in endpoints_of([bot]).items()
        }
        intake = Intake(
            bot.name,
            routing(bot),
            context.writer,
            webhooks,
            owe_receipt=outbox.owe,
            telemetry=context.telemetry,
        )
        listener = Listener(
            bot.name,
            bot.keystore,
            [url.text for url in bot.blaze_url],
            http=http,
            inlet=intake,
            credentials=credentials,
            tell=context.telemetry,
            clock=context.wall,
        )
        for url in (*bot.blaze_url, *bot.api_url):
            if proxy := proxy_to(bot, URL(url.text)):
                context.telemetry(MixinProxied(bot.name, url.host, proxy.url))
        return Bot(bot.name, listener=listener, intake=intake, outbox=outbox, webhooks=webhooks)

    async def changes(self, bot: Bot, settings: BotSettings, changes: Changes) -> BotChanges:
        """Build what is new of a running bot in other settings. Raises `JournalUnavailable`."""
        endpoints, journal = endpoints_of([settings]), self._context.journal
        return BotChanges(
            routing(settings),
            {
                key: self._webhook(key, each, await journal.endpoint_note(key), bot.outbox)
                for key, each in endpoints.items()
                if key in changes.added
            },
            {
                key: self._change(endpoints[key], names, bot.webhooks[key])
                for key, names in changes.changed.items()
                if key in endpoints
            },
            [key for key in changes.removed if key in bot.webhooks],
        )

    def _webhook(
        self, key: EndpointKey, endpoint: Endpoint, note: EndpointNote, outbox: Outbox
    ) -> Webhook:
        context, sender = self._context, self._sender(endpoint)
        breaker = CircuitBreaker(
            breaker_policy(endpoint),
            paused=note.state is BreakerState.PAUSED,
            gone=note.state is BreakerState.GONE,
            gone_since=note.gone_since,
        )
        dispatcher = Dispatcher(
            key,
            self._attempts(endpoint, sender),
            breaker=breaker,
            journal=context.journal,
            writer=context.writer,
            owe_receipt=outbox.owe,
            telemetry=context.telemetry,
            clock=context.clock,
            noted=note,
        )
        return Webhook(dispatcher, sender)

    def _change(
        self, endpoint: Endpoint, names: Collection[str], webhook: Webhook
    ) -> WebhookChange:
        new = None if _NEW_CONNECTIONS.isdisjoint(names) else self._sender(endpoint)
        sender = new or cast("Sender", webhook.connections)  # `_webhook` has made them
        attempts = self._attempts(endpoint, sender)
        return WebhookChange(attempts, breaker_policy(endpoint), "url" in names, new)

    def _sender(self, endpoint: Endpoint) -> HttpSender:
        return HttpSender(endpoint.target, self._context.guard, PoolPolicy(endpoint.concurrency))

    def _attempts(self, endpoint: Endpoint, sender: Sender) -> AttemptPolicy:
        wall = self._context.wall
        courier = courier_to(self._settings, endpoint, sender, self._envelopes, wall)
        return AttemptPolicy(courier, retry_policy(endpoint))


def http_of(bot: BotSettings, session: aiohttp.ClientSession) -> Http:
    """Give a bot's way to Mixin, by its proxy or by that of the environment."""
    return ProxiedHttp(session, partial(proxy_to, bot))


def proxy_to(bot: BotSettings, url: URL) -> Proxy | None:
    """Say which proxy leads a bot to a URL of Mixin's."""
    try:
        return bot.proxy_to(url.scheme, url.host or "", url.port or 0)
    except ValueError:  # the settings' warnings tell of it
        return None


def envelopes_of(bot: BotSettings) -> Envelopes:
    """Make the envelopes that a bot's endpoints share."""
    decrypt, app_id = Decryptor(bot.keystore), bot.keystore.app_id

    def build(message: Message) -> bytes:
        return build_envelope(message, bot_name=bot.name, app_id=app_id, decrypt=decrypt)

    return Envelopes(build)


def courier_to(
    bot: BotSettings, endpoint: Endpoint, sender: Sender, envelopes: Envelopes, clock: Clock
) -> Courier:
    """Make the courier of one endpoint."""
    destination = Destination(
        EndpointKey(bot.name, endpoint.name),
        endpoint.target,
        signer=endpoint.signer,
        headers=endpoint.request_headers(),
        timeout=endpoint.timeout,
        connect_timeout=endpoint.connect_timeout,
    )
    app_id = bot.keystore.app_id
    return Courier(destination, sender, envelopes, app_id=app_id, version=__version__, clock=clock)
