"""What a receiver gets is what docs/reference.md shows."""

import json
import re
from pathlib import Path

import tests
from relay import __version__
from tests.acceptance.house import BOT, House, conversation
from tests.support.simulator import CAST, Traffic

REFERENCE = Path(tests.__file__).parents[1] / "docs" / "reference.md"


def documented_event() -> dict[str, dict[str, object]]:
    """Read the example of a request's body out of docs/reference.md."""
    (example,) = re.findall(r"```json\n(.*?)```", REFERENCE.read_text(), re.DOTALL)
    event: dict[str, dict[str, object]] = json.loads(example)
    return event


async def test_a_text_message_looks_like_the_example(house: House) -> None:
    """Headers and body have what the page says, and nothing else of the relay's."""
    receiver = await house.receiver(headers={"X-Tenant": "acme"})
    await house.relay()
    (message_id,) = house.push(conversation_id=conversation(7))
    await house.read([message_id])
    (post,) = receiver.posts
    example = documented_event()
    assert example.keys() == post.event.keys()
    assert example["data"].keys() == post.event["data"].keys()
    assert "message.plain_text" == post.event["type"]
    said = {name: post.event["data"][name] for name in ("message_id", "conversation_id", "source")}
    expected = {
        "message_id": message_id,
        "conversation_id": conversation(7),
        "source": "CREATE_MESSAGE",
    }
    assert expected == said
    bot = {"name": BOT, "app_id": house.simulator.bot.app_id}
    assert bot == post.event["data"]["bot"]
    assert ("acme", f"blaze-relay/{__version__}") == (
        post.headers["x-tenant"],
        post.headers["user-agent"],
    )


async def test_traffic_of_all_kinds_arrives_readable(house: House) -> None:
    """Every category arrives with its content, encrypted ones decrypted."""
    receiver = await house.receiver()
    await house.relay()
    traffic = Traffic(house.simulator)
    pushed = dict(traffic.push() for _ in range(100))
    await house.read([*pushed])
    assert {"PLAIN_TEXT", "ENCRYPTED_TEXT", "PLAIN_IMAGE"} <= {*pushed.values()}
    names = {person.user_id: person.name for person in CAST}
    for post in receiver.posts:
        data = post.event["data"]
        assert "error" not in data
        assert pushed[post.message_id] == data["category"]
        if data["category"].endswith("_TEXT"):
            assert data["content"].endswith(f"from {names[data['user_id']]}")
        assert data["category"].startswith("ENCRYPTED_") == data["encrypted"]
