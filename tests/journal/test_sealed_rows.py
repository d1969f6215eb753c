"""A journal with a key: what its rows hold, and what becomes of those that don't open."""

from base64 import b64encode
from pathlib import Path

import pytest

from relay.journal.encryption.columns import CLOSED
from relay.journal.encryption.keys import Keyring
from relay.journal.open import open_admin_store, open_journal
from relay.journal.sqlite.lock import JournalRefused
from relay.model.admin import DeadLetterQuery
from relay.model.messages import Reason, Rejected, Transient
from relay.model.ports import JournalUnavailable
from tests.journal.raw import change, rows, sealed_by
from tests.journal.samples import (
    CRM,
    KEYS,
    NEW,
    NOW,
    OTHER,
    ROTATED,
    arrival,
    dead,
    due,
    postponed,
    receive,
    settle,
    uuid,
)
from tests.journal.sealed import BODY, ERROR, FRONT, TABLES, WORDS, running, stock, told

DAMAGE = "its copy in the journal can't be opened: "
OLD_ID, NEW_ID = KEYS.first.id, NEW.first.id


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a file that is not there yet."""
    return tmp_path / "journal.db"


# --- What a row holds -----------------------------------------------------------------------------


async def test_what_people_wrote_is_sealed(path: Path) -> None:
    """Frame, sample, a receiver's words and an endpoint's last error: each row names its key."""
    async with running(path, KEYS) as opened:
        await stock(opened)
        assert ([BODY], [BODY], [WORDS], [FRONT], ERROR, [ERROR, None]) == await told(opened)
    found = {table: sealed_by(path, table) for table in TABLES}
    assert {**{table: [OLD_ID] for table in TABLES}, "endpoints": [OLD_ID, None]} == found
    ((frame, size),) = rows(path, "SELECT frame, size FROM messages")
    assert (1, len(BODY)) == (frame[0], size)
    ((detail,),) = rows(path, "SELECT detail FROM attempts")
    assert WORDS not in detail


async def test_two_equal_bodies_look_different(path: Path) -> None:
    """Each seal has a nonce of its own, so that nobody sees what is the same."""
    async with running(path, KEYS) as opened:
        await receive(opened.journal, *(arrival(n, CRM, frame=BODY) for n in range(1, 101)))
    nonces = {frame[1:13] for (frame,) in rows(path, "SELECT frame FROM messages")}
    assert 100 == len(nonces)


async def test_without_a_key_nothing_is_sealed(path: Path) -> None:
    """Off by default: rows hold what came."""
    async with running(path, None) as opened:
        await stock(opened)
    assert [(BODY, None)] == rows(path, "SELECT frame, sealed_by FROM messages")
    assert [(WORDS, None)] == rows(path, "SELECT detail, sealed_by FROM attempts")
    assert [None] * 2 == sealed_by(path, "endpoints")


async def test_an_empty_word_is_not_sealed(path: Path) -> None:
    """An attempt of which there is nothing to say costs no seal."""
    async with running(path, KEYS) as opened:
        (delivery,) = await receive(opened.journal, arrival(1, CRM))
        await settle(opened.journal, [dead(delivery, Rejected(Reason.HTTP_4XX, 400))], NOW)
    assert [("", None)] == rows(path, "SELECT detail, sealed_by FROM attempts")


async def test_the_desk_reads_what_the_relay_sealed(path: Path) -> None:
    """An operator's command with the key shows dead letters with the receiver's words."""
    async with running(path, KEYS) as opened:
        (delivery,) = await receive(opened.journal, arrival(1, CRM))
        await settle(opened.journal, [dead(delivery, Rejected(Reason.HTTP_4XX, 400, WORDS))], NOW)
    async with open_admin_store(f"sqlite:///{path}", keys=KEYS) as desk:
        assert [WORDS] == [letter.detail for letter in await desk.dead_letters(DeadLetterQuery())]
        assert [WORDS] == [letter.detail for letter in await desk.retry(DeadLetterQuery(), NOW)]


# --- Keys come and go -----------------------------------------------------------------------------


async def test_a_key_may_be_set_at_any_time(path: Path) -> None:
    """Rows from before stay plain and readable, and what comes later is sealed."""
    async with running(path, None) as opened:
        await stock(opened, 1)
    async with running(path, KEYS) as opened:
        await stock(opened, 2)
        frames, shown, details, samples, *_ = await told(opened)
    assert [[BODY] * 2, [BODY] * 2, [WORDS] * 2, [FRONT] * 2] == [frames, shown, details, samples]
    assert [None, OLD_ID] == sealed_by(path, "messages") == sealed_by(path, "attempts")


async def test_a_key_may_be_rotated(path: Path) -> None:
    """The new key seals while the old one opens what it has sealed."""
    async with running(path, KEYS) as opened:
        await stock(opened, 1)
    async with running(path, ROTATED) as opened:
        await stock(opened, 2)
        frames, _, details, *_ = await told(opened)
    assert ([BODY] * 2, [WORDS] * 2) == (frames, details)
    assert [OLD_ID, NEW_ID] == sealed_by(path, "messages") == sealed_by(path, "attempts")


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        (None, f"has rows sealed with key {OLD_ID}; expected journal_key_file set"),
        (
            OTHER,
            f"has rows sealed with key {OLD_ID}; expected it in journal_key_file, behind the first",
        ),
    ],
)
@pytest.mark.parametrize("table", TABLES)
async def test_a_missing_key_is_refused_at_once(
    path: Path, keys: Keyring | None, why: str, table: str
) -> None:
    """Whichever table needs the key, neither a relay nor a command begins without it."""
    async with running(path, KEYS) as opened:
        await stock(opened)
    for other in set(TABLES) - {table}:
        change(path, f"UPDATE {other} SET sealed_by = NULL")
    for opening in (open_journal, open_admin_store):
        with pytest.raises(JournalRefused) as refused:
            async with opening(f"sqlite:///{path}", keys=keys):
                pytest.fail("opened")
        assert str(refused.value).startswith(f"{path}: {why}")


async def test_every_missing_key_is_named(path: Path) -> None:
    """Of several missing keys all are named, by their ids only."""
    for keys in (KEYS, ROTATED):
        async with running(path, keys) as opened:
            await stock(opened, 1 if keys is KEYS else 2)
    with pytest.raises(JournalRefused) as refused:
        async with open_journal(f"sqlite:///{path}", keys=OTHER):
            pytest.fail("opened")
    assert f"keys {', '.join(sorted([OLD_ID, NEW_ID]))}; expected" in str(refused.value)


async def test_a_journal_without_seals_needs_no_key(path: Path) -> None:
    """A key that was set and has sealed nothing may go again."""
    async with running(path, KEYS):
        pass
    async with running(path, None) as opened:
        assert [] == list((await due(opened.journal)).deliveries)


async def test_a_key_that_came_later_is_trouble_and_no_damage(path: Path) -> None:
    """A row that somebody sealed anew behind a relay's back is not taken for damaged."""
    async with running(path, KEYS) as opened:
        await stock(opened)
        change(path, "UPDATE messages SET sealed_by = ?", NEW_ID)
        with pytest.raises(JournalUnavailable, match=f"sealed with key {NEW_ID}, which this"):
            await due(opened.journal)
        change(path, "UPDATE messages SET sealed_by = ?", OLD_ID)
        assert [BODY] == [each.message.frame for each in (await due(opened.journal)).deliveries]


