"""Data such as a site keeps in its Redis, for the demo, the tests and the bench.

Database 0 has sessions (strings that expire), users (hashes), daily counters, feeds (lists), leaderboards (sorted
sets), tags (sets), thumbnails (random bytes) and a stream with a consumer group; database 1 is a page cache, all of
which expires. About half of the bytes are prose and shrink well; the rest are tokens and pictures and do not. Nothing
expires within the hour, so key counts hold still for a test. Beside these, where a caller wants them, stand reports of
every day, which nobody ever removed: something to tidy.
"""

from __future__ import annotations

import base64
import datetime
import itertools
import random
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import redis

__all__ = ["LAST_DAY", "fill", "fill_reports"]

LAST_DAY: Final = datetime.date(2026, 11, 23)
"""The newest day that has counters, where the caller names none: fixed, so that a seed always gives the same keys."""

Command = tuple[str | bytes | int, ...]
Step = tuple[int, Command]
"""A command, and how many new keys it makes."""

_SESSIONS: Final = 280  # to a megabyte
_USERS: Final = 120  # to a megabyte
_REPORTS: Final = 180  # to a megabyte
_HOUR: Final = 3600
_DAYS: Final = 400
_BATCH: Final = 2000  # commands to a round trip
_VOCABULARY: Final = (
    "account alert article basket bridge button camera canvas checkout coffee colour comment corner country coupon "
    "current delivery design dinner discount editor evening example family feature filter flight follow forest friend "
    "gallery garden guitar harbour holiday invite island jacket journal kitchen language letter library listen market "
    "member message minute mirror monday morning mountain museum music network notice number office order package "
    "paper payment people photo picture planet player pocket poster price profile project public question rain recipe "
    "record refund reply report return review river school search season secret series service settings share signal "
    "silver simple song station story street student summer sunday support table theme ticket today tomorrow town "
    "track travel update upload user video village visit voice wallet water weather website weekend welcome winter"
)
_WORDS: Final = _VOCABULARY.split()


def fill(client: redis.Redis, megabytes: int, *, seed: int = 7, last_day: datetime.date = LAST_DAY) -> dict[int, int]:
    """Write about ``megabytes`` into databases 0 and 1: 200 MB take two or three seconds.

    The same arguments give the same keys, values and TTLs. Meant for an empty server: what stands there under the same
    names is written over, but lists grow.

    Args:
        megabytes: of ``used_memory``, in 10**6 bytes. Redis 7 comes within a twentieth; other allocators and
            encodings need up to an eighth less.
        last_day: the newest day of the counters, which go back 400 days.

    Returns:
        How many keys were written, by database.
    """
    site = _Site(random.Random(seed), megabytes, last_day)  # noqa: S311 - lifelike, not secret
    return {
        0: _write(client, 0, site.everything()),
        1: _write(client, 1, site.pages()),
    }


def fill_reports(client: redis.Redis, megabytes: int, *, seed: int = 7, last_day: datetime.date = LAST_DAY) -> int:
    """Write about ``megabytes`` of daily reports, ``report:<name>:<YYYYMMDD>``, into database 0; none expires.

    They go back up to 400 days from ``last_day``. Gives how many keys were written.
    """
    return _write(client, 0, _Site(random.Random(seed), megabytes, last_day).reports())  # noqa: S311 - as above


def _write(client: redis.Redis, database: int, steps: Iterable[Step]) -> int:
    """Send the commands to that database in large batches, each of which finds and leaves the client's own."""
    own = client.get_connection_kwargs().get("db", 0)
    steps = iter(steps)
    keys = 0
    while batch := list(itertools.islice(steps, _BATCH)):
        with client.pipeline(transaction=False) as pipeline:
            queue: Callable[..., object] = pipeline.execute_command
            queue("SELECT", database)
            for new_keys, command in batch:
                queue(*command)
                keys += new_keys
            queue("SELECT", own)
            pipeline.execute()
    return keys


