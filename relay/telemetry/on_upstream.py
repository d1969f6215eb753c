"""What is logged and counted of Mixin: the socket, messages as they come in, and receipts."""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from relay.telemetry import events
from relay.telemetry.events import ConnectResult, DisconnectReason
from relay.telemetry.logs import BotLoudness, Log
from relay.telemetry.metrics import CONFIRMED, REFUSED, RETRIED, Metrics, category_label

SKEW_MATTERS = 60.0
"""Seconds by which a clock may be off before it is named as the cause; tokens live for minutes."""


class OnUpstream:
    """Listens to what happens between Mixin and the journal."""

    def __init__(self, metrics: Metrics, log: Log, clock: Callable[[], float]) -> None:
        self._metrics = metrics
        self._log = log
        self._at_length = log.is_enabled_for(logging.DEBUG)
        self._loudness: defaultdict[str, BotLoudness] = defaultdict(lambda: BotLoudness(clock))

    def _on_bot_left(self, event: events.BotLeft) -> None:
        self._loudness.pop(event.bot, None)
        self._metrics.forget(event.bot)

    # --- The socket -----------------------------------------------------------------------------

    def _on_listener_started(self, event: events.ListenerStarted) -> None:
        self._metrics.last_frame[event.bot] = event.last_frame

    def _on_mixin_proxied(self, event: events.MixinProxied) -> None:
        self._log.info("blaze.proxied", **event.fields())

    def _on_connect_ended(self, event: events.ConnectEnded) -> None:
        self._metrics.connects[event.bot, event.result] += 1
        if event.result is ConnectResult.OK:
            self._metrics.connected[event.bot] = 1
            self._loudness[event.bot].unreachable.clear()
            self._log.info("blaze.connected", bot=event.bot, host=event.host)
        else:
            self._connect_failed(event)

    def _connect_failed(self, event: events.ConnectEnded) -> None:
        """Warn of a host's new error; of refused credentials another event tells."""
        loudness = self._loudness[event.bot]
        why = f"{event.result}: {event.detail}"
        news = event.result is ConnectResult.FAILED and loudness.unreachable.get(event.host) != why
        loud = news and loudness.allowance.spend()
        if loud:
            loudness.unreachable[event.host] = why
        (self._log.warning if loud else self._log.debug)("blaze.connect_failed", **event.fields())

    def _on_disconnected(self, event: events.Disconnected) -> None:
        self._metrics.connected[event.bot] = 0
        self._metrics.disconnects[event.bot, event.reason] += 1
        stopping = event.reason is DisconnectReason.STOPPING
        say = self._log.info if stopping else self._log.warning
        say("blaze.disconnected", **event.fields() | {"lasted": round(event.lasted, 3)})

    def _on_frame_unreadable(self, event: events.FrameUnreadable) -> None:
        self._metrics.unreadable[event.bot] += 1
        self._warn("frame.unreadable", **event.fields())

    def _on_request_refused(self, event: events.RequestRefused) -> None:
        self._warn("blaze.request_refused", **event.fields())

    def _on_credentials_refused(self, event: events.CredentialsRefused) -> None:
        self._log.error("blaze.credentials_refused", **event.fields(), advice=advice(event))

    def _on_takeover_suspected(self, event: events.TakeoverSuspected) -> None:
        advice = "stop one of them: another relay seems to use the same keystore"
        self._log.error("blaze.takeover_suspected", **event.fields(), advice=advice)

    def _on_session_shared(self, event: events.SessionShared) -> None:
        self._metrics.session_shared[event.bot] = event.shared
        if event.shared:
            advice = (
                "stop one of them: another relay on this machine uses the same keystore,"
                " and receivers get each message from both"
            )
            self._log.error("blaze.session_shared", bot=event.bot, advice=advice)
        else:
            self._log.info("blaze.session_alone", bot=event.bot)

    # --- Messages -------------------------------------------------------------------------------

    def _on_messages_received(self, event: events.MessagesReceived) -> None:
        kinds = Counter((each.category, each.source) for each in event.messages)
        for (category, source), count in kinds.items():
            self._metrics.received[event.bot, category_label(category), source] += count
        for each in event.messages if self._at_length else ():
            self._log.debug(
                "message.received",
                bot=event.bot,
                message_id=each.message_id,
                category=each.category,
                source=each.source,
            )

    def _on_message_duplicated(self, event: events.MessageDuplicated) -> None:
        self._metrics.duplicates[event.bot] += 1
        if self._at_length:
            self._log.debug("message.duplicated", **event.fields())

    # --- Receipts -------------------------------------------------------------------------------

    def _on_receipts_confirmed(self, event: events.ReceiptsConfirmed) -> None:
        self._metrics.receipts[event.bot, CONFIRMED] += len(event.message_ids)
        loudness = self._loudness[event.bot]
        if loudness.receipts_delayed is not None and loudness.allowance.spend():
            loudness.receipts_delayed = None
            self._log.info("receipts.recovered", bot=event.bot)
        if self._at_length:
            self._log.debug("receipts.confirmed", **event.fields())

    def _on_receipts_retried(self, event: events.ReceiptsRetried) -> None:
        self._metrics.receipts[event.bot, RETRIED] += event.count
        loudness = self._loudness[event.bot]
        news = not event.alone and loudness.receipts_delayed != event.detail
        loud = news and loudness.allowance.spend()
        if loud:
            loudness.receipts_delayed = event.detail
        (self._log.warning if loud else self._log.debug)("receipts.retried", **event.fields())

    def _on_receipts_stuck(self, event: events.ReceiptsStuck) -> None:
        bot, count = event.bot, event.count
        self._metrics.receipts_stuck[bot] = count
        if event.stuck:
            ids = event.stuck
            self._warn("receipts.stuck", bot=bot, count=count, message_ids=ids, detail=event.detail)
        if event.cured:
            self._log.info("receipts.unstuck", bot=bot, count=count, message_ids=event.cured)

    def _on_receipt_refused(self, event: events.ReceiptRefused) -> None:
        self._metrics.receipts[event.bot, REFUSED] += 1
        self._log.warning("receipt.refused", **event.fields())

    def _warn(self, what: str, **fields: Any) -> None:
        """Warn as long as there is an allowance for it."""
        loud = self._loudness[fields["bot"]].allowance.spend()
        (self._log.warning if loud else self._log.debug)(what, **fields)


