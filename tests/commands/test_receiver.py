"""`relay receiver`; that it serves is shown in test_process.py."""

import pytest

from tests.commands.stage import Stage
from tests.config.example import SECRET


@pytest.mark.parametrize(
    "text", ["", "whsec_", "whsk_AAAA", f"{SECRET} {SECRET}", "hunter2", "\xff"]
)
def test_a_secret_that_is_none(stage: Stage, text: str) -> None:
    """A file without one symmetric secret is wrong usage, and nothing of it is repeated."""
    (stage.folder / "secret").write_text(text, encoding="latin-1")
    for option in ("--secret-file", "--write-secret"):
        said = stage.relay("receiver", option, "secret")
        told = f"relay: {option}: 'secret': expected one secret, whsec_…\n"
        assert (2, "", told) == (said.code, said.out, said.err)


def test_a_secret_that_is_not_there(stage: Stage) -> None:
    """A file that can't be read is wrong usage, and one that can't be written a failure."""
    said = stage.relay("receiver", "--secret-file", "none")
    why = "expected a readable file (No such file or directory)"
    assert (2, f"relay: --secret-file: 'none': {why}\n") == (said.code, said.err)
    said = stage.relay("receiver", "--write-secret", "none/secret")
    assert 1 == said.code
    assert said.err.startswith("relay: --write-secret: 'none/secret': can't be written")


def test_one_secret_is_enough(stage: Stage) -> None:
    """--secret-file and --write-secret contradict each other."""
    said = stage.relay("receiver", "--secret-file", "a", "--write-secret", "b")
    text = "relay: --write-secret: expected alone, since --secret-file names one\n"
    assert (2, text) == (said.code, said.err)


def test_an_address_that_is_not_ours(stage: Stage) -> None:
    """An address that can't be listened on is a failure of one line."""
    said = stage.relay("receiver", "--listen", "203.0.113.1:7001")
    assert (1, "") == (said.code, said.out)
    assert said.err.startswith("relay: --listen: '203.0.113.1:7001': ")
    assert 1 == len(said.err.splitlines())
