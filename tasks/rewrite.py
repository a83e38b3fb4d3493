"""The AOF rewrite: guarded, followed to its end, and proven. Nothing of the server is changed.

A rewrite that was only scheduled (a save had begun in between) is followed through that save. What the server says of
the end is believed only beside what its files show, where those can be read: a new base.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from tasks.aof import Aof, Base, aof_of
from tasks.errors import (
    AofOff,
    RewriteFailed,
    RewriteUnproven,
    ServerDenied,
    ServerRefused,
    ServerSaving,
    ServerUnreachable,
)
from tasks.gate import let_fork
from tasks.job import Job
from tasks.server import POLL, Server, parse_info
from tasks.settings import Settings, Target
from tasks.words import size

__all__ = ["rewrite", "rewrite_aof"]


def rewrite(job: Job, settings: Settings, target: Target) -> None:
    """Have the target rewrite its AOF.

    Raises:
        AofOff: it has none.
        RedkeepError: as :func:`rewrite_aof`, or the server is not one to be rewritten.
    """
    with Server(target.url.get_secret_value()) as server:
        server.facts()
        server.check_role(accept_replica=target.backup.replica == "accept")
        if server.info("persistence").get("aof_enabled") != "1":
            raise AofOff(f"appendonly is off on {server.shown}")
        rewrite_aof(job, server, target, settings.control.patience)


def rewrite_aof(job: Job, server: Server, target: Target, patience: float) -> None:
    """One guarded BGREWRITEAOF from its start to its proven end, its figures noted in the job.

    Args:
        patience: seconds to wait for somebody else's save or rewrite before it.

    Raises:
        ServerSaving, ServerLoading, GuardDeferred: not now.
        GuardRefused: not before a person has done something.
        RewriteFailed: it did not begin, or ended badly; the server goes on with the AOF it has.
        RewriteUnproven: it ended well, and the files in data_dir are as they were.
    """
    let_fork(job, server, target, "rewrite", patience)
    aof = _readable_aof(job, server, target)
    before = _base_now(aof) if aof else None
    size_before = int(server.info("persistence")["aof_current_size"])
    with job.phase("rewrite"):
        started = _start(job, server, aof, patience)
        try:
            state = _follow(job, server, aof, started)
        except ServerUnreachable as error:
            raise RewriteFailed(
                f"{server.shown} went away during its rewrite{_leftovers(aof)}", detail=error.detail
            ) from None
    if state["aof_last_bgrewrite_status"] != "ok":
        raise RewriteFailed(f"{server.shown} could not rewrite its AOF{_leftovers(aof)}")
    job.figures |= _outcome(state, started, size_before) | _proof(server, aof, before, state, started)
    if aof and (left := _leftovers(aof)):
        job.warn(left.removeprefix("; "))


@dataclass(frozen=True)
class _Started:
    """When a rewrite was asked for, and how many forks the server had made by then."""

    moment: float
    forks: int
    expected_bytes: int


def _readable_aof(job: Job, server: Server, target: Target) -> Aof | None:
    """None, and a warning, where data_dir is set and shows no AOF."""
    if target.data_dir is None:
        return None
    try:
        if (found := aof_of(server, target.data_dir)) is not None:
            return found
        told = f"there is none to be read in {target.data_dir}"
    except ServerDenied as error:
        told = str(error)
    job.warn(f"the AOF's files were not looked at: {told}")
    return None


# -- the way ---------------------------------------------------------------------------------------------


def _start(job: Job, server: Server, aof: Aof | None, patience: float) -> _Started:
    """Ask for it; where the server began one by itself in between, wait for that and ask again."""
    expected = int(server.info("memory")["used_memory_dataset"])
    end = time.monotonic() + patience
    while True:
        forks = int(server.info("stats")["total_forks"])
        moment = time.monotonic()
        try:
            server.ask("BGREWRITEAOF")
        except ServerRefused as error:
            if "in progress" not in error.detail:
                raise RewriteFailed(f"{server.shown} did not begin{_leftovers(aof)}", detail=error.detail) from None
            if time.monotonic() >= end:
                raise ServerSaving(f"{server.shown} began another rewrite", detail=error.detail) from None
            server.wait_until_quiet(max(end - time.monotonic(), 0), job.checkpoint)
        else:
            return _Started(moment, forks, expected)


def _follow(job: Job, server: Server, aof: Aof | None, started: _Started) -> dict[str, str]:
    """Until it has ended. INFO persistence and stats as they are then, of one moment."""
    while True:
        job.checkpoint()
        answers = server.answers([("INFO", "persistence"), ("INFO", "stats")])
        state = parse_info(answers[0]) | parse_info(answers[1])
        scheduled, running = state["aof_rewrite_scheduled"] != "0", state["aof_rewrite_in_progress"] != "0"
        if not scheduled and not running:
            return state
        job.progress = _progress(state, aof, started.expected_bytes) if running else {"phase": "wait for a save"}
        time.sleep(POLL)


def _progress(state: dict[str, str], aof: Aof | None, expected: int) -> dict[str, object]:
    """How far it is, by the file that grows, else by the server's own count."""
    share = float(state.get("current_fork_perc", 0)) / 100
    done = max(aof.temps().values(), default=0) if aof else int(share * expected)
    total = int(done / share) if share > 0 else expected
    return {"phase": "rewrite", "bytes": done, "total": max(total, done)}


# -- its end ---------------------------------------------------------------------------------------------


def _outcome(state: dict[str, str], started: _Started, size_before: int) -> dict[str, int | float]:
    size_after = int(state["aof_current_size"])
    return {
        "bytes_before": size_before,
        "bytes_after": size_after,
        "bytes_saved": size_before - size_after,
        "seconds": round(time.monotonic() - started.moment, 3),
        "fork_usec": int(state["latest_fork_usec"]),
        "cow_bytes": int(state["aof_last_cow_size"]),
    }


def _proof(
    server: Server, aof: Aof | None, before: Base | None, state: dict[str, str], started: _Started
) -> dict[str, str | int]:
    """What shows that it was done.

    Raises:
        RewriteUnproven: nothing does.
    """
    if aof is None:
        if int(state["total_forks"]) <= started.forks or int(state["aof_last_rewrite_time_sec"]) < 0:
            raise RewriteUnproven(f"{server.shown} has rewritten nothing since it was asked to")
        return {"proof": "the server's word", "base_bytes": int(state["aof_base_size"])}
    base = _base_now(aof)
    if base is None or not base.replaces(before):
        told = f"{base.name} in {aof.folder} is as it was" if base else f"there is no AOF in {aof.folder}"
        raise RewriteUnproven(f"{server.shown} says that it has rewritten its AOF, and {told}")
    return {"proof": f"a new {base.name}", "base_bytes": base.bytes}


def _base_now(aof: Aof) -> Base | None:
    try:
        return aof.base()
    except OSError:
        return None


def _leftovers(aof: Aof | None) -> str:
    """The temp files that lie there now, named; none is written to any more, since no rewrite runs."""
    left = aof.temps() if aof else {}
    told = ", ".join(f"{name} ({size(count)})" for name, count in left.items())
    return f"; left in {aof.data_dir}: {told}" if aof and left else ""
