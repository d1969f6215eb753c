"""The settings: what there is to set, its kind, its default, and what must hold between them.

To add one: a line here, which says its variable and whether a reload follows it, too; a place in
docs/reference.md and in the chart's schema, which tests ask for; and its use.
"""

import os
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

from relay.blaze.keystore import Keystore
from relay.config import fields as of
from relay.config.addresses import Listen, Url, is_public, parse_url
from relay.config.draft import KeyPath, Tree
from relay.config.secrets import KeyFile, Secret
from relay.config.sections import Section, named, nested, setting
from relay.journal.encryption.keys import Keyring
from relay.model.ports import Recovery
from relay.model.times import duration_text
from relay.net.proxies import ENVIRONMENT, Proxied, Proxy, proxy_of
from relay.webhook.exchange import Target, TlsSettings
from relay.webhook.signature import Signer

SHORTEST_RETENTION = 8 * 86_400.0
"""Mixin pushes an unread message for 7 days; whoever forgets it earlier posts it twice."""

SHORTEST_TOKEN = 16
"""Characters; what is shorter can be guessed by asking again and again."""

_AUTHORIZATION = "authorization"


class LogLevel(StrEnum):
    """What is logged, and what is worse."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How a line looks: for machines or for people."""

    JSON = "json"
    CONSOLE = "console"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry(Section):
    """When a delivery is tried again and when it is given up; seconds."""

    first: float = setting(of.POSITIVE_DURATION, default=1.0)
    max: float = setting(of.POSITIVE_DURATION, default=600.0)
    give_up_after: float = setting(of.POSITIVE_DURATION, default=72 * 3600.0)
    rejected_attempts: int = setting(of.COUNT, default=10)

    @classmethod
    def check(cls, tree: Tree, values: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:  # noqa: ARG003 - as Section has it
        """Check that the longest wait is not shorter than the first."""
        first = values.get("first", 0.0)
        if values.get("max", first) < first:
            yield ("max",), f"expected at least retry.first, which is {duration_text(first)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker(Section):
    """The circuit breaker: when an endpoint is left alone for a while; seconds."""

    open_after: int = setting(of.COUNT, default=5)
    probe_max: float = setting(of.POSITIVE_DURATION, default=60.0)
    gone_confirm: float = setting(of.DURATION, default=60.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls(Section):
    """Whom an endpoint's certificate is trusted by, and who we are to it."""

    ca_file: Path | None = setting(of.FILE, default=None)
    client_cert_file: Path | None = setting(of.FILE, default=None)
    client_key_file: Path | None = setting(of.FILE, default=None)

    @classmethod
    def check(cls, tree: Tree, values: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:  # noqa: ARG003 - as Section has it
        """Check that every file can be loaded, and that a certificate has its key."""
        authorities, certificate, key = (
            values.get(name) for name in ("ca_file", "client_cert_file", "client_key_file")
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if authorities is not None:
            try:
                context.load_verify_locations(cafile=authorities)
            except (OSError, ValueError):
                yield ("ca_file",), "expected a readable PEM file of certificates"
        if (key is None) != (certificate is None):
            yield ("client_key_file",), "expected client_cert_file and client_key_file together"
        elif certificate is not None:
            try:
                context.load_cert_chain(certificate, key, password=lambda: b"")  # never ask
            except (OSError, ValueError):
                text = "expected readable PEM files of a certificate and its key, no password"
                yield ("client_key_file",), text


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint(Section):
    """One webhook of one bot."""

    name: str = setting(of.NAME)
    allow_plaintext: bool = setting(of.FLAG, default=False)
    url: Url = setting(of.WEBHOOK_URL, repr=False)
    signer: Signer | None = setting(
        of.SIGNER,
        default=None,
        key="secret",
        repr=False,
        variable="RELAY_WEBHOOK_SECRET",
        file=True,
    )
    required: bool = setting(of.FLAG, default=True)
    begin: Begin = setting(of.choice(Begin), default=Begin.NOW, key="from")
    categories: tuple[str, ...] = setting(of.CATEGORIES, default=("*",))
    conversations: tuple[str, ...] = setting(of.UUIDS, default=())
    users: tuple[str, ...] = setting(of.UUIDS, default=())
    bearer_token: Secret | None = setting(of.TOKEN, default=None, file=True)
    back_token: Secret | None = setting(of.TOKEN, default=None, file=True)
    headers: tuple[tuple[str, Secret], ...] = setting(of.HEADERS, default=())
    timeout: float = setting(of.POSITIVE_DURATION, default=15.0)
    connect_timeout: float = setting(of.POSITIVE_DURATION, default=5.0)
    concurrency: int = setting(of.COUNT, default=16)
    retry: Retry = setting(nested(Retry), default=Retry())
    breaker: Breaker = setting(nested(Breaker), default=Breaker(), old_key="gate")
    tls: Tls = setting(nested(Tls), default=Tls())
    proxy: Proxied = setting(of.PROXY, default=None)

    @classmethod
    def check(cls, tree: Tree, values: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
        """Check that plaintext is meant, that a proxy is one, and one authorization at most."""
        url = values.get("url")
        public = isinstance(url, Url) and url.plaintext and is_public(url.host)
        if public and not values.get("allow_plaintext", True):
            yield ("url",), "expected https:// for a public host, or allow_plaintext: true"
        if values.get("proxy") == ENVIRONMENT and isinstance(url, Url):
            try:
                _proxy_of(ENVIRONMENT, Target.parse(url.text))
            except ValueError as none:
                yield ("proxy",), f"what the variables name is none; {none}"
        headers = tree.get("headers")
        for name in headers if isinstance(headers, dict) else ():
            if name.lower() == _AUTHORIZATION and _authorized_otherwise(tree):
                text = "expected none, since a bearer token or the URL's user takes its place"
                yield ("headers", name), text

    @property
    def target(self) -> Target:
        """Where requests go, and by which proxy: the URL taken apart, and the TLS files."""
        files = {key: path and str(path) for key, path in self.tls.values().items()}
        target = Target.parse(self.url.text, TlsSettings(**files))
        return replace(target, proxy=_proxy_of(self.proxy, target))

    def request_headers(self) -> dict[str, str]:
        """Give the headers that every request has beside the relay's own; they hold secrets."""
        headers = {name: value.get_secret_value() for name, value in self.headers}
        if self.bearer_token is not None:
            headers[_AUTHORIZATION] = f"Bearer {self.bearer_token.get_secret_value()}"
        return headers


def _proxy_of(proxied: Proxied, target: Target) -> Proxy | None:
    return proxy_of(proxied, os.environ, target.scheme, target.host, target.port)


def _authorized_otherwise(endpoint: Tree) -> bool:
    netloc = str(endpoint.get("url", "")).partition("://")[2].partition("/")[0]
    return "@" in netloc or "bearer_token" in endpoint or "bearer_token_file" in endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Bot(Section):
    """One Mixin app and the webhooks that its messages go to."""

    name: str = setting(of.NAME)
    keystore: Keystore = setting(of.KEYSTORE, variable="RELAY_KEYSTORE", file=True)
    blaze_url: tuple[Url, ...] = setting(
        of.BLAZE_URLS,
        default=(parse_url("wss://blaze.mixin.one/", ("wss",)),),
        variable="RELAY_BLAZE_URL",
    )
    api_url: tuple[Url, ...] = setting(
        of.API_URLS,
        default=(parse_url("https://api.mixin.one", ("https",)),),
        variable="RELAY_API_URL",
    )
    ordering: Ordering = setting(of.choice(Ordering), default=Ordering.CONVERSATION)
    unwanted: Unwanted = setting(of.choice(Unwanted), default=Unwanted.READ, live=True)
    proxy: Proxied = setting(of.PROXY, default=ENVIRONMENT)
    endpoints: tuple[Endpoint, ...] = setting(named("at least one webhook", Endpoint))

    def proxy_to(self, scheme: str, host: str, port: int) -> Proxy | None:
        """Say which proxy leads to a host of Mixin's; raises `ValueError` if it is none."""
        return proxy_of(self.proxy, os.environ, scheme, host, port)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(Section):
    """All of the settings; durations in seconds. `doubts` are warnings that reading brought up."""

    listen: Listen = setting(of.LISTENING, default=Listen("0.0.0.0", 8080), variable="RELAY_LISTEN")  # noqa: S104 - probes and scrapes come from outside the container
    journal: str = setting(of.JOURNAL, default="sqlite:///relay.db", variable="RELAY_JOURNAL")
    journal_key_file: KeyFile | None = setting(
        of.JOURNAL_KEY_FILE, default=None, variable="RELAY_JOURNAL_KEY_FILE"
    )
    journal_recovery: Recovery = setting(
        of.choice(Recovery), default=Recovery.REFUSE, variable="RELAY_JOURNAL_RECOVERY"
    )
    drain_timeout: float = setting(of.DURATION, default=25.0, live=True)
    ready_grace: float = setting(of.DURATION, default=30.0)
    retention: float = setting(
        of.duration(SHORTEST_RETENTION, expected="a duration of at least 8d"),
        default=SHORTEST_RETENTION,
    )
    blocked_networks: tuple[IPv4Network | IPv6Network, ...] = setting(of.NETWORKS, default=())
    admin_token: Secret | None = setting(
        of.TOKEN, default=None, variable="RELAY_ADMIN_TOKEN", file=True
    )
    log_level: LogLevel = setting(
        of.choice(LogLevel), default=LogLevel.INFO, variable="RELAY_LOG_LEVEL"
    )
    log_format: LogFormat | None = setting(
        of.choice(LogFormat), default=None, variable="RELAY_LOG_FORMAT"
    )
    bots: tuple[Bot, ...] = setting(
        named("a list of bots, or RELAY_KEYSTORE_FILE and RELAY_WEBHOOK_URLS", Bot)
    )
    doubts: tuple[str, ...] = field(default=(), repr=False, compare=False)

    @classmethod
    def check(cls, tree: Tree, values: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:  # noqa: ARG003 - as Section has it
        """Check that no receiver has the admin's token, and that every app has one bot."""
        admin, first = values.get("admin_token"), dict[str, str]()
        for bot in values.get("bots", ()):
            for endpoint in bot.endpoints:
                if admin is not None and endpoint.back_token == admin:
                    text = "has the admin_token as its back_token; expected one of its own"
                    yield ("bots",), f"{bot.name}/{endpoint.name} {text}"
            # Two bots of one app would each mark READ what the other still has to deliver.
            taken = first.setdefault(bot.keystore.app_id, bot.name)
            if taken != bot.name:
                text = f"{taken} and {bot.name} are the same app; expected one bot for each app"
                yield ("bots",), f"{text}, with several endpoints where needed"

    @property
    def warnings(self) -> tuple[str, ...]:
        """What works but may not be meant, one line each."""
        unsigned = (
            f"{bot.name}/{endpoint.name} is unsigned: its receiver can't tell who posts"
            for bot in self.bots
            for endpoint in bot.endpoints
            if endpoint.signer is None
        )
        return (*self.doubts, *self._guessable(), *self._idle(), *self._unproxied(), *unsigned)

    def _unproxied(self) -> Iterator[str]:
        for bot in self.bots:
            try:
                bot.proxy_to("https", "api.mixin.one", 443)
            except ValueError as none:
                yield f"{bot.name} goes to Mixin without the proxy of the environment; {none}"

    def _guessable(self) -> Iterator[str]:
        tokens = {"admin_token": self.admin_token} | {
            f"back_token of {bot.name}/{endpoint.name}": endpoint.back_token
            for bot in self.bots
            for endpoint in bot.endpoints
        }
        for name, token in tokens.items():
            if token is not None and len(token.get_secret_value()) < SHORTEST_TOKEN:
                yield f"{name} can be guessed; expected {SHORTEST_TOKEN} characters or more"

    def _idle(self) -> Iterator[str]:
        if self.journal_keys is not None and self.journal_file is None:
            yield f"journal_key_file seals nothing: {self.journal} is never on a disk"

    @property
    def journal_file(self) -> Path | None:
        """Where the journal is; None if it lives in memory."""
        path = self.journal.removeprefix(of.SQLITE)
        return Path(path) if path != self.journal else None

    @property
    def journal_keys(self) -> Keyring | None:
        """The keys that what people wrote is sealed with in the journal; None if it is not."""
        return None if self.journal_key_file is None else self.journal_key_file.keys
