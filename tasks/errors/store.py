"""The store: 50..63."""

from __future__ import annotations

from tasks.errors.root import RedkeepError

__all__ = [
    "BucketMissing",
    "ObjectExists",
    "ObjectMissing",
    "StoreDenied",
    "StoreFailed",
    "StoreFull",
    "StoreUnreachable",
    "StoreUnusable",
]


class StoreUnreachable(RedkeepError):
    code = 50
    retry = True
    hint = "Check [store] endpoint_url and the network between this worker and the store."


class StoreDenied(RedkeepError):
    code = 51
    hint = "Check the credentials and the policy: the worker needs to list, read, write and delete under its prefix."


class BucketMissing(RedkeepError):
    code = 52
    hint = "Create the bucket, or correct [store] url and region; redkeep never creates one."


class StoreFull(RedkeepError):
    code = 53
    retry = True
    hint = "Make room where the store keeps its files; nothing incomplete was left there."


class ObjectMissing(RedkeepError):
    code = 54
    hint = "List what is there with `redkeep backups`."


class ObjectExists(RedkeepError):
    """A conditional write found that key taken."""

    code = 55
    hint = "A backup of that id is already committed; it was left as it is."


class StoreFailed(RedkeepError):
    code = 56
    retry = True
    hint = "Read the store's answer; it was tried again and stayed so."


class StoreUnusable(RedkeepError):
    """The address itself is wrong: scheme, folder, missing credentials."""

    code = 57
    hint = "Correct [store] url: s3://bucket/prefix or file:///folder."
