"""Sections of settings: declared once, read from a draft with every mistake, shown without secrets.

A section is a frozen dataclass whose fields are settings, each of a kind::

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Retry(Section):
        first: float = setting(POSITIVE_DURATION, default=1.0)

No library's models: each mistake is told under the variable or the file that the value came from,
and a start that takes no time builds no validators.
"""

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Generic, Self, TypedDict, TypeVar, Unpack, overload

from relay.config.draft import Draft, KeyPath, Tree, mappings
from relay.config.secrets import read_secret_file

T = TypeVar("T")
D = TypeVar("D")
S = TypeVar("S", bound="Section")


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """A kind of values; `expected` completes the words `expected …` beside a mistake.

    `read` reads what is written at a path, and answers None after a mistake, which it notes in the
    draft. `show` writes a value in JSON as an operator would, with any secret masked.
    """

    expected: str
    read: Callable[[Any, Draft, KeyPath], T | None]
    show: Callable[[T], Any] = str


class How(TypedDict, total=False):
    """What else is declared of a setting.

    `key` is its key in the file, if that is not the field's name, and `old_key` one that is still
    read, with a warning. `variable` of the environment wins over the file. A secret with a `file`
    may be read from one: `KEY_file` names it, or the variable with `_FILE` behind. A `live` one is
    followed by whatever runs when the settings are read anew.
    """

    key: str
    old_key: str
    variable: str
    file: bool
    live: bool
    repr: bool


@overload
def setting(kind: Kind[T], **how: Unpack[How]) -> T: ...
@overload
def setting(kind: Kind[T], *, default: D, **how: Unpack[How]) -> T | D: ...
def setting(kind: Kind[T], *, default: Any = MISSING, **how: Unpack[How]) -> Any:
    """Declare a setting; without a default it has to be given."""
    return field(default=default, repr=how.get("repr", True), metadata={"kind": kind, **how})


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A mapping of the settings file: frozen, and closed to keys that nobody knows.

    `files` are the paths of the files that secrets came from, by `KEY_file`.
    """

    files: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def declared(cls) -> dict[str, Any]:
        """List every setting, a field of the dataclass, by its key; its metadata is as in `How`."""
        found = (one for one in fields(cls) if "kind" in one.metadata)
        return {one.metadata.get("key", one.name): one for one in found}

    @classmethod
    def all_keys(cls) -> list[str]:
        """List every key that may be written, those of secrets' files included."""
        keys: list[str] = []
        for key, one in cls.declared().items():
            keys += [_file(key), key] if one.metadata.get("file") else [key]
        return keys

    @classmethod
    def read(cls, tree: Tree, draft: Draft, path: KeyPath) -> Self | None:
        """Read a mapping; None after a mistake, which is noted in the draft."""
        declared = cls.declared()
        read = {one.name: _read(key, one, tree, draft, path) for key, one in declared.items()}
        values = {name: value for name, value in read.items() if value is not MISSING}
        _refuse_unknown(tree, cls, draft, path)
        for keys, text in cls.check(tree, values):
            draft.blame((*path, *keys), text)
        files = {
            key: str(tree[key]) for key in cls.all_keys() if key not in declared and key in tree
        }
        return cls(**values, files=files) if len(values) == len(declared) else None

    @classmethod
    def check(cls, tree: Tree, values: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:  # noqa: ARG003 - for those that have something to check
        """Find mistakes between settings: the keys to blame and what is expected.

        `tree` is what was written, and `values` has what is sound by itself, defaults included.
        """
        return iter(())

    def values(self) -> dict[str, Any]:
        """Give the settings by their names."""
        return {one.name: getattr(self, one.name) for one in self.declared().values()}

    def shown(self) -> dict[str, Any]:
        """Write the settings as in a file, defaults included and every secret masked."""
        values = {key: (one, getattr(self, one.name)) for key, one in self.declared().items()}
        shown = self.files | {
            key: one.metadata["kind"].show(value)
            for key, (one, value) in values.items()
            if value is not None
        }
        return {key: shown[key] for key in self.all_keys() if key in shown}


def _file(key: str) -> str:
    return f"{key}_file"


def _refuse_unknown(tree: Tree, section: type[Section], draft: Draft, path: KeyPath) -> None:
    known = section.all_keys()
    old = {one.metadata.get("old_key") for one in section.declared().values()}
    for key in tree.keys() - {*known, *old}:
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        text = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(known)}"
        draft.blame_key((*path, key), f"unknown key; {text}")


