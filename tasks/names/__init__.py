"""Every Redis key, queue, object key and id is made here, and nowhere else.

Object keys are relative to the store's prefix. Redis keys begin with the installation's namespace, so that two
installations may share one control Redis.
"""

from __future__ import annotations

from tasks.names.control import Keys
from tasks.names.ids import (
    due_of,
    is_backup_id,
    is_target,
    manual_id,
    moment_of,
    new_nonce,
    run8,
    slot_after,
    slot_id,
    slot_name,
    stamp,
)
from tasks.names.objects import (
    hold_key,
    hold_prefix,
    id_in,
    is_snapshot_key,
    manifest_key,
    manifest_prefix,
    removal_key,
    segment_in,
    segment_key,
    segment_manifest_key,
    segment_name,
    segment_stayed_key,
    snapshot_key,
    snapshot_prefix,
    suffix,
    tidied_prefix,
    verdict_key,
    verdict_prefix,
)
from tasks.names.queues import QUEUES, ROUTINE, gives_way, queue_of, resources_of
from tasks.names.urls import masked_url, origin_of

__all__ = [
    "QUEUES",
    "RESTORE_MARK",
    "ROUTINE",
    "Keys",
    "due_of",
    "gives_way",
    "hold_key",
    "hold_prefix",
    "id_in",
    "is_backup_id",
    "is_snapshot_key",
    "is_target",
    "manifest_key",
    "manifest_prefix",
    "manual_id",
    "masked_url",
    "moment_of",
    "new_nonce",
    "origin_of",
    "queue_of",
    "removal_key",
    "resources_of",
    "run8",
    "segment_in",
    "segment_key",
    "segment_manifest_key",
    "segment_name",
    "segment_stayed_key",
    "slot_after",
    "slot_id",
    "slot_name",
    "snapshot_key",
    "snapshot_prefix",
    "stamp",
    "suffix",
    "tidied_prefix",
    "verdict_key",
    "verdict_prefix",
]

RESTORE_MARK = "redkeep-restore-"
"""What a server's one-time `masterauth` begins with while a snapshot is restored into it; so a server that a killed
restore has left behind can be told from any other replica."""
