"""Frozen values that cost little to make."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:
    from dataclasses import dataclass

    def value(*, frozen: bool, **more: Any) -> Any:
        """Make a dataclass that mypy holds frozen, and that is not while it runs.

        Python takes three times as long to make a frozen one, and a message makes a dozen on its
        way: a fifteenth of all its time.
        """
        return dataclass(unsafe_hash=frozen, **more)


__all__ = ["value"]
