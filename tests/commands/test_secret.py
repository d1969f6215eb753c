"""`relay secret`."""

from relay.journal.encryption.keys import Keyring
from relay.webhook.signature import Signer
from tests.commands.stage import Stage


def test_a_new_secret_each_time(stage: Stage) -> None:
    """Each call prints another secret that a signer takes, and nothing else."""
    first, second = stage.relay("secret"), stage.relay("secret")
    assert (0, "") == (first.code, first.err)
    assert first.out != second.out
    assert first.out.startswith("whsec_")
    assert 1 == len(first.out.splitlines())
    assert Signer.parse(first.out).sign("id", 1, b"").startswith("v1,")


def test_a_new_journal_key_each_time(stage: Stage) -> None:
    """Each call prints another key that the journal takes, and nothing else."""
    first, second = (stage.relay("secret", "--journal-key") for _ in range(2))
    assert (0, "") == (first.code, first.err)
    assert first.out != second.out
    assert first.out.startswith("rjk_")
    assert 1 == len(first.out.splitlines())
    assert 1 == len(Keyring.parse(first.out).ids)
