"""What differs between two settings, and what of it a running relay can follow."""

from pathlib import Path
from typing import Any

import pytest

from relay.config.changes import Changes, compare
from relay.config.settings import Bot, Endpoint, Settings
from relay.journal.encryption.keys import new_key
from relay.model.messages import EndpointKey
from tests.config.example import KEYSTORE, OTHER_KEYSTORE, SECRET, Change, example, load

CRM = EndpointKey("support", "crm")
OTHER_SECRET = SECRET.replace("Q9r8", "Q9r9")
UUID = "c5458ec8-5e95-3e64-ae63-d4dfc3135c9e"

OF_ENDPOINTS: dict[str, Any] = {
    "url": "https://elsewhere.example.com/",
    "secret": OTHER_SECRET,
    "required": False,
    "from": "retained",
    "categories": ["PLAIN_TEXT"],
    "conversations": [UUID],
    "users": [UUID],
    "bearer_token": "t0ken",
    "back_token": "a-token-of-its-own",
    "headers": {"X-Tenant": "acme"},
    "timeout": "9s",
    "connect_timeout": "2s",
    "concurrency": 3,
    "retry": {"first": "2s"},
    "breaker": {"open_after": 9},
    "proxy": "http://proxy.test:3128",
}


def changed(folder: Path, change: Change) -> Changes:
    return compare(load(folder, example()), load(folder, example(change)))


@pytest.mark.parametrize("key", OF_ENDPOINTS)
def test_endpoints_change_while_the_relay_runs(tmp_path: Path, key: str) -> None:
    """Every key of an endpoint can be followed, and is named."""
    changes = changed(tmp_path, lambda _s, _b, endpoint: endpoint.update({key: OF_ENDPOINTS[key]}))
    assert Changes(changed={CRM: (key,)}) == changes


def test_every_key_of_an_endpoint_is_tried_here() -> None:
    """A key that is new is thought of."""
    keys = set(Endpoint.all_keys())
    files = {"secret_file", "bearer_token_file", "back_token_file", "allow_plaintext"}
    assert {*OF_ENDPOINTS, *files, "name", "tls"} == keys


def test_the_same_again_is_nothing(tmp_path: Path) -> None:
    """Keys that are read anew are equal to what they were, and so is every default."""
    (tmp_path / "keys").write_text(new_key(b"k" * 32), encoding="utf-8")

    def change(settings: dict[str, Any], bot: dict[str, Any], _: object) -> None:
        settings["journal_key_file"] = str(tmp_path / "keys")
        bot["endpoints"][0]["tls"] = {}

    one, two = load(tmp_path, example(change)), load(tmp_path, example(change))
    assert Changes() == compare(one, two)
    assert compare(one, two).nothing


def test_a_file_counts_by_what_is_in_it(tmp_path: Path) -> None:
    """A secret that moved into a file is the same secret; another one in the same file is not."""
    file = tmp_path / "secret"

    def filed(_settings: object, _bot: object, endpoint: dict[str, Any]) -> None:
        del endpoint["secret"]
        endpoint["secret_file"] = str(file)

    file.write_text(SECRET, encoding="utf-8")
    before = load(tmp_path, example(filed))
    assert compare(load(tmp_path, example()), before).nothing
    file.write_text(f"{OTHER_SECRET} {SECRET}", encoding="utf-8")
    assert {CRM: ("secret",)} == compare(before, load(tmp_path, example(filed))).changed


def test_endpoints_come_and_go(tmp_path: Path) -> None:
    """They are known by their names; another name is another endpoint, order is nothing."""
    changes = changed(tmp_path, lambda _s, _b, endpoint: endpoint.update(name="log"))
    assert Changes(added=(EndpointKey("support", "log"),), removed=(CRM,)) == changes
    log = {"name": "log", "url": "https://log.example.com/"}
    one = example(lambda _s, bot, _e: bot["endpoints"].append(log))
    two = example(lambda _s, bot, _e: bot["endpoints"].insert(0, log))
    assert compare(load(tmp_path, one), load(tmp_path, two)).nothing


