"""What each kind of work asks of a server's user, command by command: docs/permissions.md shows the same as ACL rules.

Each right has an example by which a server can be asked whether it would be allowed (``ACL DRYRUN``, from 7.0 on), and
which may really be sent where it is harmless: a word that no server knows makes it an error, after the rights have been
looked at and before anything is done.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from tasks.settings import Target
from tasks.settings.rules import Tidy

__all__ = ["INFO", "KINDS", "Right", "rights_of", "rule"]


@dataclass(frozen=True)
class Right:
    """One command.

    Attributes:
        name: as ``ACL SETUSER`` takes it behind the plus: ``config|set``.
        harmless: the example may really be sent.
        everywhere: every server has it; else one that does not, needs no right for it.
    """

    name: str
    example: tuple[str, ...]
    harmless: bool = True
    everywhere: bool = True

    def on(self, key: str) -> Right:
        """The same, asked about that key."""
        return replace(self, example=tuple(key if word == KEY else word for word in self.example))


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
KEY = "redkeep-asks:key"
"""A key that nobody has."""
READS = ("type", "pttl", "exists", "llen", "hlen", "scard", "zcard", "xlen")
TIDY = (
    INFO,
    Right("time", ("TIME",)),
    Right("ping", ("PING",)),
    Right("select", ("SELECT", "0")),
    Right("scan", ("SCAN", "0", "COUNT", "1")),
    Right("randomkey", ("RANDOMKEY",)),
    Right("eval", ("EVAL", "return 1", "0")),
    Right("memory|usage", ("MEMORY", "USAGE", KEY)),
    Right("object", ("OBJECT", "ENCODING", KEY)),
    *(Right(name, (name.upper(), KEY)) for name in READS),
    Right("unlink", ("UNLINK", KEY), harmless=False),
    Right("pexpire", ("PEXPIRE", KEY, UNKNOWN)),
    Right("ltrim", ("LTRIM", KEY, UNKNOWN, UNKNOWN)),
    Right("zcount", ("ZCOUNT", KEY, "0", "0")),
    Right("zremrangebyrank", ("ZREMRANGEBYRANK", KEY, UNKNOWN, UNKNOWN)),
    Right("xtrim", ("XTRIM", KEY, UNKNOWN, "1")),
)
"""Those that change a key are sent with a number that is none, which a server looks at after the rights."""
NO_TOUCH = Right("client|no-touch", ("CLIENT", "NO-TOUCH", "ON"), everywhere=False)
COPIES = (
    Right("dump", ("DUMP", KEY)),
    Right("xrange", ("XRANGE", KEY, "-", "+")),
    Right("pexpiretime", ("PEXPIRETIME", KEY), everywhere=False),
)
"""For rules with keep_copy."""

KINDS: dict[str, tuple[Right, ...]] = {
    "follow": (INFO, BGSAVE, CONFIG_GET, CONFIG_SET),
    "follow keep": (INFO, BGSAVE, CONFIG_GET),
    "stream": (INFO, REPLCONF, SYNC),
    "rewrite": (INFO, BGREWRITEAOF),
    "tidy": TIDY,
    "tidy copies": COPIES,
    "enforce report": (INFO, CONFIG_GET),
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
        copies = COPIES if any(rule.keep_copy for rule in target.tidy.rule) else ()
        wanted["tidy"] = tuple(right.on(_a_key(target.tidy)) for right in (*TIDY, NO_TOUCH, *copies))
    return wanted


def _a_key(tidy: Tidy) -> str:
    """One that a rule means, since the user may be let at those alone.

    >>> _a_key(Tidy.model_validate({"rule": [{"name": "a", "match": "se[ps]sion:??:*", "action": "delete"}]}))
    'sepsion:xx:redkeep-asks:key'
    """
    match = next((rule.match for rule in tidy.rule if rule.match), "*")
    fitting = re.sub(r"\[(.).*?\]", r"\1", match).replace("?", "x")
    return fitting.replace("*", KEY, 1).replace("*", "")


def rule(rights: Iterable[Right]) -> str:
    """As it follows ``ACL SETUSER name`` to grant them.

    >>> rule(KINDS["stream"])
    '+info +replconf +sync'
    """
    return " ".join(f"+{right.name}" for right in rights)