class _Site:
    """The commands that write it, kind by kind. The numbers of each are per megabyte; together they weigh one.

    Text and noise are cut from pools made beforehand, which is what makes this fast. The noise pool is longer than the
    windows of zstd's lower levels, so that a piece cut twice does not come out as half.
    """

    def __init__(self, rng: random.Random, megabytes: int, last_day: datetime.date) -> None:
        self._rng = rng
        self._megabytes = megabytes
        self._last_day = last_day
        self._bytes = rng.randbytes(8 << 20)
        self._noise = base64.urlsafe_b64encode(self._bytes)
        self._prose = " ".join(rng.choices(_WORDS, k=500_000)).encode()

    def everything(self) -> Iterator[Step]:
        """All of database 0."""
        return itertools.chain(
            self.sessions(), self.users(), self.counters(), self.feeds(),
            self.leaderboards(), self.tags(), self.thumbnails(), self.stream(),
        )  # fmt: skip

    def sessions(self) -> Iterator[Step]:
        for _ in range(_SESSIONS * self._megabytes):
            value = b'{"user":%d,"csrf":"%s","seen":"%s","token":"%s"}' % (
                self._user(),
                self._cut(self._noise, 43),
                self._cut(self._prose, 300, 1100),
                self._cut(self._noise, 200, 1000),
            )
            yield 1, ("SET", f"session:{self._rng.getrandbits(128):032x}", value, "EX", self._below(2, 14 * 24) * _HOUR)

    def users(self) -> Iterator[Step]:
        for number in range(_USERS * self._megabytes):
            name = self._word()
            yield 1, (
                "HSET", f"user:{number}",
                "name", name, "email", f"{name}.{number}@example.com", "logins", self._below(0, 5000),
                "password", self._cut(self._noise, 60), "about", self._cut(self._prose, 100, 700),
            )  # fmt: skip

    def counters(self) -> Iterator[Step]:
        days = [f"{self._last_day - datetime.timedelta(days=age):%Y%m%d}" for age in range(_DAYS)]
        for number in range(self._megabytes):
            name = f"{_WORDS[number % len(_WORDS)]}-{number // len(_WORDS)}"
            counts: Iterator[Command] = ((f"metric:{name}:{day}", self._below(0, 1_000_000)) for day in days)
            yield _DAYS, ("MSET", *itertools.chain.from_iterable(counts))

    def feeds(self) -> Iterator[Step]:
        for number in range(8 * self._megabytes):
            items = (self._cut(self._prose, 40, 140) for _ in range(self._below(50, 150)))
            yield 1, ("RPUSH", f"feed:{number}", *items)

    def leaderboards(self) -> Iterator[Step]:
        for number in range(self._megabytes):
            members = range(self._below(100, 500))
            scores: Iterator[Command] = ((self._below(0, 100_000), f"user:{self._user()}") for _ in members)
            yield 1, ("ZADD", f"leaderboard:{number}", *itertools.chain.from_iterable(scores))

    def tags(self) -> Iterator[Step]:
        for number in range(2 * self._megabytes):
            yield 1, ("SADD", f"tag:{number}:users", *(self._user() for _ in range(self._below(20, 400))))
            yield 1, ("SADD", f"tag:{number}:words", *self._rng.sample(_WORDS, self._below(10, 100)))

    def thumbnails(self) -> Iterator[Step]:
        for number in range(10 * self._megabytes):
            yield 1, ("SET", f"thumb:{number}", b"\xff\xd8\xff\xe0" + self._cut(self._bytes, 3000, 13000))

    def stream(self) -> Iterator[Step]:
        first = int(datetime.datetime.combine(self._last_day, datetime.time.min, datetime.UTC).timestamp()) * 1000
        yield 0, ("UNLINK", "events")
        for number in range(60 * self._megabytes):
            entry = ("kind", self._word(), "user", self._user())
            yield int(number == 0), ("XADD", "events", f"{first + number}-0", *entry)
        if self._megabytes:
            yield 0, ("XGROUP", "CREATE", "events", "mailer", "0")

    def reports(self) -> Iterator[Step]:
        for number in range(_REPORTS * self._megabytes):
            series, age = divmod(number, _DAYS)
            day = self._last_day - datetime.timedelta(days=age)
            told = self._cut(self._prose, 2000, 6000) + self._cut(self._noise, 500, 2000)
            yield 1, ("SET", f"report:{_WORDS[series % len(_WORDS)]}-{series // len(_WORDS)}:{day:%Y%m%d}", told)

    def pages(self) -> Iterator[Step]:
        """All of database 1."""
        for _ in range(20 * self._megabytes):
            html = b"<html><body><p>%s</p></body></html>" % self._cut(self._prose, 3000, 11000)
            yield 1, ("SET", f"page:{self._rng.getrandbits(160):040x}", html, "EX", self._below(2, 24) * _HOUR)

    def _below(self, low: int, high: int) -> int:
        """A number from ``low`` to below ``high``; several times faster than ``randrange``."""
        return low + int(self._rng.random() * (high - low))

    def _cut(self, pool: bytes, low: int, high: int | None = None) -> bytes:
        length = low if high is None else self._below(low, high)
        start = self._below(0, len(pool) - length)
        return pool[start : start + length]

    def _word(self) -> str:
        return _WORDS[self._below(0, len(_WORDS))]

    def _user(self) -> int:
        return self._below(0, _USERS * self._megabytes)
