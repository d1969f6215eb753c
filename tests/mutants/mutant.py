"""What a mutant is: a small change of the product's text that breaks a promise."""

from dataclasses import dataclass


class Stale(Exception):  # noqa: N818 - a state of the catalogue, mended by whoever changed the text
    """A mutant no longer applies: the text that it changes is not there, or more than once."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one file, the promise that it breaks, and the tests that should see it."""

    name: str
    file: str
    old: str
    new: str
    why: str
    tests: tuple[str, ...]

    def apply(self, text: str) -> str:
        """Change the text; raises `Stale`."""
        if (count := text.count(self.old)) != 1:
            raise Stale(f"{self.name}: its text is in {self.file} {count} times, not once")
        return text.replace(self.old, self.new)
