"""The settings, valid and whole: what the rest of the relay is given."""

import ssl
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    PrivateAttr,
    ValidationInfo,
    field_validator,
)

from relay.config.addresses import Listen, Url, is_public, parse_url
from relay.config.durations import duration_text
from relay.config.fields import (
    SQLITE,
    ApiUrls,
    BlazeUrls,
    Category,
    CertificateFile,
    Count,
    Duration,
    Flag,
    HeaderName,
    HeaderValue,
    Journal,
    JournalKeyFile,
    KeystoreText,
    Listening,
    Name,
    SecretFile,
    SigningSecret,
    Token,
    Uuid,
    WebhookUrl,
)
from relay.journal.encryption.keys import Keyring
from relay.model.ports import Recovery
from relay.telemetry.logs import LogFormat
from relay.webhook.exchange import Target, TlsSettings

_DAY = 86_400.0
SHORTEST_RETENTION = 8 * _DAY
"""Mixin pushes an unread message for 7 days; whoever forgets it earlier posts it twice."""

SHORTEST_ADMIN_TOKEN = 16
"""Characters; what is shorter can be guessed by asking again and again."""


class LogLevel(StrEnum):
    """What is logged, and what is worse."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Ordering(StrEnum):
    """What waits for what: a conversation's messages for one another, or nothing."""

    CONVERSATION = "conversation"
    NONE = "none"


class Unwanted(StrEnum):
    """What becomes of a message that every endpoint's filter excludes."""

    READ = "read"
    LEAVE = "leave"


class Begin(StrEnum):
    """What an endpoint gets that is new in the settings: what comes, or what is still there too."""

    NOW = "now"
    RETAINED = "retained"


class Section(BaseModel):
    """A mapping of the settings file: frozen, and closed to keys that nobody knows."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, arbitrary_types_allowed=True
    )


class Retry(Section):
    """When a delivery is tried again and when it is given up; seconds."""

    first: Annotated[Duration, Field(gt=0)] = 1.0
    max: Annotated[Duration, Field(gt=0, validate_default=True)] = 600.0
    give_up_after: Annotated[Duration, Field(gt=0)] = 72 * 3600.0
    rejected_attempts: Count = 10

    @field_validator("max")
    @classmethod
    def _not_below_first(cls, value: float, info: ValidationInfo) -> float:
        first = info.data.get("first", 0.0)
        if value < first:
            raise ValueError(f"expected at least retry.first, which is {duration_text(first)}")
        return value


class Breaker(Section):
    """When an endpoint is left alone for a while; seconds."""

    open_after: Count = 5
    probe_max: Annotated[Duration, Field(gt=0)] = 60.0
    gone_confirm: Duration = 60.0


class Tls(Section):
    """Whom an endpoint's certificate is trusted by, and who we are to it."""

    ca_file: CertificateFile = None
    client_cert_file: CertificateFile = None
    client_key_file: Annotated[CertificateFile, Field(validate_default=True)] = None

    @field_validator("ca_file")
    @classmethod
    def _certificates(cls, value: Path) -> Path:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=value)
        except (OSError, ValueError):
            raise ValueError("expected a readable PEM file of certificates") from None
        return value

    @field_validator("client_key_file")
    @classmethod
    def _pair(cls, key: Path | None, info: ValidationInfo) -> Path | None:
        certificate = info.data.get("client_cert_file")
        if (key is None) != (certificate is None):
            raise ValueError("expected client_cert_file and client_key_file together")
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            try:
                context.load_cert_chain(certificate, key, password=lambda: b"")  # never ask
            except (OSError, ValueError):
                text = "expected readable PEM files of a certificate and its key, no password"
                raise ValueError(text) from None
        return key


class Endpoint(Section):
    """One webhook of one bot."""

    name: Name
    allow_plaintext: Flag = False
    url: Annotated[WebhookUrl, Field(repr=False)]
    secret_file: SecretFile = None
    signer: SigningSecret = Field(default=None, alias="secret", repr=False)
    required: Flag = True
    begin: Annotated[Begin, Field(alias="from", description="now or retained")] = Begin.NOW
    categories: Annotated[
        tuple[Category, ...],
        Field(min_length=1, description="a list of patterns such as PLAIN_TEXT, or no such key"),
    ] = ("*",)
    conversations: Annotated[
        frozenset[Uuid], Field(min_length=1, description="a list of UUIDs, or no such key")
    ] = frozenset()
    users: Annotated[
        frozenset[Uuid], Field(min_length=1, description="a list of UUIDs, or no such key")
    ] = frozenset()
    bearer_token_file: SecretFile = None
    bearer_token: Token = None
    back_token_file: SecretFile = None
    back_token: Token = None
    headers: Annotated[dict[HeaderName, HeaderValue], Field(description="a mapping of headers")] = (
        Field(default_factory=dict)
    )
    timeout: Annotated[Duration, Field(gt=0)] = 15.0
    connect_timeout: Annotated[Duration, Field(gt=0)] = 5.0
    concurrency: Count = 16
    retry: Annotated[Retry, Field(description="a mapping")] = Retry()
    gate: Annotated[Breaker, Field(description="a mapping")] = Breaker()
    tls: Annotated[Tls, Field(description="a mapping")] = Tls()

    @field_validator("url")
    @classmethod
    def _not_readable_by_all(cls, url: Url, info: ValidationInfo) -> Url:
        if url.plaintext and is_public(url.host) and not info.data.get("allow_plaintext", True):
            raise ValueError("expected https:// for a public host, or allow_plaintext: true")
        return url

    @property
    def target(self) -> Target:
        """Where requests go: the URL taken apart, the user in it, and the TLS files."""
        files = {name: path and str(path) for name, path in self.tls}
        return Target.parse(self.url.text, TlsSettings(**files))

    def request_headers(self) -> dict[str, str]:
        """Give the headers that every request carries beside the relay's own; they hold secrets."""
        headers = {name: value.get_secret_value() for name, value in self.headers.items()}
        if self.bearer_token is not None:
            headers["authorization"] = f"Bearer {self.bearer_token.get_secret_value()}"
        return headers


