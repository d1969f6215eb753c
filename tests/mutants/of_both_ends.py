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
        "relay/journal/writer.py",
        "            half = len(group) // 2\n"
        "            await self._commit(group[:half])\n"
        "            await self._commit(group[half:])\n",
        "            for party, entry in group:\n                party.refused(entry, error)\n",
        "one message that can't be stored would lose five hundred",
        ("tests/core/test_writer.py",),
    ),
    Mutant(
        "full-disk-is-taken-for-poison",
        "relay/journal/writer.py",
        "except JournalUnavailable as error:",
        "except JournalGone as error:",
        "a full disk would set messages aside",
        ("tests/core/test_writer.py",),
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
        "leads=delivery.id in fresh.leading",
        "leads=True",
        "new messages would pass a conversation's backlog by",
        _OF_INTAKE,
    ),
    Mutant(
        "room-is-never-given-back",
        _INTAKE,
        "        self._waiting -= 1\n",
        "",
        "the socket would be read no more after twenty thousand messages",
        _OF_INTAKE,
    ),
    Mutant(
        "bytes-are-never-given-back",
        _INTAKE,
        "self._waiting_bytes -= len(entry.message.frame)",
        "pass",
        "the socket would be read no more after 64 MiB",
        _OF_INTAKE,
    ),
    Mutant(
        "poison-is-not-kept",
        _INTAKE,
        "            self.keep(UnreadableFrame(digest, why, frame[:_SAMPLE]))\n",
        "",
        "nobody could find out what the journal did not take",
        _OF_INTAKE,
    ),
    # --- group commits --------------------------------------------------------------------------
    Mutant(
        "group-that-fails-is-dropped",
        "relay/journal/writer.py",
        "await asyncio.sleep(wait)",
        "return Committed()",
        "a full disk would lose outcomes, and messages be posted again",
        ("tests/core/test_writer.py",),
    ),
    Mutant(
        "close-drops-the-rest",
        "relay/journal/writer.py",
        "if self._closing and not waiting:",
        "if self._closing:",
        "a clean stop would lose what is in flight",
        ("tests/core/test_writer.py",),
    ),
    Mutant(
        "newest-goes-first",
        "relay/journal/writer.py",
        "ended.popleft() for",
        "ended.pop() for",
        "a conversation would be journaled backwards",
        ("tests/core/test_writer.py",),
    ),
    Mutant(
        "idle-before-the-commit",
        "relay/journal/writer.py",
        "while self._ended or self._arrived or self._committing:",
        "while self._ended or self._arrived:",
        "whoever waits for the journal would go on too early",
        ("tests/core/test_writer.py", "tests/core/test_reload.py"),
    ),
    # --- outcomes -------------------------------------------------------------------------------
    Mutant(
        "answers-go-to-the-wrong-waiters",
        "relay/journal/writer.py",
        "outcomes = iter(committed.outcomes)",
        "outcomes = reversed(committed.outcomes)",
        "lanes would stop that have more, and receipts be forgotten",
        ("tests/core/test_writer.py",),
    ),
    Mutant(
        "doubt-is-not-written-down",
        "relay/journal/writer.py",
        "batch.deferred.append(entry)",
        "pass",
        "a duplicate after a stop would not say `unknown`",
        ("tests/core/test_an_attempt_cut_by_a_stop_is_charged_to_nobody.py",),
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
    Mutant(
        "socket-reads-on-without-room-in-memory",
        "relay/delivery/intake.py",
        "return self._overfull or (not self._burst and self._crowded)",
        "return self._overfull",
        "a backlog would be read twice: from the socket, and from the journal",
        ("tests/core/test_intake.py",),
    ),
    Mutant(
        "socket-waits-for-a-receiver-that-is-away",
        "relay/delivery/intake.py",
        "        except TimeoutError:\n            self._burst = BURST\n",
        "        except TimeoutError:\n            pass\n",
        "what a receiver misses for a week would be lost at Mixin",
        ("tests/core/test_intake.py",),
    ),
    Mutant(
        "patience-has-no-end",
        "relay/journal/writer.py",
        "if at < _NEVER and not self._holders:",
        "if False:",
        "the last outcome of a burst would be committed with the next burst",
        ("tests/core/test_writer.py",),
    ),
)
