"""Acting on keys that the policy has chosen: each condition is looked at once more in the same atomic step, so a key
that was touched since stays; and nothing takes long, however large a key is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tasks.pace import Pace
from tasks.sample import MEMORY_SAMPLES
from tasks.server import Server, Word
from tasks.tidy.policy import Rule
from tasks.tidy.scripts import REMOVE, amount_of, conditions_of

__all__ = ["Removed", "remove", "weigh"]

WEIGHED = 2
"""Keys of each batch whose bytes are asked for, to say afterwards about how many were freed."""


@dataclass
class Removed:
    """What became of the chosen keys.

    Attributes:
        done: keys acted on. changed: keys kept because a condition did not hold any more.
        elements: taken out of keys that stay.
        freed: bytes that went with each of a few of the keys, as MEMORY USAGE estimates them.
    """

    done: int = 0
    changed: int = 0
    elements: int = 0
    freed: list[int] = field(default_factory=list)


def remove(server: Server, pace: Pace, rule: Rule, keys: Sequence[bytes], now: float) -> Removed:
    """Carry the rule's action out on keys of the selected database. Keys that are gone by now count nowhere.

    Raises:
        Over: in the middle; what is begun once more does no harm.
    """
    found, heavy = Removed(), keys[:WEIGHED]
    weighing = [weigh(key) for key in heavy]
    if not rule.needs and rule.action.kind == "delete":  # the name alone decides, and a name does not change
        *weights, found.done = pace.ask(server, [*weighing, ("UNLINK", *keys)])
    else:
        weights = _step_by_step(server, pace, rule, keys, now, found, weighing)
    after = [0] * len(heavy) if rule.action.removes else pace.ask(server, weighing)
    found.freed = [(was or 0) - (left or 0) for was, left in zip(weights, after, strict=True)]
    return found


def _step_by_step(
    server: Server,
    pace: Pace,
    rule: Rule,
    keys: Sequence[bytes],
    now: float,
    found: Removed,
    weighing: list[tuple[Word, ...]],
) -> list[int | None]:
    """Carry it out, and give the answers to `weighing`, which is asked with the first step."""
    words: tuple[Word, ...] = (rule.action.kind, amount_of(rule, now))
    weights: list[int | None] = []
    at, begun = 0, 0
    while at < len(keys):
        batch = keys[at : at + pace.size]
        command = ("EVAL", REMOVE, len(batch), *batch, *words, 2 * pace.size, begun, *conditions_of(rule))
        *told, answer = pace.ask(server, [*([] if weights else weighing), command])
        weights += told
        finished, done, changed, elements, begun = answer
        at += finished
        found.done += done
        found.changed += changed
        found.elements += elements
    return weights


def weigh(key: bytes) -> tuple[Word, ...]:
    """What asks for a key's bytes."""
    return ("MEMORY", "USAGE", key, "SAMPLES", MEMORY_SAMPLES)
