"""A journal is moved out of the way whole, and over nothing."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from relay.journal.sqlite.quarantine import last_set_aside, set_aside

AT = datetime(2026, 11, 22, 18, 30, tzinfo=UTC).timestamp()
NAME = "journal.db.corrupt-20261122T183000Z"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Make a journal of three files, each with its name in it."""
    for name in ("journal.db", "journal.db-wal", "journal.db-shm", "journal.db.lock"):
        (tmp_path / name).write_text(name)
    (tmp_path / "journal.db").chmod(0o640)
    return tmp_path / "journal.db"


def contents(directory: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in directory.iterdir()}


def moved(name: str) -> dict[str, str]:
    return {f"{name}{part}": f"journal.db{part}" for part in ("", "-wal", "-shm")}


def test_all_of_it_is_moved(path: Path) -> None:
    """Database, log and index keep their contents and permissions; the lock stays."""
    assert path.with_name(NAME) == set_aside(path, AT)
    assert moved(NAME) | {"journal.db.lock": "journal.db.lock"} == contents(path.parent)
    assert 0o640 == path.with_name(NAME).stat().st_mode & 0o777


@pytest.mark.parametrize("part", ["", "-wal", "-shm"])
def test_nothing_is_overwritten(path: Path, part: str) -> None:
    """If any of the names is taken, all get another."""
    taken = {f"{NAME}{part}": "mine", f"{NAME}-2{part}": "mine as well"}
    for name, text in taken.items():
        path.with_name(name).write_text(text)
    assert path.with_name(f"{NAME}-3") == set_aside(path, AT)
    found = contents(path.parent)
    assert taken | moved(f"{NAME}-3") == {name: found[name] for name in found if NAME in name}


def test_a_link_that_leads_nowhere_is_a_name_too(path: Path) -> None:
    """A name is taken even if nothing is behind it."""
    path.with_name(NAME).symlink_to("nowhere")
    assert path.with_name(f"{NAME}-2") == set_aside(path, AT)


def test_what_is_there_is_moved(path: Path) -> None:
    """A log whose database is gone is moved alone."""
    path.unlink()
    path.with_name("journal.db-shm").unlink()
    assert path.with_name(NAME) == set_aside(path, AT)
    assert {f"{NAME}-wal", "journal.db.lock"} == contents(path.parent).keys()


def test_what_can_t_be_moved_stays(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a rename fails, no empty file is left in its place."""
    before = contents(path.parent)

    def fail(self: Path, target: Path) -> Path:
        raise OSError(16, "Device or resource busy", str(self), None, str(target))

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="busy"):
        set_aside(path, AT)
    assert before == contents(path.parent)


def test_the_newest_is_told(path: Path) -> None:
    """When a journal was last set aside follows from the names that are there."""
    assert 0 == last_set_aside(path)
    set_aside(path, AT)
    path.write_text("another")
    set_aside(path, AT)
    assert AT == last_set_aside(path)
    path.write_text("and another")
    newest = set_aside(path, AT + 3600)
    assert AT + 3600 == last_set_aside(path)
    newest.unlink()
    assert AT == last_set_aside(path)


@pytest.mark.parametrize(
    "name", ["journal.db.corrupt-", "journal.db.corrupt-99999999T999999Z", "x"]
)
def test_other_names_say_nothing(path: Path, name: str) -> None:
    """A file that only looks like it is none; nor is there any where one can't look."""
    path.with_name(name).write_text("")
    assert 0 == last_set_aside(path)
    assert 0 == last_set_aside(path.parent / "nowhere" / "journal.db")
