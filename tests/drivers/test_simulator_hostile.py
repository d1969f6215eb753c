"""The catalogues of hostile frames and odd messages hold what they promise."""

import gzip
import json
import zlib

import aiohttp
import pytest

from tests.drivers.simulator_client import simulated
from tests.support.simulator import (
    Bot,
    Family,
    HostileFrame,
    hostile_frames,
    make_keystore,
    odd_messages,
)
from tests.support.simulator.hostile import BOMB_SIZE

BOT = Bot.of(make_keystore())
FRAMES = {one.name: one.frame for one in hostile_frames(BOT)}


def test_every_kind_of_broken_content_is_there() -> None:
    """Every sort of hostile content is covered, each under one name."""
    assert len(FRAMES) == len(hostile_frames(BOT)) >= 50
    expected = {
        "text_frame",
        "plain_json",
        "gzip_truncated",
        "gzip_trailing_garbage",
        "gzip_bomb",
        "invalid_utf8",
        "invalid_json",
        "json_array",
        "json_null",
        "no_action",
        "no_data",
        "unknown_action",
        "push_with_message_id_no_uuid",
        "own_echo",
    }
    assert expected <= set(FRAMES)


@pytest.mark.parametrize(
    "name", ["gzip_truncated", "gzip_without_trailer", "gzip_wrong_checksum", "gzip_wrong_length"]
)
def test_broken_gzip_is_broken(name: str) -> None:
    """A strict reader refuses it."""
    frame = FRAMES[name]
    assert isinstance(frame, bytes)
    with pytest.raises((EOFError, gzip.BadGzipFile, zlib.error)):
        gzip.decompress(frame)


def test_the_bomb_is_small_and_grows() -> None:
    """64 MiB come out of less than a megabyte."""
    frame = FRAMES["gzip_bomb"]
    assert isinstance(frame, bytes)
    assert len(frame) < 1_000_000
    assert len(zlib.decompress(frame, 31)) > BOMB_SIZE


async def test_raw_frames_go_out_as_they_are() -> None:
    """Text goes as text and bytes as bytes, to every socket that has listed."""
    async with simulated() as (simulator, client), client.listening() as socket:
        for frame in FRAMES.values():
            simulator.push_frame(frame)
            got = await socket.take_raw()
            assert frame == got.data
            text = isinstance(frame, str)
            assert text == (got.type is aiohttp.WSMsgType.TEXT)


async def test_poison_comes_again_on_every_connection() -> None:
    """With `always`, the frame follows each backlog; an ack of what it holds is no violation."""
    async with simulated() as (simulator, client):
        (poison,) = [one for one in hostile_frames(BOT) if one.name == "gzip_two_members"]
        simulator.push_frame(poison.frame, always=True)
        message_id = simulator.push("hello")
        for _ in range(2):
            async with client.listening() as socket:
                assert [message_id] == await socket.take_ids(1)
                assert poison.frame == (await socket.take_raw()).data
        inside = json.loads(zlib.decompressobj(31).decompress(FRAMES["gzip_two_members"]))  # type: ignore[arg-type]
        await client.mark_read(inside["data"]["message_id"])
        assert [] == simulator.journal.violations


async def test_odd_messages_are_messages_of_the_server() -> None:
    """Each is pushed as said, and is acknowledged like any other."""
    async with simulated() as (simulator, client), client.connect(max_msg_size=0) as socket:
        await socket.list_pending()
        await socket.take()
        odd = odd_messages(client.bot)
        assert len(odd) == len({one.name for one in odd}) >= 39
        ids = []
        for one in odd:
            ids.append(simulator.push(**one.arguments))
            data = await socket.take_data()
            assert ids[-1] == data["message_id"].lower()
        await client.mark_read(*ids)
        assert [] == simulator.pending()
        assert [] == simulator.journal.violations


def test_a_bot_without_a_sealing_key_gets_nothing_encrypted() -> None:
    """The catalogue fits the bot."""
    rsa = Bot.of(make_keystore(Family.RSA))
    assert not [one for one in odd_messages(rsa) if one.name.startswith("encrypted")]
    assert isinstance(hostile_frames(rsa)[0], HostileFrame)
