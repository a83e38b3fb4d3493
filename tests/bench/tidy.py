"""Tidy beside the usual way and its alternatives: keys a second, and what a client that goes on asking notices."""

from __future__ import annotations

import math
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from tasks.demo.lifelike import fill
from tasks.demo.machine import Machine
from tasks.facts import NEVER
from tasks.glob import Glob
from tasks.pace import Pace
from tasks.server import Server
from tasks.tidy.policy import Action, Policy, Rule
from tasks.tidy.safety import time_of
from tasks.tidy.sweep import Sweep
from tests.bench.foreground import Foreground, Latencies, Site
from tests.bench.table import Table, asked, publish, versions

__all__ = ["tidy"]

MEGABYTES, RATE = 50, 1000
"""The site that asks all the while: its data, and requests a second."""
VALUE = 200
ELEMENTS = 5_000_000
LATENCY = 0.005
"""[target.tidy] max_latency, its default."""
FASTER, PACED, JUDGED, WORST, PEAK = 8, 3, 150_000, 20.0, 150
"""What was asked for: times the usual way's keys a second with the pace off and on, keys judged a second, milliseconds
of the worst answer while a huge key goes, MB of memory."""
EVERY = Rule("all", Glob("junk:*"), Action("delete"))
RARE = Rule("idle", Glob("junk:*"), Action("delete"), idle=30 * 86_400, ttl=NEVER)
LUA = """
local found = redis.call('SCAN', ARGV[1], 'MATCH', 'junk:*', 'COUNT', 1000)
for _, key in ipairs(found[2]) do redis.call('UNLINK', key) end
return found[1]
"""
JUDGE = """
local found, idle = redis.call('SCAN', ARGV[1], 'MATCH', 'junk:*', 'COUNT', 1000), 0
for _, key in ipairs(found[2]) do
  if redis.call('OBJECT', 'IDLETIME', key) >= 2592000 and redis.call('PTTL', key) == -1 then idle = idle + 1 end
end
return found[1]
"""


def tidy(keys: int) -> None:
    """Publish the tables, with so many keys that go."""
    with _site() as url:
        idle = _noticed(url, lambda: time.sleep(5))[1]
        removing = {name: _noticed(url, lambda way=way: way(url), keys) for name, way in REMOVING.items()}
        judging = {name: _noticed(url, lambda way=way: way(url), keys) for name, way in JUDGING.items()}
        huge = {
            name: _noticed(url, lambda rule=rule: sweep(url, rule, LATENCY), huge=rule.glob.pattern)
            for name, rule in HUGE.items()
        }
        _populate(url, keys)
        peak = _peak(url)
    speed = {name: keys / seconds for name, (seconds, _) in (removing | judging).items()}
    usual, ours, paced = speed[USUAL], speed["redkeep, pace off"], speed["redkeep, pace on"]
    bound = 2 * idle.p99 + 1
    publish(
        "tidy",
        f"Removing {keys:,} keys",
        f"Beneath {RATE} requests a second to another {MEGABYTES} MB of the same server; alone they take {idle}.",
        Table(
            ("all keys called junk:*", "keys/s", "times the usual", "p50 ms", "p99 ms", "worst ms"),
            [
                (name, f"{speed[name]:,.0f}", f"{speed[name] / usual:.1f}", *_told(seen))
                for name, (_, seen) in removing.items()
            ],
        ),
        Table(
            ("idle for 30 days and without TTL: none", "keys/s", "p50 ms", "p99 ms", "worst ms"),
            [(name, f"{speed[name]:,.0f}", *_told(seen)) for name, (_, seen) in judging.items()],
        ),
        Table(
            (f"one key of {ELEMENTS:,} elements", "seconds", "p50 ms", "p99 ms", "worst ms"),
            [(name, f"{seconds:.1f}", *_told(seen)) for name, (seconds, seen) in huge.items()],
        ),
        f"- pace off, times the usual: {_at_least(ours / usual, FASTER)}\n"
        f"- pace on, times the usual: {_at_least(paced / usual, PACED)}\n"
        f"- pace on, p99: {asked(removing['redkeep, pace on'][1].p99, round(bound, 2), ' ms')}\n"
        f"- judged a second, pace off: {_at_least(speed['redkeep judges, pace off'], JUDGED)}\n"
        f"- worst answer while a huge key goes: {asked(max(seen.worst for _, seen in huge.values()), WORST, ' ms')}\n"
        f"- peak memory of the process: {asked(peak, PEAK, ' MB')}",
        used=versions("redis-server"),
    )


def _told(seen: Latencies) -> tuple[str, ...]:
    return f"{seen.p50:.2f}", f"{seen.p99:.2f}", f"{seen.worst:.1f}"


def _at_least(figure: float, limit: float) -> str:
    return f"{figure:,.3g} (asked: at least {limit:,}{'; missed' if figure < limit else ''})"


