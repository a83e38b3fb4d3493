"""Every Redis key, queue, object key and id is made here, and nowhere else.

Object keys are relative to the store's prefix. Redis keys begin with the installation's namespace, so that two
installations may share one control Redis.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import SplitResult, urlsplit

__all__ = [
    "Keys",
    "hold_key",
    "manifest_key",
    "masked_url",
    "new_nonce",
    "queue_of",
    "resources_of",
    "slot_id",
    "slot_name",
    "snapshot_key",
    "verdict_key",
]

QUEUES = {
    "backup": "backup",
    "tidy": "tidy",
    "untidy": "tidy",
    "rewrite": "rewrite",
    "enforce": "rewrite",
    "drill": "drill",
    "verify": "drill",
    "retention": "housekeeping",
    "watch": "housekeeping",
}
"""Which kind of worker does which task. Tasks that need the private key share `drill`."""

NEAR = frozenset({"backup", "tidy", "rewrite"})
"""The queues whose worker stands beside the server's files; a target's `worker` gives them a suffix."""

CALM = frozenset({"drill", "verify", "retention", "watch"})
"""The tasks that make no server fork or churn its memory: each holds a resource of its own."""

RESTORE_SECRET = "redkeep-restore-"
"""What a server's one-time `masterauth` begins with while a snapshot is restored into it; so a server that a killed
restore has left behind can be told from any other replica."""

STAGE_SUFFIX = {"zstd": "zst", "gzip": "gz", "age": "age"}
_ID = re.compile(r"\d{8}T\d{6}Z(-[0-9a-f]{8})?")
_TARGET = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


# -- ids -------------------------------------------------------------------------------------------------


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


# -- objects in the store --------------------------------------------------------------------------------


def suffix(stages: tuple[str, ...]) -> str:
    """What a reader needs to know to undo the stages, from left to right.

    >>> suffix(("zstd:1", "age")), suffix(("gzip:6",)), suffix(())
    ('.rdb.zst.age', '.rdb.gz', '.rdb')
    """
    return ".rdb" + "".join("." + STAGE_SUFFIX[stage.partition(":")[0]] for stage in stages)


def snapshot_key(target: str, backup_id: str, nonce: str, stages: tuple[str, ...]) -> str:
    """Always a new key: the attempt's nonce is in it.

    >>> snapshot_key("main", "20261123T110700Z", "1a2b3c4d5e6f7081", ("zstd:1", "age"))
    'main/snapshots/20261123T110700Z-1a2b3c4d.rdb.zst.age'
    """
    bare = backup_id.partition("-")[0]
    return f"{target}/snapshots/{bare}-{nonce[:8]}{suffix(stages)}"


def manifest_prefix(target: str) -> str:
    """
    >>> manifest_prefix("main")
    'main/manifests/'
    """
    return f"{target}/manifests/"


def manifest_key(target: str, backup_id: str) -> str:
    """Its presence is the commit.

    >>> manifest_key("main", "20261123T110700Z")
    'main/manifests/20261123T110700Z.json'
    """
    return f"{manifest_prefix(target)}{backup_id}.json"


def snapshot_prefix(target: str) -> str:
    """
    >>> snapshot_prefix("main")
    'main/snapshots/'
    """
    return f"{target}/snapshots/"


def is_snapshot_key(target: str, key: str) -> bool:
    """Whether an object may be a snapshot of that target.

    >>> is_snapshot_key("main", "main/snapshots/x.rdb"), is_snapshot_key("main", "main/snapshots/../../x")
    (True, False)
    """
    name = key.removeprefix(snapshot_prefix(target))
    return name != key and "/" not in name and not name.startswith(".")


def verdict_prefix(target: str, backup_id: str = "") -> str:
    """Every verdict of the target; with an id, all that was said of that backup and of no other.

    >>> verdict_prefix("main"), verdict_prefix("main", "20261123T110700Z")
    ('main/verdicts/', 'main/verdicts/20261123T110700Z.')
    """
    return f"{target}/verdicts/" + (f"{backup_id}." if backup_id else "")


def verdict_key(target: str, backup_id: str, nonce: str = "") -> str:
    """What is known of a backup's worth; with a nonce, one thing said of it that is still to be merged into that.

    >>> verdict_key("main", "20261123T110700Z")
    'main/verdicts/20261123T110700Z.json'
    >>> verdict_key("main", "20261123T110700Z", "1a2b3c4d5e6f7081")
    'main/verdicts/20261123T110700Z.1a2b3c4d5e6f7081.json'
    """
    return f"{verdict_prefix(target, backup_id)}{nonce + '.' if nonce else ''}json"


def removal_key(target: str, backup_id: str) -> str:
    """The note that a backup is being removed.

    >>> removal_key("main", "20261123T110700Z")
    'main/verdicts/20261123T110700Z.removing.json'
    """
    return verdict_key(target, backup_id, "removing")


def hold_prefix(target: str) -> str:
    """
    >>> hold_prefix("main")
    'main/holds/'
    """
    return f"{target}/holds/"


def hold_key(target: str, backup_id: str) -> str:
    """Its presence keeps the backup, whatever stands in it.

    >>> hold_key("main", "20261123T110700Z")
    'main/holds/20261123T110700Z.json'
    """
    return f"{hold_prefix(target)}{backup_id}.json"


def id_in(key: str) -> str:
    """The backup id that the name of a manifest, verdict or hold begins with; empty where it is none.

    >>> id_in("main/verdicts/20261123T110700Z-1a2b3c4d.1a2b3c4d5e6f7081.json"), id_in("main/holds/readme.json")
    ('20261123T110700Z-1a2b3c4d', '')
    """
    found = key.rpartition("/")[2].partition(".")[0]
    return found if is_backup_id(found) else ""


# -- queues ----------------------------------------------------------------------------------------------


def queue_of(task: str, worker: str | None = None) -> str:
    """The queue of a task, near to the target's files where it has a worker of its own.

    >>> queue_of("tasks.backup"), queue_of("tasks.backup", "db1"), queue_of("tasks.verify", "db1")
    ('backup', 'backup.db1', 'drill')
    """
    queue = QUEUES[task.removeprefix("tasks.")]
    return f"{queue}.{worker}" if worker and queue in NEAR else queue


# -- leases ----------------------------------------------------------------------------------------------


def resources_of(task: str, target: str, host: str | None = None) -> list[str]:
    """What a run holds alone while it works. Whatever forks or churns memory meets neither its like on the target nor,
    where targets name their machine, on the host; the others meet only themselves.

    >>> resources_of("tasks.backup", "main", "db1"), resources_of("tasks.verify", "main", "db1")
    (['target:main', 'host:db1'], ['verify:main'])
    """
    kind = task.removeprefix("tasks.")
    if kind in CALM:
        return [f"{kind}:{target}"]
    return [f"target:{target}", *([f"host:{host}"] if host else [])]


# -- keys in the control Redis ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Keys:
    """The keys of one installation.

    >>> Keys("redkeep").run("7f3a")
    'redkeep:run:7f3a'
    """

    namespace: str

    def lease(self, resource: str) -> str:
        """Who works there now. A resource is one of :func:`resources_of`, like ``target:main`` or ``host:db1``.

        >>> Keys("redkeep").lease("target:main")
        'redkeep:lease:target:main'
        """
        return f"{self.namespace}:lease:{resource}"

    def fence(self) -> str:
        """The last fence given out."""
        return f"{self.namespace}:fence"

    def slot(self, slot: str) -> str:
        """
        >>> Keys("redkeep").slot("tasks.backup/main/2026-11-23T11:07Z")
        'redkeep:slot:tasks.backup/main/2026-11-23T11:07Z'
        """
        return f"{self.namespace}:slot:{slot}"

    def run(self, run_id: str) -> str:
        """The record of a run, a hash."""
        return f"{self.namespace}:run:{run_id}"

    def alive(self, run_id: str) -> str:
        """Holds the nonce of the attempt at work, and expires when that stops beating."""
        return f"{self.namespace}:alive:{run_id}"

    def runs(self, target: str, task: str) -> str:
        """Run ids of one target and task, by the time they were first seen.

        >>> Keys("redkeep").runs("main", "tasks.backup")
        'redkeep:runs:main:tasks.backup'
        """
        return f"{self.namespace}:runs:{target}:{task}"

    def indexes(self) -> str:
        """The names of all the indexes, by the time they last grew."""
        return f"{self.namespace}:runs"

    def paused(self, target: str) -> str:
        """Tasks of a target that the schedule must not start, a hash of task to reason."""
        return f"{self.namespace}:paused:{target}"


# -- showing ---------------------------------------------------------------------------------------------


def masked_url(url: str) -> str:
    """A URL as it may be shown: no user, no password, no query.

    >>> masked_url("rediss://ops:hunter2@db1:6380/0?ssl_ca_certs=x")
    'rediss://db1:6380/0'
    >>> masked_url("unix://ops:hunter2@/run/redis.sock?db=1")
    'unix:///run/redis.sock'
    """
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return SplitResult(parts.scheme, host, parts.path, "", "").geturl() if host else f"{parts.scheme}://{parts.path}"
