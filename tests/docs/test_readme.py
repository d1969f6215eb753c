"""The README is short, keeps to the promise that is tested, and leads on."""

import re

from tests.docs.pages import ROOT, first_cells, page

README = page("README.md")
MOST_WORDS = 1_000
FIRST_SCREEN = 30
"""Lines."""


def test_it_is_short() -> None:
    """Whoever comes by reads it to the end."""
    assert len(README.split()) <= MOST_WORDS


def test_the_first_screen_leads_on() -> None:
    """The pages for each sort of reader are linked there."""
    first = "\n".join(README.splitlines()[:FIRST_SCREEN])
    pages = {"receivers", "reference", "operations", "flow", "glossary"}
    assert pages == {each for each in pages if f"](docs/{each}.md)" in first}


def test_every_page_can_be_reached() -> None:
    """Each page of docs/ is linked in the README."""
    pages = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md")}
    assert pages == {each for each in pages if f"]({each})" in README}


def test_every_window_has_its_test() -> None:
    """Each row of the table of windows is proved by an acceptance test that names it."""
    windows = {cell.lower() for cell in first_cells(README) if re.fullmatch(r"W\d+", cell)}
    assert {f"w{number}" for number in range(1, 11)} == windows
    acceptance = ROOT / "tests" / "acceptance"
    names = " ".join(path.read_text(encoding="utf-8") for path in acceptance.glob("test_*.py"))
    assert windows == set(re.findall(r"def test_(w\d+)_", names))
