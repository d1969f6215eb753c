"""Runs tests against a mutant, in a copy of the project: the working tree is never touched."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tests.mutants.mutant import Mutant, Stale

ROOT = Path(__file__).parents[2]
TIMEOUT = 120.0
"""Seconds for one mutant: one that makes the tests hang is caught by that."""

_COPIED = ("relay", "tests")
_LINKED = ("pyproject.toml",)
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
_TESTS_FAILED = 1


class Fate(StrEnum):
    """What became of a mutant."""

    CAUGHT = "caught"
    SURVIVED = "SURVIVED"
    STALE = "STALE"
    BROKEN = "BROKEN"


@dataclass(frozen=True, slots=True)
class Report:
    """One mutant's fate; `by` names the test that caught it, or says what went wrong."""

    mutant: Mutant
    fate: Fate
    by: str
    seconds: float


class Nursery:
    """One copy of the project, in which one mutant lives at a time."""

    def __init__(self, directory: Path) -> None:
        self._root = directory
        self._generation = 0
        for name in _COPIED:
            shutil.copytree(ROOT / name, directory / name, ignore=shutil.ignore_patterns("*.db"))
        for name in _LINKED:
            shutil.copy(ROOT / name, directory / name)

    def healthy(self, tests: Iterable[str]) -> str | None:
        """Run tests on the product as it is; answers with their output if they fail."""
        run = self._pytest(sorted(set(tests)), timeout=None)
        return None if run.returncode == 0 else run.stdout

    def judge(self, mutant: Mutant) -> Report:
        """Let a mutant live until its tests have run."""
        began = time.monotonic()
        path = self._root / mutant.file
        text = path.read_text()
        try:
            self._write(path, mutant.apply(text))
            fate, by = self._fate(mutant)
        except Stale as stale:
            fate, by = Fate.STALE, str(stale)
        finally:
            self._write(path, text)
        return Report(mutant, fate, by, time.monotonic() - began)

    def _fate(self, mutant: Mutant) -> tuple[Fate, str]:
        try:
            run = self._pytest(mutant.tests, timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            return Fate.CAUGHT, "a test that hangs"
        if run.returncode == 0:
            return Fate.SURVIVED, ""
        if run.returncode != _TESTS_FAILED:
            return Fate.BROKEN, run.stdout[-2000:]
        failed = _FAILED.search(run.stdout)
        return Fate.CAUGHT, failed[1].removeprefix("tests/") if failed else "?"

    def _pytest(
        self, tests: Iterable[str], *, timeout: float | None
    ) -> "subprocess.CompletedProcess[str]":
        options = ("-x", "-q", "--tb=no", "-p", "no:cacheprovider", "-p", "tests.mutants.profile")
        return subprocess.run(
            [sys.executable, "-m", "pytest", *options, *tests],
            cwd=self._root,
            env={**os.environ, "PYTHONPATH": str(self._root), "PYTHONHASHSEED": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )

    def _write(self, path: Path, text: str) -> None:
        """Write with a time of its own, or Python would take compiled code of the same second."""
        path.write_text(text)
        self._generation += 1
        os.utime(path, (self._generation, self._generation))
