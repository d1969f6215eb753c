"""Whatever a page points to is there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md")])

_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


def links(page: Path) -> Iterator[str]:
    """Find where a page points to within the repository."""
    prose = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return (link for link in _LINK.findall(prose) if "://" not in link)


def anchors(page: Path) -> set[str]:
    """Name a page's headings as they are pointed to."""
    prose = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return {_anchor(heading) for heading in _HEADING.findall(prose)}


def _anchor(heading: str) -> str:
    words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading.strip().lower())
    return re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    """The file is there, and so is the heading in it."""
    lost = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            lost.append(link)
    assert [] == lost


def test_the_pages_are_found() -> None:
    """The front page and a decision are among them, so that nothing is held by nothing."""
    names = {page.relative_to(ROOT).as_posix() for page in PAGES}
    assert {"README.md", "docs/flow.md", "docs/adr/001-lanes-in-a-table.md"} <= names


def test_headings_are_pointed_to_as_on_the_web() -> None:
    """Signs fall away, spaces become hyphens, and code keeps its words."""
    assert "back-up-and-restore" == _anchor("Back up and restore")
    assert "relay_dead_letters-and-why" == _anchor("`relay_dead_letters`, and why")
