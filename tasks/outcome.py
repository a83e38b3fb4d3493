"""What a run has to show of itself once it succeeded, in lines; a function for each task. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tasks.records import Record
from tasks.words import seconds, size

__all__ = ["figures_told", "untidied"]

Figures = dict[str, Any]


def figures_told(run: Record) -> tuple[str, ...]:
    """The lines below `succeeded`; none where the run did not, or where its figures are not those that are known here:
    another version's, or spoiled."""
    tell = TOLD.get(str(run.get("task", "")))
    figures = run.get("figures")
    if run.state != "succeeded" or not tell or not figures:
        return ()
    try:
        return tuple(tell(figures | {"target": run.get("target", "")}))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return ()


def _backup(figures: Figures) -> Iterator[str]:
    yield (
        f"{size(figures['bytes'])} by {figures['source']}, {size(figures['stored_bytes'])} stored "
        f"({figures['ratio']}x), {figures['keys']:,} keys"
    )


def _drill(figures: Figures) -> Iterator[str]:
    parts = ", ".join(f"{part} {seconds(figures[f'{part}_seconds'])}" for part in ("fetch", "load", "check"))
    yield f"{size(figures['bytes'])}, {figures['keys']:,} keys, {figures['sampled']} of them read: {parts}"
    yield f"recovery time {seconds(figures['recovery_seconds'])}"


def _verify(figures: Figures) -> Iterator[str]:
    yield f"{size(figures['bytes'])} as its manifest says; structure {figures['structure']}: {figures['checker']}"


def _retention(figures: Figures) -> Iterator[str]:
    done = "would go" if figures["dry_run"] else f"to go, {figures.get('removed', 0)} removed"
    yield f"{figures['to_keep']} stay, {figures['to_remove']} {done}; {figures['leftovers']} leftovers"
    if figures.get("copies"):
        yield f"copies of tidied keys whose time is over: {figures['copies']} segments"
    for told in figures["decisions"]:
        yield f"{told['action']:<6} {told['backup']}  {'; '.join(told['reasons'])}"


def _enforce(figures: Figures) -> Iterator[str]:
    if not (figures["diff"] or figures["unlasting"]):
        yield "every setting is as wanted"
    for each in figures["diff"]:
        actual, wanted = (f'"{each[side]}"' for side in ("actual", "wanted"))
        drifted = ", and was so before" if each["name"] in figures["drift"] else ""
        was = "was" if "done" in figures else "is"
        yield f"{each['name']} {was} {actual}, wanted {wanted}{drifted}"
    if "done" in figures:
        yield from (f"done  {command}" for command in figures["done"])
        return
    for number, each in enumerate(figures["plan"], 1):
        yield f"would {number}. {each['step']}: {each['why']}"


def _rewrite(figures: Figures) -> Iterator[str]:
    yield (
        f"AOF {size(figures['bytes_before'])} -> {size(figures['bytes_after'])} in {seconds(figures['seconds'])}, "
        f"fork {seconds(figures['fork_usec'] / 1e6)}, {size(figures['cow_bytes'])} copied; proof: {figures['proof']}"
    )


def _watch(figures: Figures) -> Iterator[str]:
    yield f"{figures['state']}: {figures['words']}"
    if figures["alarms"]:
        yield f"alarms: {', '.join(figures['alarms'])}"
    yield from (f"told: {each}" for each in figures["told"])
    yield from (f"sent again: {each}" for each in figures["again"])


def _tidy(figures: Figures) -> Iterator[str]:
    dry, share = figures["dry_run"], figures["share"]["value"]
    ended = {"through": "", "gave way": "; it gave way to a run that waited", "out of time": "; its time was over"}
    end = ended.get(figures["ended"], "")
    yield f"{figures['keys']:,} keys, about {share:.1%} of them to go as a sample beforehand had it{end}"
    for told in figures["rules"]:
        done = told["matched"] if dry else told.get("removed", told.get("trimmed", 0))
        what = {"delete": "removed", "expire_in": "given an expiry"}.get(told["action"], "trimmed")
        kept = f", {told['changed']:,} kept because they changed" if told["changed"] else ""
        yield f"{told['rule']}: {done:,} of {told['seen']:,} {'would be ' * dry}{what}, {size(told['bytes'])}{kept}"
        yield from (f"  {example}" for example in told.get("examples", []))
    if "archive" in figures:
        yield f"{figures['archived_keys']:,} keys were archived first, {size(figures['archived_bytes'])} stored:"
        yield f"  redkeep untidy {figures['archive']} {figures['target']} brings back what went"
    waited = figures["seconds_waited"]
    if any(waited.values()):
        yield f"waited {seconds(waited['latency'])} for the server's answers, {seconds(waited['forks'])} for its forks"
    if dry:
        yield "Nothing was changed: this was a dry run. --no-dry-run does it."


FATES = {
    "there": "there already and left alone",
    "expired": "expired meanwhile",
    "stayed": "had changed and were never removed",
    "unmatched": "not asked for",
    "refused": "refused by the server",
}


def untidied(figures: Figures) -> Iterator[str]:
    if "restored" in figures:
        yield f"{figures['restored']:,} keys {'would come' if figures['dry_run'] else 'are'} back"
    yield from (f"{figures[name]:,} {told}" for name, told in FATES.items() if figures.get(name))


TOLD: dict[str, Callable[[Figures], Iterator[str]]] = {
    "tasks.backup": _backup,
    "tasks.drill": _drill,
    "tasks.enforce": _enforce,
    "tasks.verify": _verify,
    "tasks.retention": _retention,
    "tasks.rewrite": _rewrite,
    "tasks.watch": _watch,
    "tasks.tidy": _tidy,
    "tasks.untidy": untidied,
}
