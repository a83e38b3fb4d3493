"""The button that starts a run."""

from __future__ import annotations

import uuid
from base64 import b64decode
from functools import partial
from typing import Any

from kombu.exceptions import OperationalError
from tornado.web import HTTPError, RequestHandler, authenticated

from tasks.dashboard import views
from tasks.dashboard.pages import NAME, Page
from tasks.dashboard.plug import observer
from tasks.errors import ControlUnreachable

__all__ = ["Start"]


class Start(Page):
    """Starts one run. A page's nonce makes its id, so that a double click, or a form sent again, is the same run."""

    def check_xsrf_cookie(self) -> None:
        """Flower asks for the token only where people log in by OAuth; a form that starts something always needs it."""
        super().check_xsrf_cookie()
        RequestHandler.check_xsrf_cookie(self)

    @authenticated
    async def post(self) -> None:
        if self.application.options.read_only:
            raise HTTPError(403, "this Flower is read-only")
        task, _, target = str(self.get_body_argument("start", "")).partition(" ")
        nonce = str(self.get_body_argument("nonce", ""))
        if task not in views.ACTIONS or f"tasks.{task}" not in self.capp.tasks or not nonce:
            raise HTTPError(400, "no such task")
        if target not in [each.name for each in observer().settings.target]:
            raise HTTPError(404, "no such target")
        try:
            run_id = await self.asked(partial(self._send, task, target, nonce))
        except ControlUnreachable as error:
            self.set_status(503)
            self._answer({"error": error.as_dict()})
            return
        self._answer({"run": run_id, "url": self.reverse_url("redkeep-run", run_id)})

    def _send(self, task: str, target: str, nonce: str) -> str:
        run_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{nonce} {task} {target}"))
        by, name = self._by(), f"tasks.{task}"
        records = observer().records
        if records.queue(run_id, task=name, target=target, by=by):
            options = {"dry_run": True} if task == "tidy" else {}
            try:
                self.capp.send_task(name, [target], {"by": by} | options, task_id=run_id, retry=False)
            except OperationalError as error:  # it will never begin, and its record must not wait for it
                told = ControlUnreachable("the broker does not take the run", detail=str(error).partition("\n")[0])
                records.close(run_id, "failed", told.as_dict())
                raise told from None
        return run_id

    def _by(self) -> str:
        """Who it was, for the record: the name of basic authentication, or the address that OAuth told."""
        if isinstance(self.current_user, str):
            return f"{self.current_user[:NAME]} in Flower"
        try:
            login = b64decode(self.request.headers.get("Authorization", "").partition(" ")[2]).decode()
        except ValueError:
            login = ""
        user = login.partition(":")[0][:NAME]
        return f"{user} in Flower" if user else "Flower"

    def _answer(self, told: dict[str, Any]) -> None:
        """JSON for our script; without it, the run's page."""
        if "application/json" in self.request.headers.get("Accept", ""):
            self.finish(told)
        elif "error" in told:
            self.show("redkeep-away.html", None, problem=told["error"])
        else:
            self.redirect(told["url"], status=303)