def advice(event: events.CredentialsRefused) -> str:
    """Say plainly why Mixin refuses the credentials, as far as is known, and what to do."""
    skew = event.clock_skew or 0.0
    if abs(skew) > SKEW_MATTERS:
        way = "ahead of" if skew > 0 else "behind"
        return f"this machine's clock is {abs(skew):.0f} s {way} Mixin's: set it right"
    if event.confirmed:
        return (
            "Mixin refuses this keystore: its session was replaced or revoked, or it belongs to "
            "another app; download a new one from the Mixin dashboard and restart the relay"
        )
    return "Mixin refused the login once, which GET /me did not confirm: it is tried again"


class ReceiptTrouble:
    """Remembers of each bot how its last READ failed, until one gets through.

    And of each message whose READ fails for long while others get through: no more than the
    outbox remembers (`relay.receipts.isolation.MAX_HELD`).
    """

    def __init__(self) -> None:
        self._why: dict[str, str] = {}
        self._alone: dict[tuple[str, str], str] = {}

    def trouble(self, bot: str, message_id: str) -> str:
        """Say why a message's READ fails; empty if it does not, or if nobody knows."""
        return self._alone.get((bot, message_id), "") or self._why.get(bot, "")

    def _on_receipts_retried(self, event: events.ReceiptsRetried) -> None:
        if not event.alone:
            self._why[event.bot] = event.detail

    def _on_receipts_confirmed(self, event: events.ReceiptsConfirmed) -> None:
        self._why.pop(event.bot, None)

    def _on_receipts_stuck(self, event: events.ReceiptsStuck) -> None:
        for message_id in event.stuck:
            self._alone[event.bot, message_id] = f"{event.detail}, for this message alone"
        for message_id in event.cured:
            self._alone.pop((event.bot, message_id), None)

    def _on_bot_left(self, event: events.BotLeft) -> None:
        self._why.pop(event.bot, None)
        self._alone = {key: why for key, why in self._alone.items() if key[0] != event.bot}
