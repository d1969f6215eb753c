"""A container engine for tests: the one that runs here, or a throw-away one."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

IMAGE = "blaze-relay:test"
BASE = "python:3.13-slim"

BASE_ARCHIVE = "CONTAINER_TEST_BASE"
"""Names the variable with a tar of a root file system that has Python in /usr/local, for machines
that reach no registry of images."""

_START = 15.0
_ADDRESSES = ("--bip=192.0.2.1/25", "--default-address-pool=base=198.51.100.0/24,size=28")


class NoEngine(Exception):  # noqa: N818 - a reason to skip
    """No engine can run here; the text says why."""


class CommandFailed(Exception):  # noqa: N818 - says what happened
    """A command of the engine failed; the text is what it said."""


@dataclass(frozen=True)
class Engine:
    """A running engine. Whatever fails raises `CommandFailed`."""

    environ: dict[str, str]

    def docker(self, *arguments: str, seconds: float = 300) -> str:
        """Run a docker command; answers with its standard output."""
        return _run(["docker", *arguments], self.environ, seconds=seconds)

    def inspect(self, kind: str, name: str) -> Any:
        """Look at an image or a container."""
        return json.loads(self.docker(kind, "inspect", name))[0]

    def provide_base(self) -> None:
        """Get the Python image that the relay's is built on. Raises `NoEngine`."""
        archive = os.environ.get(BASE_ARCHIVE)
        try:
            if archive:
                path = [
                    "/usr/local/bin",
                    "/usr/local/sbin",
                    "/usr/sbin",
                    "/usr/bin",
                    "/sbin",
                    "/bin",
                ]
                change = f"ENV PATH={':'.join(path)} LANG=C.UTF-8"
                self.docker("import", "--change", change, archive, BASE)
            else:
                self.docker("pull", "--quiet", BASE)
        except CommandFailed as error:
            text = f"{BASE} can't be had ({error}); {BASE_ARCHIVE} may name a tar of its files"
            raise NoEngine(text) from error


@dataclass(frozen=True)
class Project:
    """A compose project in a folder, as an operator has it."""

    engine: Engine
    folder: Path
    profiles: str = ""

    def compose(self, *arguments: str, seconds: float = 180) -> str:
        """Run a compose command in the folder."""
        settings = {
            "COMPOSE_PROFILES": self.profiles,
            "COMPOSE_PROJECT_NAME": "blaze-relay-test",
            "PUBLISH": "127.0.0.1:",
            "RELAY_IMAGE": IMAGE,
        }
        environ = self.engine.environ | settings
        return _run([*_compose(), *arguments], environ, folder=self.folder, seconds=seconds)

    def up(self, *services: str) -> None:
        """Start services and wait until they are healthy."""
        options = ("--wait", "--wait-timeout", "120", "--pull", "never", "--no-build")
        self.compose("up", "--detach", *options, *services)

    def container(self, service: str) -> Any:
        """Look at a service's container."""
        return self.engine.inspect("container", self.compose("ps", "-aq", service).strip())

    def metric(self, series: str) -> float:
        """Read the sum of a series from the relay's own /metrics."""
        code = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/metrics').read().decode())"
        told = self.compose("exec", "-T", "relay", "python", "-c", code)
        lines = (line for line in told.splitlines() if line.startswith(series))
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def down(self) -> None:
        """Remove everything, volumes included."""
        self.compose("down", "--volumes", "--timeout", "5", "--remove-orphans")


@contextmanager
def running_engine() -> Iterator[Engine]:
    """Find an engine or start one. Raises `NoEngine`."""
    if not shutil.which("docker"):
        raise NoEngine("docker is not installed")
    here = Engine(dict(os.environ))
    if _answers(here):
        yield here
        return
    if not shutil.which("dockerd") or os.geteuid() != 0:
        raise NoEngine("no engine answers, and only root with dockerd can start one")
    with tempfile.TemporaryDirectory(prefix="engine-") as folder, _own_engine(folder) as own:
        yield own


@contextmanager
def _own_engine(folder: str) -> Iterator[Engine]:
    host = f"unix://{folder}/engine.sock"
    command = ["dockerd", f"--host={host}", f"--data-root={folder}/data", "--log-level=error"]
    command += [f"--exec-root={folder}/exec", f"--pidfile={folder}/pid", *_ADDRESSES]
    command += ["--iptables=false", "--ip-forward=false", "--ip-masq=false"]
    with (
        Path(folder, "log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as running,
    ):
        engine = Engine(os.environ | {"DOCKER_HOST": host, "DOCKER_CONFIG": folder})
        try:
            if not eventually(lambda: _answers(engine), _START):
                raise NoEngine("dockerd is here but does not come up")
            yield engine
        finally:
            running.terminate()
            running.wait()
            subprocess.run(["umount", f"{folder}/exec/netns/default"], check=False, stderr=-3)
            subprocess.run(["ip", "link", "delete", "docker0"], check=False, stderr=-3)


def eventually(look: Any, seconds: float) -> bool:
    """Look again and again until it is true or the time is up."""
    deadline = time.monotonic() + seconds
    while not look():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def _answers(engine: Engine) -> bool:
    try:
        engine.docker("version", seconds=10)
    except (CommandFailed, subprocess.TimeoutExpired):
        return False
    return True


def _compose() -> list[str]:
    beside = Path(sys.executable).with_name("docker-compose")
    return [str(beside)] if beside.exists() else ["docker", "compose"]


def _run(
    command: list[str], environ: dict[str, str], *, folder: Path | None = None, seconds: float
) -> str:
    done = subprocess.run(
        command,
        env=environ,
        cwd=folder,
        capture_output=True,
        timeout=seconds,
        check=False,
        text=True,
    )
    if done.returncode:
        raise CommandFailed("\n".join((done.stdout + done.stderr).strip().splitlines()[-20:]))
    return done.stdout