# --- What doesn't open ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE messages SET frame = substr(frame, 1, length(frame) - 1) WHERE seq = 1",
        "UPDATE messages SET frame = x'' WHERE seq = 1",
        "UPDATE messages SET frame = cast('{}' AS BLOB) WHERE seq = 1",
        "UPDATE messages SET frame = x'02' || substr(frame, 2) WHERE seq = 1",
        "UPDATE messages SET frame = (SELECT frame FROM messages WHERE seq = 2) WHERE seq = 1",
        "UPDATE messages SET bot = 'other' WHERE seq = 1",
        f"UPDATE messages SET sealed_by = '{OLD_ID}' WHERE seq = 1",
    ],
)
async def test_a_frame_that_does_not_open_is_said_to_be_damaged(path: Path, sql: str) -> None:
    """Truncated, replaced, moved or renamed: it comes as damaged, and the others come whole."""
    async with running(path, ROTATED) as opened:
        frames = [b'{"a": 1}', b'{"b": 2}']
        arrivals = (
            arrival(number, CRM, lane=f"l{number}", frame=frame)
            for number, frame in enumerate(frames, start=1)
        )
        await receive(opened.journal, *arrivals)
    change(path, sql)
    async with running(path, ROTATED) as opened:
        one, two = (each.message for each in (await due(opened.journal)).deliveries)
        (history,) = await opened.admin.history(uuid(1))
    assert (b"", frames[1], "") == (one.frame, two.frame, two.damage)
    assert one.damage.startswith(DAMAGE)
    assert (b"", one.damage) == (history.frame, history.damage)


