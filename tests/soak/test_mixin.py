"""Mixin's side of a soak forgets what is READ, and still knows all that it has to judge."""

from pathlib import Path

from relay.simulator.journal import Kind, Transport
from tests.soak.ledger import Ledger, id_of
from tests.soak.mixin import Forgetful, _message, bounded
from tests.support.simulator import Simulator

MESSAGES = 20


def furnished(folder: Path) -> tuple[Simulator, Ledger, Forgetful]:
    """Give a simulator with pushed messages, none of them taken."""
    simulator, ledger = Simulator(), Ledger(folder / "ledger", MESSAGES)
    mailbox = bounded(simulator, ledger)
    for number in range(MESSAGES):
        mailbox.add(_message(number, 1_700_000_000.0))
        simulator.journal.pushed[id_of(number)] += 1
    return simulator, ledger, mailbox


def mark_read(simulator: Simulator, *numbers: int) -> None:
    """Let the relay mark messages READ."""
    items = [{"message_id": id_of(number), "status": "READ"} for number in numbers]
    simulator.state.acknowledge(simulator.bot, items, Transport.HTTP)


def test_what_is_read_is_forgotten(tmp_path: Path) -> None:
    """Nothing is left of a message that is READ but a flag in the ledger; again is no mistake."""
    simulator, ledger, mailbox = furnished(tmp_path)
    ledger.take("crm", 3)
    mark_read(simulator, 3)
    mark_read(simulator, 3)
    assert [] == simulator.journal.violations
    assert (MESSAGES - 1, 1, True) == (len(mailbox), mailbox.read, ledger.is_read(3))
    assert mailbox.find(id_of(3)) is None
    assert [] == simulator.journal.acks
    assert 0 == len(simulator.journal.pushed)


def test_read_too_early_is_noticed(tmp_path: Path) -> None:
    """READ before the 2xx of every endpoint is a violation."""
    simulator, ledger, _ = furnished(tmp_path)
    ledger.take("crm", 10)
    mark_read(simulator, 10)
    assert {Kind.READ_TOO_EARLY: 1} == simulator.journal.kinds()


def test_read_of_what_was_never_pushed_is_noticed(tmp_path: Path) -> None:
    """READ of a message that the relay can't know is a violation."""
    simulator, ledger, _ = furnished(tmp_path)
    ledger.take("crm", 3)
    ledger._pushed[3] = 0
    mark_read(simulator, 3)
    assert {Kind.STRANGE_ACK: 1} == simulator.journal.kinds()
