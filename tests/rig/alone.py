"""A machine on which nothing else runs: network and processes of its own, as root may have them.

done = alone("redis-server --daemonize yes >/dev/null; redkeep init conf", folder)
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rig.commands import REDKEEP, Done, environment, run

__all__ = ["alone"]

UNSHARE = ("unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
LOOPBACK_UP = (
    "import fcntl, socket, struct;"
    "fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh', b'lo', 0x41))"  # SIOCSIFFLAGS: IFF_UP | IFF_RUNNING
)


def alone(script: str, folder: Path, **more: str) -> Done:
    """Run a shell script there, in that folder, `redkeep` and a redis-server on PATH. All it starts ends with it."""
    if shutil.which("redis-server") is None:
        pytest.skip("no redis-server on PATH")
    if os.geteuid() or subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("a network and processes of one's own need root")
    path = f"{REDKEEP.parent}:{os.environ['PATH']}"
    whole = f'"{sys.executable}" -c "{LOOPBACK_UP}"\n{script}'
    return run([*UNSHARE, "sh", "-euc", whole], env=environment(None, PATH=path, HOME=str(folder), **more), cwd=folder)
