"""Which snapshots stay and which go, and why. Pure: the same answers for a dry run, a real run and a test.

A rule like ``daily = 30`` keeps one snapshot, the newest, of each of the last thirty days that have any. Days without
a backup do not count, so a policy never empties a store while nothing new comes. All buckets are in UTC; weeks are
ISO 8601's, from Monday on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from tasks.settings.targets import Keep

__all__ = ["SKEW", "Decision", "Snapshot", "decide", "newest_known", "shrunk"]

SKEW = timedelta(minutes=15)
"""By how much the clocks of a worker and of whoever decides may differ."""


@dataclass(frozen=True)
class Snapshot:
    """What a decision needs to know of one snapshot.

    Attributes:
        created: when it was taken, as its manifest says; None where that cannot be known.
        bytes: of the plain RDB.
        problem: why its manifest cannot be read or trusted; nothing else is known of it then.
        verified: it was looked at, and was whole the last time.
        drilled: its last drill brought it back, and it has not been found broken since.
        failed: it was looked at, and was not whole the last time.
        held: why somebody wants it kept; None where nobody does.
        settled: it, and what came before it, is not suspected of having lost data.
        tidied: bytes that tidy removed from the data set between the snapshot before and this one.
    """

    id: str
    created: datetime | None = None
    bytes: int = 0
    problem: str = ""
    verified: bool = False
    drilled: bool = False
    failed: bool = False
    held: str | None = None
    settled: bool = False
    tidied: int = 0


@dataclass(frozen=True)
class Decision:
    """What becomes of a snapshot, and all the reasons for it."""

    snapshot: Snapshot
    action: Literal["keep", "remove"]
    reasons: tuple[str, ...]


def decide(snapshots: Iterable[Snapshot], keep: Keep, now: datetime, *, frozen: str = "") -> list[Decision]:
    """Each snapshot's fate, newest first.

    Whatever `keep` says: the newest verified snapshot stays, the newest drilled one (which carries the proof that a
    restore works), and the last ``keep.last``; so does what is held, and what cannot be judged (unreadable manifest,
    impossible age). Snapshots that failed their verification never stand in for others: where a bucket has a better
    one, that one is kept.

    Args:
        frozen: why nothing may go at all; see :func:`shrunk`.
    """
    everything = sorted(snapshots, key=_place, reverse=True)
    unknown = {each.id: why for each in everything if (why := _unknown(each, now))}
    known = [each for each in everything if each.id not in unknown]
    reasons: dict[str, list[str]] = {each.id: [] for each in everything}
    for snapshot_id, why in unknown.items():
        reasons[snapshot_id].append(why)
    for each in everything:
        if each.held is not None:
            reasons[each.id].append(f"held: {each.held}")
    for proven in ("verified", "drilled"):
        newest = next((each for each in known if getattr(each, proven)), None)
        if newest is not None:
            reasons[newest.id].append(f"the newest that is {proven}")
    for snapshot, why in _by_rule(known, keep):
        reasons[snapshot.id].append(why)
    return [_decision(each, reasons[each.id], frozen) for each in everything]


def shrunk(snapshots: Iterable[Snapshot], share: float, now: datetime) -> str:
    """What there is to say of a snapshot that lost more than `share` of its bytes against the one before, and that
    nobody has settled since; nothing where there is none. What tidy removed in between is no loss."""
    known = sorted((each for each in snapshots if not _unknown(each, now)), key=_place)
    found = ""
    for before, after in zip([None, *known], known, strict=False):
        if before is not None and not found and after.bytes + after.tidied < before.bytes * (1 - share):
            lost = 1 - (after.bytes + after.tidied) / before.bytes
            found = f"backup {after.id} is {lost:.0%} smaller than {before.id} before it"
        if after.settled:
            found = ""
    return found


def newest_known(snapshots: Iterable[Snapshot], now: datetime) -> Snapshot | None:
    """The newest whose age and size are known; None where there is none."""
    return max((each for each in snapshots if not _unknown(each, now)), key=_place, default=None)


def _decision(snapshot: Snapshot, reasons: list[str], frozen: str) -> Decision:
    if reasons:
        return Decision(snapshot, "keep", tuple(reasons))
    if frozen:
        return Decision(snapshot, "keep", (f"frozen: {frozen}",))
    why = "its verification failed, and better ones are kept" if snapshot.failed else "no rule keeps it"
    return Decision(snapshot, "remove", (why,))


def _place(snapshot: Snapshot) -> tuple[datetime, str]:
    return snapshot.created or datetime.min.replace(tzinfo=UTC), snapshot.id


def _unknown(snapshot: Snapshot, now: datetime) -> str:
    """Why a snapshot can be neither counted nor removed."""
    if snapshot.problem:
        return f"its manifest does not tell: {snapshot.problem}"
    if snapshot.created is None:
        return "its age cannot be known"
    if snapshot.created > now + SKEW:
        return "its age cannot be known: it says that it was taken in the future"
    return ""


# -- the rules -------------------------------------------------------------------------------------------


def _hour(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H}h"


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"


def _week(moment: datetime) -> str:
    """
    >>> _week(datetime(2027, 1, 3, tzinfo=UTC))
    '2026-W53'
    """
    year, week, _ = moment.isocalendar()
    return f"{year}-W{week:02}"


def _month(moment: datetime) -> str:
    return f"{moment:%Y-%m}"


BUCKETS: tuple[tuple[str, Callable[[datetime], str]], ...] = (
    ("hourly", _hour),
    ("daily", _day),
    ("weekly", _week),
    ("monthly", _month),
)


def _by_rule(known: Sequence[Snapshot], keep: Keep) -> list[tuple[Snapshot, str]]:
    """Each snapshot that a rule keeps, with the rule. `known` is newest first."""
    last = known[: keep.last]
    found = [(each, f"last {number} of {keep.last}") for number, each in enumerate(last, 1)]
    sound = [each for each in known if not each.failed][: keep.last]
    found += [(each, f"one of the last {keep.last} that did not fail") for each in sound if each not in last]
    for rule, name in BUCKETS:
        wanted = getattr(keep, rule)
        for number, (bucket, each) in enumerate(_buckets(known, name, wanted), 1):
            found.append((each, f"{rule} {number} of {wanted} ({bucket})"))
    return found


def _buckets(known: Sequence[Snapshot], name: Callable[[datetime], str], wanted: int) -> list[tuple[str, Snapshot]]:
    """The newest of each of the newest buckets; a failed one only where its bucket has no other."""
    best: dict[str, Snapshot] = {}
    for each in known:
        assert each.created is not None  # noqa: S101 - known means that it is
        bucket = name(each.created.astimezone(UTC))
        if bucket not in best:
            if len(best) == wanted:
                break
            best[bucket] = each
        elif best[bucket].failed and not each.failed:
            best[bucket] = each
    return list(best.items())
