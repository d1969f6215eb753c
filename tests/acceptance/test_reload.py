"""A running relay follows its settings file: nothing lost or doubled, the socket never dropped."""

import asyncio
import os
import random
import secrets
import signal
import time
from base64 import b64encode
from collections import defaultdict
from typing import Any

import aiohttp
import yaml
from standardwebhooks import Webhook

from tests.acceptance.house import BOT, House, conversation
from tests.acceptance.process import RelayProcess
from tests.acceptance.receiver import OK, Answer, Hang, Receiver, port_of
from tests.support.simulator import Bot, Family, make_keystore

ADMIN = "correct-horse-battery-staple"

SALES = "sales"

LONGEST_RELOAD = 0.05
"""Seconds; about as long as one takes."""


class Hand:
    """An operator's hand on the settings file and on the admin API of one relay."""

    def __init__(self, house: House) -> None:
        house.settings["admin_token"] = ADMIN
        self._house = house
        self.path = house.directory / f"relay-{port_of(house._port)}.yaml"

    def write(self, **more: Any) -> None:
        """Write the file as the house has it now, whole at one moment, as careful people do."""
        document = yaml.safe_load(self.path.read_text()) | more
        document["bots"] = list(self._house.bots.values()) if "bots" not in more else more["bots"]
        new = self.path.with_suffix(".new")
        new.write_text(yaml.safe_dump(document))
        new.replace(self.path)

    async def reload(self, relay: RelayProcess, **ask: Any) -> tuple[int, dict[str, Any]]:
        """Ask the admin API."""
        headers = {"authorization": f"Bearer {ADMIN}"}
        url = f"{relay.base}/api/v1/reload"
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.post(url, json=ask) as answer,
        ):
            return answer.status, await answer.json()

    @property
    def endpoints(self) -> list[dict[str, Any]]:
        """The endpoints of the one bot, to be changed."""
        endpoints: list[dict[str, Any]] = self._house.bots[BOT]["endpoints"]
        return endpoints

    def endpoint(self, name: str) -> dict[str, Any]:
        """One endpoint, to be changed."""
        (found,) = [each for each in self.endpoints if each["name"] == name]
        return found


def connects(house: House) -> int:
    """Count the sockets that Mixin has seen."""
    return len(house.simulator.journal.connects)


def connects_of(house: House, bot: Bot) -> int:
    """Count the sockets that one bot has opened."""
    return sum(one.app_id == bot.app_id for one in house.simulator.journal.accepted)


async def test_another_url_under_load(house: House) -> None:
    """Traffic moves from one receiver to the other; each message is taken once, by either."""
    old = await house.receiver("crm")
    new = await house.receiver("other")
    new.name = "crm"
    moved = house.bots[BOT]["endpoints"].pop()
    house.simulator.journal.allow_read = lambda each: old.has_taken(each) or new.has_taken(each)
    hand = Hand(house)
    relay = await house.relay()
    ids = []
    for number in range(10):
        ids += house.push(30)
        if number == 4:
            await house.posts(old, 20)
            keys = ("url", "secret", "bearer_token_file")
            hand.endpoint("crm").update({key: moved[key] for key in keys})
            hand.write()
            relay.signal(signal.SIGHUP)
    told = await relay.said("settings.reloaded")
    assert [f"{BOT}/crm: url, secret, bearer_token"] == told["changed"]
    ids += house.push(30)
    await house.read(ids)
    assert sorted(ids) == sorted(old.taken + new.taken)
    assert set(ids[-30:]) <= set(new.taken)
    assert 1 == connects(house)


