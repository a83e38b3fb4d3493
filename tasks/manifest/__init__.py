"""What stands beside each object in the store: what it is, how it was sealed, and who vouches for it.

Files, in reading order:
    signed.py      what manifests have in common: their bytes, and their signature
    snapshot.py    of a backup
    tidied.py      of what tidy removed
"""

from tasks.manifest.signed import (
    FORMAT_VERSION,
    MAX_BYTES,
    ObjectFacts,
    Part,
    ServerFacts,
    Signed,
    public_key_of,
    read_signing_key,
)
from tasks.manifest.snapshot import Manifest, PlaintextFacts, SourceFacts
from tasks.manifest.tidied import RecordsFacts, TidiedManifest

__all__ = [
    "FORMAT_VERSION",
    "MAX_BYTES",
    "Manifest",
    "ObjectFacts",
    "Part",
    "PlaintextFacts",
    "RecordsFacts",
    "ServerFacts",
    "Signed",
    "SourceFacts",
    "TidiedManifest",
    "public_key_of",
    "read_signing_key",
]
