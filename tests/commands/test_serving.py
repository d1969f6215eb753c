"""What `relay simulator` and `relay receiver` have in common; test_process.py shows them serve."""

import pytest

from tests.commands.stage import Said, Stage
from tests.config.example import SECRET

KINDS = [
    ("simulator", "--keystore", "--write-keystore", "a keystore in JSON"),
    ("receiver", "--secret-file", "--write-secret", "one secret, whsec_…"),
]


def refused(said: Said, line: str) -> None:
    """Hold an answer to one line of wrong usage."""
    assert (2, "", f"relay: {line}\n") == (said.code, said.out, said.err)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *((KINDS[0], text) for text in ('{"app_id": "hunter2"}', "{}", "journal: x", "")),
        *((KINDS[1], text) for text in ("", "whsec_", "whsk_AAAA", f"{SECRET} {SECRET}", "\xff")),
    ],
)
def test_a_file_that_holds_none(stage: Stage, kind: tuple[str, ...], text: str) -> None:
    """It is wrong usage, nothing of it is repeated, and it is never written over."""
    command, *options, expected = kind
    path = stage.folder / "file"
    path.write_text(text, encoding="latin-1")
    for option in options:
        refused(stage.relay(command, option, "file"), f"{option}: 'file': expected {expected}")
    assert text == path.read_text(encoding="latin-1")


@pytest.mark.parametrize(("command", "read", "write", "_expected"), KINDS)
def test_a_file_that_is_not_there(
    stage: Stage, command: str, read: str, write: str, _expected: str
) -> None:
    """One that can't be read is wrong usage, and one that can't be written a failure."""
    why = "expected a readable file (No such file or directory)"
    refused(stage.relay(command, read, "none"), f"{read}: 'none': {why}")
    said = stage.relay(command, write, "none/file")
    assert 1 == said.code
    assert said.err.startswith(f"relay: {write}: 'none/file': can't be written")


@pytest.mark.parametrize(("command", "read", "write", "_expected"), KINDS)
def test_one_file_is_enough(
    stage: Stage, command: str, read: str, write: str, _expected: str
) -> None:
    """To read one and to make one contradict each other."""
    line = f"{write}: expected alone, since {read} names one"
    refused(stage.relay(command, read, "a", write, "b"), line)


@pytest.mark.parametrize("command", ["simulator", "receiver"])
def test_an_address_that_is_not_ours(stage: Stage, command: str) -> None:
    """An address that can't be listened on is a failure of one line."""
    said = stage.relay(command, "--listen", "203.0.113.1:7000")
    assert (1, "") == (said.code, said.out)
    assert said.err.startswith("relay: --listen: '203.0.113.1:7000': ")
    assert 1 == len(said.err.splitlines())
