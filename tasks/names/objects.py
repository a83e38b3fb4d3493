"""Keys of objects, relative to the store's prefix."""

from __future__ import annotations

from tasks.names.ids import is_backup_id

STAGE_SUFFIX = {"zstd": "zst", "gzip": "gz", "age": "age"}


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
