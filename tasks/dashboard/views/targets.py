"""Targets in words: the one glance, a card for each, and its charts. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tasks.dashboard.chart import Chart, Line, chart, sparkline
from tasks.dashboard.views.small import Bar, Fact, bar, bare, count, cut, milliseconds, number, sentence
from tasks.freshness import State, newest_known
from tasks.inventory import Proof
from tasks.names import ROUTINE
from tasks.status import Context, TargetStatus
from tasks.status.series import SPANS, series, trend
from tasks.words import age, clock, seconds, size, span, until

__all__ = ["ACTIONS", "Card", "Hero", "card", "charts", "hero"]

TONES: dict[State, str] = {"fresh": "good", "stale": "bad", "broken": "bad", "unknown": "warn"}
NEAR = 0.8
"""Share of the objective above which a fresh backup is shown as nearly stale."""
ACTIONS = {
    "backup": "Back up",
    "verify": "Verify",
    "drill": "Drill",
    "tidy": "Tidy (dry run)",
    "rewrite": "Rewrite AOF",
}
"""What can be started from a card, in this order, where there is such a task."""


@dataclass(frozen=True)
class Card:
    """One target. `share` is the newest backup's age as a percentage of the objective, 100 at most."""

    name: str
    url: str
    configured: bool
    tone: str
    badge: str
    words: str
    reasons: tuple[str, ...]
    age: str
    taken: str
    objective: str
    share: int
    facts: tuple[Fact, ...]
    spark: str
    alarms: tuple[tuple[str, str, str], ...]
    """What stands beside: words, hint, since when."""
    bars: tuple[Bar, ...]
    actions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Hero:
    """All of it in one glance."""

    tone: str
    headline: str
    told: str
    concerns: tuple[tuple[str, str], ...] = ()
    """Targets that need somebody, and why."""


# -- all of it -------------------------------------------------------------------------------------------


def hero(context: Context) -> Hero:
    targets = [each for each in context.targets if each.configured]
    concerns = tuple((each.name, each.freshness.words) for each in targets if each.freshness.state != "fresh")
    tone = TONES[context.state]
    if not concerns:
        return _well(context, targets)
    several = f"{len(concerns)} of {len(targets)} targets" if len(targets) > 1 else targets[0].name
    if context.state == "unknown":
        return Hero(tone, "It is not known whether the data is safe", "", concerns)
    needs = "needs" if len(concerns) == 1 or len(targets) == 1 else "need"
    return Hero(tone, f"{several} {needs} attention", "", concerns)


def _well(context: Context, targets: Sequence[TargetStatus]) -> Hero:
    """Every target is fresh; what else there is to say comes after that."""
    told = _proven(targets, context.at)
    if context.problem:
        return Hero("warn", "The backups are fresh; what runs is not known", told)
    alarms = tuple((each.name, alarm[0]) for each in targets for alarm in _alarms(each, context.at))
    if alarms:
        return Hero("warn", "The data is safe, and something wants a look", told, alarms)
    return Hero("good", "The data is safe", told)


def _proven(targets: Sequence[TargetStatus], now: datetime) -> str:
    """What stands behind that sentence."""
    whose = "The newest backup is" if len(targets) == 1 else f"Of each of {len(targets)} targets, the newest backup is"
    within = f"{whose} within its objective."
    drills = [each.stock.drilled for each in targets if each.stock.drilled and each.stock.drilled.ok]
    if not drills:
        return f"{within} No drill has brought one back yet."
    newest = max(drills, key=lambda each: each.at)
    took = f", in {seconds(newest.seconds)}" if newest.seconds is not None else ""
    return f"{within} The last drill brought one back {age(newest.at, now)}{took}."


# -- a target --------------------------------------------------------------------------------------------


def card(target: TargetStatus, now: datetime, tasks: Sequence[str]) -> Card:
    """
    Args:
        tasks: names of the tasks there are, like ``tasks.backup``.
    """
    newest = newest_known(target.stock, now)
    old = max((now - newest.taken).total_seconds(), 0.0) if newest else None
    share = min(round(old / target.max_age * 100), 100) if old is not None and target.max_age else 0
    tone = TONES[target.freshness.state]
    badge = target.freshness.state.capitalize()
    if not target.configured:
        tone, badge = "calm", "Not configured"
    elif tone == "good" and share > NEAR * 100:
        tone, badge = "warn", "Nearly stale"
    return Card(
        name=target.name,
        url=target.url,
        configured=target.configured,
        tone=tone,
        badge=badge,
        words=sentence(target.freshness.words),
        reasons=tuple(sentence(each) for each in target.freshness.reasons),
        age=age(newest.taken, now) if newest else "None",
        taken=clock(newest.taken) if newest else "",
        objective=f"objective {span(target.max_age)}" if target.max_age else "",
        share=share,
        facts=tuple(_facts(target, now)),
        spark=_spark(target, now),
        alarms=tuple(_alarms(target, now)),
        bars=tuple(bar(each) for each in target.running),
        actions=_actions(target, tasks),
    )


def _alarms(target: TargetStatus, now: datetime) -> Iterator[tuple[str, str, str]]:
    """Those that the words of the card do not say already: both come from one judgement."""
    said = {target.freshness.words, *target.freshness.reasons} if target.freshness.state != "fresh" else set()
    for alarm in target.alarms:
        if alarm.words not in said and alarm.kind not in ("age", "store"):
            since = datetime.fromtimestamp(alarm.since, UTC)
            yield sentence(cut(alarm.words)), cut(alarm.hint), f"since {clock(since)}, {age(since, now)}"


