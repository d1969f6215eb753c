"""How much room there is where the journal lies."""

import math
import shutil
from pathlib import Path


def free_bytes(journal: Path) -> float:
    """Measure what is free on the volume of a journal; NaN if that can't be told.

    Asks the file system, which may take its time: not for the event loop.
    """
    try:
        return float(shutil.disk_usage(journal.parent).free)
    except OSError:
        return math.nan
