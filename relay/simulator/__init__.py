"""A local Blaze server with the HTTP API that goes with it, for demos and tests.

It speaks real sockets on one loopback port and has a codec, a token check and a cipher of its own,
so that no mistake of the relay's can hide in both. A test holds it in its own loop; the relay may
run there too, or in another process::

    async with Simulator() as simulator:
        keystore, blaze, api = simulator.keystore_json(), simulator.blaze_url, simulator.api_url
        ids = [simulator.push("hello"), simulator.push(category="ENCRYPTED_TEXT")]
        ...                                         # start a relay with these
        await simulator.acknowledged(ids)           # waits for facts; never sleep
        assert [] == simulator.journal.violations   # the judgement is the test's
        await simulator.drop(1001)                  # end the sockets
        await simulator.stop()                      # cut off; start() listens on the same port

`simulator.journal` holds every connect, ack, request and violation; with
`simulator.journal.allow_read = receiver.has_taken` a READ before its 2xx is a violation. `Traffic`
pushes a mixed stream, and `serve` is the command's whole life. What else could go wrong is added by
subclasses of `State`, `Connection`, `Pump` and `Api`, as the relay's own tests do.
"""

from relay.simulator.bots import Bot, make_keystore
from relay.simulator.journal import Ack, Connect, Journal, Kind, Request, Transport, Violation
from relay.simulator.people import ALICE, BOB, CAROL, CAST, CATEGORIES, Person, sample
from relay.simulator.simulator import Simulator, Traffic, serve

__all__ = [
    "ALICE",
    "BOB",
    "CAROL",
    "CAST",
    "CATEGORIES",
    "Ack",
    "Bot",
    "Connect",
    "Journal",
    "Kind",
    "Person",
    "Request",
    "Simulator",
    "Traffic",
    "Transport",
    "Violation",
    "make_keystore",
    "sample",
    "serve",
]
