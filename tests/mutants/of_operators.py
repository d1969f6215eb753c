"""Mutants of what operators see and do."""

from tests.mutants.mutant import Mutant

_BULK, _OF_BULK = "relay/admin/requests.py", ("tests/core/test_bulk.py",)
_STEWARD, _OF_STEWARD = "relay/maintenance.py", ("tests/core/test_maintenance.py",)
_WAITING, _STORY = "relay/admin/explain_sentences.py", "relay/admin/explain_sentences.py"
_OF_EXPLANATION = ("tests/pure/test_explanation.py",)
_DEAD_LETTERS, _DESK = "relay/journal/dead_letters.py", "relay/journal/history.py"
_OF_PAGES = ("tests/journal/test_desk_pages.py",)
_GATE, _STANDING = "relay/delivery/breaker.py", "relay/delivery/endpoint_status.py"
_OF_OPERATORS = ("tests/core/test_dispatcher_and_operators.py",)
_KEYS, _OPERATIONS = "relay/web/auth.py", "relay/admin/operations.py"
_OF_ADMIN = ("tests/web/test_api.py",)

MUTANTS = (
    Mutant(
        "bulk-begins-again-with-each-step",
        _BULK,
        "                after = letters[-1].place\n",
        "",
        "what dies again at once would be revived for ever",
        _OF_BULK,
    ),
    Mutant(
        "bulk-forgets-its-limit",
        _BULK,
        "left = None if left is None else left - len(letters)",
        "left = left",
        "`--limit` would be the size of a step",
        _OF_BULK,
    ),
    Mutant(
        "one-action-is-told-a-thousand-times",
        _STEWARD,
        "together[key] = notice if before is None else _sum(before, notice)",
        "together[key] = notice",
        "the log would say that a few were revived, of a million",
        _OF_STEWARD,
    ),
    Mutant(
        "pages-skip-those-that-died-together",
        "relay/journal/dead_letters.py",
        '        (f"{text} AND deliveries.ended_at = :ended_at AND id > :number", values),\n',
        "",
        "of what a removed endpoint left, all at one moment, only a page would be seen",
        _OF_PAGES,
    ),
    Mutant(
        "failing-looks-at-the-wrong-endpoint",
        "relay/journal/history.py",
        'conditions.append("endpoint_id IN (SELECT id FROM endpoints WHERE name = :endpoint)")',
        "pass",
        "a list by endpoint would name messages that it has taken",
        _OF_PAGES,
    ),
    Mutant(
        "a-receiver-lifts-a-pause",
        "relay/journal/history.py",
        '_BACK.format(paused="paused")',
        '_BACK.format(paused="FALSE")',
        "an operator's pause would last until the receiver likes",
        _OF_PAGES,
    ),
    Mutant(
        "a-receiver-lifts-a-pause-at-once",
        "relay/delivery/dispatcher.py",
        "self.breaker.back()",
        "self.breaker.resume()",
        "an operator's pause would last until the receiver likes",
        _OF_OPERATORS,
    ),
    Mutant(
        "retry-after-is-not-written-down",
        _STANDING,
        "            return self._breaker.held_until\n",
        "            pass\n",
        "nobody could say why a receiver that is busy gets nothing",
        _OF_OPERATORS,
    ),
    Mutant(
        "another-s-token-opens",
        _KEYS,
        'self._back().get(_endpoint(request), "")',
        'next(iter(self._back().values()), "")',
        "one receiver could speak for another",
        _OF_ADMIN,
    ),
    Mutant(
        "a-receiver-s-token-opens-everything",
        _KEYS,
        "if _for_receivers(request) and _has(",
        "if _has(",
        "a receiver would be an operator",
        _OF_ADMIN,
    ),
    Mutant(
        "no-token-opens",
        _KEYS,
        " and bool(token)",
        "",
        "an empty bearer would be the admin where there is none",
        _OF_ADMIN,
    ),
    Mutant(
        "half-a-bulk-is-a-failure",
        _OPERATIONS,
        "            if not done:\n                raise\n",
        "            raise\n",
        "nobody would know how far it came",
        _OF_ADMIN,
    ),
    Mutant(
        "a-wrong-name-is-no-mistake",
        _OPERATIONS,
        "        if found or (query.bot is None and query.endpoint is None):\n            return\n",
        "        return\n",
        "in an outage a typing error would look as if nothing waited",
        _OF_ADMIN,
    ),
    Mutant(
        "bot-and-name-are-one-name",
        "relay/admin/requests.py",
        "return (of, name) if slash and bot in (None, of) else (bot, endpoint)",
        "return (bot, endpoint)",
        "what the commands print would find nothing here",
        _OF_ADMIN,
    ),
    Mutant(
        "what-is-internal-is-answered",
        "relay/admin/answers.py",
        """            case "internal":
                pass
""",
        "",
        "an answer would have a message's content in it",
        _OF_ADMIN,
    ),
    Mutant(
        "an-age-is-no-end",
        "relay/admin/requests.py",
        "None if age is None else now - age",
        "None",
        "with older_than new dead letters would be given up, too",
        _OF_ADMIN,
    ),
    Mutant(
        "yes-is-true",
        "relay/admin/parameters.py",
        "type(item) is self.kind.json",
        "type(item) in (self.kind.json, str)",
        "a slip in a body would act on all dead letters",
        ("tests/pure/test_parameters.py",),
    ),
    Mutant(
        "no-relay-is-no-trouble",
        "relay/admin/explain.py",
        "*([NO_RELAY] if idle else []),",
        "",
        "a probe would be promised that nobody makes",
        _OF_EXPLANATION,
    ),
    Mutant(
        "a-look-at-the-lock-takes-it",
        "relay/journal/sqlite/lock.py",
        "                if time.monotonic() >= give_up_at:\n                    raise\n",
        "                raise\n",
        "a relay would be refused because somebody looked",
        ("tests/journal/test_sqlite_opening.py",),
    ),
    Mutant(
        "paused-promises-an-attempt",
        _WAITING,
        "return Waiting((*held.why, *turn.why), held.next, held.commands)",
        "return Waiting((*held.why, *turn.why), (*held.next, *turn.next), held.commands)",
        "an operator would wait for what never comes",
        _OF_EXPLANATION,
    ),
    Mutant(
        "explanation-repeats-the-receiver",
        _STORY,
        'f"status {attempt.status}" if attempt.status is not None else attempt.detail',
        "attempt.detail",
        "words of a message could come out where nobody asked for them",
        _OF_EXPLANATION,
    ),
    Mutant(
        "an-old-retry-after-holds",
        _WAITING,
        "case BreakerState.CLOSED if probe_at is not None and probe_at > now:",
        "case BreakerState.CLOSED if probe_at is not None:",
        "a receiver would seem busy for ever",
        _OF_EXPLANATION,
    ),
)
