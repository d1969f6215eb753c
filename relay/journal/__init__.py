"""The relay's memory: one contract (`relay.ports.Journal`, `relay.desk.Desk`), two engines."""

from relay.journal.opening import JournalRefused, OpenJournal, open_desk, open_journal

__all__ = ["JournalRefused", "OpenJournal", "open_desk", "open_journal"]
