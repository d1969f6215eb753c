"""`relay endpoints`."""

import sys

import pytest

from relay.admin.explain_sentences import NO_RELAY
from relay.journal.open import OpenJournal
from relay.journal.sqlite.lock import Lock
from relay.model.journal import EndpointNote
from relay.model.messages import BreakerState
from tests.commands.stage import CRM, NOW, SALES, Stage
from tests.journal.samples import note_endpoint


def _state(stage: Stage, name: str) -> str:
    rows = {row[0]: row[1] for row in stage.relay("endpoints", "list").rows}
    return rows[name]


def test_how_they_fare(stage: Stage) -> None:
    """A line for each: state, pending, oldest, dead letters, next probe, last error."""
    stage.receive(1, CRM)
    stage.bury(2, SALES)
    note = EndpointNote(BreakerState.OPEN, "http_503: try\tlater", NOW + 10)
    stage.at_journal(lambda opened: note_endpoint(opened.journal, CRM, note))
    said = stage.relay("endpoints", "list")
    assert (0, "") == (said.code, said.err)
    assert ["sales/crm", "support/crm", "support/log"] == [row[0] for row in said.rows]
    _, state, pending, oldest, dead, probe, error = said.rows[1]
    assert ("open", "1", "0", "http_503: try later") == (state, pending, dead, error)
    assert oldest.startswith("2023-11-14T22:13:21Z (")
    assert probe.startswith("2023-11-14T22:13:30Z (")
    assert ["closed", "0", "-", "1", "-", "-"] == said.rows[0][1:]


def test_a_list_for_programs(stage: Stage) -> None:
    """--json gives one document, as the admin API would."""
    stage.receive(1, CRM)
    endpoints = stage.relay("endpoints", "list", "--json").document["endpoints"]
    assert [("sales", "crm"), ("support", "crm"), ("support", "log")] == [
        (each["bot"], each["endpoint"]) for each in endpoints
    ]


@pytest.mark.parametrize(("name", "full"), [("log", "support/log"), ("sales/crm", "sales/crm")])
def test_pause_and_resume(stage: Stage, name: str, full: str) -> None:
    """A name, with its bot's where that is needed, pauses and resumes one endpoint."""
    stage.receive(1, CRM)
    said = stage.relay("endpoints", "pause", name)
    assert (0, "") == (said.code, said.err)
    assert f"{full} paused; a running relay takes notice within 5 seconds\n" == said.out
    assert "paused" == _state(stage, full)
    said = stage.relay("endpoints", "resume", name)
    assert f"{full} resumed; a running relay takes notice within 5 seconds\n" == said.out
    assert "closed" == _state(stage, full)


def test_resume_revives_one_that_is_gone(stage: Stage) -> None:
    """An endpoint that answered 410 is attempted again once an operator says so."""

    async def vanish(opened: OpenJournal) -> None:
        await note_endpoint(opened.journal, CRM, EndpointNote(BreakerState.GONE, gone_since=NOW))

    stage.at_journal(vanish)
    assert "gone" == _state(stage, "support/crm")
    stage.relay("endpoints", "resume", "support/crm")
    assert "closed" == _state(stage, "support/crm")


def test_what_was_done_for_programs(stage: Stage) -> None:
    """--json names the endpoint and what was done."""
    stage.receive(1, CRM)
    said = stage.relay("endpoints", "pause", "log", "--json")
    assert {"bot": "support", "endpoint": "log", "action": "pause"} == said.document
    said = stage.relay("endpoints", "resume", "log", "--json")
    assert {"bot": "support", "endpoint": "log", "action": "resume"} == said.document


@pytest.mark.parametrize("action", ["pause", "resume"])
@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("crm", "'crm': is the name of several; expected one of sales/crm, support/crm"),
        ("x/crm", "'x/crm': expected one of sales/crm, support/crm, support/log"),
    ],
)
def test_a_name_must_be_that_of_one(stage: Stage, action: str, name: str, line: str) -> None:
    """A name that several endpoints or none have is a mistake that lists the candidates."""
    stage.receive(1, CRM)
    said = stage.relay("endpoints", action, name)
    assert (2, "", f"relay: NAME: {line}\n") == (said.code, said.out, said.err)


def test_what_is_wrong_in_words(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a line for each trouble stands under the table; programs are spared them."""
    stage.bury(1, CRM)
    assert 3 == len(stage.relay("endpoints", "list").rows)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    letters = "support/crm has 1 dead letter: relay dead-letters list --endpoint support/crm"
    assert [NO_RELAY, letters] == stage.relay("endpoints", "list").out.splitlines()[4:]
    with Lock(stage.folder / "journal.db"):
        assert [letters] == stage.relay("endpoints", "list").out.splitlines()[4:]
