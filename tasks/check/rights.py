"""What the user of a target may do there, asked command by command for each task that is configured."""

from __future__ import annotations

from collections.abc import Iterable

from redis.exceptions import NoPermissionError

from tasks.check.finding import Finding, Findings
from tasks.check.source import followed
from tasks.errors import RedkeepError, ServerDenied, ServerRefused
from tasks.rights import INFO, Right, rights_of, rule
from tasks.server import Server
from tasks.settings import Target

__all__ = ["may_tell", "rights"]


def may_tell(asked: Server) -> bool:
    """Whether the server would say what it is; without that nothing but the rights can be looked at."""
    return _tried(asked, INFO) is None


def rights(asked: Server, target: Target) -> Findings:
    """What each task of this target needs, command by command."""
    what = f"{target.name}: rights"
    dry_run = _may_dry_run(asked)
    wanted = rights_of(target, followed=followed(target))
    untried: set[str] = set()
    sound = True
    for task, needed in wanted.items():
        missing: list[Right] = []
        for right in needed:
            refusal = _dry(asked, right) if dry_run else _tried(asked, right)
            if refusal is None and not dry_run and not right.harmless:
                untried.add(right.name)
            elif isinstance(refusal, ServerDenied) and "rename" in refusal.hint:
                sound = False
                yield Finding(what, "fail", f"{task}: {refusal}", refusal.hint)
            elif refusal is not None:
                missing.append(right)
        if missing:
            sound = False
            told = f"{task}: user {asked.user!r} may not run {', '.join(_spelled(missing))}"
            yield Finding(what, "fail", told, f"Grant it: ACL SETUSER {asked.user} {rule(missing)}")
    if sound:
        told = f"user {asked.user!r} may run all that {', '.join(wanted)} need{'s' if len(wanted) == 1 else ''}"
        yield Finding(what, "ok", told + (f"; not tried: {', '.join(sorted(untried))}" if untried else ""))


def _spelled(rights: Iterable[Right]) -> list[str]:
    return [right.name.upper().replace("|", " ") for right in rights]


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
    except ServerRefused:  # renamed: it has no such command
        return _tried(asked, right)
    return None if answer == b"OK" else asked.refusal(NoPermissionError("NOPERM"), right.example)


def _tried(asked: Server, right: Right) -> RedkeepError | None:
    """The refusal that sending it meets. Any other error means that it was let through."""
    if not right.harmless:
        return None
    try:
        asked.ask(*right.example)
    except ServerDenied as error:
        return error
    except RedkeepError:
        return None
    return None
