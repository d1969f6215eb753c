"""Mutants of what comes in and goes back, and of what is done from time to time."""

from tests.mutants.mutant import Mutant

_INTAKE, _GROUPS, _OUTCOMES = (
    "relay/delivery/intake.py",
    "relay/delivery/groups.py",
    "relay/delivery/outcomes.py",
)
_OF_INTAKE = ("tests/core/test_intake.py",)
_OF_GROUPS = ("tests/core/test_groups.py",)
_OF_OUTCOMES = ("tests/core/test_outcomes.py",)
_STEWARD, _OF_STEWARD = "relay/maintenance.py", ("tests/core/test_maintenance.py",)

MUTANTS = (
    # --- intake ---------------------------------------------------------------------------------
    Mutant(
        "poison-takes-its-group-with-it",
        _INTAKE,
        "            for message in messages:\n                await self._record([message])\n",
        "            await self._set_aside(messages[0], error)\n",
        "one message that can't be stored would lose five hundred",
        _OF_INTAKE,
    ),
    Mutant(
        "full-disk-is-taken-for-poison",
        _INTAKE,
        "        except (JournalUnavailable, JournalDamaged):\n            raise\n",
        "",
        "a full disk would set messages aside",
        _OF_INTAKE,
    ),
    Mutant(
        "receipt-of-a-known-message-is-not-repeated",
        _INTAKE,
        "if answer.receipt_owed:",
        "if answer.receipt_owed and isinstance(answer, Fresh):",
        "a lost READ would be pushed again for seven days",
        _OF_INTAKE,
    ),
    Mutant(
        "everything-leads",
        _INTAKE,
        "leads=delivery.id in answer.leading",
        "leads=True",
        "new messages would pass a conversation's backlog by",
        _OF_INTAKE,
    ),
    Mutant(
        "room-is-never-given-back",
        _INTAKE,
        "self._waiting -= len(group)",
        "pass",
        "the socket would be read no more after twenty thousand messages",
        _OF_INTAKE,
    ),
    Mutant(
        "bytes-are-never-given-back",
        _INTAKE,
        "self._waiting_bytes -= sum(len(item.frame) for item in messages)",
        "pass",
        "the socket would be read no more after 64 MiB",
        _OF_INTAKE,
    ),
    Mutant(
        "poison-is-not-kept",
        _INTAKE,
        "frame = UnreadableFrame(digest, why, message.frame[:_SAMPLE])\n"
        "        await self._journal.keep_unreadable(self._bot, frame, self._clock())\n",
        "",
        "nobody could find out what the journal did not take",
        _OF_INTAKE,
    ),
    # --- group commits --------------------------------------------------------------------------
    Mutant(
        "group-that-fails-is-dropped",
        _GROUPS,
        "await asyncio.sleep(wait)",
        "break",
        "a full disk would lose outcomes, and messages be posted again",
        _OF_GROUPS,
    ),
    Mutant(
        "close-drops-the-rest",
        _GROUPS,
        "return bool(self._waiting)",
        "return bool(self._waiting) and not self._closing",
        "a clean stop would lose what is in flight",
        _OF_GROUPS,
    ),
    Mutant(
        "newest-goes-first",
        _GROUPS,
        "self._waiting.popleft() for",
        "self._waiting.pop() for",
        "a conversation would be journaled backwards",
        _OF_GROUPS,
    ),
    Mutant(
        "idle-before-the-commit",
        _GROUPS,
        "            if not self._waiting:\n                self._idle.set()\n",
        "            self._idle.set()\n",
        "whoever waits for the journal would go on too early",
        (*_OF_GROUPS, *_OF_INTAKE),
    ),
    # --- outcomes -------------------------------------------------------------------------------
    Mutant(
        "answers-go-to-the-wrong-waiters",
        _OUTCOMES,
        "zip(group, answers, strict=True)",
        "zip(group, reversed(answers), strict=True)",
        "lanes would stop that have more, and receipts be forgotten",
        _OF_OUTCOMES,
    ),
    Mutant(
        "doubt-is-not-written-down",
        _OUTCOMES,
        "await self._journal.defer([deferred for deferred, _ in group])",
        "pass",
        "a duplicate after a stop would not say `unknown`",
        _OF_OUTCOMES,
    ),
    Mutant(
        "one-who-has-gone-stops-the-group",
        _OUTCOMES,
        "            if not settled.done():\n                settled.set_result(answer)\n",
        "            settled.set_result(answer)\n",
        "one cancelled worker would end the process",
        _OF_OUTCOMES,
    ),
    # --- maintenance ----------------------------------------------------------------------------
    Mutant(
        "operators-are-noticed-late",
        _STEWARD,
        "NOTICE_EVERY = 1.0\n",
        "NOTICE_EVERY = 10.0\n",
        "an operator would not see that anything happens",
        _OF_STEWARD,
    ),
    Mutant(
        "operators-are-heard-again-and-again",
        _STEWARD,
        "            self._noticed = notices[-1].id",
        "            pass",
        "an old resume would lift every pause",
        _OF_STEWARD,
    ),
    Mutant(
        "waived-is-not-receipted",
        _STEWARD,
        "if notice.kind is OperatorEventKind.WAIVED and bot in self._bots:",
        "if notice.kind is OperatorEventKind.DISCARDED and bot in self._bots:",
        "`discard --mark-read` would wait for the next message",
        _OF_STEWARD,
    ),
    Mutant(
        "what-is-new-is-pruned",
        _STEWARD,
        "before = self._clock() - self._retention",
        "before = self._clock() - self._retention / 2",
        "a message that comes again after five days would be posted again",
        _OF_STEWARD,
    ),
)
