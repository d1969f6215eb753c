"""What is said of Blaze."""

import pytest

from relay.model.messages import Source
from relay.telemetry.event_bus import Broadcast
from relay.telemetry.events import (
    ConnectEnded,
    ConnectResult,
    CredentialsRefused,
    Disconnected,
    DisconnectReason,
    FrameUnreadable,
    ListenerStarted,
    MessageDuplicated,
    MessagesReceived,
    ReceiptRefused,
    ReceiptsConfirmed,
    ReceiptsRetried,
    ReceiptsStuck,
    RequestRefused,
    SessionShared,
    TakeoverSuspected,
)
from relay.telemetry.logs import BURST, PERIOD
from relay.telemetry.on_upstream import ReceiptTrouble, advice
from tests.telemetry.listening import BOT, Listening, message

HOST = "blaze.example.com"
UP = ConnectEnded(BOT, HOST, ConnectResult.OK)
REFUSED = ConnectEnded(BOT, HOST, ConnectResult.FAILED, "connection refused", 1.0)
TIMED_OUT = ConnectEnded(BOT, HOST, ConnectResult.FAILED, "timeout", 1.0)


def test_the_link_is_a_gauge_and_its_changes_are_counted(listening: Listening) -> None:
    """`relay_blaze_connected` follows the socket, with connects and disconnects by cause."""
    listening.tell(REFUSED, UP)
    assert 1.0 == listening.of_bot("relay_blaze_connected")

    listening.tell(Disconnected(BOT, DisconnectReason.STALE, lasted=12.5))
    assert 0.0 == listening.of_bot("relay_blaze_connected")
    assert 1.0 == listening.of_bot("relay_blaze_connects_total", result="ok")
    assert 1.0 == listening.of_bot("relay_blaze_connects_total", result="failed")
    assert 1.0 == listening.of_bot("relay_blaze_disconnects_total", reason="stale")


def test_a_connect_error_is_loud_once(listening: Listening) -> None:
    """The same error again and again is one warning; another error is another."""
    listening.tell(REFUSED, REFUSED, REFUSED, TIMED_OUT, TIMED_OUT, UP, REFUSED)

    assert [
        ("warning", "blaze.connect_failed"),
        ("warning", "blaze.connect_failed"),
        ("info", "blaze.connected"),
        ("warning", "blaze.connect_failed"),
    ] == listening.loud


def test_failing_over_between_hosts_is_no_change(listening: Listening) -> None:
    """Two hosts that fail in turn are two warnings, however often they do."""
    other = ConnectEnded(BOT, "mixin-blaze.example.com", ConnectResult.FAILED, "timeout", 1.0)

    listening.tell(*(REFUSED, other) * 5)

    assert 2 == len(listening.loud)


def test_a_login_refused_is_left_to_the_fact_about_credentials(listening: Listening) -> None:
    """One error line tells of refused credentials, and not two."""
    listening.tell(
        ConnectEnded(BOT, HOST, ConnectResult.UNAUTHORIZED, "401", 60.0),
        CredentialsRefused(BOT, confirmed=True, clock_skew=0.5, retry_in=60.0),
    )

    assert [("error", "blaze.credentials_refused")] == listening.loud
    assert 1.0 == listening.of_bot("relay_blaze_connects_total", result="unauthorized")


@pytest.mark.parametrize(
    ("reason", "level"),
    [
        (DisconnectReason.CLOSED, "warning"),
        (DisconnectReason.STALE, "warning"),
        (DisconnectReason.STOPPING, "info"),
    ],
)
def test_a_lost_socket_is_a_warning_unless_it_was_meant(
    listening: Listening, reason: DisconnectReason, level: str
) -> None:
    """Closing the socket on the way out is nothing to warn of."""
    listening.tell(Disconnected(BOT, reason, "why", 3.14159))

    assert [(level, "blaze.disconnected")] == listening.loud
    assert 3.142 == listening.lines("blaze.disconnected")[0]["lasted"]


