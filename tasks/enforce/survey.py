"""Looks at a server: asked of it, and read where this machine shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from tasks.enforce import start
from tasks.enforce.facts import AofFiles, Facts
from tasks.enforce.seen import Seen, aof_files, seen_of
from tasks.server import Server
from tasks.settings import Target

__all__ = ["CONTEXT", "is_whole", "look"]

CONTEXT = (
    "no-appendfsync-on-rewrite",
    "aof-timestamp-enabled",
    "auto-aof-rewrite-percentage",
    "auto-aof-rewrite-min-size",
    "aof-use-rdb-preamble",
)
"""Settings that a reader of the record wants to see, wanted or not."""
PLACE = ("dir", "appendfilename", "appenddirname")


def look(server: Server, target: Target, wanted: Iterable[str]) -> Facts:
    """Everything at once; changes nothing. Raises what an answer of the server means (ServerDenied and so on)."""
    names = [*dict.fromkeys([*wanted, "appendonly", *CONTEXT])]
    info = server.info("default")
    found = server.config(*names, *PLACE, *start.USUAL)
    seen = seen_of(info)
    file, unread = _file(seen, info.get("config_file", ""))
    others = sorted(set(file or {}) - start.APART.union(names))
    aof, blind = _aof(seen, target.data_dir, found)
    on = info.get("aof_enabled") == "1"
    return Facts(
        cli=server.cli,
        actual={name: found[name] for name in names if name in found},
        config_file=info.get("config_file", ""),
        file=None if file is None else start.SILENT | file,
        unread=unread,
        fleeting=seen is not None and seen.goes_with_container(info.get("config_file", "")),
        strangers=start.strangers(file or {}, server.config(*others), names),
        flags=start.flags(seen.cmdline(), info, found) if seen else "unseen",
        aof_on=on,
        since_start=(since_start := on and _since_start(info)),
        whole=since_start or (on and is_whole(info)),
        aof=aof,
        blind=blind,
        aof_bytes=int(info["aof_current_size"]) if on else None,
    )


def is_whole(info: Mapping[str, str]) -> bool:
    """Whether an AOF that was switched on in the server's life holds everything. Until its first rewrite has ended,
    one runs or is about to; and its status says "ok" before there was any.

    Args:
        info: INFO persistence.
    """
    return (
        info.get("aof_rewrite_in_progress") == info.get("aof_rewrite_scheduled") == "0"
        and int(info.get("aof_last_rewrite_time_sec", -1)) >= 0
        and int(info.get("aof_base_size", 0)) > 0
    )


def _since_start(info: Mapping[str, str]) -> bool:
    """No rewrite has been in this life, and switching it on takes one."""
    return (
        info.get("aof_rewrite_in_progress") == info.get("aof_rewrite_scheduled") == "0"
        and info.get("aof_last_rewrite_time_sec") == "-1"
    )


def _file(seen: Seen | None, path: str) -> tuple[dict[str, str] | None, str]:
    """What the server's file says; or None, and why it is not known."""
    if not path:
        return None, "the server was started without a configuration file"
    if seen is None:
        return None, "the server's process cannot be seen from here"
    try:
        text = seen.path(path).read_text()
        return start.said(start.directives(text, lambda pattern: seen.texts(path, pattern))), ""
    except (OSError, UnicodeError) as error:
        return None, f"{path} cannot be read from here: {_reason(error)}"


def _aof(seen: Seen | None, data_dir: Path | None, config: Mapping[str, str]) -> tuple[AofFiles | None, str]:
    """The AOF in the server's directory, and why nobody can look there. Where its process is seen, the directory that
    it uses comes first, whatever data_dir says."""
    why = "the server's directory cannot be seen from here (no data_dir is set)"
    places: list[Callable[[], Path]] = [partial(seen.path, config["dir"])] if seen else []
    places += [partial(Path, data_dir)] if data_dir else []
    for find in places:
        try:
            place = find()
            next(place.iterdir(), None)  # a folder that may be entered but not listed shows too little
            return aof_files(place, config), ""
        except OSError as error:
            why = f"{config['dir']} cannot be read from here: {_reason(error)}"
    return None, why


def _reason(error: OSError | UnicodeError) -> str:
    return (error.strerror or "").lower() if isinstance(error, OSError) else "not UTF-8"
