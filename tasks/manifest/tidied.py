"""The manifest of one segment of an archive: keys that a tidy run was about to remove, and where their copies lie.

Its presence is the commit: only then, and only what is in that segment, may be removed. It is no snapshot's manifest
and cannot be read as one, nor the other way round.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from tasks.manifest.signed import Part, Signed

__all__ = ["RecordsFacts", "TidiedManifest"]


class RecordsFacts(Part):
    """What is in a segment's plaintext (docs/tidy.md): so many records, by rule and by database.

    Attributes:
        payload_version: the newest RDB version among the DUMP payloads, which a server must be able to load.
    """

    bytes: int
    sha256: str
    records: int
    rules: dict[str, int]
    databases: dict[str, int]
    payload_version: int


class TidiedManifest(Signed):
    """One segment. `segment` counts from 1 in the attempt `run_id` of the run `task_id`; `id` is the archive's, the
    same for every segment and attempt of one run."""

    NOUN: ClassVar[str] = "archive"

    kind: Literal["tidied"]
    segment: int
    plaintext: RecordsFacts
