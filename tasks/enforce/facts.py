"""What is known of a server before anything is decided. Pure; :mod:`tasks.enforce.survey` finds it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath

from tasks.enforce.start import Flags
from tasks.enforce.values import Difference

__all__ = ["AofFiles", "Facts"]


@dataclass(frozen=True)
class AofFiles:
    """The AOF that lies in a server's directory; `path` as the server calls it. `changed` is when it was last written
    to."""

    path: PurePosixPath
    changed: datetime

    def __str__(self) -> str:
        return f"{self.path}, last written to {self.changed:%Y-%m-%d %H:%M:%S}Z"


@dataclass(frozen=True)
class Facts:
    """One server, as it is now and as it would start.

    Attributes:
        cli: how an operator speaks to it.
        actual: the settings that it has, by name: those that are wanted, and some for the reader.
        config_file: as the server calls it; empty where it was started without one.
        file: what a start from that file gives; None where nobody here can read it, and `unread` says why.
        fleeting: it lies in a container's own layer, and goes with the container.
        strangers: where file and server differ in what is none of ours.
        flags: what its command line may add to the file.
        aof_on, since_start: it writes an AOF now; it has written it since it started, so a start brings it back.
        whole: that AOF holds everything: its first rewrite has ended.
        aof: the AOF in its directory, whether in use or not. Where `blind` says why, nobody here can look.
        aof_bytes: how large the AOF in use is.
        refused: why the server could not write its own file, where that has been tried.
    """

    cli: str
    actual: Mapping[str, str]
    config_file: str = ""
    file: Mapping[str, str] | None = None
    unread: str = ""
    fleeting: bool = False
    strangers: tuple[Difference, ...] = ()
    flags: Flags = "unseen"
    aof_on: bool = False
    since_start: bool = False
    whole: bool = False
    aof: AofFiles | None = None
    blind: str = ""
    aof_bytes: int | None = None
    refused: str = ""
