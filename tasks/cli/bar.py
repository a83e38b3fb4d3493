"""The progress bar: phase, bytes, rate. Nothing is drawn of what is not known yet."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, Task, TextColumn, TransferSpeedColumn
from rich.text import Text

__all__ = ["progress_bar"]


class _Amount(DownloadColumn):
    def render(self, task: Task) -> Text:
        return super().render(task) if task.total else Text()


class _Rate(TransferSpeedColumn):
    def render(self, task: Task) -> Text:
        return super().render(task) if task.finished_speed or task.speed else Text()


def progress_bar(console: Console, *, disable: bool = False) -> Progress:
    """One that is gone when it has ended."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), _Amount(binary_units=True), _Rate())
    return Progress(*columns, console=console, transient=True, disable=disable)