def _actions(target: TargetStatus, tasks: Sequence[str]) -> dict[str, str]:
    if not target.configured:
        return {}
    wanted = {task: words for task, words in ACTIONS.items() if f"tasks.{task}" in tasks}
    if not target.tidies:
        wanted.pop("tidy", None)
    return wanted


def _facts(target: TargetStatus, now: datetime) -> Iterator[Fact]:
    stock, newest = target.stock, newest_known(target.stock, now)
    if stock.problem:
        seen = f"as of {clock(stock.seen)}" if stock.seen else "never seen"
        yield Fact("Store", "does not answer", f"{stock.problem.get('message', '')} ({seen})", "bad")
    yield _proof("Verified", stock.verified, now, "whole")
    yield _proof("Drilled", stock.drilled, now, "came back")
    if newest:
        yield Fact("Snapshot", size(newest.bytes), f"{size(newest.stored_bytes)} stored{_trend(target, now)}")
        yield Fact("Keys", count(newest.keys))
    yield from _upkeep(target, now)
    unreadable = sum(bool(each.problem) for each in stock.backups)
    told = f"{unreadable} cannot be read" if unreadable else ""
    yield Fact("Backups", count(stock.count), told, "bad" if unreadable else "")
    yield from _standing(target, now)


def _proof(label: str, proof: Proof | None, now: datetime, well: str) -> Fact:
    if proof is None:
        return Fact(label, "never", tone="quiet")
    if not proof.ok:
        return Fact(label, age(proof.at, now), f"failed: {cut(proof.error)}", "bad", clock(proof.at))
    note = f"{well} in {seconds(proof.seconds)}" if proof.seconds is not None else well
    return Fact(label, age(proof.at, now), note, title=clock(proof.at))


def _trend(target: TargetStatus, now: datetime) -> str:
    found = trend(target.stock)
    if found is None:
        return ""
    days = (now - found.since).total_seconds() / 86_400
    past = f"{days:.0f} d" if days >= 1.5 else f"{days * 24:.0f} h"
    return f", {found.share:+.1%} in {past}".replace("-0.0%", "0.0%").replace("+0.0%", "0.0%")


def _upkeep(target: TargetStatus, now: datetime) -> Iterator[Fact]:
    """What the last rewrite and the last tidying left; runs of other versions may know other figures."""
    rewritten = target.done.get("tasks.rewrite")
    if rewritten is not None and (aof := number(rewritten.get("figures", {}), "bytes_after")) is not None:
        yield Fact("AOF", size(aof), f"rewritten {age(rewritten.moment('ended'), now)}")
    tidied = target.done.get("tasks.tidy")
    if tidied is not None:
        yield Fact("Tidied", age(tidied.moment("ended"), now), _tidied(tidied.get("figures") or {}))


def _tidied(figures: Mapping[str, Any]) -> str:
    rules, dry = figures.get("rules"), figures.get("dry_run") is True
    found = [each for each in rules if isinstance(each, dict)] if isinstance(rules, list) else []
    keys = sum(number(each, "matched" if dry else "removed") or 0 for each in found)
    freed = sum(number(each, "bytes") or 0 for each in found)
    return f"{count(int(keys))} keys, {size(freed)} {'would go' if dry else 'freed'}"


def _standing(target: TargetStatus, now: datetime) -> Iterator[Fact]:
    due = sorted((when, task) for task, when in target.due.items() if not _paused(target, task) and task not in ROUTINE)
    if due:
        when, task = due[0]
        others = ", ".join(f"{bare(each)} {until(at, now)}" for at, each in due[1:3])
        yield Fact("Next", f"{bare(task)} {until(when, now)}", others, title=clock(when))
    for task, reason in sorted(target.paused.items()):
        yield Fact("Paused", "everything" if task == "*" else bare(task), cut(reason), "warn")
    if target.configured:
        holder = target.lease or target.host_lease
        yield Fact("Lease", "held" if holder else "free", cut(holder), "" if holder else "quiet")


def _paused(target: TargetStatus, task: str) -> bool:
    return task in target.paused or "*" in target.paused


def _spark(target: TargetStatus, now: datetime) -> str:
    points = series(target.stock, "stored_bytes", now - SPANS["30d"], now)
    if len(points) < 2:
        return ""
    first, last = size(points[0].value), size(points[-1].value)
    return sparkline(points, f"Stored size of the last 30 days: from {first} to {last}")


def charts(target: TargetStatus, now: datetime, over: str) -> list[Chart]:
    """Size, seconds, fork and copy-on-write over one of `SPANS`."""
    since = now - SPANS[over]

    def line(title: str, name: str, kind: int = 1) -> Line:
        return Line(title, series(target.stock, name, since, now), kind)

    return [
        chart("Size", [line("stored", "stored_bytes"), line("snapshot", "bytes", 2)], since, now, size),
        chart("Save time", [line("seconds", "seconds")], since, now, seconds),
        chart("Fork", [line("fork", "fork_ms")], since, now, milliseconds),
        chart("Copy-on-write", [line("memory", "cow_bytes")], since, now, size),
    ]
