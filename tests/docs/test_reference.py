"""What docs/reference.md says is what the code does."""

import re
import subprocess
import sys
from pathlib import Path

import trustme

from relay.cli import COMMANDS
from relay.config import load_settings
from relay.config.load import VARIABLES
from relay.config.settings import Bot, Breaker, Endpoint, Retry, Settings, Tls
from tests.config.example import KEYSTORE, SECRET
from tests.docs.pages import ROOT, blocks, first_cells, page, section
from tests.telemetry.series_table import documented_series
from tests.telemetry.test_metrics import EXPECTED

REFERENCE = page("docs/reference.md")


def test_every_metric_is_documented() -> None:
    """The table of series is the registry, with types and labels."""
    assert EXPECTED == documented_series(REFERENCE)


def test_every_log_event_is_documented() -> None:
    """The chapter on the log names the events that telemetry writes, and no other."""
    files = [*(ROOT / "relay/telemetry").glob("on_*.py"), ROOT / "relay/commands/run.py"]
    written = {
        name
        for file in files
        for name in re.findall(r'"([a-z]+\.[a-z_]+)"', file.read_text(encoding="utf-8"))
    }
    assert written == set(re.findall(r"`([a-z]+\.[a-z_]+)`", section(REFERENCE, "The log")))


def test_every_variable_is_documented() -> None:
    """The table of variables names all that the relay reads, and no other."""
    cells = first_cells(REFERENCE)
    documented = {name for cell in cells for name in re.findall(r"`(RELAY_\w+)`", cell)}
    assert set(VARIABLES) == documented


def test_every_setting_is_documented() -> None:
    """Each key that a settings file may have stands in the chapter on settings."""
    text = section(REFERENCE, "Settings")
    sections = (Settings, Bot, Endpoint, Retry, Breaker, Tls)
    keys = {key for each in sections for key in each.all_keys()}
    assert set() == {key for key in keys if not re.search(rf"\b{key}\b", text)}


def test_every_command_is_documented() -> None:
    """The table of commands names all that there are, and no other."""
    cells = first_cells(REFERENCE)
    documented = {name for cell in cells for name in re.findall(r"^`relay ([a-z-]+)", cell)}
    assert set(COMMANDS) == documented


def test_the_settings_file_loads(tmp_path: Path) -> None:
    """The settings file that is shown is one, with every key in it."""
    (text,) = blocks(REFERENCE, "yaml")
    authority = trustme.CA()
    pair = authority.issue_cert("crm.example.com")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    pair.cert_chain_pems[0].write_to_path(tmp_path / "crm.pem")
    pair.private_key_pem.write_to_path(tmp_path / "crm-key.pem")
    for name, secret in (
        ("support.json", KEYSTORE),
        ("crm-token", "token"),
        ("crm-back", "a-token-of-its-own"),
        ("crm", SECRET),
    ):
        (tmp_path / name).write_text(secret, encoding="utf-8")
    here = text.replace("/run/secrets", str(tmp_path))
    for name in ("ca.pem", "crm.pem", "crm-key.pem"):
        here = here.replace(f" {name}", f" {tmp_path / name}")
    (tmp_path / "relay.yaml").write_text(here, encoding="utf-8")
    settings = load_settings(tmp_path / "relay.yaml", {})
    assert () == settings.warnings
    assert "support" == settings.bots[0].name


def test_every_command_helps_itself() -> None:
    """`relay COMMAND --help` explains each command."""
    for name in ("", *COMMANDS):
        arguments = [sys.executable, "-m", "relay", *name.split(), "--help"]
        answer = subprocess.run(arguments, capture_output=True, text=True, check=False)
        assert (0, "") == (answer.returncode, answer.stderr)
        assert "Usage:" in answer.stdout
