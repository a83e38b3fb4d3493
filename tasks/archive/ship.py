"""Records into the store: frame -> seal -> put -> manifest. The same order, and the same commit, as a backup's.

What is left of a segment whose manifest was never written (the worker was killed, the store went away) is an object
that nothing names; retention removes it a day later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tasks import names
from tasks.archive.format import Record, framed
from tasks.manifest import ObjectFacts, RecordsFacts, ServerFacts, TidiedManifest
from tasks.store import Store, Stored
from tasks.stream import seal, stages_of
from tasks.stream.meter import Meter
from tasks.stream.shape import gathered, owned

__all__ = ["Shipper", "Shipping"]


@dataclass(frozen=True)
class Shipping:
    """Whose keys they are, how they are sealed, and what the manifests say of the run.

    Attributes:
        archive_id: the same for every segment and attempt of one run.
        nonce: this attempt's own name.
        compression, recipients: as for a backup.
        prove: raises where the run has lost its lease; called before each manifest is written.
    """

    target: str
    archive_id: str
    task_id: str
    nonce: str
    slot: str | None
    fence: Callable[[], int]
    server: ServerFacts
    compression: str
    recipients: tuple[str, ...]
    signing_key: Ed25519PrivateKey | None
    prove: Callable[[], None]


@dataclass
class Shipper:
    """Ships segments, one after the other.

    Attributes:
        shipped: manifests of what is committed.
    """

    store: Store
    shipping: Shipping
    writes: Callable[[str], None] = lambda key: None
    """To be told the key of an object before its first byte is sent."""
    shipped: list[TidiedManifest] = field(default_factory=list)

    @property
    def stored_bytes(self) -> int:
        return sum(manifest.object.bytes for manifest in self.shipped)

    def ship(self, wanted: Sequence[Record]) -> str:
        """Commit one segment. Returns its name.

        Raises:
            RedkeepError: it may not be committed; nothing of it is to be removed.
        """
        segment = names.segment_name(self.shipping.archive_id, self.shipping.nonce, len(self.shipped) + 1)
        stages = stages_of(self.shipping.compression, self.shipping.recipients)
        key = names.segment_key(self.shipping.target, segment, stages)
        plaintext, sealed = Meter(), Meter()
        chunks = plaintext.through(gathered(framed(wanted)))
        chunks = seal(chunks, self.shipping.compression, self.shipping.recipients)
        chunks = sealed.through(chunks)
        self.writes(key)
        with owned(chunks):
            stored = self.store.put(key, chunks)
        manifest = self._manifest(wanted, plaintext, sealed, stored, stages).signed(self.shipping.signing_key)
        self.shipping.prove()
        self.store.put_once(names.segment_manifest_key(self.shipping.target, segment), manifest.body())
        self.shipped.append(manifest)
        return segment

    def note_stayed(self, segment: str, numbers: Sequence[int]) -> None:
        """Write down which records of the segment, counted from 0, were not removed after all."""
        if numbers:
            body = rfc8785.dumps({"format_version": 1, "stayed": list(numbers)})
            self.store.put_once(names.segment_stayed_key(self.shipping.target, segment), body)

    def _manifest(
        self, wanted: Sequence[Record], plaintext: Meter, sealed: Meter, stored: Stored, stages: tuple[str, ...]
    ) -> TidiedManifest:
        shipping = self.shipping
        return TidiedManifest(
            kind="tidied",
            id=shipping.archive_id,
            segment=len(self.shipped) + 1,
            target=shipping.target,
            slot=shipping.slot,
            created=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            task_id=shipping.task_id,
            run_id=shipping.nonce,
            fence=shipping.fence(),
            server=shipping.server,
            plaintext=RecordsFacts(
                bytes=plaintext.size,
                sha256=plaintext.sha256,
                records=len(wanted),
                rules=dict(Counter(record.rule for record in wanted)),
                databases=dict(Counter(str(record.database) for record in wanted)),
                payload_version=max(record.version for record in wanted),
            ),
            object=ObjectFacts(
                key=stored.key, bytes=stored.bytes, sha256=sealed.sha256, etag=stored.etag, parts=stored.parts
            ),
            stages=stages,
            recipients=shipping.recipients,
            redkeep_version=version("redkeep"),
        )
