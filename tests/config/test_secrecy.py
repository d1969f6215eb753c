"""Whatever is given, the answer is settings or mistakes, and never a secret."""

import json
import string
import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from relay.config import Settings, SettingsError, load_settings
from relay.config.load import VARIABLES
from relay.config.sections import Section
from relay.config.settings import Bot, Breaker, Endpoint, Retry, Tls
from tests.config.example import example, load

MARK = "hunter2"

_words = st.text(alphabet=string.ascii_letters + string.digits + " :/@?#[]{}$%&*!\n", max_size=12)
_scalars = st.none() | st.booleans() | st.integers() | st.floats() | _words | st.dates()
_sections: list[type[Section]] = [Settings, Bot, Endpoint, Retry, Breaker, Tls]
_keys = st.sampled_from(
    [key for section in _sections for key in section.all_keys() if not key.endswith("_file")]
)
_trees = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys | _words, inner, max_size=4),
    max_leaves=12,
)


def _slots(value: Any) -> list[tuple[Any, Any]]:
    """Find every place where something stands."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    return [
        slot
        for key, item in pairs
        for slot in [(value, key), *(_slots(item) if isinstance(item, dict | list) else [])]
    ]


def _outcome(text: str, environ: dict[str, str]) -> str:
    """Load, and give whatever was said."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "relay.yaml"
        path.write_text(text, encoding="utf-8", errors="replace")
        try:
            settings = load_settings(path, environ)
        except SettingsError as refused:
            mistakes = refused.mistakes
        else:
            return f"{settings!r}{json.dumps(settings.shown())}{settings.warnings}"
    assert mistakes
    assert not any("\n" in line for line in mistakes)
    return str(mistakes)


@given(
    tree=_trees,
    environ=st.dictionaries(st.sampled_from(VARIABLES[1:]), _words.map(lambda w: f"{w}{MARK}")),
)
def test_any_tree_and_any_variables(tree: Any, environ: dict[str, str]) -> None:
    """Any YAML and any environment make settings or a SettingsError, and nothing else."""
    _outcome(yaml.safe_dump(tree), environ)


@given(st.text())
def test_any_text(text: str) -> None:
    """Any text in the file makes settings or a SettingsError."""
    _outcome(text, {})


@given(data=st.data(), replacement=_trees)
def test_one_thing_replaced_in_good_settings(data: st.DataObject, replacement: Any) -> None:
    """Whatever stands in any one place, a secret that stands elsewhere is not told."""
    tree = example()
    bot = tree["bots"][0]
    bot["keystore"] = f'{{"private_key": "{MARK}"}}'
    endpoint = bot["endpoints"][0]
    endpoint |= {"secret": MARK, "bearer_token": f"{MARK} {MARK}", "headers": {"A": f"{MARK}\n"}}
    endpoint["url"] = f"http://user:{MARK}@example.com/x?token={MARK}#x"
    tree["admin_token"] = f"{MARK} x"
    slots = _slots(tree)
    container, key = data.draw(st.sampled_from(slots))
    container[key] = replacement
    assert MARK not in _outcome(yaml.safe_dump(tree), {})


@given(
    key=st.sampled_from(
        ["secret", "bearer_token", "back_token", "keystore", "headers", "url", "admin_token"]
    ),
    around=st.tuples(_words, _words),
)
def test_secrets_in_any_shape(key: str, around: tuple[str, str]) -> None:
    """A secret in its own place is not told, whatever stands around it."""
    text = f"{around[0]}{MARK}{around[1]}"
    if key == "url":
        text = f"http://u{around[0]}:{MARK}@{around[1]}"
    tree = example()
    for place in (tree, tree["bots"][0], tree["bots"][0]["endpoints"][0]):
        place[key] = {"X": text} if key == "headers" else text
    assert MARK not in _outcome(yaml.safe_dump(tree), {})


def test_settings_show_no_secret(tmp_path: Path) -> None:
    """Neither the repr nor the masked settings hold a secret; the rest can be read."""

    def change(settings: dict[str, Any], _b: dict[str, Any], endpoint: dict[str, Any]) -> None:
        settings["admin_token"] = MARK
        endpoint |= {
            "bearer_token": MARK,
            "back_token": MARK + MARK,
            "headers": {"X-Key": MARK},
            "retry": {"first": "500ms"},
        }
        endpoint["url"] = f"https://crm.example.com/x?token={MARK}"

    settings = load(tmp_path, example(change))
    shown = settings.shown()
    endpoint = shown["bots"][0]["endpoints"][0]
    assert MARK not in f"{settings!r}{settings!s}{shown}"
    assert "whsec" not in f"{settings!r}{shown}"
    assert endpoint["url"] == "https://crm.example.com/x?***"
    assert endpoint["headers"] == {"X-Key": "***"}
    assert endpoint["secret"] == endpoint["bearer_token"] == shown["admin_token"] == "***"
    assert endpoint["retry"] == {
        "first": "500ms",
        "max": "10m",
        "give_up_after": "3d",
        "rejected_attempts": 10,
    }
    json.dumps(shown)
