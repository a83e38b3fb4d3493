"""The store: an object is written, read, looked for and deleted; and what else it does is found out by trying."""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tasks import names
from tasks.check.clock import apart, clock
from tasks.check.finding import Finding, Findings
from tasks.errors import ObjectMissing, StoreUnusable
from tasks.settings import Settings
from tasks.store import Store, Traits, open_store
from tasks.words import size

__all__ = ["store"]

WHAT = "store"
BODY = b"redkeep"
SPARE = 0.1
"""Share of a folder's disk that should be free."""


def utc_now() -> datetime:
    return datetime.now(UTC)


def store(settings: Settings, now: Callable[[], datetime] = utc_now) -> Findings:
    """Nothing of the probes stays there."""
    opened = open_store(**settings.store.arguments())
    probe = f"probe/{names.new_nonce()}"
    try:
        opened.put(probe, iter([BODY]))
    except StoreUnusable as error:
        yield Finding(WHAT, "fail", str(error), _make_folder(settings) or error.hint)
        return
    except ObjectMissing as error:  # S3 never says so of what is being written
        told = f"something answers there, but not as S3 does ({error.detail})"
        yield Finding(WHAT, "fail", told, "Correct [store] endpoint_url.")
        return
    try:
        asked = now()
        found = opened.head(probe)
        there = [each.key for each in opened.list("probe/")]
        whole = found is not None and opened.read(probe) == BODY and probe in there
        list(opened.uploads(probe))
    finally:
        opened.delete(probe)
    if found is None or not whole:
        yield Finding(WHAT, "fail", "it does not give back what was written", "Do not use this store.")
        return
    traits = opened.traits(probe)
    yield Finding(WHAT, "ok", f"{opened.url} writes, reads, lists and deletes; {_told(traits)}")
    yield from _exclusive(opened, probe)
    yield from _room(settings)
    yield from _lock(settings, traits)
    yield from clock(WHAT, "the store's", apart(found.modified, asked))


def _make_folder(settings: Settings) -> str:
    """The command, where it is only a folder that is missing."""
    folder = _folder(settings)
    if folder is None:
        return ""
    return f"Make the folder, or mount its disk: install -d -m 0700 -o {_user()} {shlex.quote(str(folder))}"


def _user() -> str:
    """Who looks, and so is to write there; a container's user may have no name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _told(traits: Traits) -> str:
    """
    >>> _told(Traits(versioned=True, locked=False, compares=None))
    'versioning yes, Object Lock no, checksums compared not told'
    """
    words = {True: "yes", False: "no", None: "not told"}
    return (
        f"versioning {words[traits.versioned]}, Object Lock {words[traits.locked]}, "
        f"checksums compared {words[traits.compares]}"
    )


def _exclusive(opened: Store, probe: str) -> Findings:
    if opened.exclusive(probe):
        yield Finding(WHAT, "ok", "a second write of one manifest is refused (conditional writes)")
    else:
        remedy = "Slots and unique keys still keep runs apart; a server with If-None-Match keeps two hosts apart too."
        yield Finding(WHAT, "warn", "it replaced an object that was there", remedy)


def _room(settings: Settings) -> Findings:
    """Of a folder's disk; a bucket has no end that it would tell."""
    folder = _folder(settings)
    if folder is None:
        return
    disk = shutil.disk_usage(folder)
    told = f"{size(disk.free)} of {size(disk.total)} are free there"
    if disk.free < disk.total * SPARE:
        yield Finding(
            WHAT, "warn", told, "Make room, or keep fewer backups ([target.backup] keep): a full disk ends them."
        )
    else:
        yield Finding(WHAT, "ok", told)


def _folder(settings: Settings) -> Path | None:
    parts = urlsplit(settings.store.url)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _lock(settings: Settings, traits: Traits) -> Findings:
    if settings.store.object_lock and traits.locked is False:
        remedy = "Create the bucket with Object Lock, or take object_lock out of [store]."
        yield Finding(WHAT, "fail", "object_lock is set, and the bucket has no Object Lock", remedy)
