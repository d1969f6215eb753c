"""The relay of a soak: `relay`, but that finished messages are pruned after minutes.

The settings allow no retention below 8 days, for reasons that hold for Mixin and not for a soak;
a journal that levels off can't be seen with it. Nothing else is changed.
"""

import sys
from typing import Any

from relay.cli import main as relay
from relay.maintenance import Maintenance


def shorten(retention: float) -> None:
    """Let maintenance keep finished messages for so many seconds."""
    original = Maintenance.__init__

    def patched(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **{**kwargs, "retention": retention})

    Maintenance.__init__ = patched  # type: ignore[method-assign]


if __name__ == "__main__":
    shorten(float(sys.argv.pop(1)))
    relay()
