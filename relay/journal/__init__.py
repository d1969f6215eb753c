"""The relay's memory: one contract (`relay.ports.Journal`, `relay.desk.Desk`), two engines."""

from relay.journal.opening import OpenJournal, is_relayed, open_desk, open_journal, open_vault
from relay.journal.refusing import JournalRefused
from relay.journal.setting_aside import last_set_aside
from relay.journal.vault import Resealed, Vault

__all__ = [
    "JournalRefused",
    "OpenJournal",
    "Resealed",
    "Vault",
    "is_relayed",
    "last_set_aside",
    "open_desk",
    "open_journal",
    "open_vault",
]
