"""The control Redis and the run itself: 20..29."""

from __future__ import annotations

from tasks.errors.root import Deferral, RedkeepError

__all__ = [
    "ControlUnreachable",
    "LeaseBusy",
    "LeaseLost",
    "MessageInvalid",
    "NoWorker",
    "RunCancelled",
    "RunUnknown",
    "SlotBusy",
    "TimeLimitExceeded",
    "WorkerLost",
]


class ControlUnreachable(RedkeepError):
    code = 20
    retry = True
    hint = "Start the control Redis, or correct [control] url."


class LeaseLost(RedkeepError):
    """The lease ended, or could not be proven in time; whoever has it now may be working."""

    code = 21
    retry = True
    hint = "Nothing was committed; look for a paused machine or an unreachable control Redis."


class LeaseBusy(Deferral):
    code = 22
    hint = "Wait for the named run to end, or cancel it with `redkeep cancel`."


class SlotBusy(Deferral):
    code = 23
    hint = "Another run is doing this slot; its result counts."


class RunUnknown(RedkeepError):
    code = 24
    hint = "List runs with `redkeep history`; a unique beginning of the id is enough."


class RunCancelled(RedkeepError):
    code = 25
    hint = "It was stopped on request and left nothing behind."


class WorkerLost(RedkeepError):
    code = 26
    retry = True
    hint = "Look at the worker's log and at the machine's memory; the broker gives the run to the next worker."


class TimeLimitExceeded(RedkeepError):
    code = 27
    hint = "See in the run's phases which step took so long, and raise [control] time_limit if it is right to."


class NoWorker(RedkeepError):
    code = 28
    retry = True
    hint = "Start one with `redkeep worker QUEUE`; the run waits in its queue meanwhile."


class MessageInvalid(RedkeepError):
    """Somebody other than redkeep wrote it into the broker, or a redkeep of another kind."""

    code = 29
    hint = "Send runs with `redkeep run` or by the schedule; see who else can write to the control Redis."
