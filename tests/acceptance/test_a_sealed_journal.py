"""With a key nobody reads a message on the disk, and a key is set, rotated and missed aloud."""

from base64 import b64encode

from relay.journal.encryption.keys import Keyring, new_key
from tests.acceptance.house import WHISPER, House
from tests.acceptance.receiver import OK, Answer, Hang
from tests.journal.raw import on_disk

OLD, NEW = (new_key(bytes([number] * 32)) for number in (1, 2))
WORDS = (WHISPER.encode(), b64encode(WHISPER.encode()))


def set_keys(house: House, *keys: str) -> None:
    """Let the settings name a file with these keys, of which none may ever be printed."""
    path = house.directory / "journal-key"
    path.write_text("\n".join(keys))
    house.settings["journal_key_file"] = str(path)
    house.secrets += [key.removeprefix("rjk_").rstrip("=") for key in keys]


async def test_a_disk_tells_no_message(house: House) -> None:
    """While the relay runs, after kill -9, and after a stop: no file holds what people wrote."""
    set_keys(house, OLD)
    receiver = await house.receiver()
    receiver.next(Answer(500), Hang())
    relay = await house.relay()
    ids = house.push(5)
    await house.until(lambda: bool(receiver.hanging), "a request that hangs")
    await house.posts(receiver, 6)
    assert set() == on_disk(house.journal, *WORDS)
    await relay.kill()
    assert set() == on_disk(house.journal, *WORDS)
    receiver.release(OK)
    relay = await house.relay()
    await house.read(ids)
    assert 0 == await relay.stop()
    assert set() == on_disk(house.journal, *WORDS)
    assert {(Keyring.parse(OLD).first.id,)} == set(house.rows("SELECT sealed_by FROM messages"))


async def test_a_key_is_set_and_rotated_beside_a_running_relay(house: House) -> None:
    """A restart for each change of the file is all that it takes; nothing is posted twice."""
    receiver = await house.receiver()
    relay = await house.relay()
    ids = house.push(3)
    await house.read(ids)
    assert 0 == await relay.stop()
    assert on_disk(house.journal, *WORDS)
    for keys in ([OLD], [NEW, OLD], [NEW]):
        set_keys(house, *keys)
        relay = await house.relay()
        resealed = await house.command("journal", "reseal")
        assert (True, [], "") == tuple(
            resealed[name] for name in ("beside_a_relay", "damaged", "lingering")
        )
        more = house.push(2)
        await house.read(more)
        assert 0 == await relay.stop()
    resealed = await house.command("journal", "reseal")
    assert (0, False, "") == tuple(
        resealed[name] for name in ("rows", "beside_a_relay", "lingering")
    )
    assert set() == on_disk(house.journal, *WORDS)
    assert {(Keyring.parse(NEW).first.id,)} == set(house.rows("SELECT sealed_by FROM messages"))
    assert 9 == len(receiver.posts)


async def test_a_relay_without_its_key_says_so_and_ends(house: House) -> None:
    """A line that names the key's id and the setting; with the key everything goes on."""
    set_keys(house, OLD)
    receiver = await house.receiver()
    receiver.default = Answer(500)
    relay = await house.relay()
    ids = house.push(1)
    await house.posts(receiver, 1)
    assert 0 == await relay.stop()
    del house.settings["journal_key_file"]
    house.settings["log_level"] = "info"
    refused = await house.start()
    assert 1 == await refused.ended()
    why = f"has rows sealed with key {Keyring.parse(OLD).first.id}; expected journal_key_file set"
    assert [f"relay: journal {house.journal}: {why}"] == refused.err.lines
    set_keys(house, OLD)
    receiver.default = OK
    await house.relay()
    await house.read(ids)
