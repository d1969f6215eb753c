"""`relay secret`."""

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
