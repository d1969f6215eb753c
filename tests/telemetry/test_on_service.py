"""What is said of the house."""

from relay.model.admin import EndpointChange, Reloaded
from relay.model.journal import BotCensus, Stats
from relay.model.messages import BreakerState, EndpointKey, MessageOutcome
from relay.model.replays import ReplayRecord
from relay.telemetry.events import (
    AdminRefused,
    BotLeft,
    BreakerMoved,
    DamageFound,
    DeliveriesDiscarded,
    EndpointLeft,
    EndpointRemoved,
    JournalCommitted,
    JournalFailed,
    JournalPruned,
    JournalRecovered,
    JournalSetAside,
    JournalShrunk,
    JournalUnchecked,
    LoopLagged,
    MessagesFinished,
    OperatorNoticed,
    RelayStarted,
    RelayStopped,
    RelayStopping,
    ReloadFailed,
    ReplayBegun,
    ReplayEnded,
    SettingsReloaded,
    StatsCollected,
)
from relay.telemetry.logs import BURST
from relay.telemetry.metrics import REFUSALS
from relay.telemetry.on_service import LAGS_KEPT
from tests.telemetry.listening import BOT, CRM, Listening

FULL = JournalFailed("disk full", 1.0)


def census(imbalance: int = 0, oldest: float | None = None, dead: int = 0) -> StatsCollected:
    bot = BotCensus(pending=5, oldest_unread_at=oldest, receipts_pending=2, imbalance=imbalance)
    return StatsCollected(Stats({BOT: bot}, {CRM: dead} if dead else {}, size_bytes=4096))


def test_commits_are_observed(listening: Listening) -> None:
    """The time of each group commit is in the histogram, and not in the log."""
    listening.tell(JournalCommitted(0.02, 10), JournalCommitted(0.04, 1))

    assert 2.0 == listening.series("relay_journal_commit_seconds_count")
    assert 0.06 == listening.series("relay_journal_commit_seconds_sum")
    assert [] == listening.loud


def test_damage_is_told_whatever_else_is(listening: Listening) -> None:
    """That a journal is damaged, was set aside or could not be looked through is always said."""
    listening.tell(*[JournalFailed(f"trouble {number}", 1.0) for number in range(1000)])
    before = len(listening.loud)
    aside = JournalSetAside("/a/relay.db", "/a/relay.db.corrupt-20261122T183000Z", "cut short")
    listening.tell(DamageFound("cut short"), aside, JournalUnchecked(30.0))
    assert [
        ("error", "journal.damaged"),
        ("error", "journal.set_aside"),
        ("warning", "journal.unchecked"),
    ] == listening.loud[before:]
    (line,) = listening.lines("journal.set_aside")
    assert (aside.journal, aside.kept_as, "cut short") == (
        line["journal"],
        line["kept_as"],
        line["detail"],
    )


def test_a_journal_in_trouble_is_an_error_once(listening: Listening) -> None:
    """The same failure again is for debugging; another one, and the recovery, are told."""
    listening.tell(FULL, FULL, JournalFailed("locked", 1.0), JournalRecovered())
    listening.tell(JournalRecovered(), FULL)

    assert [
        ("error", "journal.failed"),
        ("error", "journal.failed"),
        ("info", "journal.recovered"),
        ("error", "journal.failed"),
    ] == listening.loud


def test_the_census_fills_the_gauges(listening: Listening) -> None:
    """What the journal holds is shown as it was counted."""
    listening.tell(census(oldest=1.5e9, dead=3))

    assert 5.0 == listening.of_bot("relay_messages_pending")
    assert 1.5e9 == listening.of_bot("relay_oldest_unread_timestamp_seconds")
    assert 2.0 == listening.of_bot("relay_receipts_pending")
    assert 0.0 == listening.of_bot("relay_conservation_imbalance")
    assert 3.0 == listening.of_crm("relay_dead_letters")
    assert 4096.0 == listening.series("relay_journal_bytes")


def test_gauges_go_back_to_zero(listening: Listening) -> None:
    """Nothing unread is 0, and dead letters that are no more are none."""
    listening.tell(census(oldest=1.5e9, dead=3), census())

    assert 0.0 == listening.of_bot("relay_oldest_unread_timestamp_seconds")
    assert 0.0 == listening.of_crm("relay_dead_letters")


def test_the_oldest_that_an_endpoint_is_owed_is_shown(listening: Listening) -> None:
    """By its endpoint, and 0 once nothing is owed."""
    oldest = "relay_endpoint_oldest_pending_timestamp_seconds"
    listening.tell(StatsCollected(Stats({}, {}, 0, {CRM: 1.5e9})))
    assert 1.5e9 == listening.of_crm(oldest)
    listening.tell(census())
    assert 0.0 == listening.of_crm(oldest)


