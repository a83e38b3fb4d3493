"""Keys of objects, relative to the store's prefix."""

from __future__ import annotations

import re

from tasks.names.ids import is_backup_id

STAGE_SUFFIX = {"zstd": "zst", "gzip": "gz", "age": "age"}
_SEGMENT = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}\.[0-9a-f]{8}\.\d{4,6}")


def suffix(stages: tuple[str, ...], content: str = ".rdb") -> str:
    """What a reader needs to know to undo the stages, from left to right.

    >>> suffix(("zstd:1", "age")), suffix(("gzip:6",)), suffix((), ".dump")
    ('.rdb.zst.age', '.rdb.gz', '.dump')
    """
    return content + "".join("." + STAGE_SUFFIX[stage.partition(":")[0]] for stage in stages)


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


def tidied_prefix(target: str, archive_id: str = "") -> str:
    """Everything that tidy has archived; with an id, of that run alone.

    >>> tidied_prefix("main"), tidied_prefix("main", "20261123T113700Z-1a2b3c4d")
    ('main/tidied/', 'main/tidied/20261123T113700Z-1a2b3c4d.')
    """
    return f"{target}/tidied/" + (f"{archive_id}." if archive_id else "")


def segment_name(archive_id: str, nonce: str, number: int) -> str:
    """One segment of an archive: two attempts of one run never share it.

    >>> segment_name("20261123T113700Z-1a2b3c4d", "9f8e7d6c5b4a3210", 3)
    '20261123T113700Z-1a2b3c4d.9f8e7d6c.0003'
    """
    return f"{archive_id}.{nonce[:8]}.{number:04}"


def segment_in(key: str) -> str:
    """The segment that an object of an archive belongs to; empty where it is none.

    >>> segment_in("main/tidied/20261123T113700Z-1a2b3c4d.9f8e7d6c.0003.dump.zst.age")
    '20261123T113700Z-1a2b3c4d.9f8e7d6c.0003'
    >>> segment_in("main/tidied/readme.txt"), segment_in("main/manifests/20261123T110700Z.json")
    ('', '')
    """
    folder, _, name = key.rpartition("/")
    found = _SEGMENT.match(name)
    return found[0] if found and folder.endswith("/tidied") and name[found.end() :].startswith(".") else ""


def segment_key(target: str, segment: str, stages: tuple[str, ...]) -> str:
    """
    >>> segment_key("main", "20261123T113700Z-1a2b3c4d.9f8e7d6c.0003", ("zstd:1", "age"))
    'main/tidied/20261123T113700Z-1a2b3c4d.9f8e7d6c.0003.dump.zst.age'
    """
    return f"{tidied_prefix(target)}{segment}{suffix(stages, '.dump')}"


def segment_manifest_key(target: str, segment: str) -> str:
    """Its presence is the segment's commit.

    >>> segment_manifest_key("main", "20261123T113700Z-1a2b3c4d.9f8e7d6c.0003")
    'main/tidied/20261123T113700Z-1a2b3c4d.9f8e7d6c.0003.json'
    """
    return f"{tidied_prefix(target)}{segment}.json"


def segment_stayed_key(target: str, segment: str) -> str:
    """Which of the segment's records were not removed after all.

    >>> segment_stayed_key("main", "20261123T113700Z-1a2b3c4d.9f8e7d6c.0003")
    'main/tidied/20261123T113700Z-1a2b3c4d.9f8e7d6c.0003.stayed.json'
    """
    return f"{tidied_prefix(target)}{segment}.stayed.json"


def id_in(key: str) -> str:
    """The backup id that the name of a manifest, verdict or hold begins with; empty where it is none.

    >>> id_in("main/verdicts/20261123T110700Z-1a2b3c4d.1a2b3c4d5e6f7081.json"), id_in("main/holds/readme.json")
    ('20261123T110700Z-1a2b3c4d', '')
    """
    found = key.rpartition("/")[2].partition(".")[0]
    return found if is_backup_id(found) else ""
