"""docs/security.md claims nothing without a test, and every test that it names is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def test_every_named_test_is_there() -> None:
    """Each path of a test leads to one."""
    named = set(re.findall(r"tests/[\w/]+\.py", TEXT))
    assert len(named) > 20
    assert set() == {path for path in named if not (ROOT / path).is_file()}


def test_every_claim_names_its_test() -> None:
    """Each section that promises something names at least one test."""
    sections = {part.partition("\n")[0]: part for part in TEXT.split("\n## ")[1:]}
    silent = {title for title, part in sections.items() if "`tests/" not in part}
    assert {"What is worth protecting", "What is not protected", "Checklist"} == silent
