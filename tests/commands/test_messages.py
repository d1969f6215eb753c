"""`relay messages`."""

import re
import sys

import pytest

from relay.journal.open import OpenJournal
from relay.model.journal import UnreadableFrame
from tests.commands.stage import CONVERSATION, CRM, LOG, SALES, Stage, uuid
from tests.journal.samples import keep_unreadable


def test_the_newest_is_listed_first(stage: Stage) -> None:
    """A line for each message: when, which, whose, what, and where it stands."""
    stage.deliver(1, CRM)
    stage.receive(2, SALES)
    said = stage.relay("messages", "list")
    assert (0, "") == (said.code, said.err)
    assert [uuid(2), uuid(1)] == [row[1] for row in said.rows]
    when, *rest = said.rows[1]
    assert when.startswith("2023-11-14T22:13:21Z (")
    assert when.endswith(" ago)")
    assert [uuid(1), "support", "PLAIN_TEXT", CONVERSATION, "pending", "owed"] == rest


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        ("--bot sales", [4]),
        ("--pending", [4, 3, 2]),
        ("--finished", [1]),
        ("--outcome dead", [1]),
        ("--limit 2", [4, 3]),
        ("--all", [4, 3, 2, 1]),
        ("--category PLAIN_TEXT --bot support", [3, 2, 1]),
        ("--category PLAIN_POST", []),
        (f"--conversation {CONVERSATION.upper()}", [4, 3, 2, 1]),
        ("--state pending", [4, 3, 2]),
        ("--state failing", [2]),
        ("--state dead", [1]),
        ("--endpoint support/crm", [3, 2, 1]),
        ("--endpoint crm --bot sales", [4]),
        ("--since 2023-11-14T22:13:23Z", [4, 3]),
        ("--until 2023-11-14T23:13:23+01:00", [2, 1]),
        ("--since 2h", []),
        ("--older-than 2h --state failing", [2]),
    ],
)
def test_filters(stage: Stage, filters: str, numbers: list[int]) -> None:
    """Filters hold all at once."""
    stage.bury(1, CRM)
    stage.postpone(2, CRM)
    stage.receive(3, CRM)
    stage.receive(4, SALES)
    said = stage.relay("messages", "list", *filters.split())
    assert [uuid(number) for number in numbers] == [row[1] for row in said.rows]


def test_a_list_for_programs(stage: Stage) -> None:
    """--json gives one document, as the admin API would."""
    stage.receive(1, CRM)
    (message,) = stage.relay("messages", "list", "--json").document["messages"]
    assert (uuid(1), "2023-11-14T22:13:21Z") == (message["message_id"], message["received_at"])
    nothing: dict[str, object] = {"messages": [], "next_cursor": None}
    assert nothing == stage.relay("messages", "list", "--json", "--finished").document


def test_pages(stage: Stage) -> None:
    """A full page says how to go on; --json has it as `next_cursor`."""
    for number in range(1, 4):
        stage.receive(number, CRM)
    page = stage.relay("messages", "list", "--limit", "2", "--json").document
    assert [uuid(3), uuid(2)] == [message["message_id"] for message in page["messages"]]
    said = stage.relay("messages", "list", "--limit", "2", "--cursor", page["next_cursor"])
    assert [uuid(1)] == [row[1] for row in said.rows]


@pytest.mark.parametrize(
    "command", ["messages list", "messages unreadable", "dead-letters list", "dead-letters retry"]
)
def test_a_bot_that_is_none(stage: Stage, command: str) -> None:
    """A name that no bot has is a mistake that lists the bots."""
    stage.receive(1, CRM)
    said = stage.relay(*command.split(), "--bot", "nope")
    line = "relay: --bot: 'nope': expected one of sales, support\n"
    assert (2, "", line) == (said.code, said.out, said.err)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("--state lost", "--state: 'lost': expected one of pending, failing, read, unwanted,"),
        ("--since yesterday", "--since: 'yesterday': expected a time such as 2026-11-22T08:00:00Z"),
        ("--until 2023-11-14T22:13:23", "--until: '2023-11-14T22:13:23': expected a time such as"),
        ("--state dead --pending", "--state: expected alone, without --pending, --finished and"),
        ("--endpoint nope", "--endpoint: 'nope': expected one of sales/crm, support/crm,"),
    ],
)
def test_a_filter_that_is_none(stage: Stage, arguments: str, line: str) -> None:
    """Wrong usage is told with what is expected."""
    stage.receive(1, CRM)
    said = stage.relay("messages", "list", *arguments.split())
    assert (2, "") == (said.code, said.out)
    assert said.err.startswith(f"relay: {line}")


def test_a_timeline_tells_what_happened_and_what_comes(stage: Stage) -> None:
    """`show` tells of reception, attempts with status, duration and reason, and what is next."""
    stage.postpone(1, CRM)
    said = stage.relay("messages", "show", uuid(1).upper())
    assert (0, "") == (said.code, said.err)
    assert [
        ["message", uuid(1)],
        ["bot", "support"],
        ["category", "PLAIN_TEXT"],
        ["conversation", CONVERSATION],
        ["user", "u"],
    ] == said.rows[:5]
    assert [
        ["-", "received (live)"],
        ["support/crm", "attempt 1: transient 500 (http_5xx) after 250ms: oops  no"],
        ["support/crm", "attempt 2 is due"],
    ] == [row[1:] for row in said.rows[5:]]


