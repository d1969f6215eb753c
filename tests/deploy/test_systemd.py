"""The units for machines without containers: sound, as walled in as noted, and all alike."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from relay.bot import FLUSH_TIMEOUT
from relay.config import Settings, load_settings
from relay.journal.encryption.keys import new_key
from relay.model.times import parse_duration
from relay.telemetry.health import BEAT_LIMIT
from tests.config.example import KEYSTORE, SECRET

FOLDER = Path(__file__).parents[2] / "deploy" / "systemd"
UNITS = ["blaze-relay.service", "blaze-relay@.service"]
LAST_STEPS = FLUSH_TIMEOUT * 3 + 5
"""Seconds after `drain_timeout`: journal, receipts and goodbye have bounds of their own."""

WORST = 1.5
"""Of 10, as `systemd-analyze security` counts; versions differ by a few tenths."""

OLDEST = 252


@pytest.fixture(scope="module")
def analyze() -> str:
    """Find systemd's own judge, of a version that knows how to look at files."""
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd's units can't be judged here: no systemd-analyze on this machine")
    said = subprocess.run([tool, "--version"], capture_output=True, text=True, check=True).stdout
    if int(said.split()[1]) < OLDEST:
        pytest.skip(f"systemd's units can't be judged here: systemd-analyze is older than {OLDEST}")
    return tool


def written(unit: str) -> str:
    return (FOLDER / unit).read_text(encoding="utf-8")


def value(unit: str, key: str) -> str:
    """Give the one value of a key in a unit."""
    (found,) = re.findall(rf"^{key}=(.*)$", written(unit), re.MULTILINE)
    return str(found)


def installed(unit: str, folder: Path) -> Path:
    """Write the unit as on a machine where the command is there."""
    copy = folder / unit.replace("@.", "@support.")
    text = written(unit).replace("/opt/blaze-relay/bin/relay", shutil.which("true") or "")
    copy.write_text(text, encoding="utf-8")
    return copy


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_understands_every_line(analyze: str, tmp_path: Path, unit: str) -> None:
    """`systemd-analyze verify` has nothing to say."""
    command = [analyze, "verify", "--man=no", str(installed(unit, tmp_path))]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (0, "") == (said.returncode, said.stdout + said.stderr)


@pytest.mark.parametrize("unit", UNITS)
def test_the_exposure_is_as_noted(analyze: str, tmp_path: Path, unit: str) -> None:
    """`systemd-analyze security` finds little more to take away than the network."""
    path = str(installed(unit, tmp_path))
    command = [analyze, "security", "--no-pager", "--offline=true", path]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    (score,) = re.findall(r"Overall exposure level for \S+: ([\d.]+)", said)
    assert float(score) <= WORST, said
    assert "1.1" in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_the_template_is_the_unit_but_for_the_names() -> None:
    """What is changed in one is changed in the other."""
    one, several = (written(unit).partition("[Unit]")[2] for unit in UNITS)
    for name in (" (%i)", "/%i", "-%i"):
        several = several.replace(name, "")
    assert one == several


@pytest.mark.parametrize("unit", UNITS)
def test_a_stop_is_given_its_time(unit: str) -> None:
    """It is killed later than the relay's own bounds end a stop."""
    needed = Settings.declared()["drain_timeout"].default + LAST_STEPS
    assert float(value(unit, "TimeoutStopSec")) > needed


@pytest.mark.parametrize("unit", UNITS)
def test_a_start_that_can_t_succeed_is_not_repeated(unit: str) -> None:
    """Wrong settings end with 2, and stay wrong; a crash does not."""
    assert ("on-failure", "2") == (value(unit, "Restart"), value(unit, "RestartPreventExitStatus"))


@pytest.mark.parametrize("unit", UNITS)
def test_the_watchdog_is_more_patient_than_livez(unit: str) -> None:
    """Whoever asks /livez knows of a stuck loop before the process is killed for it."""
    assert ("notify", True) == (
        value(unit, "Type"),
        parse_duration(f"{value(unit, 'WatchdogSec')}s") > BEAT_LIMIT,
    )


def uncommented(text: str) -> str:
    return re.sub(r"^#(?=\w+_file:)", "", text, flags=re.MULTILINE)


@pytest.mark.parametrize("whole", [False, True])
def test_the_settings_load(tmp_path: Path, *, whole: bool) -> None:
    """relay.yaml is right as it is shipped, and with every line that is commented out."""
    text = (FOLDER / "relay.yaml").read_text(encoding="utf-8")
    (tmp_path / "relay.yaml").write_text(uncommented(text) if whole else text, encoding="utf-8")
    secrets = {
        "keystore": KEYSTORE,
        "webhook-secret": SECRET,
        "admin-token": "0123456789abcdef",
        "journal-key": new_key(bytes(range(32))),
    }
    for name, secret in secrets.items():
        (tmp_path / name).write_text(f"{secret}\n", encoding="utf-8")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path), "STATE_DIRECTORY": "/var/lib/blaze-relay"}
    settings = load_settings(tmp_path / "relay.yaml", environ)
    assert () == settings.warnings
    assert Path("/var/lib/blaze-relay/journal.db") == settings.journal_file
    assert whole is (settings.admin_token is not None)


@pytest.mark.parametrize("unit", UNITS)
def test_every_credential_of_the_settings_is_loaded(unit: str) -> None:
    """Each secret that relay.yaml names is one that the unit loads, or offers to load."""
    settings = (FOLDER / "relay.yaml").read_text(encoding="utf-8")
    named = set(re.findall(r"\$\{CREDENTIALS_DIRECTORY\}/([\w-]+)", settings))
    loaded = set(re.findall(r"^#?LoadCredential=([\w.-]+):", written(unit), re.MULTILINE))
    assert {"relay.yaml", *named} == loaded


def test_the_operators_script_is_one() -> None:
    """`relayctl` is read by the plainest of shells."""
    shell = ["sh", "-n", str(FOLDER / "relayctl")]
    assert 0 == subprocess.run(shell, check=False).returncode
