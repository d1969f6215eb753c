"""What the README says is what the code does."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import trustme

from relay.cli import COMMANDS
from relay.config import load_settings
from relay.config.environment import VARIABLES
from tests.config.example import KEYSTORE, SECRET
from tests.telemetry.series_table import documented_series
from tests.telemetry.test_metrics import EXPECTED

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def first_cells() -> Iterator[str]:
    """Go through the first cells of all tables."""
    for line in README.splitlines():
        if line.startswith("| "):
            yield line.split("|")[1].strip()


def blocks(language: str) -> list[str]:
    """Give the code blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_every_metric_is_documented() -> None:
    """The README's table of series is the registry, with types and labels."""
    assert EXPECTED == documented_series(README)


def test_every_variable_is_documented() -> None:
    """The README's table of variables names all that the relay reads, and no other."""
    documented = {name for cell in first_cells() for name in re.findall(r"`(RELAY_\w+)`", cell)}
    assert set(VARIABLES) == documented


def test_every_command_is_documented() -> None:
    """The README's table of commands names all that there are, and no other."""
    documented = {name for cell in first_cells() for name in re.findall(r"^`relay ([a-z-]+)", cell)}
    assert set(COMMANDS) == documented


def test_the_settings_file_loads(tmp_path: Path) -> None:
    """The README's settings file is one, with every key that it shows."""
    (text,) = blocks("yaml")
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


def test_the_receiver_compiles() -> None:
    """The README's receiver is Python."""
    (text,) = blocks("python")
    compile(text, "receiver.py", "exec")


def test_every_window_has_its_test() -> None:
    """Each row of the table of windows is proved by an acceptance test that names it."""
    windows = {cell.lower() for cell in first_cells() if re.fullmatch(r"W\d+", cell)}
    acceptance = ROOT / "tests" / "acceptance"
    names = " ".join(path.read_text(encoding="utf-8") for path in acceptance.glob("test_*.py"))
    proved = set(re.findall(r"def test_(w\d+)_", names))
    assert windows == proved


def test_every_target_is_there() -> None:
    """Each `make` target that the README names is in the Makefile."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make ([\w-]+)", README, re.MULTILINE):
        assert f"\n{target}:" in makefile


def test_every_measurement_is_named() -> None:
    """Each `bench` target of the Makefile is named in the README and in docs/testing.md."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    testing = (ROOT / "docs/testing.md").read_text(encoding="utf-8")
    targets = set(re.findall(r"^(bench[\w-]*):", makefile, re.MULTILINE))
    assert targets == set(re.findall(r"^make (bench[\w-]*)", README, re.MULTILINE))
    assert targets == set(re.findall(r"`make (bench[\w-]*)`", testing))


def test_every_command_helps_itself() -> None:
    """`relay COMMAND --help` explains each command that the README names."""
    for name in ("", *COMMANDS):
        arguments = [sys.executable, "-m", "relay", *name.split(), "--help"]
        answer = subprocess.run(arguments, capture_output=True, text=True, check=False)
        assert (0, "") == (answer.returncode, answer.stderr)
        assert "Usage:" in answer.stdout


def test_paths_in_the_documents_exist() -> None:
    """Each file that docs/flow.md sends its reader to is there."""
    flow = (ROOT / "docs" / "flow.md").read_text(encoding="utf-8")
    for name in set(re.findall(r"`([a-z_/]+\.py)", flow)):
        assert (ROOT / "relay" / name).is_file(), name
