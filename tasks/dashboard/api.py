"""The same as JSON, under Flower's own rules for its API (docs/dashboard.md)."""

from __future__ import annotations

import asyncio
from functools import partial

import prometheus_client
from flower.api import BaseApiHandler  # type: ignore[import-untyped]
from flower.views import monitor  # type: ignore[import-untyped]
from tornado.web import authenticated

from tasks.dashboard.pages import Page
from tasks.dashboard.plug import observer
from tasks.errors import ControlUnreachable, RedkeepError, RunUnknown, UnknownTarget
from tasks.status import as_json, run_as_json
from tasks.status.series import SERIES, SPANS, series
from tasks.status.told import moment, target_as_json

__all__ = ["Metrics", "OneRun", "OneTarget", "Runs", "Status"]


class Answer(BaseApiHandler, Page):  # type: ignore[misc]
    """What the answers share: an error is an object with code, name, message and hint, as everywhere else."""

    def refuse(self, status: int, error: RedkeepError) -> None:
        self.set_status(status)
        self.finish({"error": error.as_dict()})


class Metrics(monitor.Metrics):  # type: ignore[misc]
    """Flower's own ``/metrics``, told in a thread: ours ask the control Redis, which may take its time."""

    async def get(self) -> None:
        self.application.purge_offline_worker_metrics()
        told = await asyncio.get_running_loop().run_in_executor(None, prometheus_client.generate_latest)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(told)


class Status(Answer):
    """``/redkeep/api/status``: everything; the query takes target, task, outcome and before, as the page does."""

    @authenticated
    async def get(self) -> None:
        self.finish(as_json(await self.context(self.wanted())))


class OneTarget(Answer):
    """``/redkeep/api/target/NAME``: one target, and its series over ``span`` (48h or 30d)."""

    @authenticated
    async def get(self, name: str) -> None:
        context = await self.context(self.wanted(target=name))
        target = context.target(name)
        if target is None:
            self.refuse(404, UnknownTarget(f"no target is called {name[:64]!r}"))
            return
        since = context.at - SPANS[self.span()]
        lines = {
            line: [[moment(each.at), each.value] for each in series(target.stock, line, since, context.at)]
            for line in SERIES
        }
        self.finish({"at": moment(context.at), "target": target_as_json(target), "series": lines})


class Runs(Answer):
    """``/redkeep/api/runs``: a page of runs, newest first; ``older`` is what ``before`` takes for the next one."""

    @authenticated
    async def get(self) -> None:
        told = as_json(await self.context(self.wanted()))
        self.finish({name: told[name] for name in ("at", "problem", "known", "runs", "older")})


class OneRun(Answer):
    """``/redkeep/api/run/ID``."""

    @authenticated
    async def get(self, run_id: str) -> None:
        try:
            run = await self.asked(partial(observer().run, run_id))
        except RunUnknown as error:
            self.refuse(404, error)
        except ControlUnreachable as error:
            self.refuse(503, error)
        else:
            self.finish(run_as_json(run))
