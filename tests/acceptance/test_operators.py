"""What an operator does on the command line, a running relay notices within 5 seconds."""

import asyncio
import time
from typing import Any

import aiohttp

from tests.acceptance.house import BOT, House
from tests.acceptance.process import RelayProcess
from tests.acceptance.receiver import OK, Answer, Receiver

SOON = 5.0


async def noticed(house: House, relay: RelayProcess, kind: str, *command: str) -> None:
    """Give a command to the running relay, and see that it is noticed in time."""
    before = len(relay.events("operator.noticed"))
    await house.command(*command)
    done = time.monotonic()
    await relay.said("operator.noticed", times=before + 1)
    assert time.monotonic() - done < SOON
    event = relay.events("operator.noticed")[before]
    assert (kind, "command") == (event["kind"], event["actor"])


async def explained(house: House, message_id: str) -> dict[str, Any]:
    """Ask what becomes of a message."""
    (told,) = (await house.command("explain", message_id))["explanations"]
    return dict(told)


async def dead_letter(house: House, relay: RelayProcess, receiver: Receiver) -> str:
    """Let one message become a dead letter."""
    (message_id,) = house.push()
    receiver.script(message_id, *[Answer(400)] * 3)
    await relay.said("delivery.dead_lettered", message_id=message_id)
    return message_id


async def test_a_paused_endpoint_keeps_everything(house: House) -> None:
    """Paused, an endpoint gets nothing, over a restart too; resumed, it gets all of it."""
    receiver = await house.receiver()
    relay = await house.relay()
    await noticed(house, relay, "paused", "endpoints", "pause", "crm")
    ids = house.push(5)
    await relay.said("message.received", times=5)
    state = (await relay.metrics()).value("relay_circuit_state", bot=BOT, endpoint="crm")
    assert 3 == state
    (listed,) = (await house.command("endpoints", "list"))["endpoints"]
    assert ("paused", 5) == (listed["state"], listed["pending"])
    assert 0 == await relay.stop()
    relay = await house.relay()
    assert [] == receiver.posts
    await noticed(house, relay, "resumed", "endpoints", "resume", "crm")
    await house.read(ids)


async def test_resume_pokes_an_open_circuit(house: House) -> None:
    """Whoever has mended a receiver need not wait for the next probe."""
    breaker = {"open_after": 1, "probe_max": "1h"}
    receiver = await house.receiver(breaker=breaker, retry={"first": "1h", "max": "1h"})
    receiver.next(Answer(500))
    relay = await house.relay()
    ids = house.push(3)
    await relay.said("circuit.opened")
    await noticed(house, relay, "resumed", "endpoints", "resume", "crm")
    await house.read(ids)


async def test_a_dead_letter_is_sent_again(house: House) -> None:
    """`dead-letters retry` makes it due at once, and it is READ after its 2xx."""
    receiver = await house.receiver()
    relay = await house.relay()
    message_id = await dead_letter(house, relay, receiver)
    (listed,) = (await house.command("dead-letters", "list"))["dead_letters"]
    assert (message_id, "http_4xx", 400) == (
        listed["message_id"],
        listed["reason"],
        listed["status"],
    )
    await noticed(house, relay, "revived", "dead-letters", "retry", message_id)
    await house.read([message_id])
    assert [1, 2, 3, 4] == [post.attempt for post in receiver.posts]
    assert "failed" == receiver.posts[-1].prior
    assert [] == (await house.command("dead-letters", "list"))["dead_letters"]


async def test_a_discarded_dead_letter_stays_unread(house: House) -> None:
    """`discard` gives it up and tells Mixin nothing; the count says so."""
    receiver = await house.receiver()
    relay = await house.relay()
    message_id = await dead_letter(house, relay, receiver)
    await noticed(house, relay, "discarded", "dead-letters", "discard", message_id, "--yes")
    name = "relay_messages_finished_total"
    assert 1 == (await relay.metrics()).value(name, bot=BOT, outcome="discarded")
    (later,) = house.push()
    await house.read([later])
    assert [message_id] == house.simulator.pending()


