"""Sections of settings: declared once, read from a draft with every mistake, shown without secrets.

A section is a frozen dataclass whose fields are settings, each of a kind::

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Retry(Section):
        first: float = setting(POSITIVE_DURATION, default=1.0)

Why not a library's models: here every mistake is told under the variable or the file that the value
came from, and a command starts without building validators that it doesn't need.
"""

import difflib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Generic, Self, TypeVar, overload

from relay.config.draft import Draft, KeyPath, Tree, mappings

T = TypeVar("T")
D = TypeVar("D")
S = TypeVar("S", bound="Section")

_KIND, _KEY, _OLD_KEY = "kind", "key", "old_key"


class Kind(ABC, Generic[T]):
    """A kind of values; `expected` completes the words `expected …` beside a mistake."""

    expected: str

    @abstractmethod
    def read(self, value: Any, draft: Draft, path: KeyPath) -> T | None:
        """Read what is written at a path; None after a mistake, which is noted in the draft."""

    @abstractmethod
    def show(self, value: T) -> Any:
        """Write a value in JSON as an operator would, with any secret masked."""


@overload
def setting(kind: Kind[T], *, key: str = "", old_key: str = "", repr: bool = True) -> T: ...
@overload
def setting(
    kind: Kind[T], *, default: D, key: str = "", old_key: str = "", repr: bool = True
) -> T | D: ...
def setting(
    kind: Kind[T],
    *,
    default: Any = MISSING,
    key: str = "",
    old_key: str = "",
    repr: bool = True,  # noqa: A002 - as dataclasses have it
) -> Any:
    """Declare a setting; `key` is its key in the file if that is not the field's name.

    `old_key` is another one that is still read, with a warning.
    """
    described = {_KIND: kind, _KEY: key, _OLD_KEY: old_key}
    return field(default=default, repr=repr, metadata=described)


@dataclass(frozen=True, slots=True)
class Declared:
    """A setting of a section: the field's name, the key in the file, the kind and the default."""

    name: str
    key: str
    old_key: str
    kind: Kind[Any]
    default: Any


class Section:
    """A mapping of the settings file: frozen, and closed to keys that nobody knows."""

    __slots__ = ()

    @classmethod
    def declared(cls) -> dict[str, Declared]:
        """List every setting by its key."""
        found = {}
        for one in fields(cls):  # type: ignore[arg-type]  # every section is a dataclass
            if kind := one.metadata.get(_KIND):
                key = one.metadata[_KEY] or one.name
                found[key] = Declared(
                    one.name, key, one.metadata[_OLD_KEY], kind, default=one.default
                )
        return found

    @classmethod
    def read(cls, tree: Tree, draft: Draft, path: KeyPath) -> Self | None:
        """Read a mapping; None after a mistake, which is noted in the draft."""
        declared = cls.declared()
        values = {}
        for one in declared.values():
            value = _read_one(one, tree, draft, path)
            if value is not MISSING:
                values[one.name] = value
        _refuse_unknown(tree, declared, draft, path)
        for keys, text in cls.check(tree, values):
            draft.blame((*path, *keys), text)
        return cls(**values) if len(values) == len(declared) else None

    @classmethod
    def check(cls, tree: Tree, values: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:  # noqa: ARG003 - for those that have something to check
        """Find mistakes between settings: the keys to blame and what is expected.

        `tree` is what was written, and `values` has what is sound by itself, defaults included.
        """
        return iter(())

    def shown(self) -> dict[str, Any]:
        """Write the settings as in a file, defaults included and every secret masked."""
        values = {key: (one.kind, getattr(self, one.name)) for key, one in self.declared().items()}
        return {key: kind.show(value) for key, (kind, value) in values.items() if value is not None}


def _refuse_unknown(
    tree: Tree, declared: Mapping[str, Declared], draft: Draft, path: KeyPath
) -> None:
    known = {*declared, *(one.old_key for one in declared.values())}
    for key in tree:
        if key not in known:
            near = difflib.get_close_matches(key, declared, n=1, cutoff=0.5)
            text = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(declared)}"
            draft.blame_key((*path, key), f"unknown key; {text}")


def _read_one(one: Declared, tree: Tree, draft: Draft, path: KeyPath) -> Any:
    """Read one setting; MISSING after a mistake."""
    key = one.key
    if one.old_key in tree:
        old = draft.name((*path, one.old_key))
        if key in tree:
            draft.blame_key((*path, one.old_key), f"expected {key} alone; this is its old name")
        else:
            draft.warnings.append(f"{old} is called {key} now; the old name will go")
            key = one.old_key
    if key in tree:
        value = one.kind.read(tree[key], draft, (*path, key))
        return MISSING if value is None else value
    if one.default is MISSING:
        draft.blame((*path, key), f"missing; expected {one.kind.expected}")
    return one.default


class Text(Kind[T]):
    """A scalar. `parse` raises `ValueError` that says what is wrong, without the value."""

    def __init__(
        self, expected: str, parse: Callable[[str], T], show: Callable[[T], Any] = str
    ) -> None:
        self.expected = expected
        self._parse = parse
        self._show = show

    def read(self, value: Any, draft: Draft, path: KeyPath) -> T | None:
        """Read a text; anything else is a mistake."""
        try:
            if isinstance(value, str):
                return self._parse(value)
            draft.blame(path, f"expected {self.expected}")
        except ValueError as wrong:
            draft.blame(path, str(wrong))
        return None

    def show(self, value: T) -> Any:
        """Write it as the kind has it."""
        return self._show(value)


class Several(Kind[tuple[T, ...]]):
    """A list with one item or more; `in_text` takes a text of items apart at commas and spaces."""

    def __init__(self, expected: str, item: Kind[T], *, in_text: bool = False) -> None:
        self.expected = expected
        self._item = item
        self._in_text = in_text

    def read(self, value: Any, draft: Draft, path: KeyPath) -> tuple[T, ...] | None:
        """Read each item, and tell the mistakes of all."""
        if self._in_text and isinstance(value, str):
            value = value.replace(",", " ").split()
        if not isinstance(value, list) or not value:
            draft.blame(path, f"expected {self.expected}")
            return None
        read = [
            self._item.read(one, draft, (*path, position)) for position, one in enumerate(value)
        ]
        sound = tuple(one for one in read if one is not None)
        return sound if len(sound) == len(read) else None

    def show(self, value: tuple[T, ...]) -> Any:
        """Write a list."""
        return [self._item.show(one) for one in value]


class Nested(Kind[S]):
    """A section in a section."""

    expected = "a mapping"

    def __init__(self, section: type[S]) -> None:
        self.section = section

    def read(self, value: Any, draft: Draft, path: KeyPath) -> S | None:
        """Read a section; anything but a mapping is a mistake."""
        if isinstance(value, dict):
            return self.section.read(value, draft, path)
        draft.blame(path, f"expected {self.expected}")
        return None

    def show(self, value: S) -> Any:
        """Write a mapping."""
        return value.shown()


class Named(Several[S]):
    """A list of sections, whose names differ."""

    def read(self, value: Any, draft: Draft, path: KeyPath) -> tuple[S, ...] | None:
        """Read each section; a name that was taken before is a mistake, whatever else is wrong."""
        first: dict[str, int] = {}
        for position, item in mappings(value):
            name = item.get("name")
            if isinstance(name, str) and first.setdefault(name, position) != position:
                taken = draft.name((*path, first[name]))
                draft.blame((*path, position, "name"), f"taken by {taken}; expected another name")
        return super().read(value, draft, path)
