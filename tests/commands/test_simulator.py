"""`relay simulator`; that it serves is shown in test_process.py."""

from tests.commands.stage import Stage


def test_a_keystore_that_is_none(stage: Stage) -> None:
    """A file that is missing or no keystore is wrong usage."""
    (stage.folder / "bad.json").write_text('{"app_id": "hunter2"}')
    for name, why in (
        ("none.json", "expected a readable file (No such file or directory)"),
        ("bad.json", "expected a keystore in JSON"),
        ("relay.yaml", "expected a keystore in JSON"),
    ):
        said = stage.relay("simulator", "--keystore", name)
        assert (2, "", f"relay: --keystore: '{name}': {why}\n") == (said.code, said.out, said.err)


def test_a_keystore_is_never_overwritten(stage: Stage) -> None:
    """--write-keystore makes a new file; one that is there is no keystore by its name alone."""
    path = stage.folder / "keystore.json"
    path.write_text("{}")
    said = stage.relay("simulator", "--write-keystore", "keystore.json")
    text = "relay: --write-keystore: 'keystore.json': expected a keystore in JSON\n"
    assert (2, text) == (said.code, said.err)
    assert "{}" == path.read_text()


def test_one_keystore_is_enough(stage: Stage) -> None:
    """--keystore and --write-keystore contradict each other."""
    said = stage.relay("simulator", "--keystore", "a", "--write-keystore", "b")
    text = "relay: --write-keystore: expected alone, since --keystore names one\n"
    assert (2, text) == (said.code, said.err)


def test_a_folder_that_is_not_there(stage: Stage) -> None:
    """A keystore that can't be written is a failure."""
    said = stage.relay("simulator", "--write-keystore", "none/keystore.json")
    assert 1 == said.code
    assert said.err.startswith("relay: --write-keystore: 'none/keystore.json': can't be written")


def test_an_address_that_is_not_ours(stage: Stage) -> None:
    """An address that can't be listened on is a failure of one line."""
    said = stage.relay("simulator", "--listen", "203.0.113.1:7000")
    assert (1, "") == (said.code, said.out)
    assert said.err.startswith("relay: --listen: '203.0.113.1:7000': ")
    assert 1 == len(said.err.splitlines())
