"""The receivers of a soak notice what a relay does wrong."""

import base64
from pathlib import Path

import pytest

from tests.soak.ledger import CONVERSATIONS, PLACES, Ledger, content_of, id_of
from tests.soak.receivers import VERIFY_EVERY, AdminStore

HEAD = {b"webhook-id": id_of(5).encode()}


def body(number: int, content: str | None = None) -> bytes:
    """Write a message as the relay does."""
    place = PLACES[number % CONVERSATIONS]
    return (
        f'{{"conversation_id": "{place}", "content": "{content or content_of(number)}"}}'.encode()
    )


@pytest.fixture
def desk(tmp_path: Path) -> AdminStore:
    """Give one for 1,000 messages that are written, at a time when a minute has passed."""
    ledger = Ledger(tmp_path / "ledger", 1_000)
    for number in range(1_000):
        ledger.write(number, number)
    return AdminStore(ledger, lambda: 60.0)


def test_a_good_request_is_taken(desk: AdminStore) -> None:
    """Nothing is wrong with a message as it was written, and its delay is measured."""
    assert 5 == desk.judge(HEAD, body(5))
    desk.take("crm", 5, b"none")
    report = desk.report()
    assert (1, 0) == (report["taken"], report["wrong"])
    assert pytest.approx(60.0, abs=0.001) == report["p99"]


def test_a_change_is_noticed(desk: AdminStore) -> None:
    """Another text, or another conversation, is a complaint."""
    desk.judge(HEAD, body(5, "something else"))
    desk.judge(HEAD, body(5).replace(PLACES[5].encode(), PLACES[6].encode()))
    assert ["message 5 came changed"] * 2 == desk.complaints


def test_what_nobody_wrote_is_noticed(desk: AdminStore) -> None:
    """A message that was never written, or a stranger's id, is a complaint."""
    assert desk.judge({b"webhook-id": id_of(1_000).encode()}, body(1_000)) is None
    assert desk.judge({b"webhook-id": b"abc"}, b"") is None
    assert 2 == desk.wrong


def test_doubles_are_announced(desk: AdminStore) -> None:
    """A message may come again as unknown, and as nothing else."""
    desk.take("crm", 5, b"none")
    desk.take("crm", 5, b"unknown")
    assert [] == desk.complaints
    desk.take("crm", 5, b"failed")
    assert ["crm: message 5 came again as failed"] == desk.complaints


def test_disorder_is_noticed(desk: AdminStore) -> None:
    """First deliveries of a conversation keep their order; other conversations don't matter."""
    desk.take("crm", 5 + CONVERSATIONS, b"none")
    desk.take("crm", 4, b"none")
    assert [] == desk.complaints
    desk.take("crm", 5, b"none")
    assert [f"crm: message 5 came after {5 + CONVERSATIONS}"] == desk.complaints


def test_a_bad_signature_is_noticed(desk: AdminStore) -> None:
    """Of many requests some are verified, and one that is not signed well is a complaint."""
    forged = base64.b64encode(b"x" * 32).decode()
    head = {**HEAD, b"webhook-timestamp": b"1", b"webhook-signature": f"v1,{forged}".encode()}
    for _ in range(VERIFY_EVERY):
        desk.judge(head, body(5))
    assert 1 == desk.wrong
