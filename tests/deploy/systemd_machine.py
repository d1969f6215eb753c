"""A machine of its own, whose first process is systemd: systemd-nspawn over this one's /usr.

Nothing of it is left afterwards. It has no network but its own loopback.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_INIT = "try.target"
_TREE = ("etc/systemd/system", "var/lib", "run", "tmp", "proc", "sys", "dev", "opt", "root", "home")
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files systemd\ngroup: files systemd\nhosts: files\n",
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/os-release": "ID=try\n",
    "etc/machine-id": "",
    f"etc/systemd/system/{_INIT}": (
        "[Unit]\nRequires=basic.target try.service\nAfter=basic.target\nAllowIsolate=yes\n"
    ),
    "etc/systemd/system/try.service": (
        "[Unit]\nSuccessAction=exit-force\nFailureAction=exit-force\n"
        "[Service]\nType=oneshot\nTimeoutStopSec=1\nExecStart=/bin/sh /opt/try.sh\n"
    ),
}

# nspawn wants a place for itself on a tmpfs, which /run is not on every machine: it gets one that
# nobody else sees.
_WITHOUT_A_TRACE = (
    "mkdir -p /run/systemd/nspawn && mount -t tmpfs tmpfs /run/systemd/nspawn && "
    'exec systemd-nspawn --quiet --register=no --keep-unit --private-network --console=pipe "$@" '
    f"--boot -- --unit={_INIT}"
)


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine that is not started yet; /opt and /etc are for tests to fill."""

    root: Path
    out: Path
    lent: Mapping[Path, str]

    def run(self, script: str, *, seconds: float) -> str:
        """Boot, run a shell script as root, and shut down; answers with what it printed."""
        (self.root / "opt/try.sh").write_text(f"exec > /out/said 2>&1\n{script}")
        lent = [f"--bind-ro={ours}:{theirs}" for ours, theirs in self.lent.items()]
        places = [f"--directory={self.root}", "--bind-ro=/usr", f"--bind={self.out}:/out", *lent]
        command = ["unshare", "--mount", "sh", "-c", _WITHOUT_A_TRACE, "sh", *places]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
        said = self.out / "said"
        if not said.exists():
            raise MachineError(done.stderr.strip() or "it did not come up")
        return said.read_text()


class MachineError(Exception):
    """There can be no such machine here; the text says why."""


def build(folder: Path, lent: Mapping[Path, str]) -> Machine:
    """Make the tree of a machine, to which folders are lent, to be seen there as named.

    Raises `MachineError` where that can't work.
    """
    if os.geteuid() != 0:
        raise MachineError("only root can start one")
    if missing := [tool for tool in ("systemd-nspawn", "unshare") if shutil.which(tool) is None]:
        raise MachineError(f"no {missing[0]} on this machine")
    root, out = folder / "root", folder / "out"
    out.mkdir()
    for place in _TREE:
        (root / place).mkdir(parents=True)
    (root / "usr").mkdir()
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    for name, text in _FILES.items():
        (root / name).write_text(text)
    shutil.copy("/etc/ld.so.cache", root / "etc")
    return Machine(root, out, lent)
