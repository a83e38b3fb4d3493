"""What an error answer means: one of our errors, with the ACL rule to grant where a right is missing."""

from __future__ import annotations

import re
from collections.abc import Sequence

import redis

from tasks.errors import RedkeepError, ServerAuthFailed, ServerDenied, ServerLoading, ServerRefused

__all__ = ["first_line", "refusal"]

CONTAINERS = frozenset({"ACL", "CLIENT", "CONFIG", "FUNCTION", "MEMORY", "OBJECT", "PUBSUB", "SCRIPT"})
"""Commands whose right is given for each subcommand."""
_IN_SCRIPT = re.compile(r"user executing the script can't run|ACL failure in script")
"""A script was let in, and one of its commands was not (redis script.c; 6.2: scripting.c)."""
_ASK_CHECK = "Grant what docs/permissions.md lists for this task; `redkeep check` says which of it is missing."


def refusal(shown: str, user: str, error: redis.RedisError, command: Sequence[str]) -> RedkeepError:
    """What it means that the server at `shown` answered this command of `user` with that error."""
    text = first_line(error)
    if isinstance(error, redis.AuthenticationError) or "NOAUTH" in text or "WRONGPASS" in text:
        return ServerAuthFailed(f"{shown} did not accept the login", detail=text)
    if isinstance(error, redis.exceptions.NoPermissionError) or "NOPERM" in text or _IN_SCRIPT.search(text):
        return _denied(shown, user, text, command)
    if "unknown command" in text:
        return ServerDenied(
            f"{shown} has no command {command[0]}",
            hint=f"{command[0]} is renamed or switched off there (rename-command); give it back its name.",
        )
    if isinstance(error, redis.BusyLoadingError) or text.startswith("LOADING"):
        return ServerLoading(f"{shown} is loading its data")
    return ServerRefused(f"{shown} refused {_named(command)[0]}", detail=text)


def _denied(shown: str, user: str, text: str, command: Sequence[str]) -> ServerDenied:
    """Which right is missing: the command's own, that of one inside a script, or that to the keys."""
    if "ermissions to access" in text:
        return ServerDenied(f"user {user!r} may not touch the keys on {shown}", hint=f"Grant it: ACL SETUSER {user} ~*")
    named, rule = _named(command)
    told = re.search(r"'([a-z|-]+)' command", text)  # not by 6.2, and in scripts by 7.0 neither
    if _IN_SCRIPT.search(text):
        if told is None:
            return ServerDenied(f"user {user!r} may not run a command in a script on {shown}", hint=_ASK_CHECK)
        named = rule = told[1]
    elif rule == "connect" and told:  # a database number in the URL: the server names what redis-py sent for it
        named = rule = told[1]
    return ServerDenied(
        f"user {user!r} may not run {named.upper()} on {shown}", hint=f"Grant it: ACL SETUSER {user} +{rule}"
    )


def _named(command: Sequence[str]) -> tuple[str, str]:
    """A command as messages call it, and as ACL SETUSER takes it behind the plus.

    >>> _named(["CONFIG", "GET", "save"]), _named(["REPLCONF", "capa", "eof"]), _named(["UNLINK", "k"])
    (('CONFIG GET', 'config|get'), ('REPLCONF capa', 'replconf'), ('UNLINK', 'unlink'))
    """
    verb, contained = command[0].upper(), command[0].upper() in CONTAINERS and len(command) > 1
    named = " ".join(command[:2]) if contained or verb == "REPLCONF" else command[0]
    return named, "|".join(command[: 1 + contained]).lower()


def first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0][:200]
