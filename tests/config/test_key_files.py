"""The journal's keys: a file, named by a key of the file or by a variable."""

import json
from pathlib import Path

import pytest

from relay.config import load_settings
from relay.journal.encryption.keys import PREFIX, new_key
from tests.config.example import VARIABLES, at, example, load, mistakes, mistakes_of_variables

OLD, NEW = (new_key(bytes([number] * 32)) for number in (1, 2))
OLD_ID, NEW_ID = "603ad4aa", "25691927"
EXPECTED = "expected rjk_… keys as `relay secret --journal-key` prints them"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """Write a file with two keys, as while rotating."""
    path = tmp_path / "journal-key"
    path.write_text(f"{NEW}\n{OLD}\n")
    return path


def test_off_by_default(tmp_path: Path) -> None:
    """Without the setting nothing is sealed, and nothing is said about it."""
    settings = load(tmp_path, example())
    assert settings.journal_keys is None
    assert () == settings.warnings
    assert "journal_key_file" not in settings.shown()


def test_the_file_may_name_it(tmp_path: Path, key_file: Path) -> None:
    """The first key in it seals, the others open."""
    settings = load(tmp_path, example(at("journal_key_file", str(key_file), "settings")))
    assert settings.journal_keys is not None
    assert (NEW_ID, OLD_ID) == settings.journal_keys.ids
    assert () == settings.warnings


def test_the_variable_wins(tmp_path: Path, key_file: Path) -> None:
    """`RELAY_JOURNAL_KEY_FILE` goes before what the file says."""
    change = at("journal_key_file", "/none", "settings")
    environ = {"RELAY_JOURNAL_KEY_FILE": str(key_file)}
    settings = load(tmp_path, example(change), environ)
    assert settings.journal_keys is not None
    assert NEW_ID == settings.journal_keys.first.id


def test_it_is_shown_by_its_ids(key_file: Path) -> None:
    """The file and what each key is for can be read; no key can."""
    settings = load_settings(None, VARIABLES | {"RELAY_JOURNAL_KEY_FILE": str(key_file)})
    shown = settings.shown()
    expected = f"{key_file} (seals with key {NEW_ID}, opens what {OLD_ID} sealed)"
    assert expected == shown["journal_key_file"]
    for key in (OLD, NEW):
        assert key.removeprefix(PREFIX)[:8] not in f"{settings!r}{settings}{json.dumps(shown)}"


def test_a_journal_in_memory_is_warned_of(key_file: Path) -> None:
    """It works, since nothing is ever on a disk; but whoever sets it may believe otherwise."""
    environ = {"RELAY_JOURNAL": "memory:", "RELAY_JOURNAL_KEY_FILE": str(key_file)}
    settings = load_settings(None, VARIABLES | environ)
    assert "journal_key_file seals nothing: memory: is never on a disk" in settings.warnings


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "the file is empty; expected a secret in it"),
        (b" \n", "the file is empty; expected a secret in it"),
        (b"\xff\xfe", "expected a file of UTF-8 text"),
        (b"hunter2", f"the key does not begin with rjk_; {EXPECTED}"),
        (b"rjk_hunter2", f"the key is not base64 behind its prefix; {EXPECTED}"),
        (b"rjk_aHVudGVyMg==", f"the key has 7 bytes, and 32 are expected; {EXPECTED}"),
        (f"{OLD} {NEW} {OLD}".encode(), f"key 3 of 3 is key 1 again; {EXPECTED}"),
        (OLD.encode() * 2000, "expected a file of at most 65536 bytes"),
    ],
)
def test_a_file_without_keys_is_refused(
    key_file: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, why: str
) -> None:
    """The mistake names the setting and the file, says what is wrong, and repeats no key."""
    key_file.write_bytes(content)
    monkeypatch.chdir(key_file.parent)  # a long path is cut short
    found = mistakes_of_variables(VARIABLES | {"RELAY_JOURNAL_KEY_FILE": key_file.name})
    assert [f"RELAY_JOURNAL_KEY_FILE: 'journal-key': {why}"] == found


def test_a_path_without_a_file_is_refused(tmp_path: Path) -> None:
    """A missing file and a directory are named with their full key path."""
    for path, why in ((tmp_path / "none", "No such file or directory"), (tmp_path, "Is a directo")):
        (found,) = mistakes(tmp_path, example(at("journal_key_file", str(path), "settings")))
        assert found.startswith(f"journal_key_file: '{path}': expected a readable file ({why}")


def test_a_key_in_the_place_of_its_file_is_not_told() -> None:
    """Whoever mistakes one for the other finds no key in a log."""
    found = mistakes_of_variables(VARIABLES | {"RELAY_JOURNAL_KEY_FILE": OLD})
    assert ["RELAY_JOURNAL_KEY_FILE: '***': expected a readable file (No such file or"] == [
        line.removesuffix(" directory)") for line in found
    ]


def test_a_key_is_no_setting(tmp_path: Path) -> None:
    """Neither the environment nor the settings file takes the key itself, nor passes over it."""
    (found,) = mistakes_of_variables(VARIABLES | {"RELAY_JOURNAL_KEY": OLD})
    assert "RELAY_JOURNAL_KEY: no setting; expected RELAY_JOURNAL_KEY_FILE, the path of a file" in (
        found
    )
    assert ["journal_key: unknown key; did you mean journal_key_file?"] == mistakes(
        tmp_path, example(at("journal_key", OLD, "settings"))
    )
