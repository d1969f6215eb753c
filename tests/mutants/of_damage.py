"""Mutants of what is noticed of a damaged journal, and done about it."""

from tests.mutants.mutant import Mutant

_SOUND = ("tests/journal/test_integrity.py",)
_ASIDE = ("tests/journal/test_quarantine.py",)
_ORACLE = ("tests/prove/test_oracle.py",)

MUTANTS = (
    Mutant(
        "a-newer-journal-is-damaged",
        "relay/journal/sqlite/integrity.py",
        "if isinstance(version, str) and _VERSION.fullmatch(version) and version > NEWEST:",
        "if False:",
        "an older relay would set a newer one's journal aside",
        _SOUND,
    ),
    Mutant(
        "a-log-without-its-database-is-nothing",
        "relay/journal/sqlite/integrity.py",
        "        if _size(log) > 0:\n",
        "        if False:\n",
        "SQLite would delete the log, and all that only it holds",
        _SOUND,
    ),
    Mutant(
        "a-log-without-a-header-is-fine",
        "relay/journal/sqlite/integrity.py",
        "    _require_log(log)\n",
        "",
        "SQLite would ignore the log, and with it the last commits, without a word",
        _SOUND,
    ),
    Mutant(
        "only-the-front-is-looked-at",
        "relay/journal/sqlite/integrity.py",
        "    return _look_through(path, tables, brief if clean else longest) or clean\n",
        "    return True\n",
        "damage inside would be served until somebody meets it",
        _SOUND,
    ),
    Mutant(
        "refuse-sets-aside",
        "relay/journal/sqlite/quarantine.py",
        '            raise JournalRefused(f"{self.path}: {damage}; {_ADVICE}") from damage\n',
        "            pass\n",
        "nobody asked for it, and dead letters would be out of sight",
        _SOUND,
    ),
    Mutant(
        "what-replaced-it-is-set-aside",
        "relay/journal/sqlite/quarantine.py",
        "if isinstance(damage, JournalGone):",
        "if False:",
        "an operator's backup would be taken for the damaged journal",
        _SOUND,
    ),
    Mutant(
        "a-taken-name-is-taken-again",
        "relay/journal/sqlite/quarantine.py",
        "if any(map(os.path.lexists, files_of(target))):",
        "if os.path.lexists(target):",
        "the log would be parted from its database, whose name was free",
        _ASIDE,
    ),
    Mutant(
        "the-log-stays-behind",
        "relay/journal/sqlite/quarantine.py",
        "for old, new in zip(files_of(path), files_of(target), strict=True):",
        "for old, new in [(path, target)]:",
        "the old journal would lack its last commits, and the fresh one have a stranger's log",
        _ASIDE,
    ),
    Mutant(
        "files-may-go",
        "relay/journal/sqlite/engine.py",
        "self._files.require()  # before the commit: it would be to nowhere",
        "pass",
        "READ would be sent for what is written into a deleted file",
        _SOUND,
    ),
    Mutant(
        "a-closed-folder-is-a-bug",
        "relay/journal/sqlite/integrity.py",
        "    except OSError as error:  # a disk in trouble, a directory that is closed to us\n",
        "    except BlockingIOError as error:\n",
        "a disk in trouble would end the relay with a trace",
        _SOUND,
    ),
    Mutant(
        "damage-is-trouble-that-passes",
        "relay/journal/sqlite/engine.py",
        "        raise damaged(error) from error\n",
        "        raise JournalUnavailable(str(error)) from error\n",
        "the relay would try again for ever",
        _SOUND,
    ),
    Mutant(
        "damage-is-taken-for-poison",
        "relay/journal/writer.py",
        "        except JournalDamaged:\n            raise\n",
        "",
        "each message would be tried alone, and set aside, in a journal that is gone",
        ("tests/core/test_writer.py",),
    ),
    Mutant(
        "the-oracle-pardons-what-was-read",
        "tests/prove/oracle.py",
        "and post.message_id not in era.unread:",
        "and False:",
        "a relay that delivers READ messages again would pass the proof",
        _ORACLE,
    ),
)