@pytest.mark.parametrize(
    ("skew", "confirmed", "words"),
    [
        (301.0, True, "clock is 301 s ahead of Mixin's"),
        (-301.0, False, "clock is 301 s behind Mixin's"),
        (60.0, True, "download a new one"),
        (None, True, "download a new one"),
        (None, False, "did not confirm"),
        (-60.0, False, "did not confirm"),
    ],
)
def test_refused_credentials_come_with_advice(
    skew: float | None,
    confirmed: bool,  # noqa: FBT001 - pytest passes parameters by name
    words: str,
) -> None:
    """The line says what is wrong and what to do: the clock first, if it is off by a minute."""
    event = CredentialsRefused(BOT, confirmed=confirmed, clock_skew=skew, retry_in=60.0)

    assert words in advice(event)


def test_refused_credentials_are_an_error_each_time(listening: Listening) -> None:
    """They are asked about once in minutes, and nothing works until somebody acts."""
    event = CredentialsRefused(BOT, confirmed=True, clock_skew=None, retry_in=600.0)

    listening.tell(event, event)

    assert [("error", "blaze.credentials_refused")] * 2 == listening.loud


def test_a_takeover_is_an_error(listening: Listening) -> None:
    """Two relays with one keystore are an alarm."""
    listening.tell(TakeoverSuspected(BOT, 5))

    assert [("error", "blaze.takeover_suspected")] == listening.loud
    assert 5 == listening.lines("blaze.takeover_suspected")[0]["closes"]


def test_a_shared_session_is_an_error_until_it_is_over(listening: Listening) -> None:
    """The gauge says how long; the log what to do."""
    listening.tell(SessionShared(BOT, shared=True))
    assert 1.0 == listening.of_bot("relay_blaze_session_shared")
    listening.tell(SessionShared(BOT, shared=False))
    assert 0.0 == listening.of_bot("relay_blaze_session_shared")
    assert [
        ("error", "blaze.session_shared"),
        ("info", "blaze.session_alone"),
    ] == listening.loud
    assert "stop one of them" in listening.lines("blaze.session_shared")[0]["advice"]


def test_the_last_frame_is_a_timestamp(listening: Listening) -> None:
    """The gauge asks the listener when it is read."""
    listening.tell(ListenerStarted(BOT, lambda: 1.6e9))

    assert 1.6e9 == listening.of_bot("relay_blaze_last_frame_timestamp_seconds")
    assert [] == listening.entries


def test_messages_are_counted_once_and_again_as_duplicates(listening: Listening) -> None:
    """Each message counts by category and source, and what comes again counts apart."""
    listening.tell(
        MessagesReceived(
            BOT,
            [
                message("m1", "PLAIN_TEXT", Source.LIVE),
                message("m2", "NEW_THING", Source.PENDING),
                message("m3", "PLAIN_TEXT", Source.LIVE),
            ],
        ),
        MessageDuplicated(BOT, "m1"),
    )

    received = "relay_messages_received_total"
    assert ["m1", "m2", "m3"] == [
        line["message_id"] for line in listening.lines("message.received")
    ]
    assert 2.0 == listening.of_bot(received, category="PLAIN_TEXT", source="live")
    assert 1.0 == listening.of_bot(received, category="other", source="pending")
    assert 1.0 == listening.of_bot("relay_messages_duplicate_total")
    assert [] == listening.loud


@pytest.mark.parametrize(
    ("told", "name"),
    [
        (FrameUnreadable(BOT, "d1", "not_json", 12), "frame.unreadable"),
        (RequestRefused(BOT, 10002, "invalid field"), "blaze.request_refused"),
    ],
)
def test_a_flood_from_upstream_does_not_flood_the_log(
    listening: Listening, told: FrameUnreadable | RequestRefused, name: str
) -> None:
    """So many warnings at once, then one every few seconds; every one is there for debugging."""
    listening.tell(*[told] * 5 * BURST)
    assert [("warning", name)] * BURST == listening.loud
    assert 5 * BURST == len(listening.lines(name))

    listening.now += PERIOD / BURST
    listening.tell(*[told] * 5)
    assert [("warning", name)] * (BURST + 1) == listening.loud