async def test_secrets_are_rotated(house: House) -> None:
    """New secrets come into force without a restart, and no request goes unsigned or unread."""
    crm = await house.receiver("crm")
    hand = Hand(house)
    endpoint = hand.endpoint("crm")
    first, second = endpoint.pop("secret"), f"whsec_{b64encode(secrets.token_bytes(24)).decode()}"
    file, token = house.directory / "crm-secret", secrets.token_hex(16)
    file.write_text(first)
    endpoint["secret_file"] = str(file)
    house.secrets += [second.removeprefix("whsec_"), token]
    relay = await house.relay()
    ids = house.push(20)
    file.write_text(f"{second}\n{first}")
    relay.signal(signal.SIGHUP)
    told = await relay.said("settings.reloaded")
    assert [f"{BOT}/crm: secret"] == told["changed"]
    ids += house.push(20)
    await house.read(ids)
    crm._webhook = Webhook(second)
    file.write_text(second)
    (house.directory / f"{BOT}-crm-token").write_text(token)
    crm.token = token
    relay.signal(signal.SIGHUP)
    told = await relay.said("settings.reloaded", times=2)
    assert [f"{BOT}/crm: secret, bearer_token"] == told["changed"]
    ids += house.push(20)
    await house.read(ids)
    assert sorted(ids) == sorted(crm.taken)
    assert 1 == connects(house)


async def test_an_endpoint_comes_and_goes(house: House) -> None:
    """One that is added gets what comes from then on; one that is owed nothing goes at once."""
    await house.receiver("crm")
    hand = Hand(house)
    relay = await house.relay()
    before = house.push(5)
    await house.read(before)
    log = await house.receiver("log")
    log.wants = lambda each: each not in before
    hand.write()
    status, answer = await hand.reload(relay)
    assert (200, [f"{BOT}/log"], []) == (status, answer["added"], answer["removed"])
    metrics = await relay.metrics()
    assert 0 == metrics.value("relay_circuit_state", bot=BOT, endpoint="log")
    between = house.push(5)
    await house.read(between)
    assert sorted(between) == sorted(log.taken)
    hand.endpoints.pop()
    hand.write()
    status, answer = await hand.reload(relay)
    assert (200, [f"{BOT}/log"], 0) == (status, answer["removed"], answer["discarded"])
    log.wants = lambda each: each in between
    after = house.push(5)
    await house.read(after)
    assert sorted(between) == sorted(log.taken)
    metrics = await relay.metrics()
    assert 0 == metrics.total("relay_attempts_total", endpoint="log")
    assert 200 == (await relay.alive()).status
    assert 1 == connects(house)


async def test_what_is_owed_holds_a_removal_up(house: House) -> None:
    """Refused by signal and by the API, with names and counts; done if it is to be discarded."""
    await house.receiver("crm")
    log = await house.receiver("log")
    log.default = Answer(503)
    hand = Hand(house)
    relay = await house.relay()
    ids = house.push(3)
    await house.until(lambda: len({p.message_id for p in log.posts}) == 3, "all tried")
    gone = hand.endpoints.pop()
    hand.write()
    relay.signal(signal.SIGHUP)
    told = await relay.said("settings.refused")
    assert told["mistake"].startswith(f"{BOT}/log: is owed 3 deliveries")
    metrics = await relay.metrics()
    assert 0 == metrics.value("relay_config_last_reload_successful")
    status, answer = await hand.reload(relay, discard_owed=False)
    assert (409, f"{BOT}/log") == (status, answer["mistakes"][0]["where"])
    assert 1 == await house.exit_code("reload")
    assert {"log", "crm"} == {each["endpoint"] for each in await endpoints(house)}
    done = await house.command("reload", "--discard-owed")
    assert ([f"{BOT}/log"], 3) == (done["removed"], done["discarded"])
    metrics = await relay.metrics()
    assert 1 == metrics.value("relay_config_last_reload_successful")
    assert 3 == metrics.value("relay_messages_finished_total", bot=BOT, outcome="discarded")
    assert 0 == metrics.value("relay_conservation_imbalance", bot=BOT)
    hand.endpoints.append(gone)
    log.default = OK
    hand.write()
    assert [f"{BOT}/log"] == (await house.command("reload"))["added"]
    later = house.push(3)
    await house.read(later)
    assert sorted(later) == sorted(log.taken)
    assert 0 == sum(house.acks_of(each) for each in ids)


async def endpoints(house: House) -> list[dict[str, Any]]:
    """List the endpoints that the journal has as configured."""
    answer = await house.command("endpoints", "list")
    return [each for each in answer["endpoints"] if each["configured"]]


