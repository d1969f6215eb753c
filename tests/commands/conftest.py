"""What every test of a command starts from."""

import os
from pathlib import Path

import pytest

from tests.commands.stage import Stage


@pytest.fixture
def stage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Stage:
    """Set up a folder with settings that RELAY_CONFIG names, and nothing else of RELAY_*."""
    for name in os.environ:
        if name.startswith("RELAY_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RELAY_CONFIG", str(tmp_path / "relay.yaml"))
    return Stage(tmp_path, capsys)
