"""All ways of making a backup, one after the other, round after round, beneath a site that goes on asking."""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import dataclass, field

from tests.bench.bed import Bed, bed
from tests.bench.cost import Cost
from tests.bench.foreground import Foreground, Latencies, Site
from tests.bench.table import Table, asked, publish, versions
from tests.bench.tools import located
from tests.bench.ways import BASE, EXPLAINED, FOLLOW, PIPES, RESTICS, TOOLS, WAYS, Way, shell

__all__ = ["race"]

RATE = 1000
"""Requests a second that the site asks for."""
IDLE = 10.0
"""Seconds of each round in which nothing but the site goes on."""
TIMES_BASE, MEGABYTES = 1.25, 250.0
"""What was asked of `follow`: at most so many times the server's own save with compression off; so much memory."""
COSTS = """\
CPU seconds are of all that took part (the Redis with its saving child, the S3 server, everything of ours), less what
the Redis needs for the site's requests anyway. Memory is the peak of what is neither Redis nor S3 server, shared pages
counted once."""
FELT = f"""\
What a site felt meanwhile that asked for {RATE} things a second, four reads to a write: milliseconds from the moment a
request was due to its answer. Medians of the rounds; worst is the worst of all."""


@dataclass
class Figures:
    """A way's, or the idle time's: one of each for a round."""

    seconds: list[float] = field(default_factory=list)
    stored: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    windows: list[tuple[float, float]] = field(default_factory=list)

    def note(self, cost: Cost, idle_cpu: float, stored: float) -> None:
        self.seconds.append(cost.seconds)
        self.cpu.append(cost.cpu - idle_cpu * cost.seconds)
        self.memory.append(cost.peak)
        self.stored.append(stored)
        self.windows.append((cost.began, cost.ended))

    def felt(self, site: Foreground) -> Latencies:
        rounds = [site.latencies(*window) for window in self.windows]
        median = {name: statistics.median(getattr(each, name) for each in rounds) for name in ("p50", "p99", "p999")}
        worst, failed = max(each.worst for each in rounds), sum(each.failed for each in rounds)
        return Latencies(sum(each.requests for each in rounds), **median, worst=worst, failed=failed)


def race(gigabytes: float, rounds: int) -> None:
    """Run it and publish it."""
    there = [way for way in WAYS if not way.missing]
    with bed(gigabytes) as made:
        used = made.site.info("memory")["used_memory"] / 1e9
        with Foreground(made.url, rate=RATE, load=Site(made.megabytes)) as site:
            idle, seen = _measured(made, there, rounds)
        made.save()
        rdb = (made.folder / "dump.rdb").stat().st_size / 1e6
    felt = {"idle": idle.felt(site)} | {name: figures.felt(site) for name, figures in seen.items()}
    publish(
        "ways",
        f"Ways of making a backup: {used:.2f} GB of used memory, an RDB of {rdb:.0f} MB, {rounds} rounds",
        EXPLAINED,
        COSTS,
        _costs(seen),
        FELT,
        _felt(felt),
        _verdict(seen, felt),
        used=versions(*filter(None, map(located, TOOLS))),
    )


def _measured(made: Bed, there: list[Way], rounds: int) -> tuple[Figures, dict[str, Figures]]:
    idle, seen = Figures(), {way.name: Figures() for way in there}
    for round_ in range(1, rounds + 1):
        idle_cpu = _idle(made, idle)
        for way in there:
            _before(made, way, round_)
            with Cost(made.standing) as cost:
                way.go(made, cost, round_)
            seen[way.name].note(cost, idle_cpu, _taken(made, way, cost.began))
            print(f"round {round_}: {way.name}: {cost.seconds:.2f} s", flush=True)
    made.site.config_set("rdbcompression", "yes")
    return idle, seen


def _idle(made: Bed, idle: Figures) -> float:
    """CPU seconds a second that go by with nothing but the site's requests."""
    with Cost(made.standing) as cost:
        time.sleep(IDLE)
    idle.note(cost, 0, 0)
    return cost.cpu / cost.seconds


def _before(made: Bed, way: Way, round_: int) -> None:
    """Off the clock: what the way needs; and no way pays for the last one's unwritten pages."""
    made.site.config_set("rdbcompression", "yes" if way.server_compression else "no")
    if way.before:
        shell(way.before)(made, Cost(()), round_)
    os.sync()


def _taken(made: Bed, way: Way, began: float) -> float:
    """Megabytes that it has stored since then (monotonic); removed, but for a repository that is to be found again."""
    if not way.stored:
        return 0.0
    since = time.time() - (time.monotonic() - began)
    files = [path for path in (made.bucket / way.stored).rglob("*") if path.is_file()]
    stored = sum(path.stat().st_size for path in files if path.stat().st_ctime >= since)
    if not way.kept:
        for path in files:
            path.unlink()
    return stored / 1e6


# -- the tables ----------------------------------------------------------------------------------------------


def _costs(seen: dict[str, Figures]) -> Table:
    base = statistics.median(seen[BASE].seconds)
    rows = []
    for name, figures in seen.items():
        seconds, stored, cpu, memory = (
            statistics.median(each) for each in (figures.seconds, figures.stored, figures.cpu, figures.memory)
        )
        told = (f"{value:.0f}" if value else "" for value in (stored, memory))
        rows.append((name, f"{seconds:.2f}", f"{seconds / base:.2f}", f"{cpu:.1f}", *told))
    rows += [(way.name, f"not installed: {', '.join(way.missing)}", *[""] * 4) for way in WAYS if way.missing]
    return Table(("way", "seconds", "times BGSAVE, compression off", "CPU seconds", "MB stored", "peak MB"), rows)


def _felt(felt: dict[str, Latencies]) -> Table:
    rows = [
        (name, f"{each.p50:.2f}", f"{each.p99:.2f}", f"{each.p999:.1f}", f"{each.worst:.0f}", each.failed)
        for name, each in felt.items()
    ]
    return Table(("while", "p50", "p99", "p99.9", "worst", "not served"), rows)


def _verdict(seen: dict[str, Figures], felt: dict[str, Latencies]) -> str:
    """What was asked for beside what came."""
    seconds = {name: statistics.median(figures.seconds) for name, figures in seen.items()}
    others = {name: seconds[name] for name in seconds if name not in (BASE, "BGSAVE", FOLLOW) and "redkeep" not in name}
    rivals = [name for name in (*PIPES, *RESTICS) if name in felt]
    lines = [
        f"- `follow` beside the server's own save: {asked(seconds[FOLLOW] / seconds[BASE], TIMES_BASE, ' times')}",
        f"- peak memory of `follow`: {asked(statistics.median(seen[FOLLOW].memory), MEGABYTES, ' MB')}",
    ]
    if others:
        fastest = min(others, key=others.__getitem__)
        lines.append(
            f"- fastest of the others: {fastest}, {others[fastest] / seconds[FOLLOW]:.2f} times as long as `follow`"
        )
    if rivals:
        calmest = min(rivals, key=lambda name: felt[name].p99)
        theirs = f"calmest of pipe and restic: {calmest}, {felt[calmest].p99:.2f} ms"
        lines.append(f"- p99 felt: `follow` {felt[FOLLOW].p99:.2f} ms; {theirs}")
    return "\n".join(lines)
