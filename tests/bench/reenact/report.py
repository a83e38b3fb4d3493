"""docs/reenactment.md and its picture: what was done, and what came of it, for better and for worse."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench.reenact.chart import chart
from tests.bench.reenact.ours import OBJECTIVE
from tests.bench.reenact.stage import NEGLECTED, SAVE, Stage
from tests.bench.reenact.watching import GROWTH, RATE, Act, Backup, Second
from tests.bench.table import Table, versions, where
from tests.bench.tools import located

__all__ = ["report"]

DOCS = Path(__file__).parents[3] / "docs"
NONE = Backup(0, 0)
BETTER = 3
"""Asked for: p99 and the worst second so many times better."""
WORDS = """\
# The outage, re-enacted

Written by `make reenact`, as measured. Write nothing here by hand.

A site saved its Redis every five minutes and shipped the file every hour: `cp`, `gzip`, encrypt, upload. The data grew,
the jobs met, the machine swapped. Here the same is done to a Redis of {megabytes} MB that are in use and {neglected} MB
that nobody asks for any more, faster: save points `{save}`, the cron once a minute. Then redkeep comes to the same
Redis under the same load: `enforce` switches AOF on and the save points off, then come a backup and a tidy once a
minute and an AOF rewrite every three minutes, by beat and workers. An hour takes a minute: what nobody asked for in an
"hour" is tidied away.

- Load: {rate} requests a second, four reads to a write; half of the writes are new, so that the data grows by
  {growth:.1f} MB a second. Latency counts from when a request was due. The load goes on all the time; it is looked at
  from the first backup on.
- Machine: {machine}
- Elsewhere, and so without a bound, and the S3 server behind everything else: the load, the S3 server, the control
  Redis. In truth they share the processors and the disk.
- At the end of each act the server is killed (`kill -9`) and started again.

![both acts, second by second](images/reenactment.svg)
"""


def report(acts: Sequence[Act], stage: Stage, history: str) -> str:
    """Write both, and give the text. ``history``: what redkeep says of its own runs."""
    bound, limit = stage.bound, stage.limit
    machine = f"everything of it within {limit / 1e6:.0f} MB, page cache included, and beside them {bound.swap}."
    if bound.why_not:
        machine = f"not bounded: {bound.why_not}."
    words = WORDS.format(
        megabytes=stage.megabytes,
        neglected=round(NEGLECTED * stage.megabytes),
        save=SAVE,
        rate=RATE,
        growth=RATE / 5 * GROWTH * stage.piece / 1e6,
        machine=machine,
    )
    table = Table(("", *(act.name for act in acts)), [(name, *map(of, acts)) for name, of in ROWS])
    told = [*versions(*filter(None, map(located, ("redis-server", "age", "rclone", "gzip")))), where()]
    text = "\n".join(
        [
            words,
            str(table),
            "",
            _verdict(*acts),
            f"- redkeep's own history: {history}",
            "",
            f"Measured: {'; '.join(reversed(told))}.",
            "",
        ]
    )
    picture = chart(acts, OBJECTIVE, 0 if bound.why_not else limit)
    (DOCS / "images").mkdir(exist_ok=True)
    (DOCS / "images" / "reenactment.svg").write_text(picture)
    (DOCS / "reenactment.md").write_text(text)
    return text


def _worst_second(act: Act) -> float:
    """The highest p99 that one second had, in milliseconds."""
    return max(second.felt.p99 for second in act.seconds if math.isfinite(second.felt.p99))


def _beyond(milliseconds: float) -> Callable[[Act], str]:
    return lambda act: str(sum(second.felt.p99 > milliseconds for second in act.seconds))


def _most(value: Callable[[Second], float], unit: float = 1, digits: int = 0) -> Callable[[Act], str]:
    return lambda act: f"{max(value(second) for second in act.seconds) / unit:.{digits}f}"


def _spans(seconds: list[float]) -> str:
    if not seconds:
        return "none"
    return f"{len(seconds)}: {statistics.median(seconds):.1f} s, longest {max(seconds):.1f} s"


def _oldest(act: Act) -> float:
    return max(second.age for second in act.seconds if math.isfinite(second.age))


ROWS: tuple[tuple[str, Callable[[Act], str]], ...] = (
    ("requests served a second", lambda act: f"{(act.whole.requests - act.whole.failed) / act.length:.0f}"),
    ("not served", lambda act: str(act.whole.failed)),
    ("data at the end, MB", lambda act: f"{act.seconds[-1].data / 1e6:.0f}"),
    ("p50, ms", lambda act: f"{act.whole.p50:.2f}"),
    ("p99, ms", lambda act: f"{act.whole.p99:.2f}"),
    ("p99.9, ms", lambda act: f"{act.whole.p999:.1f}"),
    ("worst, ms", lambda act: f"{act.whole.worst:.0f}"),
    ("p99 of the worst second, ms", lambda act: f"{_worst_second(act):.1f}"),
    ("seconds with a p99 above 10 ms", _beyond(10)),
    ("saves", lambda act: _spans(act.saves)),
    ("AOF rewrites", lambda act: _spans(act.rewrites)),
    ("saves and rewrites that failed", lambda act: str(act.failed)),
    ("seconds with a child at work", lambda act: str(sum(each.saving or each.rewriting for each in act.seconds))),
    ("copied on write at once, MB", _most(lambda second: second.copied, 1e6)),
    ("memory in use, at most, MB", _most(lambda second: second.usage, 1e6)),
    ("swapped out, at most, MB", _most(lambda second: second.swapped, 1e6)),
    ("AOF, at most, MB", _most(lambda second: second.aof, 1e6)),
    ("backups", lambda act: str(len(act.backups))),
    ("a backup, stored, MB", lambda act: f"{statistics.median(each.size for each in act.backups or [NONE]) / 1e6:.0f}"),
    ("age of the newest backup, at most, s", lambda act: f"{_oldest(act):.0f}"),
    ("processes killed for want of memory", lambda act: str(act.killed)),
    ("keys lost by kill -9", lambda act: str(act.lost)),
    ("back after kill -9, s", lambda act: f"{act.down:.1f}"),
)


def _verdict(old: Act, ours: Act) -> str:
    """What was asked for, and what came."""
    p99, second = old.whole.p99 / ours.whole.p99, _worst_second(old) / _worst_second(ours)
    return "\n".join(
        [
            f"- p99: {p99:.1f} times better (asked: at least {BETTER}{'; missed' if p99 < BETTER else ''})",
            f"- p99 of the worst second: {second:.1f} times better "
            f"(asked: at least {BETTER}{'; missed' if second < BETTER else ''})",
            f"- age of a backup: {_oldest(ours):.0f} s at most (asked: never above {OBJECTIVE}"
            f"{'; missed' if _oldest(ours) > OBJECTIVE else ''})",
            f"- saves and rewrites that failed under redkeep: {ours.failed} (asked: none)",
        ]
    )
