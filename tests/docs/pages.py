"""The pages, and what is read out of them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import tests

ROOT: Final = Path(tests.__file__).parents[1]
DOCS: Final = ROOT / "docs"


def page(name: str) -> str:
    """Give the text of a page, by its path in the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """Give the part of a page under a heading of the second level."""
    (found,) = re.findall(
        rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL
    )
    return str(found)


def first_cells(text: str) -> Iterator[str]:
    """Go through the first cells of all tables."""
    return (line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| "))


def blocks(text: str, language: str) -> list[str]:
    """Give the code blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