def test_receipts_are_counted_by_result(listening: Listening) -> None:
    """`relay_receipts_total` counts ids and not batches."""
    listening.tell(
        ReceiptsConfirmed(BOT, ("m1", "m2", "m3")),
        ReceiptsRetried(BOT, 7, "timeout", 1.0),
        ReceiptRefused(BOT, "m4", "gone"),
    )

    assert 3.0 == listening.of_bot("relay_receipts_total", result="confirmed")
    assert 7.0 == listening.of_bot("relay_receipts_total", result="retried")
    assert 1.0 == listening.of_bot("relay_receipts_total", result="refused")


def test_delayed_receipts_are_loud_when_it_begins_changes_and_ends(listening: Listening) -> None:
    """A batch that is sent again is a warning once, until the reason is another one."""
    timeout, server = (ReceiptsRetried(BOT, 5, why, 1.0) for why in ("timeout", "500"))

    listening.tell(timeout, timeout, server, ReceiptsConfirmed(BOT, ("m1",)))
    listening.tell(ReceiptsConfirmed(BOT, ("m2",)))

    assert [
        ("warning", "receipts.retried"),
        ("warning", "receipts.retried"),
        ("info", "receipts.recovered"),
    ] == listening.loud


def test_each_refused_receipt_is_a_warning(listening: Listening) -> None:
    """A message that can't be marked READ is told with its id."""
    listening.tell(ReceiptRefused(BOT, "m4", "gone"), ReceiptRefused(BOT, "m5", "gone"))

    assert [("warning", "receipt.refused")] * 2 == listening.loud
    assert ["m4", "m5"] == [line["message_id"] for line in listening.lines("receipt.refused")]


def test_receipts_that_are_stuck_are_counted_and_named(listening: Listening) -> None:
    """Each is named when it is stuck and when it is not any more; the gauge has how many."""
    listening.tell(ReceiptsStuck(BOT, 2, stuck=("a", "b"), detail="500"))
    assert 2.0 == listening.of_bot("relay_receipts_stuck")
    listening.tell(ReceiptsStuck(BOT, 1, cured=("a",)))
    assert 1.0 == listening.of_bot("relay_receipts_stuck")
    assert [("warning", "receipts.stuck"), ("info", "receipts.unstuck")] == listening.loud
    assert ("a", "b") == listening.lines("receipts.stuck")[0]["message_ids"]


def test_a_failure_beside_others_is_no_delay(listening: Listening) -> None:
    """It is counted and not said: others get through, and no recovery follows."""
    listening.tell(ReceiptsRetried(BOT, 3, "500", 1.0, alone=True), ReceiptsConfirmed(BOT, ("a",)))
    assert 3.0 == listening.of_bot("relay_receipts_total", result="retried")
    assert [] == listening.loud


def test_why_a_read_fails_is_known() -> None:
    """For all of a bot during an outage, and for one message alone."""
    trouble = ReceiptTrouble()
    tell = Broadcast(trouble)
    tell(ReceiptsStuck(BOT, 1, stuck=("a",), detail="500"))
    assert ("500, for this message alone", "") == tuple(trouble.trouble(BOT, m) for m in "ab")
    tell(ReceiptsRetried(BOT, 3, "502", 1.0))
    assert "502" == trouble.trouble(BOT, "b")
    tell(ReceiptsConfirmed(BOT, ("b",)))
    tell(ReceiptsStuck(BOT, 0, cured=("a",)))
    assert ("", "") == tuple(trouble.trouble(BOT, m) for m in "ab")
