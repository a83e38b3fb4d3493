"""Looks side by side, because most of them wait: for a server, a store, a broker. None of them holds up the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass

from tasks.check.finding import Finding, Findings, safely

__all__ = ["Look", "together"]

WITHIN = 10.0
"""Seconds for all of them. Whoever answers at all answers in far less."""


@dataclass(frozen=True)
class Look:
    """Something to be looked at.

    Attributes:
        unanswered: what to do where nothing is heard in time.
    """

    what: str
    find: Callable[[], Findings]
    unanswered: str


def together(looks: Iterable[Look], within: float = WITHIN) -> Findings:
    """What each of them finds, in their order, at the latest after so many seconds."""
    end = time.monotonic() + within
    for look, found in [(look, _begun(look)) for look in looks]:
        try:
            yield from found.result(max(end - time.monotonic(), 0))
        except TimeoutError:
            yield Finding(look.what, "fail", f"no answer within {within:g} s", look.unanswered)


def _begun(look: Look) -> Future[list[Finding]]:
    """In a thread that the process does not wait for at its end: one that still hangs then is given up."""
    future: Future[list[Finding]] = Future()

    def run() -> None:
        try:
            future.set_result(list(safely(look.what, look.find)))
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            future.set_exception(error)

    threading.Thread(target=run, name=f"check {look.what}", daemon=True).start()
    return future
