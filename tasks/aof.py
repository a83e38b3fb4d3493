"""The AOF's files, where this process can read them: what a server would start from, and what rewrites have left."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from tasks.server import Server

__all__ = ["Aof", "Base", "aof_of"]

TRIES = 3
"""How often a base is looked for that its manifest names and that has gone."""


@dataclass(frozen=True)
class Base:
    """The file that a rewrite replaces.

    Attributes:
        seq: its number in the manifest; 0 where the AOF is one file (6.2).
    """

    name: str
    seq: int
    inode: int
    bytes: int

    def replaces(self, before: Base | None) -> bool:
        """Whether it is whole, and newer than what stood there before."""
        if before is None or self.bytes == 0:
            return self.bytes > 0
        return self.seq > before.seq or (self.seq == 0 and self.inode != before.inode)


@dataclass(frozen=True)
class Aof:
    """Where the AOF of a server lies, seen from here.

    Attributes:
        folder: of the files; the server's own `dir` where the AOF is one file.
    """

    data_dir: Path
    folder: Path
    filename: str
    multi_part: bool

    def base(self) -> Base | None:
        """What stands there now; None where there is nothing yet.

        Raises:
            OSError: it may not be read.
        """
        for _ in range(TRIES):
            try:
                name, seq = self._named()
                found = (self.folder / name).stat()
            except FileNotFoundError:  # there is none; or a rewrite ended between the two looks, and it was replaced
                continue
            return Base(name, seq, found.st_ino, found.st_size)
        return None

    def _named(self) -> tuple[str, int]:
        if not self.multi_part:
            return self.filename, 0
        return _base_in((self.folder / f"{self.filename}.manifest").read_text(errors="replace"))

    def temps(self) -> dict[str, int]:
        """Files of rewrites that are under way or were cut off, and their sizes."""
        found: dict[str, int] = {}
        for path in sorted(self.data_dir.glob("temp-rewriteaof-*.aof")):
            try:
                found[path.name] = path.stat().st_size
            except FileNotFoundError:  # its rewrite has ended meanwhile
                continue
        return found


def aof_of(server: Server, data_dir: Path) -> Aof | None:
    """The AOF of a server below the folder in which this process sees its `dir`; None where none can be read there.

    Raises:
        ServerDenied: the server does not tell what its files are called.
    """
    names = server.config("appendfilename", "appenddirname")
    below = names.get("appenddirname", "")
    found = Aof(data_dir, data_dir / below, names["appendfilename"], bool(below))
    try:
        return found if found.base() is not None else None
    except OSError:
        return None


def _base_in(manifest: str) -> tuple[str, int]:
    """The base's name and number. Lines are pairs of name and value, and newer servers add more of them.

    >>> _base_in("file a.aof.2.base.rdb seq 2 type b startoffset 0\\nfile a.aof.3.incr.aof seq 3 type i\\n")
    ('a.aof.2.base.rdb', 2)

    Raises:
        FileNotFoundError: the manifest names none.
    """
    for line in manifest.splitlines():
        words = shlex.split(line, comments=True)
        facts = dict(zip(words[::2], words[1::2], strict=False))
        if facts.get("type") == "b":
            return facts["file"], int(facts["seq"])
    raise FileNotFoundError("no base in the manifest")