def test_names_that_are_not_configured_get_no_series(listening: Listening) -> None:
    """The journal remembers bots and endpoints of yesterday; labels are today's."""
    gone = EndpointKey("old", "one")
    counted = BotCensus(pending=1, oldest_unread_at=None, receipts_pending=0, imbalance=0)

    listening.tell(StatsCollected(Stats({"old": counted}, {gone: 0}, size_bytes=0)))

    assert listening.series("relay_messages_pending", bot="old") is None
    assert listening.series("relay_dead_letters", bot="old", endpoint="one") is None


def test_dead_letters_of_a_removed_endpoint_are_counted(listening: Listening) -> None:
    """What waits for an operator is seen, also where its endpoint is configured no more."""
    gone = EndpointKey("support", "old")

    listening.tell(EndpointRemoved(gone, 2), StatsCollected(Stats({}, {gone: 2}, size_bytes=0)))
    assert 2.0 == listening.series("relay_dead_letters", bot="support", endpoint="old")

    listening.tell(StatsCollected(Stats({}, {gone: 0}, size_bytes=0)))
    assert 0.0 == listening.series("relay_dead_letters", bot="support", endpoint="old")


def test_an_imbalance_is_an_error_when_it_changes(listening: Listening) -> None:
    """A message that is neither finished nor pending is our bug, and is said once."""
    listening.tell(census(), census(1), census(1), census(2), census())

    assert [
        ("error", "journal.imbalanced"),
        ("error", "journal.imbalanced"),
        ("info", "journal.imbalanced"),
    ] == listening.loud
    assert 0.0 == listening.of_bot("relay_conservation_imbalance")


def test_lag_is_the_worst_of_the_last_half_minute(listening: Listening) -> None:
    """A stall between two scrapes is seen, and forgotten after a while."""
    listening.tell(LoopLagged(0.5), LoopLagged(0.001))
    assert 0.5 == listening.series("relay_event_loop_lag_seconds")

    listening.tell(*[LoopLagged(0.002)] * LAGS_KEPT)
    assert 0.002 == listening.series("relay_event_loop_lag_seconds")
    assert [] == listening.loud


def test_a_long_lag_is_a_warning(listening: Listening) -> None:
    """A second is told, and a loop that is late all the time does not fill the log."""
    listening.tell(*[LoopLagged(1.5)] * 100)

    assert [("warning", "loop.lagged")] * BURST == listening.loud


def test_life_and_operators_are_information(listening: Listening) -> None:
    """Starting, stopping and operators' actions are told at the default level."""
    listening.tell(
        RelayStarted("1.2.3", (BOT,), clean=False),
        OperatorNoticed("paused", CRM),
        RelayStopping("SIGTERM"),
        RelayStopped(2),
        JournalPruned(10),
        JournalShrunk(4096),
    )

    assert [
        ("info", "relay.started"),
        ("info", "operator.noticed"),
        ("info", "relay.stopping"),
        ("info", "relay.stopped"),
        ("info", "journal.shrunk"),
    ] == listening.loud
    assert (BOT,) == listening.lines("relay.started")[0]["bots"]


def test_what_operators_do_to_replays_is_told_with_their_numbers(listening: Listening) -> None:
    """Which replay, and what was asked; a number of messages that nobody knows yet is not said."""
    asked = "replay=3 since=2023-11-14T22:13:20Z"
    listening.tell(OperatorNoticed("replay_asked", CRM, "cli", asked))
    listening.tell(OperatorNoticed("replay_cancelled", CRM, "api", "replay=3"))
    listening.tell(OperatorNoticed("revived", CRM, "cli", "all", 7))
    lines = listening.lines("operator.noticed")
    assert [asked, "replay=3", "all"] == [line["asked"] for line in lines]
    assert [None, None, 7] == [line.get("count") for line in lines]


def test_a_stop_that_left_something_unwritten_says_why(listening: Listening) -> None:
    """The last line before an exit with 1 is an error, with what becomes of the rest."""
    listening.tell(RelayStopped(0, written=False))

    (line,) = listening.lines("relay.stopped")
    assert (False, True) == (line["written"], "the journal took no more" in line["advice"])
    assert [("error", "relay.stopped")] == listening.loud


def test_replays_are_information(listening: Listening) -> None:
    """Why a new endpoint gets so much, and what came of it, by number and counts."""
    replay = ReplayRecord(
        number=3,
        endpoint=CRM,
        since=0.0,
        until=None,
        asked_at=1.0,
        ended_at=2.0,
        cancelled=False,
        looked_through=1.0,
        queued=5,
        pending=0,
        delivered=4,
        dead=1,
    )
    listening.tell(ReplayBegun(replay), ReplayEnded(replay))

    assert [("info", "replay.begun"), ("info", "replay.ended")] == listening.loud
    (line,) = listening.lines("replay.ended")
    assert (3, 4, 1) == (line["number"], line["delivered"], line["dead_letters"])


def test_who_is_refused_by_the_admin_api_is_warned_of(listening: Listening) -> None:
    """A line names who asked, and whether it was with a wrong token or with none."""
    listening.tell(AdminRefused("127.0.0.1", given=True), AdminRefused("::1", given=False))

    assert [("127.0.0.1", "wrong token", 1), ("::1", "no token", 1)] == [
        (line["peer"], line["why"], line["times"]) for line in listening.lines("admin.refused")
    ]
    assert [("warning", "admin.refused")] * 2 == listening.loud


