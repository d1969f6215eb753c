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

`simulator.journal` holds every connect, frame, ack, request and violation; with
`simulator.allow_read = receiver.has_taken` a READ before its 2xx is a violation. What goes wrong is
scripted at `simulator.faults`, "the next times" or "until switched off"::

    simulator.faults.upgrades.next(throttle("2"), Answer(503), times=2)
    simulator.faults.acks.always(AppError(7001, applied=True))
    simulator.faults.acks.off()
    simulator.faults.drops.next(Drop(Moment.AFTER_PUSHES, after=3))
    simulator.faults.half_open = True
    simulator.clock.advance(360)
    await simulator.stop()                          # cut off; start() listens on the same port

`hostile_frames()` are frames for `push_frame`, `odd_messages()` arguments for `push`; `Traffic`
pushes a mixed stream, and `serve` is the command's whole life.
"""

from relay.simulator.clock import Clock
from relay.simulator.command import serve
from relay.simulator.faults import (
    Answer,
    AppError,
    Drop,
    Echo,
    Empty,
    ErrorFrame,
    Faults,
    Hang,
    Late,
    Lie,
    Moment,
    Order,
    Place,
    Repeat,
    Reset,
    Sessions,
    Unechoed,
    redirect,
    throttle,
)
from relay.simulator.hostile import HostileFrame, hostile_frames
from relay.simulator.journal import (
    Ack,
    Connect,
    Frame,
    Journal,
    Kind,
    Request,
    Transport,
    Violation,
)
from relay.simulator.keystore import Bot, Family, make_keystore
from relay.simulator.message import ABSENT, Message
from relay.simulator.oddities import OddMessage, odd_messages
from relay.simulator.people import ALICE, BOB, CAROL, CAST, Person
from relay.simulator.samples import CATEGORIES, sample
from relay.simulator.simulator import Simulator
from relay.simulator.traffic import Traffic

__all__ = [
    "ABSENT",
    "ALICE",
    "BOB",
    "CAROL",
    "CAST",
    "CATEGORIES",
    "Ack",
    "Answer",
    "AppError",
    "Bot",
    "Clock",
    "Connect",
    "Drop",
    "Echo",
    "Empty",
    "ErrorFrame",
    "Family",
    "Faults",
    "Frame",
    "Hang",
    "HostileFrame",
    "Journal",
    "Kind",
    "Late",
    "Lie",
    "Message",
    "Moment",
    "OddMessage",
    "Order",
    "Person",
    "Place",
    "Repeat",
    "Request",
    "Reset",
    "Sessions",
    "Simulator",
    "Traffic",
    "Transport",
    "Unechoed",
    "Violation",
    "hostile_frames",
    "make_keystore",
    "odd_messages",
    "redirect",
    "sample",
    "serve",
    "throttle",
]
