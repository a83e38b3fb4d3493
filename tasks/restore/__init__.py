"""The way back: manifest -> fetch -> unseal -> verify -> promote.

Nothing is touched before everything was authenticated and verified: a snapshot is first written to a private place,
held to its manifest while it passes, and only then promoted to a file, to a data directory, or into a running server.

Files, in reading order:
    trust.py      who made it: what must be known before a snapshot is loaded
    fetch.py      the plain RDB, verified in passing
    file.py       into a file, a pipe, or a private spool
    reader.py     what a server can load: by vendor and RDB version
    layout.py     what a server looks for in its directory when it starts
    occupied.py   who uses a directory
    directory.py  into a data directory
    live/         into a running server, over replication
    interrupt.py  steps that a signal must not cut in two
"""

from tasks.restore.directory import Placed, to_dir
from tasks.restore.fetch import fetch
from tasks.restore.file import spooled, to_file, to_stream
from tasks.restore.layout import Layout, layout_named, layout_of
from tasks.restore.reader import Reader, check_loads, reader_named, reader_of
from tasks.restore.trust import admit

__all__ = [
    "Layout",
    "Placed",
    "Reader",
    "admit",
    "check_loads",
    "fetch",
    "layout_named",
    "layout_of",
    "reader_named",
    "reader_of",
    "spooled",
    "to_dir",
    "to_file",
    "to_stream",
]
