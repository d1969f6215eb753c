"""What the pages name is in the repository, and nothing that they or the code cite lies outside."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT, page

PAGES = sorted({*ROOT.glob("*.md"), *DOCS.glob("*.md")} - {ROOT / "CHANGELOG.md"})
"""All but those that tell of files as they were."""


def named(text: str) -> set[str]:
    """Find the Python files and the pages that a text names in `code`."""
    return set(re.findall(r"`([\w/.-]+\.(?:py|md))\b[^`]*`", text))


def is_there(name: str) -> bool:
    """Say whether a name is a file's: from the root, from relay/, or in the folder of the pages."""
    return any((folder / name).is_file() for folder in (ROOT, ROOT / "relay", DOCS))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_file_that_a_page_names_is_there(path: Path) -> None:
    """A reader who looks for it finds it."""
    assert set() == {name for name in named(path.read_text(encoding="utf-8")) if not is_there(name)}


def test_every_path_of_the_contributors_page_is_there() -> None:
    """A contributor is sent to files and folders that exist."""
    paths = set(re.findall(r"`([\w.-]+/[\w./-]*|[\w-]+\.\w+)`", page("CONTRIBUTING.md")))
    assert len(paths) > 20
    assert set() == {path for path in paths if not (ROOT / path).exists()}


def test_every_target_is_there() -> None:
    """Each `make` target that a page names is in the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", page("Makefile"), re.MULTILINE))
    named_ones = {
        target
        for path in PAGES
        for target in re.findall(r"`make ([a-z-]+)", path.read_text(encoding="utf-8"))
    }
    assert named_ones <= targets


def test_every_measurement_is_explained() -> None:
    """Each `bench` target of the Makefile is in docs/measured.md and in docs/testing.md."""
    targets = set(re.findall(r"^(bench[\w-]*):", page("Makefile"), re.MULTILINE))
    for name in ("docs/measured.md", "docs/testing.md"):
        assert targets == set(re.findall(r"`make (bench[\w-]*)", page(name)))
