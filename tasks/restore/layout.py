"""What a server looks for in its directory when it starts.

A dump.rdb beside `appendonly yes` is not looked at: the server starts empty and then writes over it (seen on 7.0 and
8.2; redis 12762, 4435, 1826). So the RDB stands where that very server reads: as the base file of a multi-part AOF
(from 7.0), as the AOF itself (6.2), or as dump.rdb where AOF is off.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from tasks.errors import LayoutUnknown
from tasks.restore.reader import Reader
from tasks.server import Server

__all__ = ["Layout", "layout_named", "layout_of"]

_PLAIN = re.compile(r"[^/\x00-\x20\"\\]{1,255}")


@dataclass(frozen=True)
class Layout:
    """Where one server looks.

    Attributes:
        appendonly: whether AOF is on.
        multi_part: whether an AOF is a folder of files with a manifest; from 7.0 on, and in all of Valkey.
    """

    appendonly: bool
    multi_part: bool
    dbfilename: str = "dump.rdb"
    appendfilename: str = "appendonly.aof"
    appenddirname: str = "appendonlydir"

    @property
    def rdb(self) -> PurePosixPath:
        """Where the RDB goes, below the server's directory.

        >>> [str(Layout(on, new).rdb) for on, new in ((True, True), (True, False), (False, True))]
        ['appendonlydir/appendonly.aof.1.base.rdb', 'appendonly.aof', 'dump.rdb']
        """
        if not self.appendonly:
            return PurePosixPath(self.dbfilename)
        if not self.multi_part:
            return PurePosixPath(self.appendfilename)
        return PurePosixPath(self.appenddirname, f"{self.appendfilename}.1.base.rdb")

    @property
    def texts(self) -> dict[PurePosixPath, str]:
        """What else has to be there: the manifest of a multi-part AOF, which names its only file (aof.c, 7.0).

        >>> Layout(True, True).texts
        {PurePosixPath('appendonlydir/appendonly.aof.manifest'): 'file appendonly.aof.1.base.rdb seq 1 type b\\n'}
        """
        if not (self.appendonly and self.multi_part):
            return {}
        manifest = PurePosixPath(self.appenddirname, f"{self.appendfilename}.manifest")
        return {manifest: f"file {self.rdb.name} seq 1 type b\n"}


def layout_of(server: Server) -> Layout:
    """That of a running server, as it is set now."""
    reader = server.facts()
    found = server.config("appendonly", "dbfilename", "appendfilename", "appenddirname")
    names = {name: value for name, value in found.items() if name != "appendonly"}
    for name, value in names.items():
        if not _PLAIN.fullmatch(value) or value in (".", ".."):
            raise LayoutUnknown(f"{server.shown} has a {name} that is not a plain name", detail=repr(value[:40]))
    return Layout(found.get("appendonly") == "yes", reader.name == "valkey" or "appenddirname" in names, **names)


def layout_named(reader: Reader, *, appendonly: bool) -> Layout:
    """That of a server of a named version with the usual names.

    >>> layout_named(Reader("redis", (6, 2), 9, ""), appendonly=True).rdb
    PurePosixPath('appendonly.aof')
    """
    return Layout(appendonly, reader.vendor == "valkey" or reader.version >= (7, 0))
