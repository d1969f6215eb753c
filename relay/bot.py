"""One bot's branch of the service: its socket, its intake, its endpoints, its receipts."""

from contextlib import AsyncExitStack
from dataclasses import dataclass

from relay import __version__
from relay.blaze.acknowledger import MixinAcknowledger
from relay.blaze.api import MixinApi
from relay.blaze.credentials import Credentials
from relay.blaze.encryption import Decryptor
from relay.blaze.listener import Listener
from relay.blaze.transport import open_session
from relay.config import Bot, Endpoint
from relay.config.policies import breaker_policy, retry_policy, routing
from relay.delivery.breaker import BreakerPolicy, CircuitBreaker
from relay.delivery.dispatcher import Dispatcher
from relay.delivery.intake import Intake
from relay.delivery.outcomes import Outcomes
from relay.delivery.terms import Neighbours, Terms
from relay.model.journal import EndpointNote
from relay.model.messages import BreakerState, EndpointKey, Message
from relay.model.ports import Clock, Journal
from relay.receipts.outbox import Outbox
from relay.roster import Make
from relay.telemetry.events import Telemetry
from relay.webhook.address_guard import AddressGuard
from relay.webhook.connections import Line
from relay.webhook.courier import Courier, Destination
from relay.webhook.envelope import Envelopes, build_envelope
from relay.webhook.exchange import Sender

USER_AGENT = f"blaze-relay/{__version__}"


@dataclass(frozen=True, slots=True)
class House:
    """What all branches share."""

    journal: Journal
    outcomes: Outcomes
    guard: AddressGuard
    telemetry: Telemetry
    clock: Clock
    wall: Clock


@dataclass(frozen=True, slots=True)
class Branch:
    """One bot's parts, put together and ready to run."""

    listener: Listener
    intake: Intake
    outbox: Outbox
    dispatchers: dict[EndpointKey, Dispatcher]
    fittings: "Fittings"


async def grow(bot: Bot, house: House, closing: AsyncExitStack) -> Branch:
    """Put one bot's parts together; what must be closed in the end goes onto `closing`."""
    http = await closing.enter_async_context(open_session(user_agent=USER_AGENT))
    api = MixinApi(http, [url.text for url in bot.api_url], bot.keystore, clock=house.wall)
    credentials = Credentials(bot.name, api, house.telemetry)
    outbox = Outbox(
        bot.name,
        house.journal,
        MixinAcknowledger(api, credentials),
        telemetry=house.telemetry,
        clock=house.clock,
    )
    fittings = Fittings(bot, house, outbox)
    closing.push_async_callback(fittings.close)
    dispatchers = await fittings.dispatchers()
    intake = Intake(
        bot.name,
        routing(bot),
        house.journal,
        offer=lambda delivery, *, leads: dispatchers[delivery.endpoint].offer(
            delivery, leads=leads
        ),
        receipt_owed=outbox.receipt_owed,
        telemetry=house.telemetry,
        clock=house.clock,
    )
    listener = Listener(
        bot.name,
        bot.keystore,
        [url.text for url in bot.blaze_url],
        http=http,
        inlet=intake,
        credentials=credentials,
        tell=house.telemetry,
        clock=house.wall,
    )
    return Branch(listener, intake, outbox, dispatchers, fittings)


def courier(bot: Bot, endpoint: Endpoint, sender: Sender, clock: Clock) -> Courier:
    """Make the courier of one endpoint, with envelopes of its own."""
    return _courier(bot, endpoint, sender, _envelopes(bot), clock)


class Fittings:
    """Fits out one bot's endpoints; `lines` are those in use, and closed in the end."""

    def __init__(self, bot: Bot, house: House, outbox: Outbox) -> None:
        self.lines: dict[EndpointKey, Line] = {}
        self._bot = bot
        self._house = house
        self._outbox = outbox
        self._envelopes = _envelopes(bot)

    def line(self, endpoint: Endpoint) -> Line:
        """Make connections for an endpoint, which are nobody's until they are in `lines`."""
        return Line(endpoint.target, self._house.guard, connections=endpoint.concurrency)

    def terms(self, endpoint: Endpoint, line: Line) -> Terms:
        """Say by what attempts are made and judged."""
        clock = self._house.wall
        courier = _courier(self._bot, endpoint, line.sender, self._envelopes, clock)
        return Terms(line.carrying(courier), retry_policy(endpoint))

    def maker(self, endpoint: Endpoint, line: Line) -> Make:
        """Get ready to make an endpoint's dispatcher; what can fail fails here."""
        key, terms = EndpointKey(self._bot.name, endpoint.name), self.terms(endpoint, line)
        house = self._house
        neighbours = Neighbours(
            house.journal,
            house.outcomes,
            terms.courier,
            self._outbox.receipt_owed,
            house.telemetry,
            house.clock,
        )

        def make(note: EndpointNote) -> Dispatcher:
            gate = _breaker(breaker_policy(endpoint), note)
            return Dispatcher(key, neighbours, gate=gate, retry=terms.retry, noted=note)

        return make

    async def dispatchers(self) -> dict[EndpointKey, Dispatcher]:
        """Make the dispatchers to begin with."""
        made: dict[EndpointKey, Dispatcher] = {}
        for endpoint in self._bot.endpoints:
            key = EndpointKey(self._bot.name, endpoint.name)
            self.lines[key] = self.line(endpoint)
            note = await self._house.journal.endpoint_note(key)
            made[key] = self.maker(endpoint, self.lines[key])(note)
        return made

    async def close(self) -> None:
        """Drop all connections."""
        for line in self.lines.values():
            await line.close()


def _courier(
    bot: Bot, endpoint: Endpoint, sender: Sender, envelopes: Envelopes, clock: Clock
) -> Courier:
    destination = Destination(
        EndpointKey(bot.name, endpoint.name),
        endpoint.target,
        signer=endpoint.signer,
        headers=endpoint.request_headers(),
        timeout=endpoint.timeout,
        connect_timeout=endpoint.connect_timeout,
    )
    return Courier(
        destination,
        sender,
        envelopes,
        app_id=bot.keystore.app_id,
        version=__version__,
        clock=clock,
    )


def _envelopes(bot: Bot) -> Envelopes:
    decrypt = Decryptor(bot.keystore)

    def build(message: Message) -> bytes:
        app_id = bot.keystore.app_id
        return build_envelope(message, bot_name=bot.name, app_id=app_id, decrypt=decrypt)

    return Envelopes(build)


def _breaker(policy: BreakerPolicy, note: EndpointNote) -> CircuitBreaker:
    return CircuitBreaker(
        policy,
        paused=note.state is BreakerState.PAUSED,
        gone=note.state is BreakerState.GONE,
        gone_since=note.gone_since,
    )
