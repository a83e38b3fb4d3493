"""keep_copy: what a rule takes is shipped first, and only what was surely shipped and is unchanged since is removed.

    copies.take(database, rule, keys)      # copies them; may ship a segment and act on it
    copies.finish()                        # at the sweep's end: ships and acts on the rest

A segment is shipped and its manifest written; then one Lua call asks of each of its keys again: is its DUMP still that
long with that checksum, its expiry still that moment, and (where the rule asks for it) was it not used meanwhile?
Whatever has changed stays, and is noted beside the segment. Killed anywhere before the manifest: nothing was removed.
After it: what was removed is in the segment.

What DUMP does not tell, and what is done about it:
- the expiry is compared as well, to the millisecond (6.2, which tells only what is left: to `SLACK`).
- being read: idle time and LFU counter are asked again in the same call. Before 7.2 our own DUMP has made the key
  young, so it must be idle for as long as that is ago; a read within `BLUR` after it passes unnoticed, since idle time
  is kept in whole seconds.
- that nothing changed: a large hash or set whose table was being rebuilt may dump in another order. It stays, until the
  next run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from tasks.archive import LONGEST_KEY, LONGEST_PAYLOAD, LONGEST_SEGMENT, Record, Shipper
from tasks.errors import RedkeepError
from tasks.facts import shown
from tasks.server import Server, Word
from tasks.tidy.copy_scripts import COMPARE, COPY
from tasks.tidy.policy import Rule
from tasks.tidy.scripts import amount_of, conditions_of

__all__ = ["Ask", "Copies", "Taken"]

SEGMENT_BYTES, SEGMENT_KEYS = 16 * 2**20, 20_000
"""What a segment holds at most, keys and payloads together, before it is shipped: the memory it takes here."""
BATCH_BYTES, BATCH_KEYS = 256 * 2**10, 100
"""What is copied or compared in one call: about a millisecond of the server's time."""
SLACK = 5
"""Milliseconds by which an expiry may seem to differ on 6.2."""
BLUR = 2
"""Seconds within which idle time cannot tell a use from our own look."""
YOUNGER = 2
"""By how much our own looks may have raised an LFU counter before 7.2."""
EXAMPLES = 5
"""Keys too large to be copied that are named."""

Ask = Callable[[Sequence[Sequence[Word]]], list[Any]]
"""Sends commands when their time has come and gives their answers."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a rule's keys; those that were gone by themselves, or had nothing old in them, count nowhere.

    Attributes:
        done: acted on. changed: stayed, because they had changed. too_large: stayed, because they are.
        elements: taken out of keys that stay.
        freed: bytes, as MEMORY USAGE estimates them before and after.
    """

    done: int = 0
    changed: int = 0
    too_large: int = 0
    elements: int = 0
    freed: int = 0


@dataclass(frozen=True, slots=True)
class _Copy:
    """A key that was copied. `at`: seconds of the server's clock; `bytes`: by MEMORY USAGE."""

    record: Record
    rule: Rule
    at: float
    bytes: int


@dataclass(frozen=True, slots=True)
class _Shipped:
    """What is left of a copy once it is shipped: what the key is compared with. `number`: in its segment."""

    number: int
    database: int
    key: bytes
    length: int
    checksum: bytes
    expires: int
    rule: Rule
    at: float
    bytes: int


