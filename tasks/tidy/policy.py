"""Which keys go, and why: pure, so that a dry run says what the real run does, and a test can say it for any key.

    policy = compile_policy(target.tidy, namespace)
    verdict = decide(facts, policy, now)        # verdict.action, verdict.rule, verdict.reason

Every condition of a rule must hold; the first rule that fits decides; what is protected is never touched. A fact that
is not known fits no condition: nothing goes for want of knowledge.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache

from tasks.facts import NEEDS, NEVER, KeyFacts
from tasks.glob import Glob, any_of
from tasks.settings import stamps
from tasks.settings.rules import Rule as Written
from tasks.settings.rules import Stamp as WrittenStamp
from tasks.settings.rules import Tidy
from tasks.tidy.presets import PRESETS

__all__ = ["IDLE_LIMIT", "Action", "Policy", "Rule", "Stamp", "Verdict", "choose", "compile_policy", "decide"]

IDLE_LIMIT = 2**24 - 7 * 86_400
"""Idle seconds above which a server is not believed. It counts in 24 bits: where its clock was set back, the keys used
in between look idle for almost 2**24 seconds, and those are the youngest there are."""
LONGEST_NAME = 256
"""Bytes of a key's name that a stamp is looked for in; a longer name has none."""


@dataclass(frozen=True, slots=True)
class Action:
    """What is done to a key: `delete`, `expire_in`, `trim_to`, `drop_scores_older_than` or `drop_entries_older_than`.
    The amount is in seconds, for `trim_to` in elements."""

    kind: str
    amount: float = 0

    @property
    def removes(self) -> bool:
        """The key itself goes, now or after a while."""
        return self.kind in ("delete", "expire_in")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to become of a key: nothing, where there is no action. The rule is empty where none fits."""

    action: Action | None
    rule: str
    reason: str
    keep_copy: bool = False

    @property
    def removes(self) -> bool:
        return self.action is not None and self.action.removes


@dataclass(frozen=True, slots=True)
class Stamp:
    """A date in a key's name."""

    expression: re.Pattern[bytes]
    format: str
    span: timedelta
    older_than: float

    def age(self, key: bytes, now: float) -> float | None:
        """Seconds since the time was over that the stamp stands for; None where the name has none that can be read.

        A stamp without an hour stands for its whole day, so it is 0 seconds old at midnight.
        """
        found = self.expression.search(key) if len(key) <= LONGEST_NAME else None
        over = None if found is None or found[1] is None else _over(found[1], self.format, self.span)
        return None if over is None else now - over


@lru_cache(maxsize=4096)
def _over(text: bytes, form: str, span: timedelta) -> float | None:
    try:
        return (stamps.read(text.decode(), form) + span).timestamp()
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True)
class Rule:
    """A rule, ready to be asked. None stands for a condition that it does not have.

    Attributes:
        ttl: seconds that the key has left at least; `NEVER`: it has no expiry.
        idle, bytes, elements: at least so much. freq: at most so much.
        needs: the facts that it asks for, of `tasks.facts.NEEDS`. Without any, its name alone decides of a key.
    """

    name: str
    glob: Glob
    action: Action
    type: str | None = None
    ttl: float | None = None
    idle: float | None = None
    freq: int | None = None
    bytes: int | None = None
    elements: int | None = None
    stamp: Stamp | None = None
    databases: frozenset[int] | None = None
    keep_copy: bool = False
    needs: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "needs", frozenset(each for each in NEEDS if getattr(self, each) is not None))

    def applies(self, database: int) -> bool:
        return self.databases is None or database in self.databases

    def holds(self, facts: KeyFacts) -> bool:
        """Whether every condition holds that is not about the key's name."""
        return (
            (self.type is None or facts.type == self.type)
            and (self.ttl is None or (facts.ttl is not None and facts.ttl >= self.ttl))
            and (self.idle is None or (facts.idle is not None and self.idle <= facts.idle < IDLE_LIMIT))
            and (self.freq is None or (facts.freq is not None and facts.freq <= self.freq))
            and (self.bytes is None or (facts.bytes is not None and facts.bytes >= self.bytes))
            and (self.elements is None or (facts.elements is not None and facts.elements >= self.elements))
        )


@dataclass(frozen=True)
class Policy:
    """The rules in their order, and what none of them touches."""

    protect: tuple[Glob, ...]
    rules: tuple[Rule, ...]
    is_protected: Callable[[bytes], object] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_protected", any_of(self.protect).fullmatch)

    @property
    def needs(self) -> frozenset[str]:
        """The facts that some rule asks for."""
        return frozenset(need for rule in self.rules for need in rule.needs)


