"""Whether the outside answers: Mixin to a login, each receiver to a test event."""

import asyncio
import time
import uuid
from dataclasses import dataclass

import aiohttp
from yarl import URL

from relay.blaze.api import Answered, MixinApi, Refused, Unanswered
from relay.blaze.keystore import signed_headers
from relay.blaze.link import Patience, Socket, TurnedAway, Unreachable, dial
from relay.blaze.session import Refused as FrameRefused
from relay.blaze.session import Session
from relay.blaze.transport import Http, open_session
from relay.build import USER_AGENT, courier_to, envelopes_of, http_of
from relay.config import Bot, Endpoint, Settings
from relay.model.messages import Success
from relay.webhook.address_guard import AddressGuard
from relay.webhook.pool import PoolPolicy
from relay.webhook.sender import HttpSender

REFUSAL_WAIT = 2.0
"""Seconds. A token is refused in a frame right after the upgrade (docs/protocol.md, Tokens)."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """Whether one thing outside answers as it should; `detail` is for people, without secrets."""

    component: str
    ok: bool
    detail: str


async def connect_probes(
    settings: Settings, *, refusal_wait: float = REFUSAL_WAIT
) -> list[ProbeResult]:
    """Log in as each bot, by HTTP and on the socket, and send each endpoint a signed test event.

    All at once; the results are in the order of the settings. Nothing is asked of the socket, so
    that a running relay keeps its backlog.
    """
    guard = AddressGuard(settings.blocked_networks)
    async with open_session(user_agent=USER_AGENT) as session:
        return await asyncio.gather(
            *(
                probe
                for bot in settings.bots
                for probe in (
                    _ask_api(http_of(bot, session), bot),
                    _open_socket(http_of(bot, session), bot, refusal_wait),
                    *(_send_test(bot, endpoint, guard) for endpoint in bot.endpoints),
                )
            )
        )


async def _ask_api(http: Http, bot: Bot) -> ProbeResult:
    component = f"{bot.name}: GET /me"
    match await MixinApi(http, [url.text for url in bot.api_url], bot.keystore).me():
        case Answered(clock_skew=skew):
            return ProbeResult(component, ok=True, detail=f"logged in{_clocks(skew)}")
        case Refused(code, description, clock_skew=skew):
            detail = f"{code} {description}{_clocks(skew)}"
            return ProbeResult(component, ok=False, detail=detail)
        case Unanswered(detail):
            return ProbeResult(component, ok=False, detail=detail)


def _clocks(skew: float | None) -> str:
    """Tell the difference of the clocks, which spoils tokens when it is minutes."""
    return "" if skew is None else f"; our clock is {skew:+.0f} s off Mixin's"


async def _open_socket(http: Http, bot: Bot, refusal_wait: float) -> ProbeResult:
    """Open the socket at the first host that answers."""
    component, trouble = f"{bot.name}: socket", ""
    for url in (URL(each.text) for each in bot.blaze_url):
        now, request_id = time.time(), str(uuid.uuid4())
        headers = signed_headers(
            bot.keystore, "GET", url.raw_path_qs, b"", now=now, request_id=request_id
        )
        match await dial(http, url, headers, Patience(), now):
            case Unreachable(detail):
                trouble = f"{url.host}: {detail}"
            case TurnedAway(detail=detail):
                return ProbeResult(component, ok=False, detail=f"{url.host}: {detail}")
            case socket:
                refusal = await _refusal(socket, bot, refusal_wait)
                await socket.close()
                return ProbeResult(component, refusal is None, f"{url.host}: {refusal or 'open'}")
    return ProbeResult(component, ok=False, detail=trouble)


async def _refusal(socket: Socket, bot: Bot, seconds: float) -> str | None:
    """Wait for Mixin to refuse the token; None if it does not."""
    session = Session(bot.name, bot.keystore.app_id)
    try:
        async with asyncio.timeout(seconds):
            while True:
                frame = await socket.receive()
                if frame.type is aiohttp.WSMsgType.BINARY:
                    event = session.receive(frame.data, received_at=time.time())
                    if isinstance(event, FrameRefused):
                        return f"{event.code} {event.description}"
                elif frame.type not in (aiohttp.WSMsgType.PING, aiohttp.WSMsgType.PONG):
                    return f"closed with code {socket.close_code}"
    except TimeoutError:
        return None


async def _send_test(bot: Bot, endpoint: Endpoint, guard: AddressGuard) -> ProbeResult:
    component = f"{bot.name}/{endpoint.name}"
    sender = HttpSender(endpoint.target, guard, PoolPolicy(1))
    try:
        courier = courier_to(bot, endpoint, sender, envelopes_of(bot), time.time)
        verdict = await courier.send_test()
    finally:
        await sender.close()
    if isinstance(verdict, Success):
        return ProbeResult(component, ok=True, detail=f"answered {verdict.status}")
    status = "" if verdict.status is None else f"{verdict.status} "
    detail = f"{status}({verdict.reason}) {verdict.detail}"
    return ProbeResult(component, ok=False, detail=detail.strip())