FOLLOWED: dict[str, Change] = {
    "drain_timeout": lambda settings, _b, _e: settings.update(drain_timeout="5s"),
    "bots[0].unwanted": lambda _s, bot, _e: bot.update(unwanted="leave"),
}
FIXED: dict[str, Change] = {
    "listen": lambda settings, _b, _e: settings.update(listen="127.0.0.1:1"),
    "journal": lambda settings, _b, _e: settings.update(journal="memory:"),
    "journal_recovery": lambda s, _b, _e: s.update(journal_recovery="start_fresh"),
    "ready_grace": lambda settings, _b, _e: settings.update(ready_grace="5s"),
    "retention": lambda settings, _b, _e: settings.update(retention="9d"),
    "blocked_networks": lambda s, _b, _e: s.update(blocked_networks=["192.0.2.0/24"]),
    "admin_token": lambda settings, _b, _e: settings.update(admin_token="correct-horse-1"),
    "log_level": lambda settings, _b, _e: settings.update(log_level="debug"),
    "log_format": lambda settings, _b, _e: settings.update(log_format="json"),
}
RESTARTED: dict[str, Change] = {
    "bots[0].keystore": lambda _s, bot, _e: bot.update(keystore=OTHER_KEYSTORE),
    "bots[0].blaze_url": lambda _s, bot, _e: bot.update(blaze_url="wss://b.example.com/"),
    "bots[0].api_url": lambda _s, bot, _e: bot.update(api_url="https://a.example.com/"),
    "bots[0].ordering": lambda _s, bot, _e: bot.update(ordering="none"),
    "bots[0].proxy": lambda _s, bot, _e: bot.update(proxy="http://proxy.test:3128"),
}


@pytest.mark.parametrize("key", FOLLOWED)
def test_some_keys_can_be_followed_too(tmp_path: Path, key: str) -> None:
    """What is looked up each time that it is needed needs no restart."""
    assert Changes(settings=(key,)) == changed(tmp_path, FOLLOWED[key])


@pytest.mark.parametrize("key", RESTARTED)
def test_some_keys_restart_their_bot(tmp_path: Path, key: str) -> None:
    """A bot's socket and order are made once: it is started anew, and nothing else is."""
    changes = changed(tmp_path, RESTARTED[key])
    assert Changes(settings=(key,), bots_restarted=("support",)) == changes


@pytest.mark.parametrize("key", FIXED)
def test_the_rest_needs_a_restart(tmp_path: Path, key: str) -> None:
    """It is named as an operator writes it."""
    assert Changes(fixed=(key,)) == changed(tmp_path, FIXED[key])


def test_every_key_is_tried_here() -> None:
    """A key that is new is thought of."""
    keys = set(Settings.all_keys()) | {f"bots[0].{name}" for name in Bot.all_keys()}
    others = {"admin_token_file", "journal_key_file"}
    others |= {f"bots[0].{name}" for name in ("name", "keystore_file", "endpoints")}
    assert {*FOLLOWED, *RESTARTED, *FIXED} == keys - others - {"bots"}


def test_another_session_of_the_same_app_restarts_the_bot(tmp_path: Path) -> None:
    """A keystore is compared by what is in it; a key of the session counts."""
    new = KEYSTORE.replace("22222222-2222", "66666666-2222")
    changes = changed(tmp_path, lambda _s, bot, _e: bot.update(keystore=new))
    assert ("support",) == changes.bots_restarted
    new = KEYSTORE.replace("202122", "212122")
    changes = changed(tmp_path, lambda _s, bot, _e: bot.update(keystore=new))
    assert ("support",) == changes.bots_restarted


def test_other_keys_of_the_journal_need_a_restart(tmp_path: Path) -> None:
    """They are compared by their ids."""
    file = tmp_path / "keys"

    def filed(settings: dict[str, Any], _b: object, _e: object) -> None:
        settings["journal_key_file"] = str(file)

    file.write_text(new_key(b"k" * 32), encoding="utf-8")
    before = load(tmp_path, example(filed))
    file.write_text(new_key(b"l" * 32), encoding="utf-8")
    assert ("journal_key_file",) == compare(before, load(tmp_path, example(filed))).fixed


SALES = {
    "name": "sales",
    "keystore": OTHER_KEYSTORE,
    "endpoints": [{"name": "crm", "url": "https://sales.example.com/"}],
}


def test_bots_come_and_go(tmp_path: Path) -> None:
    """With all of their endpoints; they are known by their names, and order is nothing."""
    alone = load(tmp_path, example())
    both = load(tmp_path, example(lambda settings, _b, _e: settings["bots"].append(SALES)))
    crm = EndpointKey("sales", "crm")
    assert Changes(added=(crm,), bots_added=("sales",)) == compare(alone, both)
    assert Changes(removed=(crm,), bots_removed=("sales",)) == compare(both, alone)
    turned = load(tmp_path, example(lambda settings, _b, _e: settings["bots"].insert(0, SALES)))
    assert compare(both, turned).nothing


def test_another_name_is_another_bot(tmp_path: Path) -> None:
    """The journal knows what it owes by that name."""
    changes = changed(tmp_path, lambda _s, bot, _e: bot.update(name="sales"))
    assert (("sales",), ("support",)) == (changes.bots_added, changes.bots_removed)
