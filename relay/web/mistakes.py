"""What is wrong with a request to the admin API, in an operator's words. Pure."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from relay.web.problem import Mistake

_PATTERNS = {
    "older_than": "expected a duration such as 90s, 5m, 72h or 7d",
    "cursor": "expected the next_cursor of an earlier answer",
}
"""What the fields with a pattern expect; the pattern itself is for programs."""


def mistakes(error: ValidationError, ask: type[BaseModel]) -> list[Mistake]:
    """Say of each field what is wrong with it; where a name is not known, which are."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return list(_told(found, ask))


def _told(found: list[Any], ask: type[BaseModel]) -> Iterator[Mistake]:
    for each in found:
        yield Mistake(where=".".join(map(str, each["loc"])), what=_what(each, ask))


def _what(mistake: Mapping[str, Any], ask: type[BaseModel]) -> str:
    name, said = str(mistake["loc"][-1]) if mistake["loc"] else "", str(mistake["msg"])
    match mistake["type"]:
        case "extra_forbidden":
            return _unknown(name, sorted(f.alias or key for key, f in ask.model_fields.items()))
        case "missing":
            return "missing"
        case "string_pattern_mismatch" if name in _PATTERNS:
            return _PATTERNS[name]
        case "value_error":
            return said.removeprefix("Value error, ")
        case _:
            return said.replace("Input should be ", "expected ").replace(
                ", unable to interpret input", ""
            )


def _unknown(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=1)
    if near:
        return f"unknown; did you mean {near[0]}?"
    return f"unknown; expected one of {', '.join(known)}" if known else "unknown; expected nothing"
