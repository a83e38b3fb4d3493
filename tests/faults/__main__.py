"""``make faults``: every test of the table, for real, and docs/reliability.md with what was seen.

REDKEEP_FAULTS=1 makes the searches go further than `make test` does. Arguments are pytest's.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.faults.rows import ROWS, Row, fits

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- made by make faults: begin -->", "<!-- end -->"


class Seen:
    """A pytest plugin that keeps how each test of the table ended."""

    def __init__(self) -> None:
        self.ends: dict[str, str] = {}
        self.took: dict[str, list[tuple[str, float]]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            self.ends[report.nodeid] = report.outcome
            self.took[report.nodeid] = [(name, float(str(seconds))) for name, seconds in report.user_properties]

    def of(self, row: Row) -> Counter[str]:
        return Counter(end for node, end in self.ends.items() if fits(node, row))

    def measured(self, row: Row) -> str:
        """What the row's tests measured, the longest of each kind."""
        longest: dict[str, float] = {}
        for node, took in self.took.items():
            for name, seconds in took if fits(node, row) else ():
                longest[name] = max(longest.get(name, 0.0), seconds)
        return "".join(f"; {name} after {seconds:.0f} s" for name, seconds in longest.items())


def files() -> list[str]:
    """Those that the table's tests stand in."""
    return sorted({f"tests/{each.partition('::')[0]}" for row in ROWS for each in row.tests})


def table(seen: Seen) -> str:
    lines = ["| what | what goes wrong | how | what is promised | seen |", "|---|---|---|---|---|"]
    for row in ROWS:
        ends = seen.of(row)
        held, all_ = ends["passed"], sum(ends.values())
        told = (f"held, {held} of {all_}" if held == all_ and all_ else f"**{held} of {all_}**") + seen.measured(row)
        lines.append(f"| {row.to} | {row.fault} | {row.how} | {row.promise} | {told} |")
    return "\n".join(lines)


def versions() -> str:
    from rig.redis_binaries import FLAVOURS, binary

    told = []
    for flavour in FLAVOURS:
        path = binary(flavour)
        if path is not None:
            said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
            found = re.search(r"v=([\d.]+)", said)
            told.append(f"{'Valkey' if 'valkey' in flavour else 'Redis'} {found[1] if found else '?'}")
    return ", ".join(told)


def write(seen: Seen) -> None:
    made = (
        f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {platform.machine()}, "
        f"{os.cpu_count()} cores; {versions()}; S3: moto, rclone.\n\n{table(seen)}"
    )
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{made}\n{END}{rest.partition(END)[2]}")


def main(arguments: list[str]) -> int:
    os.environ["REDKEEP_FAULTS"] = "1"
    seen = Seen()
    options = ["-p", "tests.faults.only", "--timeout=1800", "--dist=loadfile", "-n", os.environ.get("JOBS", "3"), "-q"]
    code = pytest.main([*options, *arguments, *files()], plugins=[seen])
    write(seen)
    never = [f"{row.to}: {row.fault}" for row in ROWS if not seen.of(row)]
    if never:
        print("no test was run for:", *never, sep="\n  ")
    return int(code) or bool(never)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
