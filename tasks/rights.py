"""What each kind of work asks of a server's user, command by command: docs/permissions.md shows the same as ACL rules.

Each right has an example by which a server can be asked whether it would be allowed (``ACL DRYRUN``, from 7.0 on), and
which may really be sent where it is harmless: a word that no server knows makes it an error, after the rights have been
looked at and before anything is done.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tasks.settings import Target

__all__ = ["INFO", "KINDS", "Right", "rights_of", "rule"]


@dataclass(frozen=True)
class Right:
    """One command. ``name`` is as ``ACL SETUSER`` takes it behind the plus: ``config|set``."""

    name: str
    example: tuple[str, ...]
    harmless: bool = True


UNKNOWN = "redkeep-asks"
"""An option that no server has."""
INFO = Right("info", ("INFO", "server"))
CONFIG_GET = Right("config|get", ("CONFIG", "GET", "save"))
CONFIG_SET = Right("config|set", ("CONFIG", "SET", UNKNOWN, "no"))
CONFIG_REWRITE = Right("config|rewrite", ("CONFIG", "REWRITE"), harmless=False)
BGSAVE = Right("bgsave", ("BGSAVE", UNKNOWN))
BGREWRITEAOF = Right("bgrewriteaof", ("BGREWRITEAOF",), harmless=False)
REPLCONF = Right("replconf", ("REPLCONF", "capa", "eof"))
SYNC = Right("sync", ("SYNC",), harmless=False)
KEY = "redkeep-asks"
"""A key that nobody has."""
TIDY = (
    INFO,
    Right("time", ("TIME",)),
    Right("ping", ("PING",)),
    Right("select", ("SELECT", "0")),
    Right("scan", ("SCAN", "0", "COUNT", "1")),
    Right("randomkey", ("RANDOMKEY",)),
    Right("eval", ("EVAL", "return 1", "0")),
    Right("memory|usage", ("MEMORY", "USAGE", KEY)),
    Right("object", ("OBJECT", "IDLETIME", KEY)),
    *(Right(name, (name.upper(), KEY)) for name in ("type", "pttl", "exists", "unlink")),
    *(Right(name, (name.upper(), KEY)) for name in ("llen", "hlen", "scard", "zcard", "xlen")),
    Right("pexpire", ("PEXPIRE", KEY, "1")),
    Right("ltrim", ("LTRIM", KEY, "0", "0")),
    Right("zcount", ("ZCOUNT", KEY, "0", "0")),
    Right("zremrangebyrank", ("ZREMRANGEBYRANK", KEY, "0", "0")),
    Right("xtrim", ("XTRIM", KEY, "MAXLEN", "1")),
)

KINDS: dict[str, tuple[Right, ...]] = {
    "follow": (INFO, BGSAVE, CONFIG_GET, CONFIG_SET),
    "follow keep": (INFO, BGSAVE, CONFIG_GET),
    "stream": (INFO, REPLCONF, SYNC),
    "rewrite": (INFO, BGREWRITEAOF),
    "enforce report": (INFO, CONFIG_GET),
    "tidy": TIDY,
    "enforce apply": (INFO, CONFIG_GET, CONFIG_SET, CONFIG_REWRITE),
}
"""By the name of the rule in docs/permissions.md."""


def rights_of(target: Target, *, followed: bool) -> dict[str, tuple[Right, ...]]:
    """What each task of this target needs that the schedule starts, and a backup in any case.

    Args:
        followed: whether the server's own saves can be followed; else they are streamed.
    """
    keep = target.backup.server_compression == "keep"
    wanted = {"backup": KINDS["stream" if not followed else "follow keep" if keep else "follow"]}
    if target.persistence.schedule != "off":
        wanted["enforce"] = KINDS[f"enforce {target.persistence.enforce}"]
    if target.rewrite.schedule != "off":
        wanted["rewrite"] = KINDS["rewrite"]
    if target.tidy and target.tidy.rule and target.tidy.schedule != "off":
        wanted["tidy"] = KINDS["tidy"]
    return wanted


def rule(rights: Iterable[Right]) -> str:
    """As it follows ``ACL SETUSER name`` to grant them.

    >>> rule(KINDS["stream"])
    '+info +replconf +sync'
    """
    return " ".join(f"+{right.name}" for right in rights)
