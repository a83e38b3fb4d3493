"""What tidy removes with `keep_copy`: copies of keys in the store, segment by segment, each with a signed manifest.

A run archives in segments of a bounded size, because a worker's memory is bounded and because only what was surely
shipped may then be removed: a segment's manifest is its commit, as a snapshot's is.

Files, in reading order:
    format.py    the plaintext: records, framed; hostile bytes are refused
    ship.py      records -> seal -> store -> manifest
    shelf.py     which archives a store holds; a segment fetched and held to its manifest
"""

from tasks.archive.format import LONGEST_KEY, LONGEST_PAYLOAD, LONGEST_SEGMENT, Record, framed, records
from tasks.archive.shelf import Archive, archives, fetched, find, stayed_in
from tasks.archive.ship import Shipper, Shipping

__all__ = [
    "LONGEST_KEY",
    "LONGEST_PAYLOAD",
    "LONGEST_SEGMENT",
    "Archive",
    "Record",
    "Shipper",
    "Shipping",
    "archives",
    "fetched",
    "find",
    "framed",
    "records",
    "stayed_in",
]
