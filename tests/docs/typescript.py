"""TypeScript without its types, for a Node that does not leave them out by itself."""

import re

_TYPES = r"string|number|boolean|Buffer|Event|AddressInfo|Incoming\w+|NodeJS\.\w+"
_TYPE = rf"(?:Promise<(?:{_TYPES})>|(?:{_TYPES})(?:\[\])?)"
_ERASED = (
    re.compile(r"^import type .*\n", re.MULTILINE),
    re.compile(r"^type \w+ = \{.*?^\};\n", re.MULTILINE | re.DOTALL),
    re.compile(r", type \w+(?=[ ,])"),
    re.compile(rf": {_TYPE}(?=[,)=;]| [=\{{])"),
    re.compile(rf" as {_TYPE}(?=[);])"),
)


def without_types(text: str) -> str:
    """Erase the types that the receiver's guide writes; of no use for any other text."""
    for erased in _ERASED:
        text = erased.sub("", text)
    return text
