"""`relay dead-letters`."""

import sys
import time
from typing import Any

import pytest

from relay.admin.requests import in_batches
from relay.commands.dead_letters import Sheet
from relay.journal.history import SqlAdminStore
from relay.journal.open import OpenJournal
from relay.model.admin import DeadLetter, DeadLetterQuery
from relay.model.messages import DeliveryState, ReceiptState
from relay.model.ports import JournalUnavailable
from tests.commands.stage import CONVERSATION, CRM, LOG, NOW, SALES, Stage, uuid


@pytest.fixture
def burials(stage: Stage) -> Stage:
    """Three dead letters: two old ones of two bots, and a new one."""
    stage.bury(1, CRM)
    stage.bury(2, SALES)
    stage.bury(3, LOG, at=time.time() - 60)
    return stage


def _left(stage: Stage) -> list[str]:
    letters = stage.with_admin_store(lambda store: store.dead_letters(DeadLetterQuery()))
    return sorted(letter.message_id for letter in letters)


def test_the_oldest_is_listed_first(burials: Stage) -> None:
    """A line for each: since when, which, where to, and why."""
    said = burials.relay("dead-letters", "list")
    assert (0, "") == (said.code, said.err)
    assert {uuid(1), uuid(2), uuid(3)} == {row[1] for row in said.rows}
    assert uuid(3) == said.rows[2][1]
    row = next(row for row in said.rows if row[1] == uuid(1))
    assert row[0].startswith("2023-11-14T22:15:01Z (")
    assert ["support/crm", "PLAIN_TEXT", "1", "http_4xx", "400", "no thanks"] == row[2:]


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        (["--bot", "support"], [1, 3]),
        (["--endpoint", "support/crm"], [1]),
        (["--endpoint", "log"], [3]),
        (["--endpoint", "crm", "--bot", "sales"], [2]),
        (["--reason", "http_4xx"], [1, 2, 3]),
        (["--reason", "timeout"], []),
        (["--older-than", "2d"], [1, 2]),
        (["--since", "1h"], [3]),
        (["--until", "2023-11-15T00:00:00Z"], [1, 2]),
        (["--conversation", CONVERSATION.upper(), "--bot", "sales"], [2]),
        (["--all"], [1, 2, 3]),
        ([uuid(3), uuid(1).upper()], [1, 3]),
        ([uuid(3), "--bot", "sales"], []),
    ],
)
def test_filters(burials: Stage, filters: list[str], numbers: list[int]) -> None:
    """Filters hold all at once, for looking and for acting alike."""
    expected = [uuid(number) for number in numbers]
    said = burials.relay("dead-letters", "list", *filters)
    assert expected == sorted(row[1] for row in said.rows)
    said = burials.relay("dead-letters", "retry", *filters)
    assert expected == sorted(row[1] for row in said.rows)
    assert {uuid(1), uuid(2), uuid(3)} == {*_left(burials), *expected}


def test_a_limit(burials: Stage) -> None:
    """--limit takes the oldest."""
    assert 2 == len(burials.relay("dead-letters", "list", "--limit", "2").rows)
    assert 1 == len(burials.relay("dead-letters", "retry", "--all", "--limit", "1").rows)
    assert 2 == len(_left(burials))


def test_a_list_for_programs(burials: Stage) -> None:
    """--json gives one document, as the admin API would."""
    said = burials.relay("dead-letters", "list", "--json", "--endpoint", "log")
    (letter,) = said.document["dead_letters"]
    assert ("support", "log", uuid(3)) == (letter["bot"], letter["endpoint"], letter["message_id"])
    said = burials.relay("dead-letters", "retry", "--json", "--all")
    assert 3 == len(said.document["dead_letters"])


def test_the_story_of_one(burials: Stage) -> None:
    """`show` tells how it came to that; the content only when asked."""
    said = burials.relay("dead-letters", "show", uuid(1))
    assert "attempt 1: rejected 400 (http_4xx) after 250ms: no thanks" in said.out
    assert "hello" not in said.out
    assert "hello" in burials.relay("dead-letters", "show", uuid(1), "--content").out


