"""One piece of the keyspace after the other: the keys that some rule may fit, with the facts that rules ask for.

What no rule can fit is passed over in the server already, so that a sweep costs little where there is little to do.
The verdict is not given there: it is `policy.choose` that decides, on all facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, repeat
from typing import Any

from tasks.facts import NEEDS, NEVER, KeyFacts
from tasks.server import Word
from tasks.tidy.policy import Policy, Rule
from tasks.tidy.scripts import LOOK, conditions_of

__all__ = ["Looked", "Outlook"]

ORDER = ("idle", "freq", "type", "ttl", "bytes", "elements")
assert set(ORDER) == NEEDS  # noqa: S101
START = b"0"


@dataclass(frozen=True)
class Looked:
    """One piece.

    Attributes:
        cursor: where it goes on; `START` again at the end.
        met: how many keys were there; where SCAN left some out itself, it does not tell of them.
        named: how many of them each rule is for by their names, in the policy's order; None where nobody counted.
        facts: of the keys that some rule may fit.
    """

    cursor: bytes
    met: int
    named: tuple[int | None, ...]
    facts: list[KeyFacts]


class Outlook:
    """How one database is looked through for a policy."""

    def __init__(self, policy: Policy, database: int) -> None:
        self.database = database
        self.rules = tuple(rule for rule in policy.rules if rule.applies(database))
        self._needs = tuple(each for each in ORDER if any(each in rule.needs for rule in self.rules))
        globs, types = {rule.glob for rule in self.rules}, {rule.type for rule in self.rules}
        self._match = next(iter(globs)) if len(globs) == 1 else None
        self._type = next(iter(types)) if len(types) == 1 else None

    def command(self, cursor: bytes, count: int) -> Sequence[Word]:
        """What asks for the next piece."""
        if self._needs:
            return ("EVAL", LOOK, 0, cursor, count, *self._words)
        match = ("MATCH", self._match.pattern) if self._match else ()
        return ("SCAN", cursor, *match, "COUNT", count)

    def read(self, reply: Sequence[Any]) -> Looked:
        """The answer to it."""
        if not self._needs:
            cursor, keys = reply
            named = (len(keys) if self._match else None,) * len(self.rules)
            return Looked(cursor, len(keys), named, list(map(KeyFacts, repeat(self.database), keys)))
        cursor, met, counts, flat = reply
        counted = (count if self._settles(rule) else None for rule, count in zip(self.rules, counts, strict=True))
        return Looked(cursor, met, tuple(counted), self._facts(flat))

    def _settles(self, rule: Rule) -> bool:
        """Whether the server can tell by itself which names the rule is for."""
        return self._match is not None or rule.glob.plain

    @cached_property
    def _words(self) -> tuple[Word, ...]:
        each_rule = chain.from_iterable(
            (b"" if self._match else rule.glob.prefix, int(self._settles(rule)), *conditions_of(rule))
            for rule in self.rules
        )
        match = self._match.pattern if self._match else ""
        return (match, self._type or "", len(self._needs), *self._needs, *each_rule)

    def _facts(self, flat: list[Any]) -> list[KeyFacts]:
        """From the key and what was asked of it, one key after the other."""
        width = 1 + len(self._needs)
        told: dict[str, Iterable[Any]] = {fact: flat[at::width] for at, fact in enumerate(self._needs, 1)}
        if "type" in told:
            told["type"] = map(_text, told["type"])
        if "ttl" in told:
            told["ttl"] = map(_left, told["ttl"])
        columns = (told.get(fact, repeat(None)) for fact in KeyFacts._fields[2:])
        return list(map(KeyFacts, repeat(self.database), flat[::width], *columns))


def _text(kind: bytes | None) -> str | None:
    return None if kind is None else kind.decode()


def _left(milliseconds: int | None) -> float | None:
    return milliseconds and (NEVER if milliseconds == -1 else milliseconds / 1000)
