"""What the user of a target may do there, asked command by command for each task that is configured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from redis.exceptions import NoPermissionError, ResponseError

from tasks.check.finding import Finding, Findings
from tasks.check.source import followed
from tasks.errors import RedkeepError, ServerDenied, ServerRefused
from tasks.rights import INFO, Right, rights_of
from tasks.server import Server
from tasks.settings import Target

__all__ = ["may_tell", "rights"]


def may_tell(asked: Server) -> bool:
    """Whether the server would say what it is; without that nothing but the rights can be looked at."""
    return _tried(asked, INFO) is None


def rights(asked: Server, target: Target) -> Findings:
    """One row for all that is missing, with the one command that grants it."""
    what = f"{target.name}: rights"
    wanted = rights_of(target, followed=followed(target))
    needed = list(dict.fromkeys(right for each in wanted.values() for right in each))
    asks, untried = _dry, list[Right]()
    if not _may_dry_run(asked):
        asks, untried = _tried, [right for right in needed if not right.harmless]
    refusals = {right: refusal for right in needed if right not in untried and (refusal := asks(asked, right))}
    missing = {right: refusal for right, refusal in refusals.items() if "rename" not in refusal.hint}
    for refusal in refusals.values():
        if "rename" in refusal.hint:
            yield Finding(what, "fail", str(refusal), refusal.hint)
    if missing:
        grants = dict.fromkeys("~*" if "~*" in refusal.hint else f"+{right.name}" for right, refusal in missing.items())
        told = f"user {asked.user!r} may not run {_listed(missing, wanted)}"
        yield Finding(what, "fail", told, f"Grant it: ACL SETUSER {asked.user} {' '.join(grants)}")
    if not refusals:
        told = f"user {asked.user!r} may run all that {', '.join(wanted)} need{'s' if len(wanted) == 1 else ''}"
        yield Finding(what, "ok", told + (f"; not tried: {_listed(untried, {})}" if untried else ""))


def _listed(rights: Iterable[Right], wanted: Mapping[str, Iterable[Right]]) -> str:
    """
    >>> _listed([INFO], {"backup": [INFO], "enforce": [INFO]})
    'INFO (backup, enforce)'
    """
    shown = []
    for right in rights:
        by = ", ".join(task for task, needed in wanted.items() if right in needed)
        shown.append(right.name.upper().replace("|", " ") + (f" ({by})" if by else ""))
    return ", ".join(shown)


def _may_dry_run(asked: Server) -> bool:
    """From 7.0 on, where the user may."""
    try:
        asked.ask("ACL", "DRYRUN", asked.user, "PING")
    except (ServerDenied, ServerRefused):
        return False
    return True


def _dry(asked: Server, right: Right) -> RedkeepError | None:
    """The refusal that the server foretells."""
    try:
        answer = asked.ask("ACL", "DRYRUN", asked.user, *right.example)
    except ServerRefused:  # it has no such command
        return asked.refusal(ResponseError("unknown command"), right.example) if right.everywhere else None
    return None if answer == b"OK" else asked.refusal(NoPermissionError(answer.decode()), right.example)


def _tried(asked: Server, right: Right) -> RedkeepError | None:
    """The refusal that sending it meets. Any other error means that it was let through."""
    try:
        asked.ask(*right.example)
    except ServerDenied as error:
        return error
    except RedkeepError:
        return None
    return None
