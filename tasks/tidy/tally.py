"""What a sweep saw and did, rule by rule, for the run's record."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tasks.tidy.copies import Taken
from tasks.tidy.policy import Rule
from tasks.tidy.remove import Removed

__all__ = ["Tally"]

EXAMPLES = 3


@dataclass
class Tally:
    """Keys, by what became of them.

    Attributes:
        seen: called as the rule says. matched: every condition held. done: acted on.
        changed: chosen, and kept because a condition did not hold any more when its turn came.
        unread: kept because no date can be read in its name where the rule's stamp should be.
        uncopied: kept because they are too large for the copy that the rule asks for.
        elements: taken out of keys that stay.
        examples: the verdicts on a few keys, in words; a dry run's only.
    """

    rule: Rule
    seen: int = 0
    matched: int = 0
    done: int = 0
    changed: int = 0
    unread: int = 0
    uncopied: int = 0
    elements: int = 0
    examples: list[str] = field(default_factory=list)
    _weights: list[int] = field(default_factory=lambda: [0, 0])

    def note(self, removed: Removed) -> None:
        self.done += removed.done
        self.changed += removed.changed
        self.elements += removed.elements
        self.weighed(removed.freed)

    def note_copied(self, taken: Taken) -> None:
        """Of a rule with `keep_copy`: all at once, and each key weighed."""
        self.done, self.changed, self.elements = taken.done, taken.changed, taken.elements
        self.uncopied = taken.too_large
        self._weights = [taken.done, taken.freed]

    def weighed(self, freed: Iterable[int]) -> None:
        for each in freed:
            self._weights[0] += 1
            self._weights[1] += each

    def figures(self, *, dry_run: bool) -> dict[str, Any]:
        """As the record has it. The bytes are estimated from a few keys of each batch; of a key that gets an expiry,
        those that will be free then."""
        count, weight = self._weights
        keys = self.matched if dry_run else self.done
        told = {
            "rule": self.rule.name,
            "action": self.rule.action.kind,
            "seen": self.seen,
            "matched": self.matched,
            "removed" if self.rule.action.removes else "trimmed": self.done,
            "changed": self.changed,
            "bytes": round(weight / count * keys) if count else 0,
        }
        if not self.rule.action.removes:
            told["elements"] = self.elements
        if self.rule.stamp is not None:
            told["unread"] = self.unread
        if self.rule.keep_copy:
            told["uncopied"] = self.uncopied
        return told | ({"examples": self.examples} if dry_run else {})
