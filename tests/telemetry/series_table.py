"""Reads a table of metric series out of Markdown, so that documents can be held to the code."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Series:
    """One documented series; `type` is the first word of its cell."""

    name: str
    type: str
    labels: frozenset[str]


def documented_series(markdown: str) -> set[Series]:
    """Find every series of every table with the columns series, type and labels.

    A cell may hold several series, divided by ` / `; then the others hold as many, or one for all.
    """
    found: set[Series] = set()
    for line in markdown.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) >= 3 and re.match(r"`relay_\w+`", cells[0]):
            found |= _series_of(*cells[:3])
    return found


def _series_of(names: str, types: str, labels: str) -> set[Series]:
    name_list = re.findall(r"`(relay_\w+)`", names)
    type_list = _spread(types, len(name_list))
    label_list = _spread(labels, len(name_list))
    return {
        Series(name, _first_word(kind), _labels(label))
        for name, kind, label in zip(name_list, type_list, label_list, strict=True)
    }


def _spread(cell: str, count: int) -> list[str]:
    parts = cell.split(" / ")
    return parts * count if len(parts) == 1 else parts


def _first_word(cell: str) -> str:
    word = re.match(r"\w+", cell)
    assert word is not None, f"no type: {cell}"
    return word[0]


def _labels(cell: str) -> frozenset[str]:
    plain = re.sub(r"\([^)]*\)", "", cell)
    return frozenset(re.findall(r"[a-z_]+", plain))