async def test_a_bad_file_changes_nothing(house: House) -> None:
    """Whatever is wrong is logged and refused as a whole; the old settings go on, and it shows."""
    await house.receiver("crm")
    hand = Hand(house)
    relay = await house.relay()
    good, started = hand.path.read_text(), await relay.metrics()
    document = yaml.safe_load(good)
    (endpoint,) = document["bots"][0]["endpoints"]
    missing = {**endpoint, "name": "log", "secret_file": "/nowhere"}
    missing.pop("secret")
    bot = {**document["bots"][0], "endpoints": [endpoint, missing]}
    twice = [document["bots"][0], {**document["bots"][0], "name": "sales"}]
    bad = {
        "bots[0].endpoints[1].secret_file": yaml.safe_dump({**document, "bots": [bot]}),
        "bots": yaml.safe_dump({**document, "bots": twice}),
        "journal": yaml.safe_dump({**document, "journal": "memory:"}),
        "listen": yaml.safe_dump({**document, "listen": "127.0.0.1:1"}),
        "timeout": good.replace("required: true", "timeout: soon\n    required: true"),
        "config file": "bots: [",
    }
    for times, text in enumerate(bad.values(), start=1):
        hand.path.write_text(text)
        relay.signal(signal.SIGHUP)
        await relay.said("settings.refused", times=times)
        assert 0 == (await relay.metrics()).value("relay_config_last_reload_successful")
    said = [event["mistake"] for event in relay.events("settings.refused")]
    assert [key for key, line in zip(bad, said, strict=True) if key not in line] == []
    hand.path.unlink()
    relay.signal(signal.SIGHUP)
    await relay.said("settings.refused", times=len(bad) + 1)
    await house.read(house.push(5))
    hand.path.write_text(good)
    relay.signal(signal.SIGHUP)
    await relay.said("settings.unchanged")
    metrics, name = await relay.metrics(), "relay_config_last_reload_success_timestamp_seconds"
    assert 1 == metrics.value("relay_config_last_reload_successful")
    assert metrics.value(name) > started.value(name)
    assert [] == relay.events("settings.reloaded")
    assert 1 == connects(house)


# --- Bots -----------------------------------------------------------------------------------------


async def test_a_bot_comes_and_goes(house: House) -> None:
    """Its messages are relayed from then on; once it is gone the rest stays at Mixin, unread.

    The other bot's socket stays, and its messages flow all the while.
    """
    crm = await house.receiver("crm")
    hand = Hand(house)
    relay = await house.relay()
    ids = house.push(5)
    sales = house.simulator.add_bot(make_keystore(Family.RSA))
    house.add_bot(SALES, sales)
    theirs = await house.receiver("crm", bot=SALES)
    hand.write()
    status, answer = await hand.reload(relay)
    assert (200, [SALES], [f"{SALES}/crm"]) == (status, answer["bots_added"], answer["added"])
    await relay.said("blaze.connected", bot=SALES)
    assert 200 == (await relay.ready()).status
    first = house.push(5, bot=SALES)
    await house.read(first, SALES)
    theirs.next(Hang())
    (in_flight,) = house.push(bot=SALES)
    await house.until(lambda: in_flight in theirs.hanging, "a request that hangs")
    gone = house.bots.pop(SALES)
    hand.write()
    status, answer = await hand.reload(relay)
    assert (409, f"{SALES}/crm") == (status, answer["mistakes"][0]["where"])
    removing = asyncio.create_task(hand.reload(relay, discard_owed=True))
    await relay.said("settings.reloaded", bots_removed=[SALES])
    ids += house.push(20)
    await house.read(ids)
    later = house.push(5, bot=SALES)
    assert not removing.done()
    theirs.release()
    status, answer = await removing
    assert (200, [SALES], 0) == (status, answer["bots_removed"], answer["discarded"])
    await relay.said("blaze.disconnected", bot=SALES, reason="stopping")
    assert sorted([*first, in_flight]) == sorted(theirs.taken)
    assert later == house.simulator.pending(sales)
    metrics = await relay.metrics()
    assert 0 == metrics.total("relay_messages_received_total", bot=SALES)
    assert 200 == (await relay.ready()).status == (await relay.alive()).status
    house.bots[SALES] = gone
    hand.write()
    assert 200 == (await hand.reload(relay))[0]
    await house.read(later, SALES)
    assert sorted(ids) == sorted(crm.taken)
    assert [1, 2] == [connects_of(house, bot) for bot in house.simulator.bots]
    assert 0 == await relay.stop()


