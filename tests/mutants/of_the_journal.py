"""Mutants of what the journal remembers and answers."""

from tests.mutants.mutant import Mutant

_RULES, _WINDOW, _FINISHING = (
    "relay/journal/rules.py",
    "relay/journal/window.py",
    "relay/journal/finishing.py",
)
_RECEIVING, _SETTLING = "relay/journal/receiving.py", "relay/journal/settling.py"
_READING, _RUNS, _MEMORY = (
    "relay/journal/reading.py",
    "relay/journal/runs.py",
    "relay/journal/memory.py",
)
_OF_RULES = ("tests/pure/test_rules.py",)
_OF_WINDOW = ("tests/pure/test_window.py",)
_CONTRACT = (
    "tests/journal/test_contract_receiving.py",
    "tests/journal/test_contract_settling.py",
    "tests/journal/test_contract_running.py",
)
_MACHINE = ("tests/core/test_read_only_after_success.py",)

MUTANTS = (
    # --- the rules ------------------------------------------------------------------------------
    Mutant(
        "a-clock-set-back-holds-every-wait",
        "relay/journal/runs.py",
        "func.max(now, lanes.c.due_at - back)",
        "func.max(now, lanes.c.due_at)",
        "after a step back and a restart retries would wait for as long as the step was",
        ("tests/journal/test_contract_running.py",),
    ),
    Mutant(
        "the-last-attempt-is-forgotten",
        "relay/journal/runs.py",
        "select(ended).order_by(attempts.c.id.desc()).limit(1),",
        "select(ended).order_by(attempts.c.id).limit(1),",
        "a step back would be measured from a time long past",
        ("tests/journal/test_contract_running.py",),
    ),
    Mutant(
        "read-after-any",
        _RULES,
        "return TAKEN.issuperset(required)",
        "return not required or not TAKEN.isdisjoint(required)",
        "READ after one of two required endpoints",
        _OF_RULES,
    ),
    Mutant(
        "dead-counts-as-taken",
        _RULES,
        "{DeliveryState.DELIVERED, DeliveryState.WAIVED}",
        "{DeliveryState.DELIVERED, DeliveryState.WAIVED, DeliveryState.DEAD}",
        "READ of a message that nobody took",
        _OF_RULES,
    ),
    Mutant(
        "finished-while-under-way",
        _RULES,
        "    if DeliveryState.PENDING in deliveries:\n        return None\n",
        "",
        "a message could be pruned before its delivery",
        _OF_RULES,
    ),
    Mutant(
        "finished-before-its-receipt",
        _RULES,
        "    if receipt is ReceiptState.OWED:\n        return None\n",
        "",
        "a message could be pruned before its receipt",
        _OF_RULES,
    ),
    Mutant(
        "cut-lane-is-whole",
        _WINDOW,
        "if taken == len(front) and lane != cut:",
        "if taken == len(front):",
        "new messages would pass those by that were not read",
        _OF_WINDOW,
    ),
    Mutant(
        "nothing-fits-when-the-first-is-large",
        _WINDOW,
        "if window.taken and size > max_bytes:",
        "if size > max_bytes:",
        "one large message would stop its endpoint for ever",
        _OF_WINDOW,
    ),
    # --- the same in SQL ------------------------------------------------------------------------
    Mutant(
        "read-while-held-back",
        _FINISHING,
        "    .where(~_HELD_BACK)\n",
        "",
        "READ after the first of two required endpoints",
        _CONTRACT,
    ),
    Mutant(
        "optional-holds-back",
        _FINISHING,
        "_any(deliveries.c.required, deliveries.c.state.not_in(",
        "_any(deliveries.c.state.not_in(",
        "`required: false` would mean nothing",
        _CONTRACT,
    ),
    Mutant(
        "receipt-is-owed-again-and-again",
        _FINISHING,
        ", messages.c.receipt == ReceiptState.NONE.value)\n    .where(~_HELD_BACK)",
        ")\n    .where(~_HELD_BACK)",
        "an optional delivery would owe READ a second time",
        _CONTRACT,
    ),
    Mutant(
        "sql-finishes-while-under-way",
        _FINISHING,
        ".where(~_any(PENDING), _LOST",
        ".where(_LOST",
        "a message could be pruned before its delivery",
        _CONTRACT,
    ),
    Mutant(
        "receipted-message-is-not-receipted-again",
        _RECEIVING,
        "    if again:\n        group.again.append(known.seq)\n",
        "",
        "a lost READ would be pushed again for seven days",
        _CONTRACT,
    ),
    Mutant(
        "twice-in-one-group",
        _RECEIVING,
        "            known[key] = _Known(numbers.message, receipted=False)\n",
        "",
        "a message pushed twice at once would spoil its group",
        _CONTRACT,
    ),
    Mutant(
        "everything-leads-its-lane",
        _RECEIVING,
        "leads = lane not in group.taken",
        "leads = True",
        "new messages would pass a conversation's backlog by",
        _CONTRACT,
    ),
    Mutant(
        "doubt-fades",
        _SETTLING,
        'doubtful=deliveries.c.doubtful | bindparam("doubt")',
        'doubtful=bindparam("doubt")',
        "a duplicate after a timeout and a 500 would say `failed`",
        _CONTRACT,
    ),
    Mutant(
        "patience-starts-anew",
        _SETTLING,
        'func.coalesce(deliveries.c.first_attempt_at, bindparam("started"))',
        'func.coalesce(bindparam("started"), deliveries.c.first_attempt_at)',
        "a delivery would never be given up",
        ("tests/journal/test_patience.py",),
    ),
    Mutant(
        "cut-leaves-no-doubt",
        _SETTLING,
        '.where(among(deliveries.c.id, "ids")).values(doubtful=True)',
        '.where(among(deliveries.c.id, "ids")).values(doubtful=False)',
        "a duplicate after a stop would not say `unknown`",
        _CONTRACT,
    ),
    Mutant(
        "read-is-told-with-the-first-outcome",
        _SETTLING,
        "for each in reversed(outcomes)][::-1]",
        "for each in outcomes]",
        "the fact would come before the last 2xx of its group",
        _CONTRACT,
    ),
    Mutant(
        "lane-ends-with-its-first",
        "relay/journal/lane_terms.py",
        "delete(lanes).where(LIKE_LANE_OF_THESE, ~exists().where(IN_LANE, PENDING))",
        "delete(lanes).where(LIKE_LANE_OF_THESE)",
        "the rest of a conversation would be stranded",
        _CONTRACT,
    ),
    Mutant(
        "everything-is-due",
        _READING,
        '    lanes.c.due_at <= bindparam("now"),\n',
        "",
        "no backoff would be kept",
        _CONTRACT,
    ),
    Mutant(
        "lanes-come-by-name",
        _READING,
        ".order_by(lanes.c.due_at, lanes.c.lane, _ONE.c.id)",
        ".order_by(lanes.c.lane, lanes.c.due_at, _ONE.c.id.desc())",
        "a lane would be delivered backwards, and the longest due would starve",
        _CONTRACT,
    ),
    Mutant(
        "crash-leaves-no-doubt",
        _RUNS,
        "if clean is False:",
        "if clean is True:",
        "a duplicate after a crash would not say `unknown`",
        _CONTRACT,
    ),
    # --- in memory: the state machine must see it -----------------------------------------------
    Mutant(
        "crash-leaves-no-doubt-in-memory",
        _MEMORY,
        "delivery.doubtful |= not clean and",
        "delivery.doubtful |= clean and",
        "a duplicate after a crash would not say `unknown`",
        _MACHINE,
    ),
    Mutant(
        "read-after-any-in-memory",
        _RULES,
        "return TAKEN.issuperset(required)",
        "return bool(TAKEN.intersection(required)) or not required",
        "READ after one of two required endpoints, seen from outside",
        _MACHINE,
    ),
)
