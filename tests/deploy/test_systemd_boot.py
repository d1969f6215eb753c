"""The units with a real systemd: installed as their README says, and tried from start to stop."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.systemd_machine import Machine, MachineError, build

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "deploy" / "systemd"
PYTHON = "/usr/bin/python3"
FIRST_DYNAMIC_USER = 61184

pytestmark = [pytest.mark.prove, pytest.mark.timeout(600)]

SCRIPT = Path(__file__).with_name("systemd_boot.sh")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build what is installed."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """Install it into an environment of its own, as README.md says."""
    place = tmp_path_factory.mktemp("opt") / "blaze-relay"
    lock = ROOT / "requirements.lock"
    commands: list[list[str | Path]] = [
        [PYTHON, "-m", "venv", place],
        [place / "bin/pip", "install", "--require-hashes", "-r", lock],
        [place / "bin/pip", "install", "--no-deps", wheel],
    ]
    try:
        for command in commands:
            subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"systemd can't run here: the relay can't be installed beside it: {error}")
    script = place / "bin/relay"
    body = script.read_text().partition("\n")[2]
    script.write_text(f"#!/opt/blaze-relay/bin/python3\n{body}")
    return place


@pytest.fixture
def machine(tmp_path: Path, installed: Path) -> Machine:
    """Have a machine with the units and the relay on it."""
    try:
        machine = build(tmp_path, {installed: "/opt/blaze-relay"})
        machine.run("true", seconds=60)
    except (MachineError, OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"systemd can't run here: {error}")
    for unit in UNITS.glob("*.service"):
        shutil.copy(unit, machine.root / "etc/systemd/system")
    shutil.copy(UNITS / "relayctl", machine.root / "opt")
    return machine


def _configure(folder: Path) -> None:
    folder.mkdir(parents=True)
    text = (UNITS / "relay.yaml").read_text()
    upstream = "blaze_url: ws://127.0.0.1:7000/\n    api_url: http://127.0.0.1:7000\n    "
    text = text.replace("keystore_file", f"{upstream}keystore_file", 1)
    (folder / "relay.yaml").write_text(
        re.sub(r"https://crm\S+", "http://127.0.0.1:7001/hooks/mixin", text)
    )


@pytest.mark.parametrize(
    ("unit", "place", "option"),
    [("blaze-relay", "", ""), ("blaze-relay@support", "/support", "-i support")],
)
def test_from_start_to_stop(machine: Machine, unit: str, place: str, option: str) -> None:
    """It delivers behind its walls, stops cleanly, is revived, and refuses wrong settings once."""
    _configure(machine.root / f"etc/blaze-relay{place}")
    variables = f"unit={unit}.service place={place} option='{option}'\n"
    said = machine.run(variables + SCRIPT.read_text(), seconds=180)
    facts = dict(line.split(":", 1) for line in said.splitlines() if ":" in line)
    assert int(facts["user"]) >= FIRST_DYNAMIC_USER, said
    assert {
        "check": "0",
        "start": "0",
        "read": "40",
        "CapEff": "0000000000000000",
        "CapBnd": "0000000000000000",
        "NoNewPrivs": "1",
        "Seccomp": "2",
        "system": "ro",
        "secrets in sight": "0",
        "journal": "600",
        "pause": "0",
        "stop": "0 success 0",
        "while stopped": "1",
        "watchdog": "revived",
        "wrong settings": "1 failed 2 0",
    }.items() <= facts.items(), said
