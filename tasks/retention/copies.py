"""Copies of keys that tidy removed, when their time is over; and what killed workers left of them.

Whatever is here lies under ``<target>/tidied/`` and is called as a segment is: a backup can never be among it.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta

from tasks import names
from tasks.errors import StoreDenied, StoreFailed
from tasks.retention.sweep import OLD
from tasks.store import ObjectInfo, Store

__all__ = ["remove_copies", "spent"]


def spent(store: Store, target: str, keep_for: timedelta, live: set[str], now: datetime) -> list[list[str]]:
    """The keys of each segment that may go, the manifest before the rest: without it there is no archive any more.

    A segment is spent `keep_for` after its run began and its objects were written. One without a manifest never became
    an archive, and goes a day later, unless a live run says that it is writing it.
    """
    segments: dict[str, list[ObjectInfo]] = defaultdict(list)
    for each in store.list(names.tidied_prefix(target)):
        if segment := names.segment_in(each.key):
            segments[segment].append(each)
    return [
        sorted((each.key for each in objects), key=lambda key: key != names.segment_manifest_key(target, segment))
        for segment, objects in segments.items()
        if _is_spent(target, segment, objects, keep_for, live, now)
    ]


def _is_spent(
    target: str, segment: str, objects: list[ObjectInfo], keep_for: timedelta, live: set[str], now: datetime
) -> bool:
    keys, newest = {each.key for each in objects}, max(each.modified for each in objects)
    if names.segment_manifest_key(target, segment) not in keys:
        return newest < now - OLD and not keys & live
    return max(newest, names.moment_of(segment)) < now - keep_for


def remove_copies(store: Store, found: list[list[str]]) -> dict[str, str]:
    """Remove them. Returns what the store refused, and why; the rest of that segment stays with it."""
    refused: dict[str, str] = {}
    for keys in found:
        for key in keys:
            try:
                store.delete(key)
            except (StoreDenied, StoreFailed) as error:
                refused[key] = str(error)
                break
    return refused