def test_guessing_tokens_does_not_fill_the_log(listening: Listening) -> None:
    """A burst is one line, and what is said of the journal is said as ever."""
    listening.tell(*[AdminRefused("127.0.0.1", given=True)] * 10)
    listening.tell(*[AdminRefused("127.0.0.1", given=True, throttled=True)] * 4990, FULL)
    listening.now += 60
    listening.tell(AdminRefused("127.0.0.1", given=True))

    lines = listening.lines("admin.refused")
    assert [1, 5000] == [line["times"] for line in lines]
    assert ("error", "journal.failed") in listening.loud
    refused = [listening.series("relay_admin_refused_total", reason=r) for r in REFUSALS]
    assert [0.0, 11.0, 4990.0] == refused


def test_guessing_from_many_addresses_does_not_fill_the_log(listening: Listening) -> None:
    """However many guess by turns: a few lines a minute."""
    listening.tell(*[AdminRefused(f"10.0.0.{n % 250}", given=True) for n in range(5000)])
    assert BURST == len(listening.lines("admin.refused"))


# --- The settings ---------------------------------------------------------------------------------

LOG = EndpointKey(BOT, "log")


def test_a_reload_says_what_changed(listening: Listening) -> None:
    """Names and keys, and nothing else; one that changed nothing says so."""
    changed = EndpointChange(str(CRM), ("url", "secret"))
    listening.tell(
        SettingsReloaded(Reloaded((str(LOG),), (), (changed,), ("drain_timeout",)), (LOG,)),
        SettingsReloaded(Reloaded()),
    )

    (line,) = listening.lines("settings.reloaded")
    assert {
        "added": (f"{BOT}/log",),
        "removed": (),
        "changed": [f"{BOT}/crm: url, secret"],
        "settings": ("drain_timeout",),
    }.items() <= line.items()
    assert ("info", "settings.unchanged") == listening.loud[1]
    labels = {"bot": BOT, "endpoint": "log", "outcome": "delivered"}
    assert 0.0 == listening.series("relay_deliveries_total", **labels)


def test_a_refused_reload_shows_until_one_succeeds(listening: Listening) -> None:
    """Every mistake is a line; the gauge is 0, and the time of the last success stays."""
    gauge = "relay_config_last_reload_successful"
    since = "relay_config_last_reload_success_timestamp_seconds"
    assert 1.0 == listening.series(gauge)
    started = listening.series(since)
    assert started
    listening.tell(ReloadFailed(("listen: needs a restart", "bots: needs a restart")))

    assert (0.0, started) == (listening.series(gauge), listening.series(since))
    assert [("error", "settings.refused")] * 2 == listening.loud
    listening.tell(SettingsReloaded(Reloaded()))
    assert 1.0 == listening.series(gauge)
    assert started < (listening.series(since) or 0.0)


def test_an_endpoint_that_left_leaves_no_series(listening: Listening) -> None:
    """Its last values would be taken for news; under the same name it begins anew."""
    listening.tell(BreakerMoved(CRM, BreakerState.OPEN, 1, None, ""), EndpointLeft(CRM))

    assert listening.of_crm("relay_endpoint_state") is None
    families = listening.metrics.collect()
    assert [] == [s for family in families for s in family.samples if "endpoint" in s.labels]
    back = SettingsReloaded(Reloaded((str(CRM),)), (CRM,))
    listening.tell(back, BreakerMoved(CRM, BreakerState.CLOSED, 16, None, ""))
    assert 0.0 == listening.of_crm("relay_endpoint_state")
    assert [] == listening.lines("circuit.closed")


def test_bots_come_and_go(listening: Listening) -> None:
    """One that is added has its series at once, one that left has none, and both are said."""
    changed = Reloaded(bots_added=("sales",), bots_restarted=("support",))
    listening.tell(SettingsReloaded(changed))

    (line,) = listening.lines("settings.reloaded")
    assert {"bots_added": ("sales",), "bots_restarted": ("support",)}.items() <= line.items()
    assert 0.0 == listening.series("relay_messages_pending", bot="sales")
    listening.tell(BotLeft("sales"))
    families = listening.metrics.collect()
    assert [] == [s for f in families for s in f.samples if s.labels.get("bot") == "sales"]


def test_what_was_discarded_is_told_and_counted(listening: Listening) -> None:
    """A warning says how much it was, and each message counts as it finished."""
    listening.tell(
        MessagesFinished(BOT, MessageOutcome.DISCARDED, 3),
        MessagesFinished(BOT, MessageOutcome.READ, 2),
        DeliveriesDiscarded((CRM,), 5),
    )

    assert 3.0 == listening.of_bot("relay_messages_finished_total", outcome="discarded")
    assert 2.0 == listening.of_bot("relay_messages_finished_total", outcome="read")
    assert [("warning", "deliveries.discarded")] == listening.loud
