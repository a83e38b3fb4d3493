"""Keys in the control Redis; they begin with the installation's namespace."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Keys:
    """The keys of one installation.

    >>> Keys("redkeep").run("7f3a")
    'redkeep:run:7f3a'
    """

    namespace: str

    def lease(self, resource: str) -> str:
        """Who works there now. A resource is one of :func:`resources_of`, like ``target:main`` or ``host:db1``.

        >>> Keys("redkeep").lease("target:main")
        'redkeep:lease:target:main'
        """
        return f"{self.namespace}:lease:{resource}"

    def wanted(self, resource: str) -> str:
        """The run that waits for that lease and must not wait long."""
        return f"{self.namespace}:wanted:{resource}"

    def fence(self) -> str:
        """The last fence given out."""
        return f"{self.namespace}:fence"

    def slot(self, slot: str) -> str:
        """
        >>> Keys("redkeep").slot("tasks.backup/main/2026-11-23T11:07Z")
        'redkeep:slot:tasks.backup/main/2026-11-23T11:07Z'
        """
        return f"{self.namespace}:slot:{slot}"

    def run(self, run_id: str) -> str:
        """The record of a run, a hash."""
        return f"{self.namespace}:run:{run_id}"

    def alive(self, run_id: str) -> str:
        """Holds the nonce of the attempt at work, and expires when that stops beating."""
        return f"{self.namespace}:alive:{run_id}"

    def runs(self, target: str, task: str) -> str:
        """Run ids of one target and task, by the time they were first seen.

        >>> Keys("redkeep").runs("main", "tasks.backup")
        'redkeep:runs:main:tasks.backup'
        """
        return f"{self.namespace}:runs:{target}:{task}"

    def indexes(self) -> str:
        """The names of all the indexes, by the time they last grew."""
        return f"{self.namespace}:runs"

    def indexed(self, index: str) -> tuple[str, str]:
        """The target and task of an index of runs.

        >>> Keys("redkeep").indexed("redkeep:runs:main:tasks.backup")
        ('main', 'tasks.backup')
        """
        target, _, task = index.removeprefix(f"{self.indexes()}:").rpartition(":")
        return target, task

    def roster(self) -> str:
        """What each worker and beat said of itself when it was ready, a hash by its name."""
        return f"{self.namespace}:roster"

    def tidy(self, target: str) -> str:
        """What tidy remembers of a target from run to run, a hash.

        >>> Keys("redkeep").tidy("main")
        'redkeep:tidy:main'
        """
        return f"{self.namespace}:tidy:{target}"

    def tally(self) -> str:
        """How many runs have ended how, and their seconds: a hash by ``runs`` or ``seconds``, target, task and outcome.
        """
        return f"{self.namespace}:tally"

    def paused(self, target: str) -> str:
        """Tasks of a target that the schedule must not start, a hash of task to reason."""
        return f"{self.namespace}:paused:{target}"

    def enforced(self, target: str) -> str:
        """The persistence settings that were last seen or made right there, a hash of name to value."""
        return f"{self.namespace}:enforced:{target}"

    def alarms(self, target: str) -> str:
        """What is wrong with a target and who was told, a hash by kind of alarm.

        >>> Keys("redkeep").alarms("main")
        'redkeep:alarms:main'
        """
        return f"{self.namespace}:alarms:{target}"

    def heartbeat(self, target: str) -> str:
        """What the heartbeat said last of a target: the newest good backup, and the newest run that failed."""
        return f"{self.namespace}:heartbeat:{target}"
