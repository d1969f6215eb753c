"""The whole thing on one machine, with no account: what `relay demo` runs.

The simulator's people write to a bot, the relay carries what they write to a sample receiver, and
Mixin's side hears READ: separate tasks that talk over real sockets on loopback, and a journal on
disk that is gone afterwards. Three witnesses say what became of each message: the relay's events,
the receiver and the simulator. The score trusts the two ends, not the relay.
"""
