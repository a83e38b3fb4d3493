"""The sweep: every database, piece by piece; each key judged, and what is chosen acted on.

A sweep that must stop knows its place, and the next one goes on from there. SCAN promises that a key which is there
all the time is met, and may be met twice, which does no harm: the second time nothing is left to do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from tasks.errors import ShareExceeded
from tasks.facts import KeyFacts, shown
from tasks.pace import Over, Pace
from tasks.server import Server, parse_keyspace
from tasks.tidy.copies import Copies
from tasks.tidy.look import START, Looked, Outlook
from tasks.tidy.policy import Policy, Rule, choose, decide
from tasks.tidy.remove import WEIGHED, remove, weigh
from tasks.tidy.tally import EXAMPLES, Tally

__all__ = ["Place", "Sweep"]

GRACE = 60.0
"""Seconds beyond the end for what was copied and not yet acted on; it takes about one."""


@dataclass(frozen=True)
class Place:
    """Where a sweep is: what lies before it is done."""

    database: int
    cursor: bytes


@dataclass
class Sweep:
    """One run's way through a server.

    Attributes:
        now: seconds since 1970 by the server's clock, for all that is judged.
        dry_run: judge only.
        most: keys that may go altogether; more, and the estimate was wrong.
        report: is told how many keys were met, after each piece.
        copies: take what goes by a rule with `keep_copy`; None where no rule has it, and in a dry run.
        met: keys so far. gone: those removed or given an expiry.
        place: where it is; None once it is through.
    """

    server: Server
    pace: Pace
    policy: Policy
    now: float
    dry_run: bool
    most: float
    report: Callable[[int], None]
    copies: Copies | None = None
    place: Place | None = None
    met: int = 0
    gone: int = 0
    tallies: dict[str, Tally] = field(init=False)
    _copied_up_to: Place | None = None

    def __post_init__(self) -> None:
        self.tallies = {rule.name: Tally(rule) for rule in self.policy.rules}

    def run(self) -> None:
        """Go on from `place` until all is done, or until `pace` says that it is over.

        Raises:
            ShareExceeded: more keys would go than `most`.
            RedkeepError: also of the store, where copies go. Then `place` is before the first key that was copied and
                not acted on.
        """
        try:
            self._go_on()
            if self.copies is not None:
                self._finish_copies(self.copies)
        except BaseException:
            self.place = self._copied_up_to or self.place
            raise
        finally:
            for name, taken in self.copies.taken.items() if self.copies else ():
                self.tallies[name].note_copied(taken)

    def _go_on(self) -> None:
        keys, _ = parse_keyspace(self.server.ask("INFO", "keyspace"))
        begin = self.place or Place(0, START)
        for database in sorted(int(each) for each in keys):
            if database >= begin.database:
                cursor = begin.cursor if database == begin.database else START
                if not self._through(Outlook(self.policy, database), cursor):
                    return
        self.place = None

    def _finish_copies(self, copies: Copies) -> None:
        """Ship and act on what waits to be. Where the time is over this takes a little more of it: what was copied
        would else be left alone until the next time round."""
        try:
            copies.finish(partial(self.pace.prolonged(GRACE).ask, self.server))
        except Over:
            self.place = self._copied_up_to or self.place

    def _through(self, outlook: Outlook, cursor: bytes) -> bool:
        """One database. False where it must end before its end."""
        if not outlook.rules:
            return True
        self.server.ask("SELECT", outlook.database)
        while True:
            self.place = Place(outlook.database, cursor)
            if self.copies is None or not self.copies.waiting:
                self._copied_up_to = self.place
            try:
                (reply,) = self.pace.ask(self.server, [outlook.command(cursor, self.pace.size)])
                looked = outlook.read(reply)
                self._work(outlook, looked)
            except Over:
                return False
            self.met += looked.met
            self.report(self.met)
            cursor = looked.cursor
            if cursor == START:
                return True

    def _work(self, outlook: Outlook, looked: Looked) -> None:
        chosen: dict[str, list[KeyFacts]] = defaultdict(list)
        for facts in looked.facts:
            rule = choose(facts, self.policy, self.now)
            if rule is not None:
                chosen[rule.name].append(facts)
        self._count(outlook, looked)
        for name, keys in chosen.items():
            tally = self.tallies[name]
            tally.matched += len(keys)
            self._check_share(tally.rule, len(keys))
            self._act(outlook, tally, keys)

    def _act(self, outlook: Outlook, tally: Tally, chosen: list[KeyFacts]) -> None:
        keys = [facts.key for facts in chosen]
        if self.dry_run:
            self._tell(tally, chosen)
        elif not tally.rule.keep_copy:
            tally.note(remove(self.server, self.pace, tally.rule, keys, self.now))
        elif self.copies is not None:
            self.copies.take(outlook.database, tally.rule, keys)
        else:  # nothing goes without the copy that was asked for
            tally.uncopied += len(keys)

    def _tell(self, tally: Tally, chosen: list[KeyFacts]) -> None:
        for facts in chosen[: EXAMPLES - len(tally.examples)]:
            tally.examples.append(f"{shown(facts.key)}: {decide(facts, self.policy, self.now).reason}")
        if tally.rule.action.removes:
            weights = self.pace.ask(self.server, [weigh(facts.key) for facts in chosen[:WEIGHED]])
            tally.weighed(each for each in weights if each is not None)

    def _count(self, outlook: Outlook, looked: Looked) -> None:
        for rule, named in zip(outlook.rules, looked.named, strict=True):
            tally = self.tallies[rule.name]
            matches = rule.glob.matches
            tally.seen += sum(matches(facts.key) for facts in looked.facts) if named is None else named
            if rule.stamp is not None:
                age = rule.stamp.age
                tally.unread += sum(matches(each.key) and age(each.key, self.now) is None for each in looked.facts)

    def _check_share(self, rule: Rule, more: int) -> None:
        self.gone += more if rule.action.removes else 0
        if self.gone > self.most and not self.dry_run:
            raise ShareExceeded(
                f"more than the estimated {self.most:,.0f} keys would go; stopped at {self.gone - more:,}",
                detail=f"at rule {rule.name!r}",
            )
