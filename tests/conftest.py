"""Fixtures that every test may use, and the rule that a skip is a failure where one must not happen."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from rig.redis_servers import FLAVOURS, RedisServer, binary, why_missing

collect_ignore = ["rig/flowerconfig_clock.py"]
"""Flower's, which only a process that has been given its clock can run."""
_FOREIGN = ("AWS_", "BOTO_", "CELERY_", "FLOWER_", "REDKEEP_", "XDG_")
_NO_SKIPS = pytest.StashKey[bool]()
_SKIPS = pytest.StashKey[list[str]]()


# A machine that does other things as well is slow at times, and that proves nothing.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

# A shell without job control starts `make test &` with Ctrl-C ignored, and what a process ignores its children do too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# -- the machine's own settings stay out ------------------------------------------------------------------------------


@pytest.fixture(scope="session", autouse=True)
def clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No credentials, proxies, settings or home of whoever runs the tests reach them, nor the processes they start."""
    home: Path = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(_FOREIGN) or name.lower().endswith("_proxy"):
                patch.delenv(name)
        patch.setenv("HOME", str(home))
        patch.setenv("TZ", "UTC")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")  # else boto3 asks the network for credentials, and waits
        yield


# -- servers ----------------------------------------------------------------------------------------------------------


@pytest.fixture(params=FLAVOURS)
def redis_flavour(request: pytest.FixtureRequest) -> str:
    """Each server of the matrix in turn; what this machine lacks is skipped by name."""
    flavour: str = request.param
    if binary(flavour) is None:
        pytest.skip(why_missing(flavour))
    return flavour


@pytest.fixture
def redis_server(redis_flavour: str) -> Iterator[RedisServer]:
    """A fresh, empty server of each flavour."""
    with RedisServer(redis_flavour) as server:
        yield server


@pytest.fixture
def any_redis() -> Iterator[RedisServer]:
    """A fresh, empty server, for what does not depend on the flavour."""
    for flavour in ("redis7", "valkey9", "redis8"):
        if binary(flavour) is not None:
            with RedisServer(flavour) as server:
                yield server
            return
    pytest.skip("; ".join(map(why_missing, FLAVOURS)))


# -- REDKEEP_NO_SKIPS=1: a skip fails the session ---------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_NO_SKIPS] = os.environ.get("REDKEEP_NO_SKIPS") == "1"
    config.stash[_SKIPS] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _note_skip(item.config, report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _note_skip(collector.config, report)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    if (told := getattr(session.config, "workeroutput", None)) is not None:
        told["skips"] = session.config.stash[_SKIPS]
        return
    passed_so_far = session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    if passed_so_far and session.config.stash[_NO_SKIPS] and session.config.stash[_SKIPS]:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A process of pytest-xdist has ended: what was skipped there counts here."""
    node.config.stash[_SKIPS] += getattr(node, "workeroutput", {}).get("skips", [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.stash[_NO_SKIPS] and config.stash[_SKIPS]:
        terminalreporter.section("skipped, and REDKEEP_NO_SKIPS=1 forbids it", red=True)
        for line in config.stash[_SKIPS]:
            terminalreporter.line(line)


def _note_skip(config: pytest.Config, report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        config.stash[_SKIPS].append(f"{report.nodeid}: {reason.removeprefix('Skipped: ')}")
