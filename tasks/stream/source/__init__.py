"""Where a snapshot comes from: the file of the server's own save, or a replica's first transfer.

Both begin with a fork of the server and give its RDB as one `Iterator[bytes]`. `open_snapshot` chooses; what it
yields is valid inside its ``with`` block, and its figures are known once that has ended.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tasks.errors import DataDirForeign, DataDirUnreadable
from tasks.server import Checkpoint, Server
from tasks.stream.source.follow import follow
from tasks.stream.source.snapshot import Snapshot
from tasks.stream.source.sync import sync

__all__ = ["Snapshot", "check_readable", "is_followed", "open_snapshot"]


@contextmanager
def open_snapshot(
    server: Server,
    *,
    source: str,
    data_dir: Path | None,
    server_compression: str,
    patience: float,
    checkpoint: Checkpoint,
) -> Iterator[Snapshot]:
    """Have the server fork, and yield what it writes.

    Args:
        source: `follow`, `stream`, or `auto`: follow where data_dir can be read and is this server's.
        data_dir: where this process sees the server's `dir`.
        server_compression: `off` has the server write this one RDB without its own compression.
        patience: seconds to wait for somebody else's save or rewrite to end.
        checkpoint: called all along; raises where the work must stop.

    Raises:
        ServerSaving, ServerLoading: not now.
        DataDirUnreadable, DataDirForeign: `follow` was asked for and cannot be.
        ServerDenied, SyncRefused, SaveFailed, ServerUnreachable: as the server answered.
    """
    with ExitStack() as stack:
        may_have_forked = False
        try:
            if source == "stream":
                opened = sync(server, patience, checkpoint)
            else:
                folder = _readable(data_dir)
                may_have_forked = True
                opened = follow(server, folder, server_compression, patience, checkpoint)
            snapshot = stack.enter_context(opened)
        except (DataDirUnreadable, DataDirForeign) as error:
            if source == "follow":
                raise
            if may_have_forked:  # the save that was just found to be elsewhere is our own: no patience is spent on it
                server.wait_for_child(checkpoint)
            snapshot = stack.enter_context(sync(server, patience, checkpoint))
            snapshot.note = f"streamed, since {error}" if data_dir else ""
        yield snapshot


def is_followed(source: str, data_dir: Path | None) -> bool:
    """Whether :func:`open_snapshot` will try to follow the server's save, as far as can be told before it forks."""
    if source == "stream" or data_dir is None:
        return False
    try:
        check_readable(data_dir)
    except DataDirUnreadable:
        return source == "follow"
    return True


def _readable(data_dir: Path | None) -> Path:
    if data_dir is None:
        raise DataDirUnreadable("no data_dir is set", hint='Set data_dir, or source = "stream".')
    check_readable(data_dir)
    return data_dir


def check_readable(data_dir: Path) -> None:
    """Tell by reading, not by existence, whether the server's files can be followed there.

    Raises:
        DataDirUnreadable: the folder cannot be listed, or an RDB in it cannot be opened.
    """
    try:
        (data_dir / "..").stat()  # the right to go in, where there is no RDB yet to show it by
        with os.scandir(data_dir) as entries:
            found = [entry.path for entry in entries if entry.name.endswith(".rdb")]
        for path in found:
            Path(path).open("rb").close()
    except FileNotFoundError as error:
        if Path(error.filename or "").suffix != ".rdb":  # an RDB that was renamed meanwhile is no matter
            raise DataDirUnreadable(f"no folder {data_dir}") from None
    except OSError as error:
        detail = (error.strerror or "").lower()
        raise DataDirUnreadable(f"cannot read {error.filename or data_dir}", detail=detail) from None
