"""Log lines: text or JSON, and in each the run, task and target that it belongs to."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

__all__ = ["about", "dress", "formatter"]

_ABOUT: ContextVar[dict[str, str] | None] = ContextVar("about", default=None)


@contextmanager
def about(**facts: str) -> Iterator[None]:
    """Every line logged inside says this too."""
    token = _ABOUT.set(facts)
    try:
        yield
    finally:
        _ABOUT.reset(token)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        facts = " ".join(f"{name}={value}" for name, value in (_ABOUT.get() or {}).items())
        moment = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        line = f"{moment} {record.levelname:<7} {record.getMessage()}"
        trace = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        return f"{line}  [{facts}]{trace}" if facts else line + trace


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **(_ABOUT.get() or {}),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def formatter(kind: str) -> logging.Formatter:
    """For ``[log] format``."""
    return _Json() if kind == "json" else _Text()


def dress(logger: logging.Logger, kind: str) -> None:
    """Have all of a logger's handlers write so; and keep botocore's remarks about credentials out of every run; and
    urllib3's, whose level DEBUG names the path of every request, which in a webhook's is a secret."""
    for name in ("botocore", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for handler in logger.handlers:
        handler.setFormatter(formatter(kind))
