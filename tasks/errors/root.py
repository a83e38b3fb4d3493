"""What every error has, and the two kinds that are no failure."""

from __future__ import annotations

import re
from typing import Any, ClassVar

__all__ = ["USAGE_EXIT", "Deferral", "RedkeepError", "Skip"]

USAGE_EXIT = 64
"""Exit code of a command line that could not be understood (sysexits.h, EX_USAGE)."""


class RedkeepError(Exception):
    """The root. Never raised itself.

    Attributes:
        code: the fixed number, 10..125, and exit code.
        retry: whether the same call may succeed later with nothing mended by hand.
        hint: what to do now, one or two sentences.
    """

    code: ClassVar[int] = 1
    retry: ClassVar[bool] = False
    hint: str = ""

    def __init__(self, message: str, *, detail: str = "", hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        if hint is not None:
            self.hint = hint

    @property
    def name(self) -> str:
        """The error's name for records and alerts: ``BucketMissing`` is ``bucket-missing``."""
        return re.sub(r"(?<!^)(?=[A-Z])", "-", type(self).__name__).lower()

    def __str__(self) -> str:
        return f"{self.message} ({self.detail})" if self.detail else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.detail, self.hint)

    def as_dict(self) -> dict[str, Any]:
        """The flat form that records, results and ``--json`` carry."""
        return {"code": self.code, "name": self.name, "message": str(self), "hint": self.hint}


def _rebuild(kind: type[RedkeepError], message: str, detail: str, hint: str) -> RedkeepError:
    return kind(message, detail=detail, hint=hint)


class Deferral(RedkeepError):
    """Not now: nothing is broken, something else has to end first. The run is sent again until its bound."""

    retry = True


class Skip(RedkeepError):
    """There is nothing to do. The run ends as `skipped`, which is no failure."""
