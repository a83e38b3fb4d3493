"""INFO, read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

__all__ = ["busy", "parse_info", "parse_keyspace"]


def parse_info(answer: bytes) -> dict[str, str]:
    """
    >>> parse_info(b"# Server\\r\\nrun_id:7f\\r\\nexecutable:C:x\\r\\n")
    {'run_id': '7f', 'executable': 'C:x'}
    """
    lines = answer.decode(errors="replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line and not line.startswith("#"))


def parse_keyspace(answer: bytes) -> tuple[dict[str, int], dict[str, int]]:
    """Keys and expires per database, from INFO keyspace.

    >>> parse_keyspace(b"# Keyspace\\r\\ndb0:keys=3,expires=1,avg_ttl=0\\r\\n")
    ({'0': 3}, {'0': 1})
    """
    keys: dict[str, int] = {}
    expires: dict[str, int] = {}
    for database, text in parse_info(answer).items():
        figures = dict(pair.split("=", 1) for pair in text.split(","))
        keys[database.removeprefix("db")] = int(figures["keys"])
        expires[database.removeprefix("db")] = int(figures["expires"])
    return keys, expires


def busy(persistence: Mapping[str, str]) -> str:
    """What the server is at that leaves no room for a fork, from INFO persistence; empty for nothing.

    >>> busy({"loading": "0", "rdb_bgsave_in_progress": "1", "rdb_current_bgsave_time_sec": "40"}), busy({})
    ('a save, for 40 s', '')
    """
    names: Iterable[tuple[str, str, str]] = (
        ("loading", "loading", ""),
        ("rdb_bgsave_in_progress", "a save", "rdb_current_bgsave_time_sec"),
        ("aof_rewrite_in_progress", "an AOF rewrite", "aof_current_rewrite_time_sec"),
        ("aof_rewrite_scheduled", "an AOF rewrite about to start", ""),
    )
    for field, said, since in names:
        if persistence.get(field, "0") != "0":
            return f"{said}, for {persistence[since]} s" if since in persistence else said
    return ""
