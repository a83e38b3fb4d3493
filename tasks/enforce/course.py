"""The steps of a plan, each carried out and proven before the next."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from tasks.enforce.facts import Facts
from tasks.enforce.memory import Memory
from tasks.enforce.plan import Do, Plan, Step
from tasks.enforce.policy import plan, unlasting
from tasks.enforce.survey import is_whole, look
from tasks.errors import AofUnproven, PersistenceUnkept, RedkeepError, ServerRefused, SettingRefused
from tasks.gate import let_fork
from tasks.job import Job
from tasks.server import POLL, Server
from tasks.settings import Target

__all__ = ["Course"]

PHASES: dict[Do, str] = {
    "wait for AOF": "aof",
    "rewrite the file": "config rewrite",
    "set": "config set",
    "switch AOF on": "aof",
}


class _FileRefused(Exception):
    """The server cannot write its own file, or writes it in vain."""


@dataclass(frozen=True)
class Course:
    """One plan after another on one server, until one is through."""

    job: Job
    server: Server
    target: Target
    wanted: Mapping[str, str]
    memory: Memory
    patience: float
    was: dict[str, str] = field(default_factory=dict)
    """What was set before, of the settings that this course has changed ahead of AOF."""

    def run(self, planned: Plan) -> Plan:
        """Carry the plan out; where the server turns out not to be able to write its own file, the plan without that.

        Returns:
            the plan that was carried out.

        Raises:
            AofUnproven: AOF could not be switched on; it is off as before.
            SettingRefused: the server does not take a value; those set before it are as they were.
            ServerLoading, ServerSaving, GuardDeferred, GuardRefused: it may not fork now; nothing was changed.
            RedkeepError: what else stood in the way. Each step leaves the server with a way to persist that
                survives a restart, so the next run goes on from wherever this one came to.
        """
        if any(step.do == "switch AOF on" for step in planned.steps):
            let_fork(self.job, self.server, self.target, "rewrite", self.patience)
        while True:
            try:
                for step in planned.steps:
                    self.job.prove()
                    with self.job.phase(PHASES[step.do]):
                        self._take(step)
            except _FileRefused as refused:
                facts = replace(self._look(), refused=str(refused))
                planned = plan(self.wanted, facts, self.memory.recall())
            else:
                return planned

    def _take(self, step: Step) -> None:
        match step.do:
            case "wait for AOF":
                self._wait_for_aof()
            case "rewrite the file":
                self._rewrite_file()
            case "set":
                self._set(step)
            case "switch AOF on":
                self._switch_on()
        self.job.figures["done"] = [*self.job.figures.get("done", []), step.command]

    def _look(self) -> Facts:
        return look(self.server, self.target, self.wanted)

    def _rewrite_file(self) -> None:
        """CONFIG REWRITE, and the file read again where it can be: an answer of OK proves little."""
        try:
            self.server.ask("CONFIG", "REWRITE")
        except ServerRefused as error:
            raise _FileRefused(f"the server cannot write its own file ({error.detail})") from None
        facts = self._look()
        if left := list(unlasting(self.wanted, facts)):
            told = f"{facts.config_file} still says otherwise of {', '.join(left)} after CONFIG REWRITE"
            raise _FileRefused(f"{told}; see whether it includes another file") from None

    def _set(self, step: Step) -> None:
        if step.name == "save" and not step.value:
            self._check_aof()
        before = self.server.config(step.name)
        try:
            self.server.ask("CONFIG", "SET", step.name, step.value)
        except ServerRefused as error:
            for name, value in self.was.items():
                self.server.ask("CONFIG", "SET", name, value)
            told = f"{self.server.shown} does not take {step.value!r} for {step.name}"
            raise SettingRefused(told, detail=error.detail) from None
        self.was.update(before)

    def _check_aof(self) -> None:
        """The last look before the save points go: nobody has come in between."""
        state = self.server.info("persistence")
        if state.get("aof_enabled") != "1":
            told = f"somebody has switched AOF off again on {self.server.shown}"
            raise PersistenceUnkept(told, detail="the save points were left as they are")

    # -- AOF --------------------------------------------------------------------------------------------------

    def _switch_on(self) -> None:
        """AOF on, and its first rewrite waited for: until that is proven, the save points are all there is."""
        try:
            self.server.ask("CONFIG", "SET", "appendonly", "yes")
        except ServerRefused as error:  # the fork failed, or its file could not be opened: nothing has changed
            raise AofUnproven(f"{self.server.shown} could not switch AOF on", detail=error.detail) from None
        for state in self._states():
            if _failed(state):
                self._switch_off_again()
            if is_whole(state):
                break
        self.memory.note({"appendonly": "yes"})
        self.was.clear()  # from here on nothing is taken back

    def _wait_for_aof(self) -> None:
        """Somebody else has switched it on, or a worker that died since; so it is left on, come what may."""
        for state in self._states():
            if is_whole(state):
                return
            if _failed(state):
                told = f"the first AOF rewrite of {self.server.shown} fails again and again"
                hint = "AOF was found on and left so; read the server's log, and see to its disk."
                raise AofUnproven(told, hint=hint)

    def _states(self) -> Iterator[dict[str, str]]:
        while True:
            self.job.checkpoint()
            yield self.server.info("persistence")
            time.sleep(POLL)

    def _switch_off_again(self) -> None:
        """There never was a whole AOF, so nothing is lost; left on, the server would fork again and again."""
        error = AofUnproven(f"the first AOF rewrite of {self.server.shown} failed")
        try:
            self.server.ask("CONFIG", "SET", "appendonly", "no")
        except RedkeepError as second:
            error.hint = f"It was left on ({second}): see to the server's disk, then CONFIG SET appendonly no there."
        raise error


def _failed(state: Mapping[str, str]) -> bool:
    """A first rewrite has failed and the server is about to try again; a later one that fails is not scheduled anew."""
    return (
        state.get("aof_last_bgrewrite_status") == "err"
        and state.get("aof_rewrite_in_progress") == "0"
        and state.get("aof_rewrite_scheduled") != "0"
    )
