"""Mutants of the window and its lanes."""

from tests.mutants.mutant import Mutant

_FILE = "relay/delivery/lanes.py"
_TESTS = ("tests/pure/test_lanes.py", "tests/pure/test_lanes_against_a_model.py")
_MODEL = ("tests/pure/test_lanes_against_a_model.py",)
"""Alone: what a model finds by itself is worth more than what somebody thought of."""

_FAIR = ("tests/core/test_one_dead_endpoint_holds_up_nobody.py",)

MUTANTS = (
    Mutant(
        "newcomers-go-before-the-journal",
        _FILE,
        "fits = self._fits(size) and not self._journal_goes_first(now)",
        "fits = self._fits(size)",
        "under a steady overload a retry would never have its turn",
        _FAIR,
    ),
    Mutant(
        "hot-lane-fills-the-window",
        _FILE,
        "lane.whole = lane.whole and fits and len(lane.queue) + lane.reserved < LANE_DEPTH",
        "lane.whole = lane.whole and fits",
        "one busy conversation would keep all others out",
        _FAIR,
    ),
    Mutant(
        "two-of-a-lane-in-flight",
        _FILE,
        "if len(lane.queue) == 1 and not lane.busy:",
        "if not lane.busy or len(lane.queue) == 2:",
        "a conversation's messages would overtake each other",
        _MODEL,
    ),
    Mutant(
        "order-is-reversed",
        _FILE,
        "lane.queue.append(delivery)",
        "lane.queue.appendleft(delivery)",
        "a conversation would be delivered backwards",
        _MODEL,
    ),
    Mutant(
        "gap-in-a-lane",
        _FILE,
        "+ lane.reserved < LANE_DEPTH\n            if not lane.whole:\n",
        "+ lane.reserved < LANE_DEPTH\n            if not (lane.whole or fits):\n",
        "a small message would pass a large one by that did not fit",
        _MODEL,
    ),
    Mutant(
        "lane-that-is-not-whole-takes-in",
        _FILE,
        "lane.whole = lane.whole and fits",
        "lane.whole = fits",
        "a new message would pass those by that wait in the journal",
        _MODEL,
    ),
    Mutant(
        "load-and-news-both-bring-a-delivery",
        _FILE,
        "elif lane.queue and delivery.id <= lane.queue[-1].id:",
        "elif lane.queue and delivery.id < lane.queue[-1].id:",
        "a lane that is here whole would be read from the journal again, and what follows with it",
        _TESTS,
    ),
    Mutant(
        "stranded-behind-what-memory-had-no-room-for",
        _FILE,
        "            self._behind = self._behind or not lane.whole\n"
        "            return not lane.whole\n",
        "            return not lane.whole\n",
        "a message would lie in the journal until another is late",
        _TESTS,
    ),
    Mutant(
        "place-is-dropped-with-the-end-of-its-lane",
        _FILE,
        "elif not lane.reserved:\n            self._drop(delivery.lane)",
        "else:\n            self._drop(delivery.lane)",
        "what was recorded while its predecessor ended would be forgotten",
        _TESTS,
    ),
    Mutant(
        "revived-waits-for-a-retry",
        _FILE,
        "        lane = self._leave(delivery)\n"
        "        self._behind = self._behind or not lane.whole\n",
        "        self._leave(delivery)\n",
        "an operator's retry would wait for hours behind another's backoff",
        _TESTS,
    ),
    Mutant(
        "old-answer-brings-back-what-has-ended",
        _FILE,
        "if key in meanwhile.left or (",
        "if (",
        "a message would be posted again after its 2xx was committed",
        _TESTS,
    ),
    Mutant(
        "old-answer-makes-a-grown-lane-whole",
        _FILE,
        "key in due.whole and meanwhile.grew.get(key, 0) <= last",
        "key in due.whole",
        "a message that came during a read would be passed by",
        _TESTS,
    ),
    Mutant(
        "answer-from-before-an-operator-is-believed",
        _FILE,
        "if meanwhile.stale:",
        "if False:",
        "a revived message would wait behind the ones after it",
        _TESTS,
    ),
    Mutant(
        "more-in-the-journal-is-forgotten",
        _FILE,
        "self._behind = self._behind or due.more",
        "pass",
        "a backlog larger than the window would never be read to its end",
        _MODEL,
    ),
    Mutant(
        "failed-read-is-forgotten",
        _FILE,
        "self._meanwhile = None\n        self._behind = True",
        "self._meanwhile = None",
        "one I/O error would leave the backlog where it is",
        _TESTS,
    ),
    Mutant(
        "what-does-not-fit-is-forgotten",
        _FILE,
        "        if lane is None:\n            self._behind = True\n",
        "        if lane is None:\n            pass\n",
        "messages of a burst would be stranded",
        _TESTS,
    ),
    Mutant(
        "window-has-no-bounds",
        _FILE,
        "return self._count < self._max_deliveries and self._bytes + size <= self._max_bytes",
        "return True",
        "a backlog would fill the memory",
        _TESTS,
    ),
    Mutant(
        "latest-retry-wakes",
        _FILE,
        "due_at < self._next_due_at",
        "due_at > self._next_due_at",
        "a retry would wait for another's, which may be hours later",
        _TESTS,
    ),
    Mutant(
        "reread-keeps-what-it-has",
        _FILE,
        "            else:\n                self._drop(key)\n        self._ready.clear()",
        "        self._ready.clear()",
        "lanes would lie in the window for ever, ready for nobody",
        _MODEL,
    ),
    Mutant(
        "probe-takes-the-newest",
        _FILE,
        "key = min(line",
        "key = max(line",
        "the oldest message would wait longest for its endpoint",
        _TESTS,
    ),
)
