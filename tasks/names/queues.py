"""Which queue a task goes to, and what its run holds alone."""

from __future__ import annotations

QUEUES = {
    "backup": "backup",
    "tidy": "tidy",
    "untidy": "tidy",
    "rewrite": "rewrite",
    "enforce": "rewrite",
    "drill": "drill",
    "verify": "drill",
    "retention": "housekeeping",
    "watch": "housekeeping",
}
"""Which kind of worker does which task. Tasks that need the private key share `drill`."""

NEAR = frozenset({"backup", "tidy", "rewrite"})
"""The queues whose worker stands beside the server's files; a target's `worker` gives them a suffix."""

CALM = frozenset({"drill", "verify", "retention", "watch"})
"""The tasks that make no server fork or churn its memory: each holds a resource of its own."""

GIVING_WAY = frozenset({"tidy"})
"""The tasks that lose nothing when they are interrupted: they end early where another run wants their lease."""


def gives_way(task: str) -> bool:
    """
    >>> gives_way("tasks.tidy"), gives_way("tasks.backup")
    (True, False)
    """
    return task.removeprefix("tasks.") in GIVING_WAY


ROUTINE = frozenset({"tasks.watch"})
"""Tasks that come every few minutes, for every target, and change nothing under care: that one went well is no news.
So few of their records and slots are kept, history leaves them out, and a pause of everything lets them go on."""


def queue_of(task: str, worker: str | None = None) -> str:
    """The queue of a task, near to the target's files where it has a worker of its own.

    >>> queue_of("tasks.backup"), queue_of("tasks.backup", "db1"), queue_of("tasks.verify", "db1")
    ('backup', 'backup.db1', 'drill')
    """
    queue = QUEUES[task.removeprefix("tasks.")]
    return f"{queue}.{worker}" if worker and queue in NEAR else queue


def resources_of(task: str, target: str, host: str | None = None) -> list[str]:
    """What a run holds alone while it works. Whatever forks or churns memory meets neither its like on the target nor,
    where targets name their machine, on the host; the others meet only themselves.

    >>> resources_of("tasks.backup", "main", "db1"), resources_of("tasks.verify", "main", "db1")
    (['target:main', 'host:db1'], ['verify:main'])
    """
    kind = task.removeprefix("tasks.")
    if kind in CALM:
        return [f"{kind}:{target}"]
    return [f"target:{target}", *([f"host:{host}"] if host else [])]
