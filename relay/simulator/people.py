"""The users who write to the bots: made up, and the same on every run."""

import functools
import hashlib
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from relay.simulator.sealing import private_of_seed


@dataclass(frozen=True, slots=True)
class Person:
    """One user with one session, able to encrypt."""

    name: str
    user_id: str
    session_id: str
    key: X25519PrivateKey = field(repr=False, compare=False)

    @classmethod
    def named(cls, name: str) -> "Person":
        """Make the person of that name, always the same."""
        return cls(
            name=name,
            user_id=stable_id("user", name),
            session_id=stable_id("session", name),
            key=private_of_seed(hashlib.sha256(name.encode()).digest()),
        )

    @property
    def public_key(self) -> bytes:
        """The X25519 key that others encrypt for."""
        return self.key.public_key().public_bytes_raw()


def stable_id(*names: str) -> str:
    """Make a version 4 UUID out of names, always the same."""
    digest = hashlib.sha256("/".join(names).encode()).digest()
    return str(UUID(bytes=digest[:16], version=4))


@functools.cache
def contact_conversation(one: str, other: str) -> str:
    """Tell the id of the conversation between two users."""
    pair = "".join(sorted((one, other)))
    digest = hashlib.md5(pair.encode(), usedforsecurity=False).digest()
    return str(UUID(bytes=digest, version=3))


ALICE: Final = Person.named("Alice")
BOB: Final = Person.named("Bob")
CAROL: Final = Person.named("Carol")
CAST: Final = (ALICE, BOB, CAROL)
"""The users that every simulator knows."""