class Bot(Section):
    """One Mixin app and the webhooks that its messages go to."""

    name: Name
    keystore_file: SecretFile = None
    keystore: KeystoreText
    blaze_url: BlazeUrls = (parse_url("wss://blaze.mixin.one/", ("wss",)),)
    api_url: ApiUrls = (parse_url("https://api.mixin.one", ("https",)),)
    ordering: Annotated[Ordering, Field(description="conversation or none")] = Ordering.CONVERSATION
    unwanted: Annotated[Unwanted, Field(description="read or leave")] = Unwanted.READ
    endpoints: Annotated[
        tuple[Endpoint, ...], Field(min_length=1, description="at least one webhook")
    ]


class Settings(Section):
    """All of the settings; durations in seconds."""

    listen: Listening = Listen("0.0.0.0", 8080)  # noqa: S104 - probes and scrapes come from outside the container
    journal: Journal = "sqlite:///relay.db"
    journal_key_file: JournalKeyFile = None
    journal_recovery: Annotated[Recovery, Field(description="refuse or start_fresh")] = (
        Recovery.REFUSE
    )
    drain_timeout: Duration = 25.0
    ready_grace: Duration = 30.0
    retention: Annotated[
        Duration, Field(ge=SHORTEST_RETENTION, description="a duration of at least 8d")
    ] = SHORTEST_RETENTION
    blocked_networks: Annotated[
        tuple[IPvAnyNetwork, ...], Field(description="networks such as 192.0.2.0/24, in a list")
    ] = ()
    admin_token_file: SecretFile = None
    admin_token: Token = None
    log_level: Annotated[LogLevel, Field(description="debug, info, warning or error")] = (
        LogLevel.INFO
    )
    log_format: Annotated[LogFormat | None, Field(description="json or console")] = None
    bots: Annotated[
        tuple[Bot, ...],
        Field(
            min_length=1,
            description="a list of bots, or RELAY_KEYSTORE_FILE and RELAY_WEBHOOK_URLS",
        ),
    ]

    _warnings: tuple[str, ...] = PrivateAttr(default=())

    @field_validator("bots")
    @classmethod
    def _no_admin_among_receivers(
        cls, bots: tuple[Bot, ...], info: ValidationInfo
    ) -> tuple[Bot, ...]:
        """Keep apart what opens one endpoint and what opens everything."""
        admin = info.data.get("admin_token")
        for bot in bots:
            for endpoint in bot.endpoints:
                if admin is not None and endpoint.back_token == admin:
                    text = "has the admin_token as its back_token; expected one of its own"
                    raise ValueError(f"{bot.name}/{endpoint.name} {text}")
        return bots

    @field_validator("bots")
    @classmethod
    def _keystores_of_their_own(cls, bots: tuple[Bot, ...]) -> tuple[Bot, ...]:
        """Two bots of one app would each mark READ what the other still has to deliver."""
        first: dict[str, str] = {}
        for bot in bots:
            taken = first.setdefault(bot.keystore.app_id, bot.name)
            if taken != bot.name:
                text = f"{taken} and {bot.name} are the same app; expected one bot for each app"
                raise ValueError(f"{text}, with several endpoints where needed")
        return bots

    def model_post_init(self, context: Any) -> None:
        """Keep the warnings that reading brought up."""
        self._warnings = tuple(context or ())

    @property
    def warnings(self) -> tuple[str, ...]:
        """What works but may not be meant, one line each."""
        unsigned = (
            f"{bot.name}/{endpoint.name} is unsigned: its receiver can't tell who posts"
            for bot in self.bots
            for endpoint in bot.endpoints
            if endpoint.signer is None
        )
        return (*self._warnings, *self._guessable, *self._idle, *unsigned)

    @property
    def _guessable(self) -> Iterator[str]:
        tokens = {"admin_token": self.admin_token} | {
            f"back_token of {bot.name}/{endpoint.name}": endpoint.back_token
            for bot in self.bots
            for endpoint in bot.endpoints
        }
        for name, token in tokens.items():
            if token is not None and len(token.get_secret_value()) < SHORTEST_ADMIN_TOKEN:
                yield f"{name} can be guessed; expected {SHORTEST_ADMIN_TOKEN} characters or more"

    @property
    def _idle(self) -> Iterator[str]:
        if self.journal_keys is not None and self.journal_file is None:
            yield f"journal_key_file seals nothing: {self.journal} is never on a disk"

    @property
    def journal_file(self) -> Path | None:
        """Where the journal is; None if it lives in memory."""
        path = self.journal.removeprefix(SQLITE)
        return Path(path) if path != self.journal else None

    @property
    def journal_keys(self) -> Keyring | None:
        """The keys that what people wrote is sealed with in the journal; None if it is not."""
        return None if self.journal_key_file is None else self.journal_key_file.keys


SECTIONS: dict[str, type[Section]] = {
    "bots": Bot,
    "endpoints": Endpoint,
    "retry": Retry,
    "gate": Breaker,
    "tls": Tls,
}
"""Which section is under which key."""