async def test_a_bot_is_restarted_alone(house: House) -> None:
    """Other addresses, another session: what is in flight ends, nothing is posted twice.

    The other bot's socket stays, and its messages flow all the while.
    """
    crm = await house.receiver("crm")
    sales = house.simulator.add_bot(make_keystore(Family.RSA))
    house.add_bot(SALES, sales)
    theirs = await house.receiver("crm", bot=SALES)
    hand = Hand(house)
    relay = await house.relay()
    theirs.next(Hang())
    in_flight, *behind = house.push(4, bot=SALES, conversation_id=conversation(999))
    await house.until(lambda: in_flight in theirs.hanging, "a request that hangs")
    house.bots[SALES]["blaze_url"] = [house.simulator.blaze_url, "ws://127.0.0.1:9/"]
    hand.write()
    restarting = asyncio.create_task(hand.reload(relay))
    await relay.said("settings.reloaded", bots_restarted=[SALES])
    ids = house.push(20)
    await house.read(ids)
    waiting = house.push(20, bot=SALES)
    assert not restarting.done()
    theirs.release()
    status, answer = await restarting
    assert (200, [SALES], ["bots[1].blaze_url"]) == (
        status,
        answer["bots_restarted"],
        answer["settings"],
    )
    await house.read([in_flight, *behind, *waiting], SALES)
    assert sorted([in_flight, *behind, *waiting]) == sorted(theirs.taken)
    assert in_order(theirs)
    assert sorted(ids) == sorted(crm.taken)
    assert [1, 2] == [connects_of(house, bot) for bot in house.simulator.bots]
    assert 200 == (await relay.ready()).status == (await relay.alive()).status
    assert [] == relay.events("blaze.session_shared")
    assert 0 == await relay.stop()


async def test_reloads_wait_for_one_another(house: House) -> None:
    """Asked for at once they are done one after the other, and the last file holds."""
    await house.receiver("crm")
    hand = Hand(house)
    relay = await house.relay()
    hand.endpoint("crm")["timeout"] = "9s"
    hand.write()
    answers = await asyncio.gather(*(hand.reload(relay) for _ in range(5)))
    assert [200] * 5 == [status for status, _ in answers]
    assert 1 == sum(bool(answer["changed"]) for _, answer in answers)
    await house.read(house.push(3))


async def test_a_stop_ends_a_reload(house: House) -> None:
    """What a removed endpoint has in flight gets the stop's time, and the exit is clean."""
    await house.receiver("crm")
    log = await house.receiver("log", required=False)
    log.default = Hang()
    hand = Hand(house)
    relay = await house.relay()
    ids = house.push(2)
    await house.posts(log, 2)
    hand.endpoints.pop()
    hand.write()
    asking = asyncio.create_task(hand.reload(relay, discard_owed=True))
    await relay.said("settings.reloaded")
    relay.signal(signal.SIGTERM)
    await relay.said("relay.stopping")
    relay.signal(signal.SIGHUP)
    log.release()
    status, _ = await asking
    assert 409 == status
    assert 0 == await relay.ended()
    await house.read(ids)
    assert sorted(ids) == sorted(log.taken)


async def test_a_kill_in_the_middle_of_a_reload(house: House) -> None:
    """Whenever it comes, the next start goes by the file; what was not discarded yet is kept."""
    await house.receiver("crm")
    log = await house.receiver("log")
    log.default = Hang()
    hand = Hand(house)
    relay = await house.relay()
    ids = house.push(4)
    await house.posts(log, 4)
    gone = hand.endpoints.pop()
    hand.write()
    asking = asyncio.create_task(hand.reload(relay, discard_owed=True))
    await relay.said("settings.reloaded")
    await relay.kill()
    await asyncio.gather(asking, return_exceptions=True)
    relay = await house.relay()
    letters = (await house.command("dead-letters", "list", "--reason", "removed"))["dead_letters"]
    assert sorted(ids) == sorted(each["message_id"] for each in letters)
    log.release()
    log.default = OK
    hand.endpoints.append(gone)
    hand.write()
    status, answer = await hand.reload(relay)
    assert (200, [f"{BOT}/log"]) == (status, answer["added"])
    await house.read(ids)


