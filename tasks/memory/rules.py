"""What each rule of tidy would free: the very decision that tidy makes, on the keys that were drawn. Pure."""

from __future__ import annotations

import math
from collections import defaultdict

from tasks.estimate import Estimate
from tasks.facts import KeyFacts
from tasks.memory.groups import Group, estimated
from tasks.sample import Sample
from tasks.tidy.policy import Policy, Rule, choose

__all__ = ["freed", "must_be_counted"]

UNKNOWN = Estimate(0.0, 0.0, math.inf)


def freed(sample: Sample, policy: Policy, now: float) -> list[Group]:
    """The keys that each rule would take, in the rules' order, and the bytes that would go, now or when they expire.

    What a `drop_scores_older_than` or `drop_entries_older_than` takes out of a key is not known without looking into
    it: its keys are counted, and of their bytes nothing is said.

    Args:
        now: seconds since 1970, by the server's own clock.
    """
    members: dict[str, list[float]] = defaultdict(list)
    for facts in sample.draws:
        if (rule := choose(facts, policy, now)) is not None:
            members[rule.name].append(_bytes(rule, facts))
    whole = sum(facts.bytes or 0 for facts in sample.draws) or 1
    found = []
    for rule in policy.rules:
        keys, weight = estimated(sample, members[rule.name])
        known = weight if rule.action.removes or rule.action.kind == "trim_to" else UNKNOWN
        found.append(Group(rule.name, keys, known, share=sum(members[rule.name]) / whole))
    return found


def _bytes(rule: Rule, facts: KeyFacts) -> float:
    """About how many of the key's bytes the rule takes."""
    size = float(facts.bytes or 0)
    if rule.action.removes:
        return size
    if rule.action.kind == "trim_to" and facts.elements:
        return size * max(facts.elements - rule.action.amount, 0) / facts.elements
    return 0.0


def must_be_counted(policy: Policy, facts: KeyFacts) -> bool:
    """Whether a rule can only be judged by how many elements this key has; where it asks for idle time as well, it is
    left unjudged, since counting may end that."""
    asking = (rule for rule in policy.rules if "elements" in rule.needs and rule.idle is None)
    return any(rule.type in (None, facts.type) and rule.glob.matches(facts.key) for rule in asking)
