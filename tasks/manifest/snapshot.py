"""The manifest of one backup: what was saved, how it was sealed, where it lies. Its presence is the commit."""

from __future__ import annotations

from typing import ClassVar, Literal

from tasks.manifest.signed import Part, Signed

__all__ = ["Manifest", "PlaintextFacts", "SourceFacts"]


class SourceFacts(Part):
    kind: Literal["follow", "stream"]
    exact: bool
    fork_usec: int | None = None
    cow_bytes: int | None = None
    seconds: float


class PlaintextFacts(Part):
    bytes: int
    sha256: str
    rdb_version: int
    crc64: str | None
    keys: dict[str, int]
    expires: dict[str, int]


class Manifest(Signed):
    """One backup. `seconds` are seconds; keys are counted per database."""

    NOUN: ClassVar[str] = "backup"

    source: SourceFacts
    plaintext: PlaintextFacts