@pytest.mark.parametrize(
    "detail",
    [
        "''",
        "'hello'",
        "'äö'",
        "x'ff'",
        "cast(x'ff' AS TEXT)",
        "substr(detail, 5)",
        "detail || 'AAAA'",
        "'AQ=='",
    ],
)
async def test_words_that_do_not_open_are_said_to_be_closed(path: Path, detail: str) -> None:
    """An operator sees that there is something, and the rest of the story."""
    async with running(path, KEYS) as opened:
        (delivery,) = await receive(opened.journal, arrival(1, CRM))
        await settle(opened.journal, [dead(delivery, Rejected(Reason.HTTP_4XX, 400, WORDS))], NOW)
        await stock(opened, 2)
        change(path, f"UPDATE attempts SET detail = {detail}")
        change(path, "UPDATE unreadable SET sample = x'00'")
        change(path, "UPDATE endpoints SET last_error = 'hello' WHERE sealed_by NOT NULL")
        (history,) = await opened.admin.history(uuid(1))
        assert [CLOSED] == [a.detail for d in history.deliveries for a in d.attempts]
        assert [CLOSED] == [
            each.detail for each in await opened.admin.dead_letters(DeadLetterQuery())
        ]
        assert [CLOSED.encode()] == [each.sample for each in await opened.admin.unreadable(None, 9)]
        assert CLOSED == (await opened.journal.endpoint_note(CRM)).last_error


async def test_words_of_another_attempt_do_not_open(path: Path) -> None:
    """What a receiver said to one attempt can't be passed off as said to another."""
    async with running(path, KEYS) as opened:
        delivery = await stock(opened)
        (again,) = (await due(opened.journal)).deliveries
        assert delivery.id == again.id
        await settle(
            opened.journal, [postponed(again, NOW, Transient(Reason.RESET, None, "b"))], NOW
        )
        ((first,), (second,)) = rows(path, "SELECT detail FROM attempts ORDER BY id")
        change(path, "UPDATE attempts SET detail = ? WHERE number = 1", second)
        change(path, "UPDATE attempts SET detail = ? WHERE number = 2", first)
        (history,) = await opened.admin.history(uuid(1))
    assert [CLOSED] * 2 == [a.detail for d in history.deliveries for a in d.attempts]


async def test_text_is_sealed_as_base64(path: Path) -> None:
    """A text column holds text, whatever the seal's bytes are."""
    async with running(path, KEYS) as opened:
        await stock(opened)
    ((detail, kind),) = rows(path, "SELECT detail, typeof(detail) FROM attempts")
    assert ("text", b64encode(b"\x01")[:1].decode()) == (kind, detail[0])


async def test_what_is_sealed_wipes_what_it_deletes(path: Path) -> None:
    """Whoever has keys overwrites what is deleted, on every connection that writes."""
    async with open_journal(f"sqlite:///{path}", keys=KEYS) as opened:
        database = opened.journal._database  # type: ignore[attr-defined]
        await database.write(lambda c: c.run("PRAGMA secure_delete=OFF"))
    async with open_journal(f"sqlite:///{path}", keys=KEYS) as opened:
        database = opened.journal._database  # type: ignore[attr-defined]
        pragma = await database.write(lambda c: c.value("PRAGMA secure_delete"))
    assert 1 == pragma
