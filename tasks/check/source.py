"""Where a target's snapshots will come from: the file of its own save, or its replication stream."""

from __future__ import annotations

from tasks.check.finding import Finding, Findings, Level
from tasks.errors import RedkeepError
from tasks.settings import Target
from tasks.stream.source import check_readable, is_followed

__all__ = ["followed", "source"]


def followed(target: Target) -> bool:
    """Whether its saves can be followed from this host."""
    return is_followed(target.backup.source, target.data_dir)


def source(target: Target) -> Findings:
    what = f"{target.name}: source"
    if target.backup.source == "stream" or target.data_dir is None:
        yield Finding(what, "ok", "streamed over the server's replication protocol")
        return
    try:
        check_readable(target.data_dir)
    except RedkeepError as error:
        level: Level = "fail" if target.backup.source == "follow" else "warn"
        yield Finding(what, level, str(error), error.hint)
    else:
        yield Finding(what, "ok", f"the server's own save is followed in {target.data_dir}")
