"""The sweep: every database, piece by piece; each key judged, and what is chosen acted on.

A sweep that must stop knows its place, and the next one goes on from there. SCAN promises that a key which is there
all the time is met, and may be met twice, which does no harm: the second time nothing is left to do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from tasks.errors import ShareExceeded
from tasks.facts import KeyFacts, shown
from tasks.pace import Over, Pace
from tasks.server import Server, parse_keyspace
from tasks.tidy.look import START, Looked, Outlook
from tasks.tidy.policy import Policy, Rule, choose, decide
from tasks.tidy.remove import WEIGHED, remove, weigh
from tasks.tidy.tally import EXAMPLES, Tally

__all__ = ["Place", "Sweep"]


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
    place: Place | None = None
    met: int = 0
    gone: int = 0
    tallies: dict[str, Tally] = field(init=False)

    def __post_init__(self) -> None:
        self.tallies = {rule.name: Tally(rule) for rule in self.policy.rules}

    def run(self) -> None:
        """Go on from `place` until all is done, or until `pace` says that it is over.

        Raises:
            ShareExceeded: more keys would go than `most`.
        """
        keys, _ = parse_keyspace(self.server.ask("INFO", "keyspace"))
        begin = self.place or Place(0, START)
        for database in sorted(int(each) for each in keys):
            if database >= begin.database:
                cursor = begin.cursor if database == begin.database else START
                if not self._through(Outlook(self.policy, database), cursor):
                    return
        self.place = None

    def _through(self, outlook: Outlook, cursor: bytes) -> bool:
        """One database. False where it must end before its end."""
        if not outlook.rules:
            return True
        self.server.ask("SELECT", outlook.database)
        while True:
            self.place = Place(outlook.database, cursor)
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
            self._act(tally, keys)

    def _act(self, tally: Tally, chosen: list[KeyFacts]) -> None:
        keys = [facts.key for facts in chosen]
        if self.dry_run:
            self._tell(tally, chosen)
        elif tally.rule.keep_copy:  # nothing goes without the copy that was asked for
            tally.uncopied += len(keys)
        else:
            tally.note(remove(self.server, self.pace, tally.rule, keys, self.now))

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
