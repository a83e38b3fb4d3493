"""Whether a data set has the keys that its manifest counts. To be asked where expiry waits: of a replica."""

from __future__ import annotations

from collections.abc import Mapping

from tasks.manifest import Manifest

__all__ = ["differences"]

TOLERANCE = 0.05
"""Share of a database's keys by which a streamed snapshot may differ: its keys were counted before the fork, which the
server delays by `repl-diskless-sync-delay` (5 s)."""
TOLERATED = 10
"""Keys by which it may differ in any case, unless nothing came back at all."""


def differences(manifest: Manifest, keys: Mapping[str, int]) -> list[str]:
    """What differs, a sentence for each database; nothing where all is there.

    Args:
        keys: per database, as INFO keyspace tells them.
    """
    return [told for database in sorted({*manifest.plaintext.keys, *keys}) if (told := _one(manifest, keys, database))]


def _one(manifest: Manifest, keys: Mapping[str, int], database: str) -> str:
    said, found = manifest.plaintext.keys.get(database, 0), keys.get(database, 0)
    allowed = 0.0
    if not manifest.source.exact and (found or not said):
        allowed = max(TOLERANCE * said, TOLERATED)
    return f"db{database} has {found} keys, its manifest says {said}" if abs(found - said) > allowed else ""