# -- the site ----------------------------------------------------------------------------------------------


@contextmanager
def _site() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="redkeep-bench-") as name, Machine(Path(name)) as machine:
        port = machine.redis("site", "--appendonly", "no", "--enable-debug-command", "yes")
        fill(redis.Redis(port=port), MEGABYTES)
        yield f"redis://127.0.0.1:{port}"


def _populate(url: str, keys: int) -> None:
    with redis.Redis.from_url(url, socket_timeout=600) as client:
        client.execute_command("DEBUG", "POPULATE", keys, "junk", VALUE)


def _enlarge(url: str, key: str) -> None:
    """One key of `ELEMENTS` elements."""
    add = "'ZADD', KEYS[1], i, 'm' .. i" if key == "zset" else "'RPUSH', KEYS[1], i"
    with redis.Redis.from_url(url, socket_timeout=600) as client:
        client.delete(key)
        for begin in range(0, ELEMENTS, 100_000):
            script = f"for i = ARGV[1] + 1, ARGV[1] + 100000 do redis.call({add}) end"
            client.eval(script, 1, key, begin)


def _noticed(url: str, work: Callable[[], object], keys: int = 0, huge: str = "") -> tuple[float, Latencies]:
    """The work's seconds, and what the site's client saw meanwhile."""
    if keys:
        _populate(url, keys)
    if huge:
        _enlarge(url, huge)
    with Foreground(url, rate=RATE, load=Site(MEGABYTES)) as site:
        time.sleep(1)
        began = time.monotonic()
        work()
        ended = time.monotonic()
    return ended - began, site.latencies(began, ended)


# -- ways --------------------------------------------------------------------------------------------------


def sweep(url: str, rule: Rule, max_latency: float) -> Sweep:
    with Server(url) as server, Server(url) as beside:
        server.touchless()
        pace = Pace(beside, max_latency=max_latency, until=math.inf)
        made = Sweep(server, pace, Policy((), (rule,)), time_of(server), False, math.inf, lambda _: None)
        made.run()
        return made


def usual(url: str) -> None:
    cli = f"redis-cli -p {shlex.quote(url.rpartition(':')[2])}"
    subprocess.run(f"{cli} --scan --pattern 'junk:*' | xargs -n 1000 {cli} unlink > /dev/null", shell=True, check=True)


def _scripted(url: str, script: str) -> None:
    client, cursor = redis.Redis.from_url(url), b"0"
    while (cursor := client.eval(script, 0, cursor)) != b"0":
        pass


def _pipelined(url: str, *facts: tuple[str, ...]) -> None:
    """SCAN, and for each key these commands, in pipelines; without any, UNLINK for all of them."""
    with Server(url) as server:
        cursor = b"0"
        while True:
            cursor, keys = server.ask("SCAN", cursor, "MATCH", "junk:*", "COUNT", 1000)
            if keys:
                server.answers([(*fact, key) for key in keys for fact in facts] or [("UNLINK", *keys)])
            if cursor == b"0":
                return


USUAL = "redis-cli --scan, xargs -n 1000 redis-cli unlink"
REMOVING: dict[str, Callable[[str], object]] = {
    USUAL: usual,
    "SCAN and UNLINK in pipelines": _pipelined,
    "SCAN and UNLINK in one script": lambda url: _scripted(url, LUA),
    "redkeep, pace off": lambda url: sweep(url, EVERY, math.inf),
    "redkeep, pace on": lambda url: sweep(url, EVERY, LATENCY),
}
JUDGING: dict[str, Callable[[str], object]] = {
    "OBJECT IDLETIME and PTTL in pipelines": lambda url: _pipelined(url, ("OBJECT", "IDLETIME"), ("PTTL",)),
    "the same in one script": lambda url: _scripted(url, JUDGE),
    "redkeep judges, pace off": lambda url: sweep(url, RARE, math.inf),
    "redkeep judges, pace on": lambda url: sweep(url, RARE, LATENCY),
}
HUGE = {
    f"{kind}, {what}": Rule("huge", Glob(kind), action, type=kind)
    for kind in ("list", "zset")
    for what, action in {"deleted": Action("delete"), "trimmed to 1000": Action("trim_to", 1000)}.items()
}


# -- memory ------------------------------------------------------------------------------------------------


def _peak(url: str) -> float:
    """MB that a process of its own takes at most, which judges and removes them all."""
    code = "import sys; from tests.bench import tidy; tidy.alone(sys.argv[1])"
    told = subprocess.run([sys.executable, "-c", code, url], capture_output=True, text=True, check=True).stdout
    return float(told)


def alone(url: str) -> None:
    """What :func:`_peak` runs. Every key is chosen by its facts, which is the most that there is to hold."""
    sweep(url, Rule("all", Glob("junk:*"), Action("delete"), ttl=NEVER), LATENCY)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)
