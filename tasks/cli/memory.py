"""memory: where a server's bytes are, as tables with bars. Asks the server itself; needs no worker and no store."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import click
from rich.text import Text

from tasks.cli.terminal import emit, err, errors_told, json_option, out, seconds, show_table, size
from tasks.estimate import Estimate
from tasks.facts import NEVER, KeyFacts, shown
from tasks.memory import Group, Memory, survey
from tasks.server import Server
from tasks.settings import current, target_of
from tasks.tidy.policy import compile_policy

__all__ = ["memory"]

SAMPLES = 5000
TITLES = {
    "prefix": "KEYS LIKE",
    "type": "TYPE",
    "ttl": "EXPIRES",
    "idle": "LAST USED",
    "freq": "USED (LFU COUNTER)",
}
GROUPS = ("BYTES>", "±>", "KEYS>", "EACH>", "SHARE")
BIGGEST = ("BYTES>", "TYPE", "ELEMENTS>", "EXPIRES>", "IDLE>", "DB>", "BIGGEST KEYS")
BLOCKS = " ▏▎▍▌▋▊▉"
"""Eighths of a character cell."""


@click.command()
@click.argument("target")
@click.option(
    "--samples", default=SAMPLES, show_default=True, metavar="N", type=click.IntRange(1, 1_000_000),
    help="Keys that are looked at; the error shrinks with its square root.",
)
@json_option
@errors_told
def memory(target: str, samples: int, as_json: bool) -> None:
    """Where the bytes are, by a random sample: prefix, type, time to live, age, biggest keys; what tidy would free."""
    settings, known = current(), target_of(current(), target)
    policy = compile_policy(known.tidy, settings.control.namespace) if known.tidy else None
    with Server(known.url.get_secret_value()) as server, _waiting(samples):
        found = survey(server, samples, policy)
    if as_json:
        emit({"target": target} | found.as_dict())
        return
    for line in _heading(target, found):
        out.print(line)
    if found.taken.population:
        for name, groups in found.sections.items():
            _section(TITLES[name], groups, exact=found.taken.exact)
        _biggest(found)
        _rules(found)


def _waiting(samples: int) -> AbstractContextManager[Any]:
    return err.status(f"looking at {samples:,} keys") if err.is_terminal else nullcontext()


def _heading(target: str, found: Memory) -> Iterator[Text]:
    taken, used = found.taken, size(found.used)
    yield Text.assemble((target, "bold"), f": {found.server}")
    if not taken.population:
        yield Text(f"no keys; {used} of memory used")
    elif taken.exact:
        yield Text(f"{taken.population:,} keys hold {size(found.bytes.value)} of {used} used")
    else:
        yield Text(f"{taken.population:,} keys hold {size(found.bytes.value)} {_reach(found.bytes)} of {used} used")
        yield Text(f"by {len(taken.draws):,} keys drawn at random; 5 of 100 figures are off by more than ± says", "dim")
    if found.unseen:
        told = f"about {size(found.unseen)} more are in use: huge keys that no draw met? --samples draws more"
        yield Text(told, "yellow")


def _section(title: str, groups: Sequence[Group], *, exact: bool) -> None:
    width = _bar_width()
    columns = [name for name in GROUPS if not (exact and name == "±>")]
    rows = []
    for group in groups:
        cells = _cells(group, width)
        rows.append([*(cells[name] for name in columns), group.name])
    out.print()
    show_table((*columns, title), rows)


def _rules(found: Memory) -> None:
    """What tidy would free; nothing where there is no rule."""
    if found.rules:
        _section("WOULD BE FREED BY RULE", found.rules, exact=found.taken.exact)
    for name in found.unjudged:
        told = f"{name!r} is not judged: before 7.2, counting elements would end the idle time it asks for"
        out.print(Text(told, "dim"))


def _cells(group: Group, width: int) -> dict[str, Text | str]:
    each = group.bytes.value / group.keys.value if group.keys.value else 0
    return {
        "BYTES>": f"{_bytes(group):>9}",
        "±>": f"{_reach(group.bytes):>6}",
        "KEYS>": f"{_keys(group.keys):>7}",
        "EACH>": f"{size(each) if group.bytes.value else '-':>9}",
        "SHARE": Text.assemble((bar(group.share, width), "cyan"), f"{group.share:>5.0%} "),
    }


def _biggest(found: Memory) -> None:
    title = "BIGGEST KEYS" if found.taken.exact else "BIGGEST KEYS DRAWN"
    columns = [name for name in BIGGEST if name != "ELEMENTS>" or any(each.elements for each in found.biggest)]
    rows = []
    for facts in found.biggest:
        cells = _key_cells(facts)
        rows.append([cells[name] for name in columns])
    out.print()
    show_table([*columns[:-1], title], rows, drop=("DB", "IDLE"))


def _key_cells(facts: KeyFacts) -> dict[str, Text | str]:
    return {
        "BYTES>": f"{size(facts.bytes):>9}",
        "TYPE": str(facts.type),
        "ELEMENTS>": f"{facts.elements:,}" if facts.elements is not None else "-",
        "EXPIRES>": "never" if facts.ttl == NEVER else seconds(facts.ttl),
        "IDLE>": "-" if facts.idle is None else seconds(facts.idle),
        "DB>": str(facts.database),
        "BIGGEST KEYS": shown(facts.key),
    }


def _bar_width() -> int:
    """As much as the names leave: 10 cells at 80 columns, 40 at 200."""
    return max(8, min(40, (out.width - 50) // 3)) if out.is_terminal else 20


def bar(share: float, width: int) -> str:
    """A bar of so many cells, filled to a share of them.

    >>> bar(1.0, 3), bar(0.5, 3), bar(0.001, 3)
    ('███', '█▌ ', '   ')
    """
    whole, eighths = divmod(round(share * width * 8), 8)
    return ("█" * whole + (BLOCKS[eighths] if eighths else "")).ljust(width)


def count(number: float) -> str:
    """So many, in at most seven characters.

    >>> count(950), count(12_345), count(123_456), count(4_120_000), count(2.5e9)
    ('950', '12,345', '123 k', '4.12 M', '2.50 G')
    """
    for factor, unit in ((1e9, "G"), (1e6, "M")):
        if number >= factor:
            return f"{number / factor:.2f} {unit}"
    return f"{number / 1000:.0f} k" if number >= 99_999.5 else f"{number:,.0f}"


def _bytes(group: Group) -> str:
    """A question mark where the keys are known and what goes of them is not."""
    return "?" if group.keys.value and not math.isfinite(group.bytes.high) else size(group.bytes.value)


def _keys(figure: Estimate) -> str:
    """How many; where none was drawn, below how many there may be all the same."""
    return count(figure.value) if figure.value or not figure.high else f"<{count(figure.high)}"


def _reach(figure: Estimate) -> str:
    """How far it may be off, as a share of itself."""
    if not math.isfinite(figure.high) or not figure.value:
        return "-"
    return f"±{(figure.high - figure.low) / 2 / figure.value:.0%}"