def test_the_end_of_a_timeline(stage: Stage) -> None:
    """A dead letter ends the story of its message, and each endpoint has its own."""
    stage.bury(1, CRM)
    stage.receive(2, CRM, LOG)
    told = [row[1:] for row in stage.relay("messages", "show", uuid(1)).rows[5:]]
    assert ["support/crm", "attempt 1: rejected 400 (http_4xx) after 250ms: no thanks"] in told
    assert ["support/crm", "dead: http_4xx"] in told
    assert ["-", "finished: dead"] in told
    told = [row[1:] for row in stage.relay("messages", "show", uuid(2)).rows[5:]]
    assert {"support/crm", "support/log", "-"} == {row[0] for row in told}


def test_the_content_only_when_asked_for(stage: Stage) -> None:
    """Nobody's message is printed but by --content, and then as the webhooks get it."""
    stage.receive(1, CRM)
    assert "hello" not in stage.relay("messages", "show", uuid(1)).out
    assert '"content":"hello"' in stage.relay("messages", "show", uuid(1), "--content").out
    show = ("messages", "show", uuid(1), "--json")
    (history,) = stage.relay(*show).document["histories"]
    assert "body" not in history
    (history,) = stage.relay(*show, "--content").document["histories"]
    assert "hello" == history["body"]["data"]["content"]


def test_the_content_of_what_cannot_be_read_any_more(stage: Stage) -> None:
    """A frame that is none, and a bot that is configured no more, still show what there is."""
    stage.receive(1, CRM, text=b'{"strange": "frame"}')
    stage.receive(2, SALES)
    assert '{"strange": "frame"}' in stage.relay("messages", "show", uuid(1), "--content").out
    settings = {"name": "other", "url": "http://127.0.0.1:9/"}
    keystore = '{"app_id":"%s","session_id":"%s","session_private_key":"%s"}'
    stage.write_settings(
        bots=[
            {
                "name": "other",
                "keystore": keystore % (uuid(1), uuid(2), "20" * 32),
                "endpoints": [settings],
            }
        ]
    )
    assert '"content":"hello"' in stage.relay("messages", "show", uuid(2), "--content").out


def test_an_unknown_message(stage: Stage) -> None:
    """A message that the journal does not know is a failure of one line."""
    stage.receive(1, CRM)
    said = stage.relay("messages", "show", uuid(9))
    assert (1, "") == (said.code, said.out)
    assert f"relay: ID: '{uuid(9)}': the journal knows no such message\n" == said.err


def test_a_journal_that_is_not_there(stage: Stage) -> None:
    """A journal that does not exist is a failure, and is not made."""
    said = stage.relay("messages", "list")
    assert (1, "") == (said.code, said.out)
    path = stage.folder / "journal.db"
    assert f"relay: journal {path}: there is no such journal\n" == said.err
    assert not path.exists()


def test_a_journal_in_memory(stage: Stage) -> None:
    """A journal that lives in the running relay can't be looked at from outside."""
    stage.write_settings(journal="memory:")
    said = stage.relay("messages", "list")
    assert (1, "") == (said.code, said.out)
    assert "inside the running relay only" in said.err
    assert 1 == len(said.err.splitlines())


def test_a_file_that_is_no_journal(stage: Stage) -> None:
    """Any other file is refused in one line."""
    (stage.folder / "journal.db").write_text("not a journal " * 100)
    said = stage.relay("messages", "list")
    assert (1, "") == (said.code, said.out)
    assert said.err.startswith(f"relay: journal {stage.folder}/journal.db: ")
    assert 1 == len(said.err.splitlines())


def test_a_table_on_a_terminal(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person gets a table with a head."""
    stage.receive(1, CRM)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "300")
    out = re.sub(r"\x1b\[[0-9;]*m", "", stage.relay("messages", "list").out)
    head, row = out.splitlines()
    assert head.split() == [
        "received",
        "message",
        "bot",
        "category",
        "conversation",
        "outcome",
        "receipt",
    ]
    assert uuid(1) in row
    assert "\t" not in row


def test_unreadable_frames_are_listed(stage: Stage) -> None:
    """What Mixin sent and nobody could read is kept for inspection."""

    async def work(opened: OpenJournal) -> None:
        await opened.journal.start([], 0.0)
        frame = UnreadableFrame("d" * 64, "not_json", b"{\xff")
        await keep_unreadable(opened.journal, "support", frame, 0.0)

    stage.at_journal(work)
    said = stage.relay("messages", "unreadable", "--content")
    assert [["support", "not_json", "1", "{\\xff"]] == [row[2:] for row in said.rows]
    document = stage.relay("messages", "unreadable", "--json").document
    assert ["d" * 64] == [frame["digest"] for frame in document["frames"]]
