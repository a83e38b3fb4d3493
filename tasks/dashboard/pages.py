"""The pages.

A handler asks in Flower's pool of threads, so that its event loop goes on meanwhile. Everything that comes from records
and manifests is escaped by the templates; besides, no script but Flower's and ours may run on these pages.
"""

from __future__ import annotations

import asyncio
import http
import math
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from flower.views import BaseHandler  # type: ignore[import-untyped]
from tornado.web import HTTPError, authenticated

from tasks.dashboard import views
from tasks.dashboard.plug import STATIC, observer
from tasks.errors import ControlUnreachable, RunUnknown
from tasks.names import QUEUES
from tasks.records import FINAL
from tasks.status import Context, TargetStatus, Wanted
from tasks.status.picture import OPEN
from tasks.status.series import SPANS

__all__ = ["NAME", "Overview", "Page", "RunPage", "TargetPage"]

T = TypeVar("T")

SAME_ORIGIN = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # Flower's own scripts set styles
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
NAME = 64
"""Characters of what is asked for by name; no target, task or outcome is longer."""
OUTCOMES = (*OPEN, *sorted(FINAL))


class Page(BaseHandler):  # type: ignore[misc]
    """What the pages share: where they ask, and what they tell every template."""

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("Content-Security-Policy", SAME_ORIGIN)
        self.set_header("Referrer-Policy", "same-origin")
        self.set_header("Cache-Control", "no-cache, private")

    def write_error(self, status_code: int, **told: Any) -> None:
        """What somebody did wrong, on a page of ours; the rest (a login, our own mistakes) is Flower's."""
        error = told["exc_info"][1] if "exc_info" in told else None
        if status_code not in (400, 403, 404, 405) or not isinstance(error, HTTPError):
            super().write_error(status_code, **told)
            return
        message = error.get_message() or error.reason or http.HTTPStatus(status_code).phrase
        self.show("redkeep-away.html", None, problem={"message": message})

    async def asked(self, ask: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(None, ask)

    async def context(self, wanted: Wanted) -> Context:
        return await self.asked(partial(observer().context, wanted, patient=False))

    def wanted(self, **fixed: Any) -> Wanted:
        """The runs that the query asks for."""
        given = {name: str(self.get_argument(name, "", escape=False))[:NAME] for name in ("target", "task", "outcome")}
        task = given["task"]
        given["task"] = f"tasks.{task}" if task and not task.startswith("tasks.") else task
        return Wanted(**given | {"before": self._before()} | fixed)

    def _before(self) -> float:
        try:
            before = float(self.get_argument("before", "0", escape=False))
        except ValueError:
            before = math.nan
        if not 0 <= before < 1e11:
            raise HTTPError(400, "before is a time in seconds since 1970")
        return before

    def span(self) -> str:
        """How far back charts go: the one asked for, if it is one of `SPANS`."""
        span = str(self.get_argument("span", "48h", escape=False))
        return span if span in SPANS else "48h"

    def show(self, template: str, context: Context | None, **told: Any) -> None:
        self.render(
            template,
            context=context,
            read_only=self.application.options.read_only,
            nonce=uuid.uuid4().hex,
            asset=self._asset,
            sentence=views.sentence,
            **told,
        )

    def _asset(self, name: str) -> str:
        """A file of ours by an address that changes when it does."""
        changed = int((STATIC / name).stat().st_mtime)
        return f"{self.reverse_url('redkeep-static', name)}?v={changed:x}"

    def cards(self, context: Context) -> list[views.Card]:
        """Those that need somebody first, else in the settings' order."""
        made = [views.card(each, context.at, list(self.capp.tasks)) for each in context.targets]
        urgent = ["bad", "warn", "good", "calm"]
        return sorted(made, key=lambda each: urgent.index("bad" if each.alarms else each.tone))


class Overview(Page):
    """Every target, and the runs of all."""

    @authenticated
    async def get(self) -> None:
        wanted = self.wanted()
        context = await self.context(wanted)
        only = [each for each in context.targets if each.configured]
        span = self.span()
        self.show(
            "redkeep.html",
            context,
            hero=views.hero(context),
            cards=self.cards(context),
            charts=views.charts(only[0], context.at, span) if len(only) == 1 else [],
            span=span,
            here=self.reverse_url("redkeep"),
            target=None,
            **_table(context, wanted),
        )


class TargetPage(Page):
    """One target: its card, its charts and its runs."""

    @authenticated
    async def get(self, name: str) -> None:
        wanted = self.wanted(target=name[:NAME])
        context = await self.context(wanted)
        target = _found(context, name)
        span = self.span()
        self.show(
            "redkeep.html",
            context,
            hero=None,
            cards=[views.card(target, context.at, list(self.capp.tasks))],
            charts=views.charts(target, context.at, span),
            span=span,
            here=self.reverse_url("redkeep-target", name),
            target=target,
            **_table(context, wanted),
        )


class RunPage(Page):
    """One run."""

    @authenticated
    async def get(self, run_id: str) -> None:
        try:
            run = await self.asked(partial(observer().run, run_id))
        except RunUnknown:
            raise HTTPError(404, "no such run (any more)") from None
        except ControlUnreachable as error:
            self.set_status(503)
            self.show("redkeep-away.html", None, problem=error.as_dict())
            return
        self.show("redkeep-run.html", None, run=views.run_view(run, observer().clock()))


def _found(context: Context, name: str) -> TargetStatus:
    target = context.target(name)
    if target is None:
        raise HTTPError(404, "no target of that name, neither in the settings nor in the store")
    return target


def _table(context: Context, wanted: Wanted) -> dict[str, Any]:
    """What the table of runs and its filters show."""
    return {
        "rows": [views.row(each, context.at) for each in context.runs.rows],
        "wanted": wanted,
        "names": [each.name for each in context.targets],
        "tasks": sorted(QUEUES),
        "outcomes": OUTCOMES,
    }