# -- the verdict -------------------------------------------------------------------------------------------


def decide(facts: KeyFacts, policy: Policy, now: float) -> Verdict:
    """What is to become of the key, and why.

    Args:
        facts: with what `policy.needs`; what is not known there lets no rule fit that asks for it.
        now: seconds since 1970, by the server's own clock.
    """
    rule = choose(facts, policy, now)
    if rule is not None:
        return Verdict(rule.action, rule.name, ", ".join(_reasons(rule, facts, now)), rule.keep_copy)
    return Verdict(None, "", "it is protected" if policy.is_protected(facts.key) else "no rule fits it")


def choose(facts: KeyFacts, policy: Policy, now: float) -> Rule | None:
    """The same without the words, for a million keys: the first rule that fits, if any may touch the key at all."""
    if policy.is_protected(facts.key):
        return None
    for rule in policy.rules:
        if rule.glob.matches(facts.key) and rule.applies(facts.database) and rule.holds(facts):
            if rule.stamp is None:
                return rule
            age = rule.stamp.age(facts.key, now)
            if age is not None and age >= rule.stamp.older_than:
                return rule
    return None


def _reasons(rule: Rule, facts: KeyFacts, now: float) -> Iterator[str]:
    yield f"it is called {rule.glob.pattern}"
    if rule.type is not None:
        yield f"is a {facts.type}"
    if rule.ttl is not None:
        yield "never expires" if facts.ttl == NEVER else f"expires in {said(facts.ttl)} only"
    if rule.idle is not None:
        yield f"was not used for {said(facts.idle)}"
    if rule.freq is not None:
        yield f"is seldom used (counter {facts.freq})"
    if rule.bytes is not None:
        yield f"takes {facts.bytes:,} bytes"
    if rule.elements is not None:
        yield f"has {facts.elements:,} elements"
    if rule.stamp is not None:
        yield f"its stamp is {said(rule.stamp.age(facts.key, now))} old"


def said(seconds: float | None) -> str:
    """
    >>> said(90 * 86_400), said(5400), said(61)
    ('90 days', '1.5 hours', '61 seconds')
    """
    for unit, size in (("days", 86_400), ("hours", 3600)):
        if (seconds or 0) >= size:
            return f"{round((seconds or 0) / size, 1):g} {unit}"
    return f"{seconds or 0:.0f} seconds"


# -- from the settings -------------------------------------------------------------------------------------


def compile_policy(tidy: Tidy, namespace: str) -> Policy:
    """The rules of one target, presets spelled out. redkeep's own keys are always protected, since the Redis under
    care may carry them as well."""
    protect = (*tidy.protect, f"{namespace}:*")
    rules = [rule for written in tidy.rule for rule in _spelled_out(written)]
    return Policy(tuple(map(Glob, protect)), tuple(rules))


def _spelled_out(written: Written) -> Iterator[Rule]:
    if written.preset is None:
        yield _compiled(written)
        return
    for each in PRESETS[written.preset]:
        own = {"databases": written.databases, "keep_copy": written.keep_copy, "name": f"{written.title}: {each.name}"}
        yield _compiled(each.model_copy(update=own))


def _compiled(written: Written) -> Rule:
    assert written.action is not None, "the settings see to it"  # noqa: S101
    action = Action(written.action.kind, getattr(written.action, written.action.kind) * 1)
    size = written.size
    return Rule(
        name=written.title,
        glob=Glob(written.match),
        action=action,
        type=written.type,
        ttl=_ttl(written, action),
        idle=written.idle,
        freq=written.freq,
        bytes=size.bytes if size else None,
        elements=_elements(size.elements if size else None, action),
        stamp=_stamp(written.stamp) if written.stamp else None,
        databases=None if written.databases is None else frozenset(written.databases),
        keep_copy=written.keep_copy,
    )


def _ttl(written: Written, action: Action) -> float | None:
    """An expiry is only ever brought nearer: else an hourly run would push it away for ever."""
    if written.ttl == "none":
        return NEVER
    return action.amount if action.kind == "expire_in" else None


def _elements(at_least: int | None, action: Action) -> int | None:
    """What has no more than it is trimmed to is left alone."""
    return max(at_least or 0, int(action.amount) + 1) if action.kind == "trim_to" else at_least


def _stamp(written: WrittenStamp) -> Stamp:
    span = stamps.span_of(written.format)
    assert span is not None, "the settings see to it"  # noqa: S101
    return Stamp(re.compile(written.regex.encode()), written.format, span, written.older_than)
