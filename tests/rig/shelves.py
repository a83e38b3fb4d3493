"""Backups on a shelf, made without a server: manifests that are whole and signed, objects that are only bytes.

    put_backup(store, moment, bytes=1000)          # a manifest, its object, and nothing else
    with pytest.raises(Gone): something(Dying(store, after=3))
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tasks import names
from tasks.manifest import Manifest, ObjectFacts, PlaintextFacts, ServerFacts, SourceFacts
from tasks.store import Store

__all__ = ["Dying", "Gone", "put_backup"]


def put_backup(
    store: Store,
    moment: datetime,
    *,
    target: str = "main",
    bytes: int = 1000,
    key: Ed25519PrivateKey | None = None,
    **changes: Any,
) -> Manifest:
    """One backup taken at that moment; ``changes`` are of its manifest, made before it is signed."""
    backup_id, nonce = names.stamp(moment), names.new_nonce()
    body = f"{target} {backup_id}".encode()
    stored = store.put(names.snapshot_key(target, backup_id, nonce, ("zstd:1", "age")), iter([body]))
    digest = hashlib.sha256(body).hexdigest()
    manifest = Manifest(
        id=backup_id,
        target=target,
        slot=None,
        created=moment.isoformat().replace("+00:00", "Z"),
        task_id=nonce,
        run_id=nonce,
        fence=1,
        server=ServerFacts(name="redis", version="7.0.15", run_id="ab", role="master", mode="standalone"),
        source=SourceFacts(kind="follow", exact=True, seconds=1.0),
        plaintext=PlaintextFacts(
            bytes=bytes, sha256="00", rdb_version=10, crc64="00", keys={"0": 1}, expires={"0": 0}
        ),
        object=ObjectFacts(key=stored.key, bytes=stored.bytes, sha256=digest, etag=stored.etag, parts=1),
        stages=("zstd:1", "age"),
        recipients=("age1x",),
        redkeep_version="0",
    )
    manifest = manifest.model_copy(update=changes).signed(key)
    store.put(names.manifest_key(target, backup_id), iter([manifest.body()]))
    return manifest


class Gone(BaseException):
    """The process that did it is no more."""


class Dying:
    """A store whose user is killed instead of its ``after``-th change, counted from 0; what it reads is real.

    Attributes:
        changes: how many there were.
    """

    CHANGES = ("put", "put_once", "delete", "abort")

    def __init__(self, store: Store, after: int) -> None:
        self.changes = 0
        self._store = store
        self._after = after

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        return self._counted(found) if name in self.CHANGES else found

    def _counted(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def changing(*args: Any, **options: Any) -> Any:
            if self.changes == self._after:
                raise Gone
            self.changes += 1
            return method(*args, **options)

        return changing