async def test_a_discarded_dead_letter_may_be_marked_read(house: House) -> None:
    """`discard --mark-read` is the one way in which a message is READ without a 2xx."""
    receiver = await house.receiver()
    relay = await house.relay()
    message_id = await dead_letter(house, relay, receiver)
    house.waived.add(message_id)
    arguments = ("dead-letters", "discard", message_id, "--yes", "--mark-read")
    await noticed(house, relay, "waived", *arguments)
    await house.read([message_id])
    assert not receiver.has_taken(message_id)


async def test_an_endpoint_that_is_taken_out_and_put_back(house: House) -> None:
    """What was owed to it becomes a dead letter and stays unread, and revives when it is back."""
    await house.receiver("crm")
    archive = await house.receiver("archive")
    archive.default = Answer(500)
    relay = await house.relay()
    ids = house.push(3)
    await relay.said("delivery.settled", times=3, endpoint="crm")
    assert 0 == await relay.stop()
    configured = house.bots[BOT]["endpoints"].pop()
    relay = await house.relay()
    letters = (await house.command("dead-letters", "list"))["dead_letters"]
    assert {(each, "removed") for each in ids} == {(x["message_id"], x["reason"]) for x in letters}
    assert ids == house.simulator.pending()
    assert 0 == await relay.stop()
    house.bots[BOT]["endpoints"].append(configured)
    archive.default = OK
    await house.relay()
    await house.read(ids)


async def test_a_message_tells_its_story(house: House) -> None:
    """`messages show` has each attempt, the receipt, and not a word of the content."""
    receiver = await house.receiver()
    (message_id,) = house.push()
    receiver.script(message_id, Answer(503), OK)
    relay = await house.relay()
    await house.read([message_id])
    await relay.said("message.finished", outcome="read")
    (history,) = (await house.command("messages", "show", message_id))["histories"]
    (delivery,) = history["deliveries"]
    attempts = [(one["number"], one["status"], one["reason"]) for one in delivery["attempts"]]
    assert [(1, 503, "http_503"), (2, 200, None)] == attempts
    assert "delivered" == delivery["state"]
    (listed,) = (await house.command("messages", "list", "--finished"))["messages"]
    assert (message_id, "read", "confirmed") == (
        listed["message_id"],
        listed["outcome"],
        listed["receipt"],
    )


async def test_a_receiver_says_that_it_is_back(house: House) -> None:
    """With its own token, over HTTP, while the admin API is off."""
    breaker = {"open_after": 1, "probe_max": "1h"}
    retry = {"first": "1h", "max": "1h"}
    token = "a-token-for-nothing-else"
    house.secrets.append(token)
    receiver = await house.receiver(breaker=breaker, retry=retry, back_token=token)
    receiver.next(Answer(500))
    relay = await house.relay()
    ids = house.push(3)
    await relay.said("circuit.opened")
    async with aiohttp.ClientSession(relay.base) as http:
        back = f"/api/v1/endpoints/{BOT}/crm/back"
        for given, status in (("wrong", 401), (token, 200)):
            async with http.post(back, headers={"Authorization": f"Bearer {given}"}) as answer:
                assert status == answer.status
        own = {"Authorization": f"Bearer {token}"}
        async with http.get("/api/v1/messages", headers=own) as answer:
            assert 404 == answer.status
    acted = await relay.said("operator.acted", actor="receiver")
    assert ("endpointIsBack", 1, "ok") == (acted["action"], acted["count"], acted["result"])
    await relay.said("admin.refused")
    await house.read(ids)


async def test_an_outage_is_explained(house: House) -> None:
    """Amid an outage `explain` says what a message waits for, and afterwards how it ended."""
    receiver = await house.receiver(retry={"first": "1h", "max": "1h"})
    receiver.next(Answer(500))
    relay = await house.relay()
    (message_id,) = house.push()
    await relay.said("endpoint.failed")
    waits = ["support/crm: the wait before its next attempt."]
    async with asyncio.timeout(20.0):  # the log is ahead of the journal
        told = await explained(house, message_id)
        while waits != told["waits_for"]:
            told = await explained(house, message_id)
    assert told["next"][0].startswith("support/crm: attempt 2 is due ")
    await noticed(house, relay, "resumed", "endpoints", "resume", "crm")
    await house.read([message_id])
    await relay.said("message.finished", outcome="read")
    told = await explained(house, message_id)
    assert [] == told["waits_for"]
    assert told["next"][0].startswith("Nothing: it is finished, and the journal forgets it ")
