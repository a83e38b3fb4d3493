"""Which archives a store holds, and a segment brought back. Needs no control Redis and no settings file."""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from tasks import names
from tasks.archive.format import LONGEST_SEGMENT, Record, records
from tasks.errors import ArchiveInvalid, ArchiveUnknown, ManifestInvalid, ObjectMissing
from tasks.manifest import TidiedManifest
from tasks.store import Store
from tasks.stream import unseal
from tasks.stream.meter import Meter
from tasks.stream.shape import PIECE, owned

__all__ = ["Archive", "archives", "fetched", "find", "stayed_in"]

LATEST = "latest"
READERS = 4
"""Manifests read at once: a store far away answers each in tens of milliseconds."""
LONGEST = 2 * LONGEST_SEGMENT
"""Bytes of a segment's plaintext, its lines included: what it may fill before it is known to be ours."""
IN_MEMORY = 32 * 2**20
"""Bytes of a segment that wait in memory to be trusted; of one that is longer, the rest waits in a file in TMPDIR that
has no name."""


@dataclass
class Archive:
    """All that one run has archived.

    Attributes:
        names: of its segments, in the order in which they were written by each attempt.
    """

    id: str
    names: list[str] = field(default_factory=list)

    @property
    def moment(self) -> datetime:
        return names.moment_of(self.id)


def archives(store: Store, target: str) -> dict[str, Archive]:
    """Every archive of the target by its id, oldest first, by its committed segments. One listing."""
    found: dict[str, Archive] = {}
    for each in store.list(names.tidied_prefix(target)):
        segment = names.segment_in(each.key)
        if segment and each.key == names.segment_manifest_key(target, segment):
            archive_id = segment.partition(".")[0]
            found.setdefault(archive_id, Archive(archive_id)).names.append(segment)
    return found


def find(store: Store, target: str, wanted: str) -> list[TidiedManifest]:
    """The segments of the archive that is meant, those written last at the end.

    Args:
        wanted: a run's id or its unique beginning, the archive's own id, or ``latest``.

    Raises:
        ArchiveUnknown: there is none, or several that begin so.
        ManifestInvalid, ManifestTooNew: it is there and cannot be read.
    """
    there = archives(store, target)
    meant = list(there)[-1:] if wanted == LATEST else [each for each in there if wanted and _may_be(each, wanted)]
    found: dict[str, list[TidiedManifest]] = defaultdict(list)
    with ThreadPoolExecutor(READERS, thread_name_prefix="redkeep-archive") as readers:
        named = [segment for each in meant for segment in there[each].names]
        for manifest in readers.map(lambda segment: _read(store, target, segment), named):
            if wanted in (LATEST, manifest.id) or manifest.task_id.startswith(wanted):
                found[manifest.id].append(manifest)
    if not found:
        raise ArchiveUnknown(f"no archive {wanted[:64]!r} of {target} at {store.url}")
    if len(found) > 1:
        raise ArchiveUnknown(f"several archives begin with {wanted[:64]!r}", detail=", ".join(sorted(found)))
    (segments,) = found.values()
    return sorted(segments, key=lambda each: (each.fence, each.segment))


def _may_be(archive_id: str, wanted: str) -> bool:
    """By its id alone, which has eight digits of the run's: so that few manifests need be read."""
    own = archive_id.partition("-")[2]
    return archive_id == wanted or own == names.run8(wanted) or own.startswith(wanted[:8])


def _read(store: Store, target: str, segment: str) -> TidiedManifest:
    manifest = TidiedManifest.read(store.read(names.segment_manifest_key(target, segment)))
    told = names.segment_name(manifest.id, manifest.run_id, manifest.segment)
    if (manifest.target, told, names.segment_in(manifest.object.key)) != (target, segment, segment):
        raise ManifestInvalid(f"the manifest {segment} of {target} is another segment's")
    if not manifest.object.key.startswith(names.tidied_prefix(target, manifest.id)):
        raise ManifestInvalid(f"the manifest {segment} names an object that is not {target}'s")
    return manifest


# -- one segment -------------------------------------------------------------------------------------------


@contextmanager
def fetched(
    store: Store, manifest: TidiedManifest, identities: Sequence[str], on_bytes: Callable[[int], None] | None = None
) -> Iterator[Iterator[Record]]:
    """The records of a segment, all of which were held to the manifest before the first is given out: a payload that
    somebody made up is not to reach a server.

    Raises:
        ArchiveInvalid: it is not what its manifest says.
        IdentityMissing, IdentityMismatch, AgeCorrupt, CompressionCorrupt, ObjectMissing, ...: it cannot be opened.
    """
    if manifest.plaintext.bytes > LONGEST:
        raise ArchiveInvalid(f"a segment of {manifest.called} is longer than any", detail=manifest.object.key)
    sealed, plaintext = Meter(on_bytes), Meter()
    chunks = sealed.through(store.get(manifest.object.key))
    chunks = unseal(chunks, manifest.stages, identities)
    chunks = plaintext.through(chunks)
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as file:
        with owned(chunks):
            for chunk in chunks:
                if plaintext.size > manifest.plaintext.bytes:
                    break
                file.write(chunk)
        _check(manifest, sealed, plaintext)
        file.seek(0)
        yield records(iter(lambda: file.read(PIECE), b""))


def _check(manifest: TidiedManifest, sealed: Meter, plaintext: Meter) -> None:
    said, content = manifest.object, manifest.plaintext
    whole = plaintext.size <= content.bytes
    if not whole or (said.bytes, said.sha256) != (sealed.size, sealed.sha256):
        raise ArchiveInvalid(f"the object of {manifest.called} is not the one its manifest names", detail=said.key)
    if (content.bytes, content.sha256) != (plaintext.size, plaintext.sha256):
        raise ArchiveInvalid(f"the content of {manifest.called} is not what its manifest says", detail=said.key)


def stayed_in(store: Store, manifest: TidiedManifest) -> frozenset[int]:
    """The records of the segment, counted from 0, that were not removed after all, as far as that was written down."""
    segment = names.segment_name(manifest.id, manifest.run_id, manifest.segment)
    try:
        told = json.loads(store.read(names.segment_stayed_key(manifest.target, segment)))
        return frozenset(int(each) for each in told["stayed"])
    except ObjectMissing:
        return frozenset()
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ArchiveInvalid(f"the note of what stayed of {manifest.called} cannot be read") from None
