"""What is known of a backup's worth: when it was verified or drilled, by whom, and how it went. The manifest never
changes; its verdict grows beside it.

Verify, drill and retention speak of one backup at the same time, and no store of ours can change an object only if it
is still the same. So whoever has something to say writes it as an object of its own first
(``verdicts/<id>.<nonce>.json``), which nobody else ever touches, and then merges all there is into
``verdicts/<id>.json``. A part is a register in which the later statement stands, so merging is commutative,
associative and idempotent: whoever merges last and in whatever order, all come to the same. Should one merge overwrite
another, nothing is lost: readers merge what lies beside as well, until an hour later it is in the merged object for
certain.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Self

import rfc8785
from pydantic import ValidationError

from tasks import names
from tasks.errors import ObjectMissing, RedkeepError, StoreFailed, VerdictInvalid, VerdictTooNew
from tasks.manifest import Part
from tasks.store import ObjectInfo, Store

__all__ = ["Kind", "Statement", "Verdict", "gather", "merged", "pronounce", "statement"]

FORMAT_VERSION = 1
LOOSE_FOR = timedelta(hours=1)
"""How long a statement lies beside the merged verdict at least. Whoever merges takes seconds between looking and
writing; only one that slept for longer than this in between could overwrite a statement that is no longer beside."""

Kind = Literal["verified", "drilled", "settled"]
"""``verified`` and ``drilled`` say how that went. ``settled``: no snapshot up to this one is suspected of having lost
data (see tasks/retention)."""


class Statement(Part):
    """One thing said: when (RFC 3339, UTC, microseconds), on which host, by which run or whom, and how it went."""

    at: str
    host: str
    run: str = ""
    by: str = ""
    ok: bool = True
    error: dict[str, Any] | None = None
    figures: dict[str, Any] = {}

    @property
    def moment(self) -> datetime | None:
        try:
            return datetime.fromisoformat(self.at).astimezone(UTC)
        except (ValueError, OverflowError):
            return None


class Verdict(Part):
    """All that was said of one backup, the latest of each kind. Parts that a later redkeep adds are kept."""

    format_version: int = FORMAT_VERSION
    id: str
    target: str
    verified: Statement | None = None
    drilled: Statement | None = None
    settled: Statement | None = None
    removing: Statement | None = None
    """Retention has begun to remove the backup. Never merged: it stands in a note of its own."""

    @classmethod
    def read(cls, body: bytes) -> Self:
        """
        Raises:
            VerdictTooNew: a newer redkeep wrote it.
            VerdictInvalid: it is not a verdict.
        """
        try:
            raw = json.loads(body)
            version = raw["format_version"]
            if type(version) is int and version > FORMAT_VERSION:
                raise VerdictTooNew(f"the verdict has format {version}, known here is {FORMAT_VERSION}")
            verdict = cls.model_validate(raw)
            verdict.body()
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(str(step) for step in first["loc"])
            raise VerdictInvalid("not a verdict", detail=f"{field}: {first['msg'].lower()}") from None
        except (ValueError, TypeError, KeyError, RecursionError):
            raise VerdictInvalid("not a verdict") from None
        return verdict

    @property
    def last(self) -> Statement | None:
        """How it went when it was looked at last, be it verified or drilled."""
        return max(filter(None, (self.verified, self.drilled)), key=lambda each: each.at, default=None)

    @property
    def good(self) -> bool:
        """It was looked at, and the last time it was whole."""
        return self.last is not None and self.last.ok

    @property
    def failed(self) -> bool:
        """It was looked at, and the last time it was not."""
        return self.last is not None and not self.last.ok

    def body(self) -> bytes:
        """The bytes that go to the store: canonical JSON (RFC 8785)."""
        return rfc8785.dumps(self._told())

    def _told(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True) | {"format_version": self.format_version}


def statement(
    *, run: str = "", by: str = "", error: RedkeepError | None = None, figures: dict[str, Any] | None = None
) -> Statement:
    """What this host has to say now; with an error, that it went badly."""
    return Statement(
        at=datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        host=socket.gethostname(),
        run=run,
        by=by,
        ok=error is None,
        error=error.as_dict() if error else None,
        figures=figures or {},
    )


def merged(verdicts: Iterable[Verdict]) -> Verdict:
    """All of them as one. They must be of the same backup, and there must be one."""
    told: dict[str, Any] = {}
    for verdict in verdicts:
        for name, value in verdict._told().items():
            told[name] = value if name not in told else max(told[name], value, key=_rank)
    return Verdict.model_validate(told)


def _rank(value: Any) -> tuple[str, bytes]:
    """Later is more; where two are of the same moment, any order will do as long as everybody has the same."""
    at = value.get("at") if isinstance(value, dict) else ""
    return str(at), rfc8785.dumps(value)


# -- in the store ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gathered:
    """What the store has on one backup: merged, each object by itself, and which of them cannot be read."""

    verdict: Verdict | None
    by_key: dict[str, Verdict]
    problems: dict[str, RedkeepError]


def gather(store: Store, target: str, backup_id: str, keys: Iterable[str]) -> Gathered:
    """Read and merge the objects under these keys. One that cannot be read counts as none; the caller tells."""
    by_key: dict[str, Verdict] = {}
    problems: dict[str, RedkeepError] = {}
    for key in keys:
        try:
            found = _read(store.read(key), target, backup_id)
        except ObjectMissing:  # merged and removed meanwhile
            continue
        except (VerdictInvalid, VerdictTooNew, StoreFailed) as error:
            problems[key] = error
        else:
            by_key[key] = found
    return Gathered(merged(by_key.values()) if by_key else None, by_key, problems)


def _read(body: bytes, target: str, backup_id: str) -> Verdict:
    found = Verdict.read(body)
    if (found.target, found.id) != (target, backup_id):
        raise VerdictInvalid("the verdict is another backup's")
    return found


def pronounce(store: Store, target: str, backup_id: str, kind: Kind, said: Statement) -> Verdict:
    """Add a statement to what is known of a backup, so that neither it nor anybody else's is lost.

    Returns:
        All that is known now.
    """
    own = Verdict.model_validate({"id": backup_id, "target": target, kind: said.model_dump(exclude_none=True)})
    store.put_once(names.verdict_key(target, backup_id, names.new_nonce()), own.body())
    return fold(store, target, backup_id)


def fold(store: Store, target: str, backup_id: str) -> Verdict:
    """Merge all statements on a backup into one object; remove those that have been in it for long.

    Raises:
        VerdictInvalid: there is none that can be read.
    """
    base = names.verdict_key(target, backup_id)
    there = {each.key: each for each in store.list(names.verdict_prefix(target, backup_id))}
    there.pop(names.removal_key(target, backup_id), None)  # retention's own, see tasks/retention/removal.py
    found = gather(store, target, backup_id, there)
    if found.verdict is None:
        raise VerdictInvalid(f"nothing that can be read was said of backup {backup_id} of {target}")
    standing = found.by_key.get(base)
    if not _same(standing, found.verdict) and not isinstance(found.problems.get(base), VerdictTooNew):
        store.put(base, iter([found.verdict.body()]))
    for key in _outlived(standing, found, there):
        store.delete(key)
    return found.verdict


def _outlived(standing: Verdict | None, found: Gathered, there: dict[str, ObjectInfo]) -> list[str]:
    """Which statements beside the merged object are in it already, and have been for long enough."""
    if standing is None:
        return []
    before = datetime.now(UTC) - LOOSE_FOR
    old = {key: each for key, each in found.by_key.items() if each is not standing and there[key].modified < before}
    return [key for key, each in old.items() if _same(standing, merged([standing, each]))]


def _same(one: Verdict | None, other: Verdict) -> bool:
    return one is not None and one.body() == other.body()