def test_only_a_dead_letter_is_shown(burials: Stage) -> None:
    """A message that is no dead letter is a failure."""
    burials.receive(4, CRM)
    said = burials.relay("dead-letters", "show", uuid(4))
    assert (1, "") == (said.code, said.out)
    assert f"relay: ID: '{uuid(4)}': expected the id of a dead letter\n" == said.err


def test_retry_makes_it_due_again(burials: Stage) -> None:
    """A retried dead letter is a delivery like a new one."""
    said = burials.relay("dead-letters", "retry", "--all", "--endpoint", "support/crm")
    assert (0, "") == (said.code, said.err)
    (history,) = burials.with_admin_store(lambda store: store.history(uuid(1)))
    (delivery,) = history.deliveries
    assert DeliveryState.PENDING is delivery.state
    assert delivery.due_at is not None
    assert delivery.due_at <= time.time()


def test_an_id_that_is_none_is_told_after_the_work(burials: Stage) -> None:
    """What can be done is done; an id that is no dead letter's makes it a failure."""
    said = burials.relay("dead-letters", "retry", uuid(1), uuid(9))
    assert [uuid(1)] == [row[1] for row in said.rows]
    assert (1, f"relay: ID: '{uuid(9)}': expected the id of a dead letter\n") == (
        said.code,
        said.err,
    )
    assert uuid(1) not in _left(burials)


@pytest.mark.parametrize(
    ("options", "state", "receipt"),
    [
        (["--yes"], DeliveryState.DISCARDED, ReceiptState.NONE),
        (["--yes", "--mark-read"], DeliveryState.WAIVED, ReceiptState.OWED),
    ],
)
def test_discard_marks_read_only_when_told(
    burials: Stage, options: list[str], state: DeliveryState, receipt: ReceiptState
) -> None:
    """A discarded message stays unread, unless --mark-read says otherwise."""
    said = burials.relay("dead-letters", "discard", uuid(1), *options)
    assert (0, "") == (said.code, said.err)
    (history,) = burials.with_admin_store(lambda store: store.history(uuid(1)))
    assert state is history.deliveries[0].state
    assert receipt is history.message.receipt
    assert [uuid(2), uuid(3)] == _left(burials)


def test_nothing_is_discarded_without_yes(burials: Stage) -> None:
    """Without --yes nothing happens."""
    assert 2 == burials.relay("dead-letters", "discard", "--all").code
    assert 3 == len(_left(burials))


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("crm", "'crm': is the name of several; expected one of sales/crm, support/crm"),
        ("x", "'x': expected one of sales/crm, support/crm, support/log"),
    ],
)
def test_an_endpoint_must_be_one(burials: Stage, name: str, line: str) -> None:
    """A name that several endpoints or none have is a mistake that lists the candidates."""
    said = burials.relay("dead-letters", "retry", "--endpoint", name)
    assert (2, "", f"relay: --endpoint: {line}\n") == (said.code, said.out, said.err)
    assert 3 == len(_left(burials))


