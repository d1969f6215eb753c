"""The image and the compose file on a real engine, as an operator runs them."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tests
from relay import __version__
from tests.deploy.engine import (
    BASE,
    IMAGE,
    CommandFailed,
    Engine,
    NoEngine,
    Project,
    eventually,
    running_engine,
)

pytestmark = [pytest.mark.container, pytest.mark.timeout(600)]

ROOT = Path(tests.__file__).parents[1]
MOST_OVER_BASE = 90 * 1024**2
PATIENCE = 60.0
LOCKED_DOWN = (
    "--read-only",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--network=none",
)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """Provide an engine with the image on it, built from the Dockerfile."""
    try:
        with running_engine() as running:
            running.provide_base()
            build = [
                "build",
                "--network=host",
                f"--build-arg=PYTHON_IMAGE={BASE}",
                f"--tag={IMAGE}",
            ]
            running.docker(*build, f"--build-arg=VERSION={__version__}", str(ROOT), seconds=600)
            yield running
    except NoEngine as why:
        pytest.skip(f"containers can't run here: {why}")


@pytest.fixture(scope="module")
def image(engine: Engine) -> Any:
    return engine.inspect("image", IMAGE)


@pytest.fixture
def project(engine: Engine, tmp_path: Path) -> Iterator[Project]:
    """Make a folder of what the repository ships; it has no .env."""
    shutil.copy(ROOT / "docker-compose.yml", tmp_path)
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    project = Project(engine, tmp_path, profiles="demo")
    yield project
    project.down()


@pytest.fixture
def production(project: Project) -> Project:
    """Do in the folder what .env.example says; Mixin is the simulator."""
    project.up("simulator", "receiver")
    (project.folder / "secrets").mkdir()
    for name in ("keystore.json", "webhook-secret"):
        content = project.compose("exec", "-T", "simulator", "cat", name)
        (project.folder / "secrets" / name).write_text(content)
    settings = (ROOT / ".env.example").read_text()
    settings = re.sub(
        r"(?m)^RELAY_WEBHOOK_URLS=.*",
        "RELAY_WEBHOOK_URLS=http://receiver:7001/hooks/mixin",
        settings,
    )
    settings += "\nRELAY_BLAZE_URL=ws://simulator:7000/\nRELAY_API_URL=http://simulator:7000\n"
    (project.folder / ".env").write_text(settings)
    return project


def relay(engine: Engine, *arguments: str) -> str:
    return engine.docker("run", "--rm", *LOCKED_DOWN, IMAGE, *arguments)


def test_the_dockerfile_has_no_findings() -> None:
    """The linter of Dockerfiles finds nothing."""
    command = [Path(sys.executable).with_name("hadolint"), ROOT / "Dockerfile"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (0, "") == (found.returncode, found.stdout)


def test_the_image_is_small(engine: Engine, image: Any) -> None:
    """It adds at most 90 MiB to its base."""
    added = image["Size"] - engine.inspect("image", BASE)["Size"]
    assert added <= MOST_OVER_BASE, f"{added / 1024**2:.1f} MiB"


def test_the_image_says_what_it_is(image: Any) -> None:
    """User, entry point, health check, volume and labels are set."""
    config = image["Config"]
    assert "10001:10001" == config["User"]
    assert (["relay"], ["run"]) == (config["Entrypoint"], config["Cmd"])
    assert ["CMD", "relay", "healthcheck"] == config["Healthcheck"]["Test"]
    assert {"/var/lib/relay": {}} == config["Volumes"]
    assert __version__ == config["Labels"]["org.opencontainers.image.version"]
    assert "MIT" == config["Labels"]["org.opencontainers.image.licenses"]


def test_the_version_in_the_dockerfile_is_this_one() -> None:
    """An image that is built without arguments is labelled as what it is."""
    assert f"ARG VERSION={__version__}\n" in (ROOT / "Dockerfile").read_text()


def test_the_image_runs_locked_down(engine: Engine) -> None:
    """Without a network, a capability or a file to write, a command still works."""
    assert f"relay {__version__}\n" == relay(engine, "--version")
    assert relay(engine, "secret").startswith("whsec_")


def test_wrong_settings_are_told(engine: Engine) -> None:
    """Without settings it says what is missing, a line each, and nothing else."""
    with pytest.raises(CommandFailed) as told:
        relay(engine)
    lines = str(told.value).splitlines()
    assert ["relay: RELAY_KEYSTORE_FILE", "relay: RELAY_WEBHOOK_URLS"] == [
        line.rpartition(": missing")[0] for line in lines
    ]


def test_the_image_lists_what_is_inside(engine: Engine) -> None:
    """The bill of materials has the relay and what it is locked to, and no tool."""
    run = ("run", "--rm", *LOCKED_DOWN)
    command = ("--entrypoint=cat", IMAGE, "/usr/share/doc/blaze-relay/sbom.cdx.json")
    listed = json.loads(engine.docker(*run, *command))
    names = {component["name"].lower() for component in listed["components"]}
    locked = set(re.findall(r"(?m)^([\w.-]+)==", (ROOT / "requirements.lock").read_text()))
    assert "blaze-relay" == listed["metadata"]["component"]["name"]
    assert locked - {"colorama", "tzdata"} <= {name.replace("_", "-") for name in names}
    assert not names & {"pip", "hatchling", "cyclonedx-bom", "pytest"}
    assert ROOT.as_posix() not in json.dumps(listed)


def test_the_demo_needs_nothing(project: Project) -> None:
    """The demo profile comes up healthy without a .env, and messages go through."""
    project.up()
    read = 'relay_messages_finished_total{bot="default",outcome="read"}'
    assert eventually(lambda: project.metric(read) > 10, PATIENCE)
    assert "VIOLATION" not in project.compose("logs", "simulator")
    assert "took " in project.compose("logs", "receiver")


def test_production_is_contained(production: Project) -> None:
    """Read-only, without capabilities, as its own user, and no secret is in the environment."""
    production.up()
    container = production.container("relay")
    host = container["HostConfig"]
    assert (True, ["ALL"], False) == (host["ReadonlyRootfs"], host["CapDrop"], host["Privileged"])
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert "10001:10001" == container["Config"]["User"]
    secret = (production.folder / "secrets" / "webhook-secret").read_text().strip()
    private = json.loads((production.folder / "secrets" / "keystore.json").read_text())
    for text in (secret, private["session_private_key"]):
        assert text not in json.dumps(container)
        assert text not in production.compose("logs", "relay")


def test_nothing_is_lost_over_stops_and_kills(production: Project) -> None:
    """A stop leaves with 0; after a kill, and with a receiver away, all is READ in the end."""
    production.up()
    read = 'relay_messages_finished_total{bot="default",outcome="read"}'
    pending = 'relay_messages_pending{bot="default"}'
    assert eventually(lambda: production.metric(read) > 5, PATIENCE)
    production.compose("stop", "relay")
    assert 0 == production.container("relay")["State"]["ExitCode"]
    production.up()
    production.compose("kill", "--signal", "KILL", "relay")
    production.compose("stop", "receiver")
    production.up("--no-deps", "relay")
    assert eventually(lambda: production.metric(pending) > 10, PATIENCE)
    assert "healthy" == production.container("relay")["State"]["Health"]["Status"]
    before = production.metric(read)
    production.up("receiver")
    assert eventually(lambda: production.metric(read) > before + 10, 2 * PATIENCE)
    assert eventually(lambda: production.metric(pending) < 5, PATIENCE)
    assert "VIOLATION" not in production.compose("logs", "simulator")


def test_every_profile_is_sound(production: Project) -> None:
    """Compose takes the file with each profile; what is mounted is there."""
    for profiles in ("", "demo", "monitoring"):
        config = json.loads(
            Project(production.engine, production.folder, profiles).compose(
                "config", "--format", "json"
            )
        )
        binds = [
            volume["source"]
            for service in config["services"].values()
            for volume in service.get("volumes", ())
            if volume["type"] == "bind"
        ]
        assert [] == [source for source in binds if not Path(source).exists()]
        grace = config["services"]["relay"]["stop_grace_period"]
        assert "1m0s" == grace
