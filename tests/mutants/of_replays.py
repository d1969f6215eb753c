"""Mutants of replays."""

from tests.mutants.mutant import Mutant

_CONTRACT = ("tests/journal/test_contract_replays.py",)
_CORE = ("tests/core/test_replays.py",)
_LANES = ("tests/pure/test_lanes.py",)
_ORDER = ("tests/pure/test_replay.py",)

_FEEDING, _FINISHING = "relay/journal/replaying.py", "relay/journal/finishing.py"
_SETTLING, _KEEPING = "relay/journal/settling.py", "relay/journal/keeping.py"

MUTANTS = (
    Mutant(
        "a-replay-makes-read",
        _SETTLING,
        "for row in rows.values() if row.replay is None}",
        "for row in rows.values()}",
        "what was left unread would be marked READ by its replay",
        _CONTRACT,
    ),
    Mutant(
        "a-replay-holds-read-back",
        _FINISHING,
        "        deliveries.c.replay.is_(None),  # nothing of a message depends on its replays\n",
        "",
        "a message would wait for its replay",
        _CONTRACT,
    ),
    Mutant(
        "a-dead-replay-reopens-its-message",
        "relay/journal/reviving.py",
        "where(_THESE, deliveries.c.replay.is_(None))",
        "where(_THESE)",
        "a retried replay would make its message unfinished",
        _CONTRACT,
    ),
    Mutant(
        "a-discarded-replay-judges-its-message",
        "relay/journal/sql_dead_letters.py",
        "{row.seq: row for row in rows if row.replay is None}",
        "{row.seq: row for row in rows}",
        "discarding a replay would mark READ what was left unread",
        _CONTRACT,
    ),
    Mutant(
        "what-is-owed-goes-twice",
        "relay/replay.py",
        "if made.state in (DeliveryState.PENDING, DeliveryState.DEAD):",
        "if made.state is DeliveryState.DEAD:",
        "a message would be under way twice to one endpoint",
        _ORDER,
    ),
    Mutant(
        "delivered-late-is-forgotten",
        "relay/replay.py",
        "times = [received_at, *(at for at in ended if at is not None)]",
        "times = [received_at]",
        "what came before the backup and was delivered after it would stay lost",
        _ORDER,
    ),
    Mutant(
        "all-at-once",
        "relay/journal/rules.py",
        "return chosen < self.messages and size <= self.bytes",
        "return True",
        "a million rows would be written in one transaction, before what is new",
        _CORE,
    ),
    Mutant(
        "from-the-start-again",
        _FEEDING,
        "pick, room, after=row.position, upto=row.upto",
        "pick, room, after=row.begin, upto=row.upto",
        "it would never come to an end",
        _CONTRACT,
    ),
    Mutant(
        "in-the-lane-of-what-is-new",
        "relay/journal/rules.py",
        'return f"replay {lane}"',
        "return lane",
        "a new message would wait for every old one of its conversation",
        _CONTRACT,
    ),
    Mutant(
        "pruned-under-way",
        _KEEPING,
        "deliveries.c.seq == messages.c.seq, DEAD | PENDING)",
        "deliveries.c.seq == messages.c.seq, DEAD)",
        "a message would be gone before it is sent",
        _CONTRACT,
    ),
    Mutant(
        "pruned-before-its-turn",
        _KEEPING,
        '    ~messages.c.seq.between(bindparam("held_from"), bindparam("held_to")),\n',
        "",
        "a replay would lose what it has not come to",
        _CONTRACT,
    ),
    Mutant(
        "replays-go-first",
        "relay/lanes.py",
        "line = self._ready or (self._replays if",
        "line = self._replays or (self._ready if",
        "what is new would wait for what is old",
        _LANES,
    ),
    Mutant(
        "replays-take-all-requests",
        "relay/dispatcher.py",
        "most_replays = max(1, self.gate.limit // 2)",
        "most_replays = self.gate.limit",
        "what is new would wait for a slow answer to what is old",
        _CORE,
    ),
    Mutant(
        "no-room-for-any",
        "relay/dispatcher.py",
        "most_replays = max(1, self.gate.limit // 2)",
        "most_replays = self.gate.limit // 2",
        "an endpoint that takes one request at a time would get no replay",
        _CORE,
    ),
    Mutant(
        "asked-twice-sent-twice",
        _FEEDING,
        "    if busy is not None:\n",
        "    if busy is not None and busy.since == order.since:\n",
        "two replays of the same messages at once",
        _CONTRACT,
    ),
    Mutant(
        "retained-at-every-start",
        _FEEDING,
        "        connection.execute(named.values(address=each.address))\n",
        "        del named\n",
        "a new endpoint would get everything at each start",
        _CONTRACT,
    ),
    Mutant(
        "a-rename-is-new",
        _FEEDING,
        "connection.scalar(known) is None and names.issuperset(before)",
        "connection.scalar(known) is None",
        "a renamed endpoint would get everything again",
        _CONTRACT,
    ),
    Mutant(
        "cancelled-and-sent",
        "relay/dispatcher.py",
        "case NoticeKind.REVIVED | NoticeKind.REPLAY_CANCELLED:",
        "case NoticeKind.REVIVED:",
        "what was cancelled would go on from memory",
        _CORE,
    ),
    Mutant(
        "unmarked",
        "relay/webhook/courier.py",
        'headers["relay-replay"] = "true"',
        "pass",
        "a receiver could not tell what is old",
        ("tests/drivers/test_courier.py",),
    ),
)
