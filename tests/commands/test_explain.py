"""`relay explain`."""

import sys

import pytest

from relay.admin.explain_sentences import NO_RELAY
from relay.journal.open import OpenJournal
from relay.journal.sqlite.lock import Lock
from relay.model.journal import Arrival, EndpointNote, Owed
from relay.model.messages import BreakerState, Message, Source
from tests.commands.stage import CONVERSATION, CRM, LOG, NOW, Stage, frame, uuid
from tests.journal.samples import note_endpoint, record


def test_a_dead_letter_is_explained(stage: Stage) -> None:
    """Sentences under four heads, with the commands that help, ready to copy."""
    stage.bury(1, CRM)
    said = stage.relay("explain", uuid(1).upper())
    assert (0, "") == (said.code, said.err)
    assert f"Message {uuid(1)} of support" == said.out.splitlines()[0]
    heads = [line for line in said.out.splitlines() if line and not line.startswith(" ")]
    assert ["What happened", "What comes next", "What may help"] == heads[1:]
    assert "a dead letter since 2023-11-14T22:15:01Z" in said.out
    assert "http_4xx (status 400), after 1 attempt." in said.out
    command = f"  relay dead-letters retry {uuid(1)} --endpoint support/crm"
    assert command in said.out.splitlines()
    assert "no thanks" not in said.out
    assert 0 == stage.relay(*command.split()[1:]).code


def test_the_settings_tell_of_filters(stage: Stage) -> None:
    """An endpoint of the settings that is not owed the message is explained, too."""
    stage.deliver(1, CRM)
    out = stage.relay("explain", uuid(1)).out
    assert "support/log is not owed it, although its filter would let it through" in out
    assert "Mixin's answer to READ." in out


def test_what_goes_before_it_is_explained(stage: Stage) -> None:
    """The earlier message of the conversation is named, and what that one waits for."""

    async def two_of_one_conversation(opened: OpenJournal) -> None:
        for number in (1, 2):
            ids = ("support", uuid(number), CONVERSATION, "u", "PLAIN_TEXT")
            message = Message(*ids, Source.LIVE, frame(number), NOW)
            owed = (Owed(CRM, CONVERSATION, required=True),)
            await record(opened.journal, [Arrival(message, owed)])
        note = EndpointNote(BreakerState.OPEN, "connect, refused", NOW)
        await note_endpoint(opened.journal, CRM, note)

    stage.at_journal(two_of_one_conversation)
    out = stage.relay("explain", uuid(2)).out
    assert f"the earlier message {uuid(1)} of its conversation goes first." in out
    assert "That one's attempt 1 is due." in out
    assert "so it is only probed: its circuit is open (last error: connect, refused)" in out
    assert f"relay explain {uuid(1)}" in out


def test_an_explanation_for_programs(stage: Stage) -> None:
    """--json gives the document of the admin API."""
    stage.receive(1, CRM, LOG)
    (explanation,) = stage.relay("explain", uuid(1), "--json").document["explanations"]
    assert ("support", uuid(1)) == (explanation["bot"], explanation["message_id"])
    assert {"bot", "message_id", "happened", "waits_for", "next", "commands"} == set(explanation)
    assert "It is owed to support/crm and support/log." == explanation["happened"][1]


def test_that_no_relay_runs(stage: Stage) -> None:
    """Where nobody is there to do what comes next, it is said first; beside a relay it is not."""
    stage.receive(1, CRM)
    out = stage.relay("explain", uuid(1)).out
    assert f"What it waits for\n  {NO_RELAY}\n" in out
    assert "What comes next\n  Nothing of what follows, before a relay is started.\n" in out
    with Lock(stage.folder / "journal.db"):
        assert "relay is started" not in stage.relay("explain", uuid(1)).out


def test_long_sentences_on_a_terminal(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person reads whole words, and copies commands as one line."""
    stage.bury(1, CRM)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    lines = stage.relay("explain", uuid(1)).out.splitlines()
    assert f"  relay dead-letters retry {uuid(1)} --endpoint support/crm" in lines
    sentences = lines[: lines.index("What may help")]
    assert 60 >= max(map(len, sentences))
    assert any(line.startswith("    ") for line in sentences)


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_an_unknown_message(stage: Stage, arguments: list[str]) -> None:
    """A failure of one line that says why the journal may not know it."""
    stage.receive(1, CRM)
    said = stage.relay("explain", uuid(9), *arguments)
    assert (1, "") == (said.code, said.out)
    why = f"relay: ID: '{uuid(9)}': the journal knows no message {uuid(9)}: either it never came"
    assert said.err.startswith(why)
    assert 1 == len(said.err.splitlines())
