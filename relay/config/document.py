"""The settings file: YAML in, a draft of strings, lists and mappings out.

YAML's own guesses (`no` is False, `1:30` is 90) are not taken: every scalar stays as written, and
the setting decides. `${VAR}` inside a value is replaced from the environment, once and never read
as YAML again; `$${` writes `${`.
"""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from relay.config.draft import Draft, KeyPath, SettingsError, Tree

_MOST_VALUES = 20_000
"""Hundreds of bots fit; aliases of aliases, which grow without end, don't."""

_STANDARD_TAGS = "tag:yaml.org,2002:"
_NULL = _STANDARD_TAGS + "null"
_REFERENCE = re.compile(r"\$(\$\{)|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|(\$\{)")
_QUOTED = re.compile(r"'[^'<>]{2,}'")


def read_document(text: str, environ: Mapping[str, str]) -> Draft:
    """Read a settings file; what is wrong with single values is noted in the draft.

    Raises `SettingsError` if it is no YAML at all.
    """
    node = _compose(text)
    if node is None or node.tag == _NULL:
        return Draft()
    reader = _Reader(environ)
    tree = reader.value(node, ())
    if not isinstance(tree, dict):
        raise SettingsError(["config file: expected a mapping of settings at the top"])
    reader.draft.tree = tree
    return reader.draft


def _compose(text: str) -> yaml.Node | None:
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        what = _QUOTED.sub("…", error.problem or "no YAML")  # a quoted value may be a secret
        raise SettingsError([f"config file{place}: {what}; expected YAML"]) from None
    except (yaml.YAMLError, ValueError, OverflowError):
        raise SettingsError(["config file: expected YAML"]) from None
    except RecursionError:
        raise SettingsError(["config file: nested too deeply; expected YAML"]) from None
    return node


class _Reader:
    """Turns nodes into values, and notes what is wrong under its full key path."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.draft = Draft()
        self._environ = environ
        self._inside: set[int] = set()
        self._values = 0

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        """Give a node's value; None after a mistake in it."""
        self._values += 1
        if id(node) in self._inside or self._values > _MOST_VALUES:
            raise SettingsError(["config file: an alias without end; expected a plain tree"])
        if not node.tag.startswith(_STANDARD_TAGS):
            self.draft.blame_key(path, "expected no YAML tag; quote a value that begins with !")
            return None
        self._inside.add(id(node))
        try:
            return self._content(node, path)
        finally:
            self._inside.discard(id(node))

    def _content(self, node: yaml.Node, path: KeyPath) -> Any:
        match node:
            case yaml.MappingNode():
                return self._mapping(node, path)
            case yaml.SequenceNode():
                return [
                    self.value(item, (*path, position)) for position, item in enumerate(node.value)
                ]
            case _ if node.tag == _NULL:
                self.draft.blame_key(path, "empty; expected a value, or the key left out")
                return None
            case _:
                return self._text(str(node.value), path)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> Tree:
        tree: Tree = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.draft.blame_key(path, "expected plain words as keys")
                continue
            key = str(key_node.value)
            if key in tree:
                line = key_node.start_mark.line + 1
                self.draft.blame_key(
                    (*path, key), f"given again in line {line}; expected each key once"
                )
                continue
            tree[key] = self.value(value_node, (*path, key))
        return {key: value for key, value in tree.items() if value is not None}

    def _text(self, text: str, path: KeyPath) -> str:
        """Replace the references to variables."""

        def replaced(reference: re.Match[str]) -> str:
            escaped, variable, broken = reference.groups()
            if broken:
                self.draft.blame_key(path, "expected ${NAME}, or $${ for a ${ that is meant so")
            elif variable and variable not in self._environ:
                self.draft.blame_key(path, f"expected the variable {variable} to be set")
            return escaped or self._environ.get(variable or "", "")

        if "${" not in text:
            return text
        self.draft.written[path] = text
        return _REFERENCE.sub(replaced, text)
