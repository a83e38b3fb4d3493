"""redis-check-rdb: whether a server could load an RDB, asked of the server's own reader without starting one.

Any redis-server or valkey-server that is started under the name ``redis-check-rdb`` is the checker, and says its
version under the name ``redis-server`` (redis: server.c, main). It opens /dev/stdin as it opens any file (tried on
6.2, 7.0, 8.2 and Valkey 9), so that the plaintext needs no name; from a pipe it reads half as fast.

It parses what it is given with the server's own code, where a malicious RDB has been remote code execution: hand it
nothing that was not held to its manifest before.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

__all__ = ["Checker", "Judgement", "checkers", "judge"]

PROGRAMS = ("redis-check-rdb", "valkey-check-rdb", "redis-server", "valkey-server")
SHARED_LAST, VALKEY_FIRST = 11, 80
"""RDB versions: up to the first Redis and Valkey are one, between the two they are Redis' own (valkey rdb.h)."""
LOOK = 0.2
"""Seconds between two checkpoints."""
SAID = 1 << 16
"""Bytes of the checker's output that are read, from the end."""
_VERSION = re.compile(r"(Redis|Valkey) server v=([0-9.]+)")
_FAULT = re.compile(r"RDB ERROR DETECTED ---\s*\[offset \d+\] ([^\n]*)")
_UNKNOWN = re.compile(r"Can't handle RDB format version|Wrong signature")
_LOOKS_OK = "RDB looks OK"


@dataclass(frozen=True)
class Checker:
    """A program that judges. ``vendor`` is ``redis`` or ``valkey``."""

    path: Path
    vendor: str
    version: str

    def __str__(self) -> str:
        return f"redis-check-rdb of {self.vendor.title()} {self.version}"


@dataclass(frozen=True)
class Judgement:
    """``verdict`` is good, bad, or not judged; ``told`` says by whom, and why."""

    verdict: str
    told: str


def checkers(also: Path | None = None) -> list[Checker]:
    """All on PATH, and the server at ``also`` before them; each once."""
    found = [also, *(Path(path) for name in PROGRAMS if (path := shutil.which(name)))]
    by_place = {path.resolve(): path for path in reversed(found) if path is not None and path.exists()}
    return [checker for path in reversed(by_place.values()) if (checker := _asked(path))]


def judge(
    checker: Checker, rdb: IO[bytes], rdb_version: int, checkpoint: Callable[[], None] = lambda: None
) -> Judgement:
    """Have the RDB in an open file read to its end, or to where the checker gives up.

    A checker that is too old for that version, or of another vendor, does not judge: its refusal says nothing about
    the file. Nor does one that was killed. `checkpoint` is called all the while; if it raises, the checker is ended.
    """
    with tempfile.TemporaryFile() as output:
        code = _run_on(checker, rdb, output, checkpoint)
        said = _end_of(output)
    if code == 0 and _LOOKS_OK in said:
        return Judgement("good", str(checker))
    fault = _FAULT.search(said)
    reason = fault[1] if fault else f"it ended with {code}"
    valkeys, shared = rdb_version >= VALKEY_FIRST, rdb_version <= SHARED_LAST
    foreign = not shared and valkeys != (checker.vendor == "valkey")
    if code <= 0 or fault is None or foreign or _UNKNOWN.search(reason):
        return Judgement("not judged", f"{checker}: {reason}")
    return Judgement("bad", f"{checker}: {reason}")


def _asked(path: Path) -> Checker | None:
    try:
        told = _run(path, ["redis-server", "--version"])
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _VERSION.search(told)
    return Checker(path, found[1].lower(), found[2]) if found else None


def _run(path: Path, arguments: Sequence[str]) -> str:
    done = subprocess.run(  # noqa: S603 - found on PATH or named by the operator
        arguments, executable=path, capture_output=True, text=True, timeout=10, check=False, stdin=subprocess.DEVNULL
    )
    return done.stdout


def _run_on(checker: Checker, rdb: IO[bytes], output: IO[bytes], checkpoint: Callable[[], None]) -> int:
    process = subprocess.Popen(
        ["redis-check-rdb", "/dev/stdin"],  # noqa: S607 - its name only; `executable` is what runs
        executable=checker.path,
        stdin=rdb,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd="/",
        env={},
    )
    try:
        while True:
            checkpoint()
            with suppress(subprocess.TimeoutExpired):
                return process.wait(LOOK)
    finally:
        process.kill()
        process.wait()


def _end_of(output: IO[bytes]) -> str:
    """What it said last. Key names, which it tells beside an error, stay here."""
    size = output.seek(0, 2)
    output.seek(max(size - SAID, 0))
    return output.read().decode(errors="replace")
