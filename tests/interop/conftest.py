"""What the tests against stock tools share."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable

import pytest


@pytest.fixture(scope="session")
def require_tool() -> Callable[[str], str]:
    """``require_tool("age")`` is the tool's path; the test is skipped, saying so, where it is missing."""

    def path_of(name: str) -> str:
        found = shutil.which(name)
        if found is None:
            pytest.skip(f"{name} is not installed")
        return found

    return path_of


@pytest.fixture(scope="session")
def run(require_tool: Callable[[str], str]) -> Callable[..., bytes]:
    """``run("age", "-d", ..., stdin=data)`` is its output; CalledProcessError where it refuses."""

    def output_of(tool: str, *arguments: str, stdin: bytes = b"") -> bytes:
        command = [require_tool(tool), *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, check=True, timeout=60).stdout

    return output_of
