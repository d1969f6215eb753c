"""The ledger of a soak knows what became of each message."""

from pathlib import Path

import pytest

from tests.soak.ledger import Account, Ledger, content_of, id_of, number_of, owed_to

MESSAGES = 30


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Give an empty one."""
    return Ledger(tmp_path / "ledger", MESSAGES)


def finish(ledger: Ledger, number: int) -> None:
    """Let a message be taken by all, and READ."""
    for name in owed_to(number):
        ledger.take(name, number)
    ledger.read(number)


def test_a_number_is_an_id_and_back() -> None:
    """Ids carry their numbers, and a stranger's id carries none."""
    assert all(number == number_of(id_of(number)) for number in (0, 9, 2**40))
    assert number_of("8dcf823d-9eb3-4da2-8734-f0aad50c0da6") is None
    assert number_of(id_of(1)[:-1] + "x") is None


def test_contents_differ() -> None:
    """Each message has a text of its own."""
    assert 2_000 == len({content_of(number) for number in range(2_000)})


def test_all_is_well(ledger: Ledger) -> None:
    """A soak that lost nothing has an account with nothing to say."""
    for number in range(MESSAGES):
        finish(ledger, number)
    assert Account(MESSAGES, unread=0, untaken=0, doubled=0) == ledger.account(MESSAGES)


def test_a_loss_is_seen(ledger: Ledger) -> None:
    """One message that one endpoint never took is named, although it is READ."""
    for number in range(MESSAGES):
        ledger.read(number)
        ledger.take("crm", number)
        if number != 20:
            ledger.take("audit", number)
    account = ledger.account(MESSAGES)
    assert (1, ("audit never took message 20",)) == (account.untaken, account.lost)


def test_what_is_unread_is_seen(ledger: Ledger) -> None:
    """One message that stays unread counts."""
    for number in range(MESSAGES - 1):
        finish(ledger, number)
    ledger.take("crm", MESSAGES - 1)
    assert 1 == ledger.account(MESSAGES).unread


def test_doubles_are_counted(ledger: Ledger) -> None:
    """A message taken three times was doubled twice."""
    finish(ledger, 3)
    assert 1 == ledger.take("crm", 3)
    assert 2 == ledger.take("crm", 3)
    assert 2 == ledger.account(MESSAGES).doubled


def test_read_needs_every_endpoint(ledger: Ledger) -> None:
    """READ is allowed once all that a message is owed to have taken it."""
    assert not ledger.may_be_read(10)
    ledger.take("crm", 10)
    assert not ledger.may_be_read(10)
    ledger.take("audit", 10)
    assert ledger.may_be_read(10)
    ledger.take("crm", 11)
    assert ledger.may_be_read(11)


def test_processes_share_it(ledger: Ledger, tmp_path: Path) -> None:
    """What one process notes, another one knows at once."""
    other = Ledger(tmp_path / "ledger", MESSAGES)
    ledger.take("crm", 7)
    ledger.write(7, 41)
    assert other.may_be_read(7)
    assert (41, None) == (other.written_at(7), other.written_at(8))