@dataclass
class Copies:
    """The copies of one run.

    Args:
        server: its connection; looking with it makes no key young where the server can do that.
        largest: bytes by MEMORY USAGE above which a key is not copied and stays: DUMP would hold up the server.
        ask: as that connection is to be asked; raises where the run must stop.

    Attributes:
        taken: by the rules' names; complete after `finish`.
    """

    server: Server
    shipper: Shipper
    largest: int
    ask: Ask
    taken: dict[str, Taken] = field(default_factory=dict)
    _too_large: list[bytes] = field(default_factory=list)
    _waiting: dict[tuple[int, bytes], _Copy] = field(default_factory=dict)
    _size: int = 0

    def __post_init__(self) -> None:
        self._touchless = self.server.touchless()
        facts = self.shipper.shipping.server
        self._modern = facts.name == "valkey" or not facts.version.startswith("6.")

    @property
    def waiting(self) -> bool:
        """Whether anything was copied that was not yet acted on."""
        return bool(self._waiting)

    def take(self, database: int, rule: Rule, keys: Sequence[bytes]) -> None:
        """Copy these keys of the selected database, and act on them now or later.

        Raises:
            RedkeepError: the segment could not be shipped, and nothing of it was removed; or the server refuses.
        """
        at = 0
        while at < len(keys):
            at += self._copy(database, rule, keys[at : at + BATCH_KEYS])
            if self._size >= SEGMENT_BYTES or len(self._waiting) >= SEGMENT_KEYS:
                self._ship()
                self.server.ask("SELECT", database)

    def finish(self, ask: Ask | None = None) -> None:
        """Ship and act on what is still waiting. Not to be called after an error: what waits then stays as it is.

        Args:
            ask: in place of the one there was, where that has no more time.
        """
        self.ask = ask or self.ask
        if self._waiting:
            self._ship()

    def figures(self) -> dict[str, Any]:
        """For the run's record; empty where nothing was archived."""
        shipped = self.shipper.shipped
        if not shipped:
            return {}
        return {
            "archive": shipped[0].id,
            "segments": len(shipped),
            "archived_keys": sum(each.plaintext.records for each in shipped),
            "archived_bytes": sum(each.object.bytes for each in shipped),
        }

    def warnings(self) -> Iterator[str]:
        """What a reader of the run's record should know beside the numbers."""
        for name, taken in self.taken.items():
            if taken.too_large:
                yield f"{taken.too_large:,} keys of {name!r} are larger than max_copy and stay"
        if self._too_large:
            yield f"too large to be copied: {', '.join(map(shown, self._too_large))}"

    # -- copying -------------------------------------------------------------------------------------------

    def _copy(self, database: int, rule: Rule, keys: Sequence[bytes]) -> int:
        """Copy the first of these keys; at least one, and no more than the server should be held up for. How many."""
        action: tuple[Word, ...] = (rule.action.kind, amount_of(rule, self._now()))
        limits: tuple[Word, ...] = (int(self._modern), self.largest, BATCH_BYTES)
        command = ("EVAL", COPY, len(keys), *keys, *limits, *action, *conditions_of(rule))
        ((time, copied),) = self.ask([command])
        for key, told in zip(keys, copied, strict=False):
            if not isinstance(told, list):
                self._spare(rule, key, told.decode())
            elif not self._fits(key, told[-1]):
                self._spare(rule, key, "large")
            else:
                self._wait(_copy_of(database, key, rule, _seconds(time), told))
        return len(copied)

    def _fits(self, key: bytes, payload: bytes) -> bool:
        """Whether a reader would take it back. MEMORY USAGE goes by five elements, and may be far off."""
        size = self._size + len(key) + len(payload)
        return len(key) <= LONGEST_KEY and len(payload) <= LONGEST_PAYLOAD and size <= LONGEST_SEGMENT

    def _spare(self, rule: Rule, key: bytes, why: str) -> None:
        self._count(rule, changed=int(why == "changed"), too_large=int(why == "large"))
        if why == "large" and len(self._too_large) < EXAMPLES:
            self._too_large.append(key)

    def _wait(self, copy: _Copy) -> None:
        place = (copy.record.database, copy.record.key)
        if place not in self._waiting:  # SCAN may tell a key twice
            self._waiting[place] = copy
            self._size += len(copy.record.key) + len(copy.record.payload)

    # -- shipping, and then acting -------------------------------------------------------------------------

    def _ship(self) -> None:
        """Commit what waits, then act on it. The connection is then in any database."""
        segment = self.shipper.ship([copy.record for copy in self._waiting.values()])
        shipped = [_shipped(number, copy) for number, copy in enumerate(self._waiting.values())]
        self._waiting, self._size = {}, 0
        stayed = {each.number for each in shipped}
        try:
            for batch in _alike(shipped):
                self._act(batch, stayed)
        except BaseException:
            with suppress(RedkeepError):  # the first error is the one shown
                self.shipper.note_stayed(segment, sorted(stayed))
            raise
        self.shipper.note_stayed(segment, sorted(stayed))

    def _act(self, batch: Sequence[_Shipped], stayed: set[int]) -> None:
        rule, now = batch[0].rule, self._now()
        freq: Word = "" if rule.freq is None else rule.freq + (0 if self._touchless else YOUNGER)
        words: list[Word] = [int(self._modern), 0 if self._modern else SLACK]
        words += [rule.action.kind, amount_of(rule, now), freq]
        for each in batch:
            words += [each.length, each.checksum, each.expires, self._idle_wanted(rule, now - each.at)]
        self.server.ask("SELECT", batch[0].database)
        (done,) = self.ask([("EVAL", COMPARE, len(batch), *(each.key for each in batch), *words)])
        for each, told in zip(batch, done, strict=True):
            if isinstance(told, list):
                stayed.discard(each.number)
                elements, left = told
                self._count(rule, done=1, elements=elements, freed=max(each.bytes - left, 0))
            else:
                self._count(rule, changed=int(told == b"changed"))

    def _idle_wanted(self, rule: Rule, since: float) -> Word:
        """Seconds of idle time that a key must have to count as unused; empty: it does not matter."""
        if rule.idle is None:
            return ""
        return math.ceil(rule.idle) if self._touchless else max(int(since) - BLUR, 0)

    def _now(self) -> float:
        """Seconds since 1970 by the server's clock."""
        return _seconds(self.server.ask("TIME"))

    def _count(self, rule: Rule, **more: int) -> None:
        so_far = self.taken.get(rule.name, Taken())
        self.taken[rule.name] = replace(so_far, **{name: getattr(so_far, name) + more[name] for name in more})


def _seconds(time: Sequence[bytes]) -> float:
    return int(time[0]) + int(time[1]) / 1e6


def _copy_of(database: int, key: bytes, rule: Rule, at: float, told: list[Any]) -> _Copy:
    size, expires, kind, payload = told
    moment = None if expires < 0 else int(expires)
    return _Copy(Record(database, key, payload, moment, kind.decode(), rule.name), rule, at, size)


def _shipped(number: int, copy: _Copy) -> _Shipped:
    record, payload = copy.record, copy.record.payload
    expires = -1 if record.expires is None else record.expires
    compared = (record.database, record.key, len(payload), payload[-8:], expires)
    return _Shipped(number, *compared, copy.rule, copy.at, copy.bytes)


def _alike(shipped: Sequence[_Shipped]) -> Iterator[Sequence[_Shipped]]:
    """Batches of one database and one rule each, no larger than the server should be held up for; one key may be."""
    groups: dict[tuple[int, str], list[_Shipped]] = {}
    for each in shipped:
        groups.setdefault((each.database, each.rule.name), []).append(each)
    for group in groups.values():
        batch: list[_Shipped] = []
        size = 0
        for each in group:
            if batch and (len(batch) >= BATCH_KEYS or size + each.bytes > BATCH_BYTES):
                yield batch
                batch, size = [], 0
            batch.append(each)
            size += each.bytes
        yield batch
