"""Ids: of slots, backups, attempts; and what a target may be called."""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import UTC, datetime

_DUE = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}Z", re.ASCII)
_ID = re.compile(r"\d{8}T\d{6}Z(-[0-9a-f]{8})?")
_TARGET = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


def new_nonce() -> str:
    """A run attempt's own random name, 16 hex digits: two attempts of one task never share it."""
    return secrets.token_hex(8)


def stamp(moment: datetime) -> str:
    """A moment as ids spell it.

    >>> stamp(datetime(2026, 11, 23, 11, 7, tzinfo=UTC))
    '20261123T110700Z'
    """
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def moment_of(identifier: str) -> datetime:
    """The moment an id begins with.

    >>> moment_of("20261123T110700Z-1a2b3c4d").isoformat()
    '2026-11-23T11:07:00+00:00'
    """
    return datetime.strptime(identifier[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def slot_name(task: str, target: str, due: datetime) -> str:
    """The one time a scheduled run stands for: task, target and the minute it was due.

    >>> slot_name("tasks.backup", "main", datetime(2026, 11, 23, 11, 7, tzinfo=UTC))
    'tasks.backup/main/2026-11-23T11:07Z'
    """
    return f"{task}/{target}/{due.astimezone(UTC):%Y-%m-%dT%H:%MZ}"


def due_of(slot: str, task: str, target: str) -> datetime | None:
    """The minute that a slot of that task and target stands for; None where it is no slot of theirs.

    >>> due_of("tasks.backup/main/2026-11-23T11:07Z", "tasks.backup", "main").isoformat()
    '2026-11-23T11:07:00+00:00'
    >>> due_of("tasks.backup/main/2026-11-23T11:07Z", "tasks.backup", "other")
    >>> due_of("tasks.backup/main/soon", "tasks.backup", "main")
    """
    prefix = f"{task}/{target}/"
    if not slot.startswith(prefix) or not _DUE.fullmatch(slot.removeprefix(prefix)):
        return None
    try:
        return datetime.strptime(slot.removeprefix(prefix), "%Y-%m-%dT%H:%MZ").replace(tzinfo=UTC)
    except ValueError:  # the 31st of February
        return None


def slot_after(slot: str, task: str) -> str:
    """The slot of what follows a scheduled run by itself: the same minute, another task.

    >>> slot_after("tasks.backup/main/2026-11-23T11:07Z", "tasks.retention")
    'tasks.retention/main/2026-11-23T11:07Z'
    """
    return f"{task}/{slot.partition('/')[2]}"


def slot_id(slot: str) -> str:
    """The backup id of a scheduled run: its slot alone, so the store refuses a second commit for it.

    >>> slot_id("tasks.backup/main/2026-11-23T11:07Z")
    '20261123T110700Z'
    """
    due = datetime.strptime(slot.rsplit("/", 1)[1], "%Y-%m-%dT%H:%MZ").replace(tzinfo=UTC)
    return stamp(due)


def manual_id(moment: datetime, nonce: str) -> str:
    """The backup id of a run without a slot.

    >>> manual_id(datetime(2026, 11, 23, 11, 30, 2, tzinfo=UTC), "1a2b3c4d5e6f7081")
    '20261123T113002Z-1a2b3c4d'
    """
    return f"{stamp(moment)}-{nonce[:8]}"


def run8(run_id: str) -> str:
    """The eight hex digits by which ids name a run: its own first ones, where it begins with such.

    >>> run8("1a2b3c4d-5e6f-4708-9a0b-c1d2e3f40516"), run8("nightly")
    ('1a2b3c4d', '2a3b62b5')
    """
    own = re.fullmatch(r"[0-9a-f]{8}.*", run_id)
    return run_id[:8] if own else hashlib.sha256(run_id.encode()).hexdigest()[:8]


def is_backup_id(text: str) -> bool:
    """
    >>> is_backup_id("20261123T110700Z"), is_backup_id("latest"), is_backup_id("../x")
    (True, False, False)
    """
    return _ID.fullmatch(text) is not None


def is_target(text: str) -> bool:
    """Target names become parts of keys, paths and queue names.

    >>> is_target("main"), is_target("a/b"), is_target("")
    (True, False, False)
    """
    return _TARGET.fullmatch(text) is not None
