"""Makes one attempt: writes the request, signs it, sends it, judges the answer."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote
from uuid import uuid4

from relay.model.messages import Delivery, EndpointKey, PriorOutcome, Verdict
from relay.model.ports import Clock
from relay.telemetry.redaction import Redactor
from relay.webhook.envelope import Envelopes, build_test_event
from relay.webhook.exchange import Request, Sender, Target, is_own_header
from relay.webhook.signature import Signer
from relay.webhook.verdict import judge

_TOKEN = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
# Of a path, a shorter part is more likely a word; the path as a whole counts in any case.
_SECRET_PART = 12
_VISIBLE = re.compile(r"[!-~]+")


class HeaderError(ValueError):
    """A configured header can't be sent. The text names the header, and never its value."""


@dataclass(frozen=True, slots=True)
class Destination:
    """An endpoint as its courier knows it; times in seconds.

    Raises `HeaderError` for headers that are not fit to be sent or are the relay's own. Whatever
    may be secret stays out of the repr.
    """

    endpoint: EndpointKey
    target: Target
    signer: Signer | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    bearer_token: str | None = field(default=None, repr=False)
    timeout: float = 15.0
    connect_timeout: float = 5.0

    def __post_init__(self) -> None:
        for name, value in self.headers.items():
            _check_header(name, value)
        if self.bearer_token is not None and not _VISIBLE.fullmatch(self.bearer_token):
            raise HeaderError("the bearer token has characters that no token has, or none at all")
        if len(self._authorizations()) > 1:
            raise HeaderError(
                "more than one of bearer token, authorization header, user in the URL"
            )

    def standing_headers(self) -> dict[str, str]:
        """Give the configured headers, names in lower case."""
        standing = {name.lower(): value for name, value in self.headers.items()}
        for authorization in self._authorizations():
            standing["authorization"] = authorization
        return standing

    def secrets(self) -> set[str]:
        """List what only the relay and the receiver know: headers, and what its URL holds."""
        path, _, query = self.target.path.partition("?")
        parts = [part for part in path.split("/") if len(part) >= _SECRET_PART]
        values = [value for value in query.split("&") for value in value.split("=")[1:]]
        known = {*self.standing_headers().values(), self.target.path, path, query, *parts, *values}
        words = (word for value in known for word in (value, unquote(value), value.split(" ")[-1]))
        return {word for word in words if word.strip("/")}

    def _authorizations(self) -> list[str]:
        configured = [v for name, v in self.headers.items() if name.lower() == "authorization"]
        if self.bearer_token is not None:
            configured.append(f"Bearer {self.bearer_token}")
        if self.target.authorization is not None:
            configured.append(self.target.authorization)
        return configured


def _check_header(name: str, value: str) -> None:
    if not _TOKEN.fullmatch(name):
        raise HeaderError(f"{name!r} is no header name")
    if is_own_header(name):
        raise HeaderError(f"the header {name} is the relay's own")
    if _CONTROL.search(value):
        raise HeaderError(f"the header {name} has control characters in it")


class Courier:
    """Makes the attempts of one endpoint (`relay.model.ports.Courier`)."""

    def __init__(
        self,
        destination: Destination,
        sender: Sender,
        envelopes: Envelopes,
        *,
        app_id: str,
        version: str,
        clock: Clock,
    ) -> None:
        self._destination = destination
        self._sender = sender
        self._envelopes = envelopes
        self._app_id = app_id
        self._clock = clock
        self._mask = Redactor(destination.secrets()).text
        self._headers = destination.standing_headers() | {
            "content-type": "application/json",
            "user-agent": f"blaze-relay/{version}",
            "relay-bot": destination.endpoint.bot,
            "relay-endpoint": destination.endpoint.name,
        }

    async def attempt(self, delivery: Delivery) -> Verdict:
        """POST the delivery once and judge the answer. Raises only cancellation."""
        message = delivery.message
        return await self._post(
            message.message_id,
            self._envelopes.of(message),
            attempt=delivery.attempts + 1,
            prior=delivery.prior_outcome,
            replay=delivery.replay is not None,
        )

    async def send_test(self) -> Verdict:
        """POST a test event, signed like a message, and judge the answer."""
        endpoint = self._destination.endpoint
        body = build_test_event(
            bot_name=endpoint.bot,
            app_id=self._app_id,
            endpoint_name=endpoint.name,
            now=self._clock(),
        )
        return await self._post(f"test_{uuid4()}", body, attempt=1, prior=PriorOutcome.NONE)

    async def _post(
        self,
        webhook_id: str,
        body: bytes,
        *,
        attempt: int,
        prior: PriorOutcome,
        replay: bool = False,
    ) -> Verdict:
        # A fresh time on each attempt: receivers refuse signatures that are minutes old.
        timestamp = int(self._clock())
        headers = self._headers | {
            "webhook-id": webhook_id,
            "webhook-timestamp": str(timestamp),
            "relay-attempt": str(attempt),
            "relay-prior-outcome": prior.value,
        }
        if replay:
            headers["relay-replay"] = "true"
        if self._destination.signer is not None:
            headers["webhook-signature"] = self._destination.signer.sign(
                webhook_id, timestamp, body
            )
        answer = await self._sender.send(
            Request(
                headers=headers,
                body=body,
                timeout=self._destination.timeout,
                connect_timeout=self._destination.connect_timeout,
            )
        )
        return judge(answer, self._clock(), self._mask)
