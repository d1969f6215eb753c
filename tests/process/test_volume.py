"""The room where the journal lies."""

import math
import shutil
from pathlib import Path

from relay.process import free_bytes


def test_what_is_free_on_the_volume(tmp_path: Path) -> None:
    """The file itself need not be there yet."""
    free = free_bytes(tmp_path / "journal.db")
    assert 0 < free <= shutil.disk_usage(tmp_path).total


def test_a_volume_that_is_gone(tmp_path: Path) -> None:
    """A volume that can't be asked breaks no scrape."""
    assert math.isnan(free_bytes(tmp_path / "gone" / "journal.db"))