def test_a_word_for_a_person(burials: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a last line says what was done."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "300")
    said = burials.relay("dead-letters", "retry", "--bot", "sales")
    assert (
        "1 due again; a running relay takes notice within 5 seconds" == (said.out.splitlines()[-1])
    )


def test_ages_count_from_the_death(burials: Stage) -> None:
    """--older-than looks at when it died, not at when it came."""
    age = f"{int(time.time() - NOW) // 86_400 + 2}d"
    assert [] == burials.relay("dead-letters", "list", "--older-than", age).rows


def test_pages(burials: Stage) -> None:
    """A full page has a cursor for the next; the last has none."""
    list_two = ("dead-letters", "list", "--json", "--limit", "2")
    page = burials.relay(*list_two).document
    assert (2, 2) == (len(page["dead_letters"]), page["count"])
    rest = burials.relay(*list_two, "--cursor", page["next_cursor"]).document
    assert [uuid(3)] == [letter["message_id"] for letter in rest["dead_letters"]]
    assert rest["next_cursor"] is None
    nothing = burials.relay("dead-letters", "list", "--json", "--reason", "dns").document
    assert {"dead_letters": [], "count": 0, "next_cursor": None} == nothing


def test_many_go_in_short_steps(burials: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, each transaction takes a few, and all of them are told."""
    notices = _steps(burials, monkeypatch, "retry", "--all")
    assert [("command", "all", 1)] * 3 == notices
    assert [] == _left(burials)


def test_many_are_discarded_in_short_steps(burials: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Discarding is as short, and takes no more than --limit."""
    arguments = ("discard", "--reason", "http_4xx", "--limit", "2", "--yes")
    assert [("command", "reason=http_4xx", 1)] * 2 == _steps(burials, monkeypatch, *arguments)
    assert 1 == len(_left(burials))


def _steps(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, *arguments: str
) -> list[tuple[str, str, int]]:
    """Act in steps of one; gives what a running relay hears of it."""
    monkeypatch.setattr(in_batches, "__kwdefaults__", {"size": 1})
    assert 0 == stage.relay("dead-letters", *arguments).code

    async def heard(opened: OpenJournal) -> list[tuple[str, str, int]]:
        audits = [notice.audit for notice in await opened.journal.operator_events(0)]
        return [(audit.actor, audit.target, audit.count) for audit in audits]

    return stage.at_journal(heard)


def test_a_bar_for_a_person(burials: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a bar on standard error shows how far it is, and leaves the output alone."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm")
    said = burials.relay("dead-letters", "retry", "--all")
    assert 3 == len(said.rows)
    assert "3/3" in said.err


@pytest.mark.parametrize(
    "arguments", [["--reason", "http_4xx", "--limit", "2"], [uuid(1), uuid(2)]]
)
def test_a_bar_ends_with_what_is_asked(
    burials: Stage, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    """With --limit or ids the bar is full at the end, whatever else is dead."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm")
    assert "2/2" in burials.relay("dead-letters", "retry", *arguments).err


def test_a_list_is_printed_once(burials: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a list has one head; an empty one has it as well."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "300")
    assert 1 == burials.relay("dead-letters", "list").out.count("attempts")
    assert 1 == burials.relay("dead-letters", "list", "--reason", "dns").out.count("attempts")


def test_a_journal_that_fails_half_way(burials: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was done is told, with what is to do; the document is whole."""
    monkeypatch.setattr(in_batches, "__kwdefaults__", {"size": 2})
    retry, calls = SqlAdminStore.retry, iter((True, False))

    async def failing(store: SqlAdminStore, query: DeadLetterQuery, now: float) -> Any:
        if next(calls):
            return await retry(store, query, now)
        raise JournalUnavailable("disk full")

    monkeypatch.setattr(SqlAdminStore, "retry", failing)
    said = burials.relay("dead-letters", "retry", "--all", "--json")
    assert 1 == said.code
    came = "2 due again before that; the same again goes on from there"
    assert f"relay: journal disk full; {came}\n" == said.err
    assert 2 == said.document["count"]


def test_a_table_for_a_person_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person is shown the first twenty of those that were acted on, and told how many more."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "300")
    letter = DeadLetter(CRM, uuid(1), "c", "PLAIN_TEXT", 1, "dns", None, "", NOW, NOW)
    sheet = Sheet(as_json=False, holds=True)
    sheet.add([letter] * 60)
    sheet.add([letter] * 60)
    with pytest.MonkeyPatch.context() as patched:
        printed: list[str] = []
        patched.setattr("relay.commands.dead_letters.print_note", printed.append)
        sheet.end()
    assert ["and 100 more"] == printed
