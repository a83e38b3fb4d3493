"""Where the bytes are: a random sample of the keys, and what it says of all of them.

Files, in reading order:
    groups.py      told apart by prefix, type, time to live, age; the biggest
    patterns.py    which globs describe keys best
    rules.py       what each rule of tidy would free
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from tasks import sample
from tasks.estimate import Estimate
from tasks.facts import NEEDS, NEVER, KeyFacts, shown
from tasks.memory.groups import Group, biggest, by, estimated, freq_of, idle_of, prefixes, ttl_of
from tasks.memory.rules import freed, must_be_counted
from tasks.sample import Sample
from tasks.server import Checkpoint, Server
from tasks.tidy.policy import Policy

__all__ = ["Group", "Memory", "survey"]

BESIDE_KEYS = (
    "used_memory_startup",
    "mem_clients_normal",
    "mem_clients_slaves",
    "mem_replication_backlog",
    "mem_aof_buffer",
    "used_memory_scripts",
)
"""Fields of INFO memory for what is in use and is no key."""
TABLE = 48
"""Bytes of hash table for one key that MEMORY USAGE leaves out: its slot in a table at most doubled, and its entry
among those that expire (dict.h)."""
NOTABLE = 0.05
"""The share of the used memory, and never less than 1 MiB, from which on it is told that something is unseen."""


@dataclass(frozen=True)
class Memory:
    """One look at a server's memory.

    Attributes:
        used: bytes, as INFO memory says it; `dataset` those that are no buffers, tables or code.
        bytes: what all keys weigh together.
        unseen: bytes in use that neither these keys nor buffers account for: what a few huge keys that no draw met may
            well be. 0 where the difference is within the error.
        sections: groups of keys by what they have in common, heaviest first or in their natural order.
        rules: what each rule of tidy would free; `unjudged` are those that ask for both idle time and the number of
            elements, where counting these makes a key young (before 7.2).
    """

    server: str
    used: int
    dataset: int
    policy: str
    taken: Sample
    bytes: Estimate
    unseen: int
    sections: dict[str, list[Group]]
    biggest: list[KeyFacts]
    rules: list[Group]
    unjudged: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {
            "server": self.server,
            "used_memory": self.used,
            "used_memory_dataset": self.dataset,
            "maxmemory_policy": self.policy,
            "keys": self.taken.population,
            "keys_by_database": {str(each): number for each, number in self.taken.by_database.items()},
            "sampled": len(self.taken.draws),
            "exact": self.taken.exact,
            "bytes": self.bytes.rounded(),
            "unseen_bytes": self.unseen,
            "sections": {name: [_group(each) for each in groups] for name, groups in self.sections.items()},
            "biggest": [_key(each) for each in self.biggest],
            "rules": [_group(each) for each in self.rules],
            "rules_unjudged": list(self.unjudged),
        }


def survey(
    server: Server, count: int, policy: Policy | None = None, checkpoint: Checkpoint = lambda: None
) -> Memory:
    """Draw so many keys and see what they say. Where counting its elements makes a key young (before 7.2), only those
    are counted of which a rule asks for it."""
    facts, info = server.facts(), server.info("memory")
    policy = policy or Policy((), ())
    touchless = server.touchless()
    countable = (lambda facts: True) if touchless else partial(must_be_counted, policy)
    taken = sample.take(server, count, NEEDS, countable=countable, checkpoint=checkpoint)
    _, weight = estimated(taken, [each.bytes or 0 for each in taken.draws])
    seconds, _ = server.ask("TIME")
    lfu = "lfu" in info.get("maxmemory_policy", "")
    return Memory(
        server=f"{facts.name} {facts.version} at {server.shown}",
        used=int(info["used_memory"]),
        dataset=int(info.get("used_memory_dataset", 0)),
        policy=info.get("maxmemory_policy", ""),
        taken=taken,
        bytes=weight,
        unseen=_unseen(info, taken, weight),
        sections={
            "prefix": prefixes(taken),
            "type": by(taken, [str(each.type) for each in taken.draws]),
            "ttl": ttl_of(taken),
            **({"freq": freq_of(taken)} if lfu else {"idle": idle_of(taken)}),
        },
        biggest=biggest(taken),
        rules=freed(taken, policy, float(seconds)),
        unjudged=tuple(rule.name for rule in policy.rules if not touchless and {"idle", "elements"} <= rule.needs),
    )


def _unseen(info: dict[str, str], taken: Sample, weight: Estimate) -> int:
    if taken.exact:
        return 0
    used = int(info["used_memory"])
    beside = sum(int(info.get(field, 0)) for field in BESIDE_KEYS) + taken.population * TABLE
    left = int(used - beside - weight.high) if taken.draws else 0
    return left if left > max(NOTABLE * used, 2**20) else 0


def _group(group: Group) -> dict[str, Any]:
    sizes = {"keys": group.keys.rounded(), "bytes": group.bytes.rounded()}
    return {"name": group.name, **sizes, "share": round(group.share, 4)}


def _key(facts: KeyFacts) -> dict[str, Any]:
    return {
        "database": facts.database,
        "key": shown(facts.key),
        "type": facts.type,
        "bytes": facts.bytes,
        "elements": facts.elements,
        "ttl": None if facts.ttl == NEVER else facts.ttl,
        "idle": facts.idle,
        "freq": facts.freq,
    }
