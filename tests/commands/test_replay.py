"""`relay replay` and `relay replays`."""

import sys
import time

import pytest

from relay.commands.usage import TIME
from relay.model.replays import ReplayTurn
from tests.commands.stage import CRM, LOG, NOW, SALES, Stage, uuid

SINCE = ("--since", "2023-11-14T22:13:21Z")


@pytest.fixture
def delivered(stage: Stage) -> Stage:
    """Three messages that the CRM has taken, and one that it is still owed."""
    for number in (1, 2, 3):
        stage.deliver(number, CRM)
    stage.receive(4, CRM)
    return stage


def test_it_is_counted_and_asked_for(delivered: Stage) -> None:
    """One line says how many messages go where; the next one is told of the first."""
    said = delivered.relay("replay", *SINCE, "--endpoint", "support/crm")
    told = "replay 1: 3 messages to support/crm; a running relay begins within 5 seconds\n"
    assert (0, told, "") == (said.code, said.out, said.err)
    said = delivered.relay("replay", *SINCE, "--endpoint", "support/crm")
    what = "support/crm has replay 1 under way; wait for its end, or: relay replays cancel 1"
    assert (1, "", f"relay: --endpoint: {what}\n") == (said.code, said.out, said.err)


def test_a_dry_run_only_counts(delivered: Stage) -> None:
    """Nothing is asked for, and the filters of the settings count."""
    arguments = ("replay", *SINCE, "--endpoint", "crm", "--bot", "support", "--dry-run")
    said = delivered.relay(*arguments)
    assert "3 messages would go to support/crm again\n" == said.out
    assert [] == delivered.relay("replays", "list").rows
    settings = delivered.write_settings().read_text()
    path = delivered.folder / "relay.yaml"
    path.write_text(settings.replace("name: crm", "name: crm\n    categories: [APP_CARD]", 1))
    assert "0 messages would go to support/crm again\n" == delivered.relay(*arguments).out


def test_for_programs(delivered: Stage) -> None:
    """--json gives the count and how the replay stands."""
    said = delivered.relay("replay", *SINCE, "--endpoint", "support/crm", "--json")
    replay = said.document["replay"]
    assert ("support", "crm", 3) == (
        said.document["bot"],
        said.document["endpoint"],
        said.document["messages"],
    )
    assert (1, "2023-11-14T22:13:21Z", None) == (
        replay["number"],
        replay["since"],
        replay["until"],
    )
    said = delivered.relay("replay", *SINCE, "--endpoint", "support/crm", "--json", "--dry-run")
    assert said.document["replay"] is None
    (listed,) = delivered.relay("replays", "list", "--json").document["replays"]
    assert replay == listed
    assert delivered.relay("replays", "cancel", "1", "--json").document["cancelled"]


def test_a_list_and_an_end(delivered: Stage) -> None:
    """A line for each; a cancelled one is one, and is not cancelled twice."""
    delivered.relay("replay", *SINCE, "--endpoint", "support/crm", "--until", "1h")
    delivered.at_journal(lambda opened: opened.journal.feed_replay(CRM, lambda _: "c", NOW, most=2))
    (row,) = delivered.relay("replays", "list").rows
    assert ["1", "support/crm"] == row[:2]
    assert ["50% looked through", "2", "0", "0"] == row[5:]
    said = delivered.relay("replays", "cancel", "1")
    assert "replay 1 cancelled; a running relay takes notice within 5 seconds\n" == said.out
    (row,) = delivered.relay("replays", "list").rows
    assert row[5].startswith("cancelled 20")
    said = delivered.relay("replays", "cancel", "2")
    assert (1, "relay: NUMBER: 2: the journal knows no such replay\n") == (said.code, said.err)


def test_what_has_ended_is_told(delivered: Stage) -> None:
    """Cancelling what has ended says so."""
    delivered.relay("replay", "--since", "2h", "--endpoint", "sales/crm")
    fed = delivered.at_journal(
        lambda opened: opened.journal.feed_replay(SALES, lambda _: "c", NOW, most=2)
    )
    assert ReplayTurn(more=False) == fed
    delivered.at_journal(
        lambda opened: opened.journal.feed_replay(SALES, lambda _: "c", NOW, most=2)
    )
    assert "replay 1 had ended already\n" == delivered.relay("replays", "cancel", "1").out


def test_the_timeline_names_it(delivered: Stage) -> None:
    """`messages show` tells replays apart, and so does the list of endpoints."""
    delivered.relay("replay", *SINCE, "--endpoint", "support/crm")
    delivered.at_journal(lambda opened: opened.journal.feed_replay(CRM, lambda _: "c", NOW, most=9))
    said = delivered.relay("messages", "show", uuid(1))
    assert "support/crm, replay 1\tattempt 1 is due" in said.out
    document = delivered.relay("messages", "show", uuid(1), "--json").document
    (history,) = document["histories"]
    assert [None, 1] == [delivery["replay"] for delivery in history["deliveries"]]
    listed = delivered.relay("endpoints", "list", "--json").document["endpoints"]
    assert [(1, 3)] == [
        (each["pending"], each["replaying"])
        for each in listed
        if (each["bot"], each["endpoint"]) == ("support", "crm")
    ]


def test_an_endpoint_must_be_configured(delivered: Stage) -> None:
    """One that was taken out of the settings gets nothing."""
    settings = delivered.write_settings().read_text()
    (delivered.folder / "relay.yaml").write_text(settings.replace("name: log", "name: elsewhere"))
    said = delivered.relay("replay", *SINCE, "--endpoint", str(LOG))
    what = "support/log is not configured; nobody would send to it"
    assert (1, f"relay: --endpoint: {what}\n") == (said.code, said.err)


def test_a_bar_on_a_terminal(delivered: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits sees how far the count has come, and it is gone in the end."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    said = delivered.relay("replay", *SINCE, "--endpoint", "support/crm", "--dry-run")
    assert "3 messages would go to support/crm again\n" == said.out


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2023-11-14T22:13:20Z", NOW),
        ("2023-11-14T23:13:20+01:00", NOW),
        ("2023-11-14t22:13:20.5z", NOW + 0.5),
        ("2023-11-14", NOW - 22 * 3600 - 13 * 60 - 20),
    ],
)
def test_times(text: str, at: float) -> None:
    """RFC 3339, and dates, which begin in UTC."""
    assert at == TIME.convert(text, None, None)


def test_a_duration_ago() -> None:
    """So long before now."""
    before = time.time()
    at = TIME.convert("2h", None, None)
    assert before - 7200 <= at <= time.time() - 7200


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("--endpoint crm", "--since: missing; expected a time such as"),
        ("--since 2h", "--endpoint: missing; expected a value"),
        ("--since x --endpoint crm", "--since: 'x': expected a time such as"),
        ("--since 2023-11-14T22:13:20 --endpoint crm", "--since: '2023-11-14T22:13:20': expected"),
        ("--since 2023-13-14 --endpoint crm", "--since: '2023-13-14': expected a time such as"),
        ("--since 1h --until 2h --endpoint crm", "--until: expected a time after --since"),
        ("--since 1h --endpoint x", "--endpoint: 'x': expected one of sales/crm, support/crm"),
    ],
)
def test_mistakes(delivered: Stage, arguments: str, line: str) -> None:
    """Each is one line, and nothing is asked for."""
    said = delivered.relay("replay", *arguments.split())
    assert (2, "") == (said.code, said.out)
    assert said.err.startswith(f"relay: {line}")
    assert [] == delivered.relay("replays", "list").rows
