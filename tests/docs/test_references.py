"""What the pages name is in the repository, and nothing that they or the code cite lies outside."""

import re
from pathlib import Path

import click
import pytest

from relay.cli import relay
from tests.docs.pages import DOCS, ROOT, blocks, page

PAGES = sorted({*ROOT.glob("*.md"), *DOCS.glob("*.md")} - {ROOT / "CHANGELOG.md"})
"""All but those that tell of files as they were."""


def named(text: str) -> set[str]:
    """Find the files and folders of ours that a text names in `code`."""
    spans = re.findall(r"`([\w./-]+)(?:: ?[^`]*)?`", text)
    ours = r"(?:relay|tests|docs|deploy)/[\w./-]+|[\w/.-]+\.(?:py|md)"
    return {span for span in spans if re.fullmatch(ours, span)}


def is_there(name: str) -> bool:
    """Say whether a name is one from the root, from relay/, or from the folder of the pages."""
    return any((folder / name).exists() for folder in (ROOT, ROOT / "relay", DOCS))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_file_that_a_page_names_is_there(path: Path) -> None:
    """A reader who looks for it finds it."""
    assert set() == {name for name in named(path.read_text(encoding="utf-8")) if not is_there(name)}


def test_every_path_of_the_contributors_page_is_there() -> None:
    """A contributor is sent to files and folders that exist."""
    paths = set(re.findall(r"`([\w.-]+/[\w./-]*|[\w-]+\.\w+)`", page("CONTRIBUTING.md")))
    assert len(paths) > 20
    assert set() == {path for path in paths if not (ROOT / path).exists()}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_command_that_a_page_names_is_there(path: Path) -> None:
    """`relay COMMAND` and `relay GROUP COMMAND` are what one can type."""
    fence, text = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL), path.read_text("utf-8")
    spans = re.findall(r"`([^`]+)`", fence.sub("", text))
    code = "\n".join([*spans, *blocks(text, "sh")])
    for name, rest in re.findall(r"^(?:\S*/)?relay ([a-z-]+)(?: ([a-z|-]+))?", code, re.MULTILINE):
        command = relay.get_command(click.Context(relay), name)
        assert command is not None, name
        if rest and isinstance(command, click.Group):
            assert set() == set(rest.split("|")) - set(command.commands), name


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


def test_no_reference_leads_out_of_the_repository() -> None:
    """Each page that the code or a page cites by name is here."""
    here = {path.name for path in ROOT.glob("**/*.md") if ".venv" not in path.parts}
    files = [path for folder in ("relay", "tests", "docs") for path in (ROOT / folder).rglob("*.*")]
    lost = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in [*files, *PAGES]
        if path.suffix in {".py", ".md"}
        for name in re.findall(r"[\w-]+\.md\b", path.read_text(encoding="utf-8"))
        if name not in here
    }
    assert set() == lost


def test_the_chapters_that_the_code_cites_are_there() -> None:
    """A page and a heading, as in docstrings of relay/blaze, lead somewhere."""
    cited = {
        (name, chapter.strip())
        for path in [*(ROOT / "relay").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
        for name, chapters in re.findall(
            r"\((docs/\w+\.md), ([A-Z][^)]*)\)", path.read_text(encoding="utf-8")
        )
        for chapter in re.split(r", (?=[A-Z])", chapters)
    }
    assert len(cited) > 10
    assert set() == {(name, chapter) for name, chapter in cited if chapter not in page(name)}
