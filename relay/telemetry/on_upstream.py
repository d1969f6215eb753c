"""What is said of Blaze: the link, frames, messages as they come in, and receipts."""

import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

from relay.telemetry.events import (
    BotLeft,
    ConnectEnded,
    ConnectResult,
    CredentialsRefused,
    Disconnected,
    DisconnectReason,
    FrameReceived,
    FrameUnreadable,
    MessageDuplicated,
    MessageReceived,
    MessagesReceived,
    ReceiptRefused,
    ReceiptsConfirmed,
    ReceiptsRetried,
    ReceiptsStuck,
    RequestRefused,
    SessionShared,
    TakeoverSuspected,
)
from relay.telemetry.logs import Log
from relay.telemetry.loudness import BotTold
from relay.telemetry.metrics import Made, Metrics

SKEW_MATTERS = 60.0
"""Seconds by which a clock may be off before it is named as the cause; tokens live for minutes."""


class UpstreamVoice:
    """Says what happens between Mixin and the journal."""

    def __init__(self, metrics: Metrics, log: Log, clock: Callable[[], float]) -> None:
        self._series = metrics.bots
        self._forget_series = metrics.forget_bot
        self._log = log
        self._at_length = log.is_enabled_for(logging.DEBUG)
        self._told: Made[str, BotTold] = Made(lambda _: BotTold(clock))
        self.handlers: dict[type, Callable[[Any], None]] = {
            ConnectEnded: self._connect_ended,
            Disconnected: self._disconnected,
            FrameReceived: self._frame_received,
            FrameUnreadable: self._frame_unreadable,
            RequestRefused: self._request_refused,
            CredentialsRefused: self._credentials_refused,
            TakeoverSuspected: self._takeover_suspected,
            SessionShared: self._session_shared,
            MessageReceived: self._message_received,
            MessagesReceived: self._messages_received,
            MessageDuplicated: self._message_duplicated,
            ReceiptsConfirmed: self._receipts_confirmed,
            ReceiptsRetried: self._receipts_retried,
            ReceiptsStuck: self._receipts_stuck,
            ReceiptRefused: self._receipt_refused,
            BotLeft: self._bot_left,
        }

    def _connect_ended(self, fact: ConnectEnded) -> None:
        series = self._series[fact.bot]
        series.connects[fact.result].inc()
        if fact.result is ConnectResult.OK:
            series.connected.set(1)
            self._told[fact.bot].unreachable.clear()
            self._log.info("blaze.connected", bot=fact.bot, host=fact.host)
        else:
            self._connect_failed(fact)

    def _connect_failed(self, fact: ConnectEnded) -> None:
        """Warn of a host's new error; of refused credentials another fact tells."""
        told = self._told[fact.bot]
        why = f"{fact.result}: {fact.detail}"
        refused = fact.result is ConnectResult.UNAUTHORIZED
        loud = not refused and told.unreachable.get(fact.host) != why and told.allowance.spend()
        if loud:
            told.unreachable[fact.host] = why
        (self._log.warning if loud else self._log.debug)(
            "blaze.connect_failed",
            bot=fact.bot,
            host=fact.host,
            result=fact.result,
            detail=fact.detail,
            retry_in=fact.retry_in,
        )

    def _disconnected(self, fact: Disconnected) -> None:
        series = self._series[fact.bot]
        series.connected.set(0)
        series.disconnects[fact.reason].inc()
        quiet = fact.reason is DisconnectReason.STOPPING
        (self._log.info if quiet else self._log.warning)(
            "blaze.disconnected",
            bot=fact.bot,
            reason=fact.reason,
            detail=fact.detail,
            lasted=round(fact.lasted, 3),
        )

    def _frame_received(self, fact: FrameReceived) -> None:
        self._series[fact.bot].last_frame.set(fact.at)

    def _frame_unreadable(self, fact: FrameUnreadable) -> None:
        self._series[fact.bot].unreadable.inc()
        self._say(fact.bot)(
            "frame.unreadable", bot=fact.bot, digest=fact.digest, why=fact.why, size=fact.size
        )

    def _request_refused(self, fact: RequestRefused) -> None:
        self._say(fact.bot)(
            "blaze.request_refused", bot=fact.bot, code=fact.code, description=fact.description
        )

    def _credentials_refused(self, fact: CredentialsRefused) -> None:
        self._log.error(
            "blaze.credentials_refused",
            bot=fact.bot,
            advice=advice(fact),
            confirmed=fact.confirmed,
            clock_skew=fact.clock_skew,
            retry_in=fact.retry_in,
        )

    def _takeover_suspected(self, fact: TakeoverSuspected) -> None:
        self._log.error(
            "blaze.takeover_suspected",
            bot=fact.bot,
            closes=fact.closes,
            advice="stop one of them: another relay seems to use the same keystore",
        )

    def _session_shared(self, fact: SessionShared) -> None:
        self._series[fact.bot].session_shared.set(fact.shared)
        if fact.shared:
            self._log.error(
                "blaze.session_shared",
                bot=fact.bot,
                advice="stop one of them: another relay on this machine uses the same keystore,"
                " and receivers get each message from both",
            )
        else:
            self._log.info("blaze.session_alone", bot=fact.bot)

    def _message_received(self, fact: MessageReceived) -> None:
        self._series[fact.bot].received(fact.category, fact.source).inc()
        self._log.debug(
            "message.received",
            bot=fact.bot,
            message_id=fact.message_id,
            category=fact.category,
            source=fact.source,
        )

    def _messages_received(self, fact: MessagesReceived) -> None:
        series = self._series[fact.bot]
        kinds = Counter((each.category, each.source) for each in fact.messages)
        for (category, source), count in kinds.items():
            series.received(category, source).inc(count)
        for each in fact.messages if self._at_length else ():
            self._log.debug(
                "message.received",
                bot=fact.bot,
                message_id=each.message_id,
                category=each.category,
                source=each.source,
            )

    def _message_duplicated(self, fact: MessageDuplicated) -> None:
        self._series[fact.bot].duplicates.inc()
        self._log.debug("message.duplicated", bot=fact.bot, message_id=fact.message_id)

    def _receipts_confirmed(self, fact: ReceiptsConfirmed) -> None:
        self._series[fact.bot].receipts_confirmed.inc(len(fact.message_ids))
        told = self._told[fact.bot]
        if told.receipts_delayed is not None and told.allowance.spend():
            told.receipts_delayed = None
            self._log.info("receipts.recovered", bot=fact.bot)
        self._log.debug("receipts.confirmed", bot=fact.bot, message_ids=fact.message_ids)

    def _receipts_retried(self, fact: ReceiptsRetried) -> None:
        self._series[fact.bot].receipts_retried.inc(fact.count)
        told = self._told[fact.bot]
        new = not fact.alone and told.receipts_delayed != fact.detail
        loud = new and told.allowance.spend()
        if loud:
            told.receipts_delayed = fact.detail
        (self._log.warning if loud else self._log.debug)(
            "receipts.retried",
            bot=fact.bot,
            count=fact.count,
            detail=fact.detail,
            retry_in=fact.retry_in,
        )

    def _receipts_stuck(self, fact: ReceiptsStuck) -> None:
        self._series[fact.bot].receipts_stuck.set(fact.count)
        of = {"bot": fact.bot, "count": fact.count}
        if fact.stuck:
            say = self._say(fact.bot)
            say("receipts.stuck", **of, message_ids=fact.stuck, detail=fact.detail)
        if fact.cured:
            self._log.info("receipts.unstuck", **of, message_ids=fact.cured)

    def _receipt_refused(self, fact: ReceiptRefused) -> None:
        self._series[fact.bot].receipts_refused.inc()
        self._log.warning(
            "receipt.refused", bot=fact.bot, message_id=fact.message_id, detail=fact.detail
        )

    def _bot_left(self, fact: BotLeft) -> None:
        self._told.pop(fact.bot, None)
        self._forget_series(fact.bot)

    def _say(self, bot: str) -> Callable[..., Any]:
        """Choose the loud way as long as there is an allowance for it."""
        return self._log.warning if self._told[bot].allowance.spend() else self._log.debug


def advice(fact: CredentialsRefused) -> str:
    """Say plainly why Mixin refuses the credentials, as far as is known, and what to do."""
    skew = fact.clock_skew or 0.0
    if abs(skew) > SKEW_MATTERS:
        way = "ahead of" if skew > 0 else "behind"
        return f"this machine's clock is {abs(skew):.0f} s {way} Mixin's: set it right"
    if fact.confirmed:
        return (
            "Mixin refuses this keystore: its session was replaced or revoked, or it belongs to "
            "another app; download a new one from the Mixin dashboard and restart the relay"
        )
    return "Mixin refused the login once, which GET /me did not confirm: it is tried again"
