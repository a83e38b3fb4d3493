"""A random sample of a server's keys, and the facts of each, without making a key young by looking at it.

Drawn with RANDOMKEY, so many in each database as its share of the keys asks for. It is not quite uniform: a key's
place in the hash table decides, and over the keys of one server the chance was measured to differ by 26 % to either
side (standard deviation; Redis 6.2 to 8.2, from 50 draws of each of 6,000 to 16,000 keys; Valkey 9: 0 %). That place
is the key's hash with the server's secret in it, so no kind of key is preferred, and an estimated share is off by
0.26 / sqrt(keys) beside its own error, which no sample that is worth drawing can notice. SCAN from random cursors was
four times as fast, differed by 30 %, and is nothing that the documentation allows.

What looking does: TYPE, PTTL, OBJECT and MEMORY USAGE never make a key young; LLEN and its like do, except where the
server has CLIENT NO-TOUCH (from 7.2). Idle time is asked for first in any case.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import redis

from tasks.estimate import Estimate, exactly, share
from tasks.facts import NEVER, KeyFacts
from tasks.server import Checkpoint, Server, Word, parse_keyspace

__all__ = ["Sample", "look", "take"]

T = TypeVar("T")
Countable = Callable[[KeyFacts], bool]

BATCH = 100
"""Keys drawn or looked at in one write: well below a millisecond of the server's time, and other clients' turn is in
between."""
ELEMENTS = {"list": "LLEN", "hash": "HLEN", "set": "SCARD", "zset": "ZCARD", "stream": "XLEN"}
MEMORY_SAMPLES = 5
"""Elements that MEMORY USAGE looks at; of all of them it took 300 ms for one large key."""


@dataclass(frozen=True)
class Sample:
    """Equally likely draws from a population of keys; the same key may be drawn twice.

    Attributes:
        exact: the population was small enough to look at every key, so each was drawn once and nothing is estimated.
        by_database: how many keys each of the databases has.
    """

    draws: tuple[KeyFacts, ...]
    by_database: dict[int, int]
    exact: bool

    @property
    def population(self) -> int:
        return sum(self.by_database.values())

    def share(self, picks: Callable[[KeyFacts], bool]) -> Estimate:
        """Which share of the population is like those that `picks` picks."""
        hits = sum(map(picks, self.draws))
        if self.exact:
            return exactly(hits / len(self.draws) if self.draws else 0.0)
        return share(hits, len(self.draws))


def take(
    server: Server,
    count: int,
    needs: Collection[str],
    *,
    databases: Collection[int] | None = None,
    countable: Countable = lambda facts: True,
    checkpoint: Checkpoint = lambda: None,
    rng: random.Random | None = None,
) -> Sample:
    """Draw `count` keys of the server and look at them; all keys, once each, where there are no more than that.

    The connection is then in one of the databases that were looked into.

    Args:
        needs: which facts, by their names in `tasks.facts.NEEDS`.
        databases: only these; else all.
        countable: whose elements are counted, where those are needed.
        checkpoint: called for every batch.
    """
    keys, _ = parse_keyspace(server.ask("INFO", "keyspace"))
    there = {int(each): number for each, number in keys.items() if databases is None or int(each) in databases}
    exact = sum(there.values()) <= count
    server.touchless()
    draws: list[KeyFacts] = []
    for database, number in there.items() if exact else _allotted(there, count, rng or random.Random()):  # noqa: S311
        server.ask("SELECT", database)
        drawn = Counter(_all(server, checkpoint) if exact else _drawn(server, number, checkpoint))
        for batch in _batches(list(drawn)):
            checkpoint()
            for facts in look(server, database, batch, needs, countable):
                if facts is not None:
                    draws += [facts] * (1 if exact else drawn[facts.key])
    return Sample(tuple(draws), there, exact)


def _allotted(there: dict[int, int], count: int, rng: random.Random) -> Iterator[tuple[int, int]]:
    """How many draws each database gets: by chance, so that one too small for a whole draw is not left out."""
    drawn = Counter(rng.choices(list(there), weights=list(there.values()), k=count))
    yield from sorted(drawn.items())


def _drawn(server: Server, number: int, checkpoint: Checkpoint) -> Iterator[bytes]:
    for batch in _batches([("RANDOMKEY",)] * number):
        checkpoint()
        yield from (key for key in server.answers(batch) if key is not None)  # None: the database is empty by now


def _all(server: Server, checkpoint: Checkpoint) -> set[bytes]:
    """Every key of the selected database; SCAN may tell one twice."""
    found: set[bytes] = set()
    cursor: Word = 0
    while True:
        checkpoint()
        cursor, keys = server.ask("SCAN", cursor, "COUNT", BATCH)
        found.update(keys)
        if int(cursor) == 0:
            return found


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[at : at + BATCH] for at in range(0, len(items), BATCH))


# -- facts ----------------------------------------------------------------------------------------------


def look(
    server: Server,
    database: int,
    keys: Sequence[bytes],
    needs: Collection[str],
    countable: Countable = lambda facts: True,
) -> list[KeyFacts | None]:
    """The facts of these keys of the selected database, in their order; None where one is gone by now.

    Two writes at most; `Server.touchless` is the caller's to say. A fact that this server does not keep stays None:
    idle under an LFU policy, freq under any other.
    """
    wanted = {"type", *needs, *({"owners"} if "idle" in needs else ())}
    asked = [fact for fact in COMMANDS if fact in wanted]
    commands = [COMMANDS[fact](key) for key in keys for fact in asked]
    told = iter(_told(server, commands))
    found = [_facts(database, key, {fact: next(told) for fact in asked}) for key in keys]
    return _with_elements(server, found, countable) if "elements" in needs else found


def _told(server: Server, commands: Sequence[Sequence[Word]]) -> Iterator[Any]:
    """The answers; None where the server does not keep that, or not for a key of that type."""
    for command, reply in zip(commands, server.replies(commands), strict=True):
        if not isinstance(reply, redis.ResponseError):
            yield reply
        elif "maxmemory policy" in str(reply) or str(reply).startswith("WRONGTYPE"):
            yield None
        else:
            raise server.refusal(reply, command)


# Idle and freq first: what comes after may make the key young.
COMMANDS: dict[str, Callable[[bytes], tuple[Word, ...]]] = {
    "idle": lambda key: ("OBJECT", "IDLETIME", key),
    "owners": lambda key: ("OBJECT", "REFCOUNT", key),
    "freq": lambda key: ("OBJECT", "FREQ", key),
    "type": lambda key: ("TYPE", key),
    "ttl": lambda key: ("PTTL", key),
    "bytes": lambda key: ("MEMORY", "USAGE", key, "SAMPLES", MEMORY_SAMPLES),
}


def _facts(database: int, key: bytes, told: dict[str, Any]) -> KeyFacts | None:
    kind, left = told["type"].decode(), told.pop("ttl", None)
    if kind == "none" or left == -2:
        return None
    if (told.pop("owners", None) or 1) > 1:  # one object for all keys with this small number, before 8.2: not its own
        told["idle"] = None
    ttl = left if left is None else NEVER if left == -1 else left / 1000
    return KeyFacts(database, key, **(told | {"type": kind, "ttl": ttl}))


def _with_elements(server: Server, found: list[KeyFacts | None], countable: Countable) -> list[KeyFacts | None]:
    wanted = [(at, each) for at, each in enumerate(found) if each and each.type in ELEMENTS and countable(each)]
    counts = _told(server, [(ELEMENTS[str(each.type)], each.key) for _, each in wanted])
    for (at, each), elements in zip(wanted, counts, strict=True):
        found[at] = each._replace(elements=elements)
    return found