def _read(key: str, one: Any, tree: Tree, draft: Draft, path: KeyPath) -> Any:
    """Read one setting; MISSING after a mistake."""
    kind, old_key = one.metadata["kind"], one.metadata.get("old_key")
    if old_key in tree:
        old = (*path, old_key)
        if key in tree:
            draft.blame_key(old, f"expected {key} alone; this is its old name")
        else:
            draft.warnings.append(f"{draft.name(old)} is called {key} now; the old name will go")
            key = old_key
    if one.metadata.get("file") and not _read_file(key, tree, draft, path):
        return MISSING
    if key in tree:
        value = kind.read(tree[key], draft, (*path, key))
        return MISSING if value is None else value
    if one.default is MISSING:
        draft.blame((*path, key), f"missing; expected {kind.expected}")
    return one.default


def _read_file(key: str, tree: Tree, draft: Draft, path: KeyPath) -> bool:
    """Lay what is in a secret's file where the secret would stand; False after a mistake."""
    file_key = _file(key)
    file_path = (*path, file_key)
    if key in tree and file_key in tree:
        draft.blame(file_path, f"expected {key} or {file_key}, not both")
        return False
    if key not in tree:
        draft.origins[(*path, key)] = draft.name(file_path)  # also where both are missing
    if file_key in tree:
        try:
            if not isinstance(tree[file_key], str):
                raise ValueError("expected the path of a file with the secret in it")  # noqa: TRY004, TRY301 - as a file's own mistakes
            tree[key] = read_secret_file(tree[file_key])
        except ValueError as error:
            draft.blame(file_path, str(error))
            return False
    return True


def text(expected: str, parse: Callable[[str], T], show: Callable[[T], Any] = str) -> Kind[T]:
    """Make a kind of a scalar; `parse` raises `ValueError` that says what is wrong, without it."""

    def read(value: Any, draft: Draft, path: KeyPath) -> T | None:
        try:
            if isinstance(value, str):
                return parse(value)
            draft.blame(path, f"expected {expected}")
        except ValueError as wrong:
            draft.blame(path, str(wrong))
        return None

    return Kind(expected, read, show)


def several(expected: str, item: Kind[T], *, in_text: bool = False) -> Kind[tuple[T, ...]]:
    """Make a kind of a list with one item or more.

    `in_text` takes a text of items apart at commas and spaces.
    """

    def read(value: Any, draft: Draft, path: KeyPath) -> tuple[T, ...] | None:
        if in_text and isinstance(value, str):
            value = value.replace(",", " ").split()
        if not isinstance(value, list) or not value:
            draft.blame(path, f"expected {expected}")
            return None
        read = [item.read(one, draft, (*path, place)) for place, one in enumerate(value)]
        sound = tuple(one for one in read if one is not None)
        return sound if len(sound) == len(read) else None

    return Kind(expected, read, lambda values: list(map(item.show, values)))


def nested(section: type[S]) -> Kind[S]:
    """Make a kind of a section in a section."""

    def read(value: Any, draft: Draft, path: KeyPath) -> S | None:
        if isinstance(value, dict):
            return section.read(value, draft, path)
        draft.blame(path, "expected a mapping")
        return None

    return Kind("a mapping", read, section.shown)


def named(expected: str, section: type[S]) -> Kind[tuple[S, ...]]:
    """Make a kind of a list of sections whose names differ."""
    listed = several(expected, nested(section))

    def read(value: Any, draft: Draft, path: KeyPath) -> tuple[S, ...] | None:
        first: dict[str, int] = {}
        for place, item in mappings(value):
            name = item.get("name")
            if isinstance(name, str) and first.setdefault(name, place) != place:
                taken = draft.name((*path, first[name]))
                draft.blame((*path, place, "name"), f"taken by {taken}; expected another name")
        return listed.read(value, draft, path)

    return Kind(expected, read, listed.show)