async def test_kills_at_any_moment_of_a_reload(house: House) -> None:
    """A journal that was left at any point of a reload is as good as any other."""
    crm = await house.receiver("crm")
    log = await house.receiver("log")
    hand, dice = Hand(house), random.Random(5)
    both = list(hand.endpoints)
    ids: list[str] = []
    of_log: set[str] = set()
    log.wants = of_log.__contains__
    for number in range(6):
        relay = await house.relay()
        new = house.push(10)  # all of it routed before the reload
        ids += new
        of_log.update(new if len(hand.endpoints) == len(both) else ())
        await house.read(ids)
        hand.endpoints[:] = both[: 1 + number % 2]
        hand.write()
        relay.signal(signal.SIGHUP)
        moment = time.monotonic() + dice.random() * LONGEST_RELOAD
        while time.monotonic() < moment:  # not a fact, but any moment of it
            os.sched_yield()
        await relay.kill()
    await house.relay()
    await house.read(ids)
    assert set(ids) == set(crm.taken)
    assert of_log == set(log.taken)


async def test_fifty_reloads_under_traffic(house: House) -> None:
    """Endpoints come, go and change at random: once it is over, everything owed is taken."""
    dice = random.Random(20)
    crm = await house.receiver("crm")
    others = [await house.receiver(name) for name in ("log", "bi")]
    hand = Hand(house)
    by_name = {each["name"]: each for each in hand.endpoints}
    hand.endpoints[:] = [by_name["crm"]]
    house.simulator.journal.allow_read = crm.has_taken
    relay = await house.relay()
    ids: list[str] = []
    changed = refused = 0
    for _ in range(50):
        ids += house.push(dice.randint(1, 10), conversation_id=conversation(dice.randint(0, 5)))
        for receiver in (crm, *others):
            receiver.next(*dice.choices((OK, OK, Answer(500), Answer(503)), k=3))
        names = dice.sample(["log", "bi"], dice.randint(0, 2))
        for name in ("crm", *names):
            by_name[name]["concurrency"] = dice.randint(1, 8)
            by_name[name]["timeout"] = f"{dice.randint(5, 15)}s"
        hand.endpoints[:] = [by_name[name] for name in ("crm", *names)]
        hand.write()
        status, _ = await hand.reload(relay, discard_owed=dice.random() < 0.3)
        changed += status == 200
        refused += status == 409
    assert changed + refused == 50
    hand.endpoints[:] = list(by_name.values())
    hand.write()
    assert 200 == (await hand.reload(relay))[0]
    for receiver in (crm, *others):
        receiver.forget_scripts()
    last = house.push(10)
    await house.read(last)
    await house.until(lambda: set(ids) <= set(crm.taken), "everything at crm")
    assert sorted(set(crm.taken)) == sorted(crm.taken)
    for receiver in others:
        assert sorted(set(receiver.taken)) == sorted(receiver.taken)
        assert set(last) <= set(receiver.taken)
    assert in_order(crm)
    metrics = await relay.metrics()
    assert 0 == metrics.value("relay_conservation_imbalance", bot=BOT)
    assert len(ids) + len(last) == metrics.total("relay_messages_received_total", bot=BOT)
    assert changed > 10
    assert 1 == connects(house)


def in_order(receiver: Receiver) -> bool:
    """Tell whether each conversation's messages were taken in the order in which people wrote."""
    said = defaultdict(list)
    for post in receiver.posts:
        if post.taken:
            said[post.event["data"]["conversation_id"]].append(post.event["data"]["created_at"])
    return all(times == sorted(times) for times in said.values())
