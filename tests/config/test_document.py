"""The settings file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.config.document import read_document
from relay.config.draft import SettingsError


def _said(text: str) -> list[str]:
    try:
        return [str(mistake) for mistake in read_document(text, {}).mistakes]
    except SettingsError as error:
        return error.mistakes


def test_scalars_stay_as_written() -> None:
    """YAML guesses at nothing: the schema decides what is a number, a flag, a time."""
    text = "{a: no, b: 1:30, c: 0o17, d: 2020-13-45, e: 1.10, f: 'x', g: [on, 08]}"
    expected = {"a": "no", "b": "1:30", "c": "0o17", "d": "2020-13-45", "e": "1.10", "f": "x"}
    assert expected | {"g": ["on", "08"]} == read_document(text, {}).tree


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "~"])
def test_an_empty_file_sets_nothing(text: str) -> None:
    """An empty file is a file without settings."""
    assert read_document(text, {}).tree == {}


def test_variables_are_replaced_inside_values() -> None:
    """`${VAR}` is replaced in values, once, and what it brings is not read as YAML."""
    environ = {"HOST": "example.com", "ODD": "{a: [1, ${HOST}"}
    draft = read_document("url: https://${HOST}/${HOST}\nodd: ${ODD}\n${HOST}: x", environ)
    assert draft.tree == {
        "url": "https://example.com/example.com",
        "odd": "{a: [1, ${HOST}",
        "${HOST}": "x",
    }
    assert draft.mistakes == []


def test_two_dollars_write_one() -> None:
    """`$${` writes `${`; a dollar elsewhere is a dollar."""
    assert read_document("a: $${HOST} $5 $$ {x}", {}).tree == {"a": "${HOST} $5 $$ {x}"}


def test_mistakes_name_the_full_path() -> None:
    """All that is wrong with single values is told at once, each under its path."""
    text = """
bots:
  - name: a
    name: b
    secret: ${UNSET}
    endpoints:
      - headers: {X: "${UN SET}", Y: }
      - !python/object x
      - ? [a]
        : b
"""
    assert [
        "bots[0].name: given again in line 4; expected each key once",
        "bots[0].secret: expected the variable UNSET to be set",
        "bots[0].endpoints[0].headers.X: expected ${NAME}, or $${ for a ${ that is meant so",
        "bots[0].endpoints[0].headers.Y: empty; expected a value, or the key left out",
        "bots[0].endpoints[1]: expected no YAML tag; quote a value that begins with !",
        "bots[0].endpoints[2]: expected plain words as keys",
    ] == [str(mistake) for mistake in read_document(text, {}).mistakes]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [", "config file, line 1, column 5: expected the node content"),
        ("a: b: c", "config file, line 1, column 5: mapping values are not allowed here"),
        ("a\n---\nb", "config file, line 2, column 1: but found another document"),
        ("- a", "config file: expected a mapping of settings at the top"),
        ("text", "config file: expected a mapping of settings at the top"),
        ("\x00", "config file: expected YAML"),
        ('"\\UFFFFFFFF"', "config file: expected YAML"),
        ("[" * 5000, "config file: nested too deeply"),
        ("a: &x [*x]", "config file: an alias without end"),
    ],
)
def test_what_is_no_yaml_is_refused(text: str, line: str) -> None:
    """A file that can't be read at all is refused in one line with its place."""
    with pytest.raises(SettingsError) as refused:
        read_document(text, {})
    assert len(refused.value.mistakes) == 1
    assert refused.value.mistakes[0].startswith(line)


def test_aliases_are_welcome() -> None:
    """What several endpoints share can be written once."""
    tree = read_document("a: &r {first: 1s}\nb: [*r, *r]", {}).tree
    assert tree == {"a": {"first": "1s"}, "b": [{"first": "1s"}, {"first": "1s"}]}


def test_aliases_of_aliases_end() -> None:
    """A small file that would grow without end is refused."""
    levels = "".join(f"a{i}: &a{i} [{f'*a{i - 1}, ' * 9}x]\n" for i in range(1, 12))
    with pytest.raises(SettingsError, match="an alias without end"):
        read_document("a0: &a0 x\n" + levels, {})


@pytest.mark.parametrize("value", ["*hunter2", "!hunter2", "&hunter2", "'hunter2", "hunter2: x"])
def test_a_secret_that_breaks_the_yaml_is_not_repeated(value: str) -> None:
    """A password that YAML takes for its own signs appears in no message."""
    assert "hunter2" not in str(_said(f"bots:\n- secret: {value}\n"))


@given(st.text() | st.text(alphabet="a-:[]{}&*!?|>'\"\\ \n${}#%"))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Any text is a tree or a SettingsError."""
    assert isinstance(_said(text), list)
