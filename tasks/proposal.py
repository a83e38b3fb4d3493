"""What a new installation is proposed to be, from what was found on its machine: pure, and told with its reasons."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.discovery import Found
from tasks.names import is_target, masked_url

__all__ = ["Proposal", "host_named", "minutes_of", "propose"]

PASSWORD = "REDIS_PASSWORD"  # noqa: S105 - the name of a variable
"""Where the settings then take the password from."""
SHOWN = 4
"""Other servers that are named."""
SPREAD = {"backup": 7, "persistence": 17, "rewrite": 33}
"""Minutes of the tasks that the schedule starts by itself, as they are where nothing is said."""
TAKEN = frozenset({13, 37, 43, 53})
"""Minutes of the others: verify, tidy, drill, retention."""


@dataclass(frozen=True)
class Proposal:
    """Fields as :func:`tasks.beginning.begin` takes them, and why."""

    server: str
    control: str
    data_dir: str
    host: str
    minutes: dict[str, int]
    found: str
    reasons: tuple[str, ...]


def propose(chosen: Found, others: Sequence[Found], hostname: str) -> Proposal:
    """Settings for the chosen server. An empty one beside it carries redkeep's own messages; else the chosen does."""
    spare = next((each for each in others if not each.locked and each.primary and not each.keys), None)
    rest = [each for each in others if each is not spare]
    reasons = [f"Found {chosen}."]
    reasons += [f"  Also {each}." for each in rest[:SHOWN]]
    reasons += [f"  And {len(rest) - SHOWN} more."] if len(rest) > SHOWN else []
    if spare is not None:
        reasons.append(f"  redkeep's own messages and records go to {spare}.")
    if chosen.locked:
        reasons.append(f"  It wants a password: set {PASSWORD} in the environment of everything that is redkeep.")
    host = host_named(hostname)
    return Proposal(
        server=_address(chosen),
        control=_database(_address(spare or chosen)),
        data_dir=chosen.data_dir,
        host=host,
        minutes=minutes_of(host),
        found=masked_url(chosen.url),
        reasons=tuple(reasons),
    )


def _address(found: Found) -> str:
    """
    >>> _address(Found("redis://127.0.0.1:6379", locked=True)), _address(Found("unix:///run/r.sock", locked=True))
    ('redis://:${REDIS_PASSWORD}@127.0.0.1:6379', 'unix://:${REDIS_PASSWORD}@/run/r.sock')
    """
    return found.url.replace("://", f"://:${{{PASSWORD}}}@", 1) if found.locked and "@" not in found.url else found.url


def _database(address: str) -> str:
    return address if address.startswith("unix:") or re.search(r":\d+/\d+$", address) else f"{address}/0"


def host_named(hostname: str) -> str:
    """A host's name as [[target]] host takes it; empty where it cannot.

    >>> host_named("db1.example.com"), host_named("-")
    ('db1', '')
    """
    short = hostname.partition(".")[0]
    return short if is_target(short) else ""


def minutes_of(host: str) -> dict[str, int]:
    """The minute of each task on this host: hosts differ, so that they do not all ask one store at once; and on one
    host no two tasks have the same.

    >>> minutes_of("db1") == minutes_of("db1") != minutes_of("db2")
    True
    """
    start = zlib.crc32(host.encode())
    for shift in range(start, start + 60):
        found = {task: (minute + shift) % 60 for task, minute in SPREAD.items()}
        if not TAKEN & set(found.values()):
            return found
    raise AssertionError("some shift always fits")
