"""What an error answer means: one of our errors, with the ACL rule to grant where a right is missing."""

from __future__ import annotations

import re
from collections.abc import Sequence

import redis

from tasks.errors import RedkeepError, ServerAuthFailed, ServerDenied, ServerLoading, ServerRefused

__all__ = ["first_line", "refusal"]

CONTAINERS = frozenset({"ACL", "CLIENT", "CONFIG", "FUNCTION", "MEMORY", "OBJECT", "PUBSUB", "SCRIPT"})
"""Commands whose right is given for each subcommand."""


def refusal(shown: str, user: str, error: redis.RedisError, command: Sequence[str]) -> RedkeepError:
    """What it means that the server at `shown` answered this command of `user` with that error."""
    text = first_line(error)
    verb, contained = command[0].upper(), command[0].upper() in CONTAINERS and len(command) > 1
    named = " ".join(command[:2]) if contained or verb == "REPLCONF" else command[0]
    if isinstance(error, redis.AuthenticationError) or "NOAUTH" in text or "WRONGPASS" in text:
        return ServerAuthFailed(f"{shown} did not accept the login", detail=text)
    if isinstance(error, redis.exceptions.NoPermissionError) or "NOPERM" in text:
        rule = "|".join(command[: 1 + contained]).lower()
        if rule == "connect":  # a database number in the URL: the server names what redis-py sent for it
            rule = named = next(iter(re.findall(r"'([a-z|]+)' command", text)), rule)
        return ServerDenied(
            f"user {user!r} may not run {named.upper()} on {shown}",
            hint=f"Grant it: ACL SETUSER {user} +{rule}",
        )
    if "executing the script can't run" in text or "ACL failure in script" in text:
        return _denied_inside(shown, user, text)
    if "unknown command" in text:
        return ServerDenied(
            f"{shown} has no command {command[0]}",
            hint=f"{command[0]} is renamed or switched off there (rename-command); give it back its name.",
        )
    if isinstance(error, redis.BusyLoadingError) or text.startswith("LOADING"):
        return ServerLoading(f"{shown} is loading its data")
    return ServerRefused(f"{shown} refused {named}", detail=text)


def _denied_inside(shown: str, user: str, text: str) -> ServerDenied:
    """A right that a script lacks; servers before 7.2 do not say which."""
    named = re.search(r"run the '([a-z_|-]+)'", text)
    if named is None:
        return ServerDenied(
            f"user {user!r} may not run on {shown} what our script needs",
            hint="Grant what docs/permissions.md lists for this task; `redkeep check` says which of it is missing.",
        )
    return ServerDenied(
        f"user {user!r} may not run {named[1].replace('|', ' ').upper()} on {shown}",
        hint=f"Grant it: ACL SETUSER {user} +{named[1]}",
    )


def first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0][:200]
