"""What the persistence settings of a target were when they were last right: so that drift is told from first use."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from tasks import control
from tasks.names import Keys
from tasks.settings import Control

__all__ = ["Memory"]


class Memory:
    """In the control Redis, and forgotten when no run has looked for as long as records are kept. A context manager."""

    def __init__(self, settings: Control, target: str) -> None:
        self._client = control.connect(settings)
        self._key = Keys(settings.namespace).enforced(target)
        self._kept = settings.history.days * 86_400

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def recall(self) -> dict[str, str]:
        """Values by name, as they were wanted then. Raises ControlUnreachable."""
        with control.speaking(self._client):
            return dict(self._client.hgetall(self._key))

    def note(self, right: Mapping[str, str]) -> None:
        """These are as wanted now; others keep what was noted of them. Raises ControlUnreachable."""
        if not right:
            return
        with control.speaking(self._client), self._client.pipeline(transaction=True) as pipe:
            pipe.hset(self._key, mapping=dict(right))
            pipe.expire(self._key, self._kept)
            pipe.execute()
