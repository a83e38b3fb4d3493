"""From a snapshot's bytes to an object's, and back.

There is one byte shape: a stage takes an ``Iterator[bytes]`` and is one. Bytes that say "complete" (a zstd frame's end,
age's last-chunk mark, an RDB that may end) come only after the source ended by itself, so a source that dies leaves
nothing that looks whole. See shape.py for who closes what.

Files:
    shape.py     the shape: ownership, chunk sizes
    source/      where a snapshot's bytes come from
    meter.py     measuring in passing; a stream that may end only as a whole RDB
    zstd.py gzip.py frames.py    compressing
    age/         encrypting
    spool.py     waiting rooms: reading ahead, and keeping what a slow store has not taken
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tasks.errors import IdentityMissing, ManifestInvalid, SettingsInvalid
from tasks.stream import age, gzip, zstd

__all__ = ["seal", "stages_of", "unseal"]

NONE = "none"
AGE = "age"
LEVELS = {"zstd": zstd.LEVELS, "gzip": gzip.LEVELS}


def stages_of(compression: str, recipients: Sequence[str]) -> tuple[str, ...]:
    """What ``seal`` will do, in its order, as a manifest says it.

    ``compression`` is ``zstd:1`` to ``zstd:19``, ``gzip:1`` to ``gzip:9``, or ``none``. Raises SettingsInvalid.

    >>> stages_of("zstd:1", ["age1..."]), stages_of("gzip:6", []), stages_of("none", [])
    (('zstd:1', 'age'), ('gzip:6',), ())
    """
    if compression != NONE and _codec(compression) is None:
        raise SettingsInvalid(
            f"unknown compression {compression!r}",
            hint='Write "zstd:1" to "zstd:19", "gzip:1" to "gzip:9", or "none".',
        )
    return (*([] if compression == NONE else [compression]), *([AGE] if recipients else []))


def seal(chunks: Iterator[bytes], compression: str, recipients: Sequence[str]) -> Iterator[bytes]:
    """Compress, then encrypt to ``recipients`` (none: leave it readable). Raises SettingsInvalid at once."""
    for stage in stages_of(compression, recipients):
        match _codec(stage):
            case "zstd", level:
                chunks = zstd.compress(chunks, level)
            case "gzip", level:
                chunks = gzip.compress(chunks, level)
            case _:
                chunks = age.encrypt(chunks, recipients)
    return chunks


def unseal(chunks: Iterator[bytes], stages: Sequence[str], identities: Sequence[str]) -> Iterator[bytes]:
    """Undo ``stages`` (a manifest's) in reverse. Raises ManifestInvalid or IdentityMissing at once."""
    for stage in reversed(stages):
        match _codec(stage):
            case "zstd", _:
                chunks = zstd.decompress(chunks)
            case "gzip", _:
                chunks = gzip.decompress(chunks)
            case _ if stage != AGE:
                raise ManifestInvalid(f"unknown stage {stage!r}")
            case _ if not identities:
                raise IdentityMissing("it is encrypted, and no identity was given")
            case _:
                chunks = age.decrypt(chunks, identities)
    return chunks


def _codec(stage: str) -> tuple[str, int] | None:
    """Name and level of a compression; None for anything else."""
    name, _, level = stage.partition(":")
    if not re.fullmatch("[1-9][0-9]?", level) or int(level) not in LEVELS.get(name, ()):
        return None
    return name, int(level)
