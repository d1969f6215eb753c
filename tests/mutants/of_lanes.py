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
        "fits = self._fits(delivery) and not self._journal_goes_first(delivery)",
        "fits = self._fits(delivery)",
        "under a steady overload a retry would never have its turn",
        _FAIR,
    ),
    Mutant(
        "hot-lane-fills-the-window",
        _FILE,
        "lane.whole = lane.whole and fits and len(lane.queue) < LANE_DEPTH",
        "lane.whole = lane.whole and fits",
        "one busy conversation would keep all others out",
        _FAIR,
    ),
    Mutant(
        "two-of-a-lane-in-flight",
        _FILE,
        "            if lane.whole:\n                self._append(lane, delivery)\n",
        "            if lane.whole:\n                self._append(lane, delivery)\n"
        "                self._ready.append(delivery.lane)\n",
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
        "            lane.whole = lane.whole and fits and len(lane.queue) < LANE_DEPTH\n"
        "            if lane.whole:\n",
        "            if lane.whole and fits:\n",
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
        "if delivery.id <= lane.queue[-1].id:",
        "if False:",
        "a message would be posted twice without a crash",
        _TESTS,
    ),
    Mutant(
        "stranded-behind-an-outcome-under-way",
        _FILE,
        "self._behind or continues or not lane.whole",
        "self._behind or continues",
        "a message would lie in the journal until another is late",
        _TESTS,
    ),
    Mutant(
        "stranded-behind-the-end-of-its-lane",
        _FILE,
        "self._behind or continues or not lane.whole",
        "self._behind or not lane.whole",
        "what was recorded while its predecessor ended would be forgotten",
        _TESTS,
    ),
    Mutant(
        "revived-waits-for-a-retry",
        _FILE,
        "        self._behind = self._behind or not lane.whole\n",
        "",
        "an operator's retry would wait for hours behind another's backoff",
        _TESTS,
    ),
    Mutant(
        "old-answer-brings-back-what-has-ended",
        _FILE,
        "if key in meanwhile.left:",
        "if False:",
        "a message would be posted again after its 2xx was committed",
        _TESTS,
    ),
    Mutant(
        "old-answer-makes-a-grown-lane-whole",
        _FILE,
        "key in due.whole and key not in meanwhile.grew",
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
        "        elif leads:\n            self._behind = True\n",
        "        elif leads:\n            pass\n",
        "messages of a burst would be stranded",
        _TESTS,
    ),
    Mutant(
        "window-has-no-bounds",
        _FILE,
        "return self._count < self._max_deliveries and size <= self._max_bytes",
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
