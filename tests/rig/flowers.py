"""Flower with our page in it, and a visitor who asks it things.

    with serving(config) as visitor:
        assert visitor.get("/redkeep").status == 200
        visitor.start("backup main")
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from rig.commands import Running
from rig.keep import eventually
from rig.ports import ReservedPort

__all__ = ["CLOCK", "LOGIN", "Answer", "Visitor", "serving"]

LOGIN = "ops:secret"
CLOCK = Path(__file__).with_name("flowerconfig_clock.py")
"""For FLOWER_CONF: the page's clock goes wrong by as many seconds as the file REDKEEP_CLOCK says."""


@dataclass(frozen=True)
class Answer:
    status: int
    text: str
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Visitor:
    """A browser without a screen: it keeps cookies and follows no link by itself."""

    def __init__(self, url: str, login: str = LOGIN) -> None:
        self.url = url
        self.login = login
        self._cookies = CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self._cookies), _Stays)

    def get(self, path: str, **headers: str) -> Answer:
        return self._ask(urllib.request.Request(self.url + path, headers=headers))

    def post(self, path: str, body: dict[str, str], **headers: str) -> Answer:
        return self._ask(urllib.request.Request(self.url + path, urlencode(body).encode(), headers=headers))

    def start(self, what: str, *, nonce: str = "n1", **headers: str) -> Answer:
        """Press a button: ``start("backup main")``."""
        if not self.token:
            self.get("/redkeep")
        body = {"start": what, "nonce": nonce, "_xsrf": self.token}
        return self.post("/redkeep/start", body, **{"Accept": "application/json"} | headers)

    @property
    def token(self) -> str:
        return next((str(each.value) for each in self._cookies if each.name == "_xsrf"), "")

    def _ask(self, request: urllib.request.Request) -> Answer:
        if self.login:
            request.add_header("Authorization", f"Basic {b64encode(self.login.encode()).decode()}")
        try:
            with self._opener.open(request, timeout=30) as answer:
                return Answer(answer.status, answer.read().decode(), dict(answer.headers))
        except urllib.error.HTTPError as refused:
            return Answer(refused.code, refused.read().decode(), dict(refused.headers))
        except urllib.error.URLError as error:
            return Answer(0, str(error), {})


class _Stays(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


@contextmanager
def serving(config: Path, *arguments: str, login: str = LOGIN, **options: Any) -> Iterator[Visitor]:
    """``redkeep flower`` on that installation; ``options`` as :class:`rig.commands.Running` takes them."""
    port = ReservedPort()
    secret = {"FLOWER_BASIC_AUTH": login} if login else {}
    with Running("flower", f"--port={port.number}", *arguments, config=config, **secret | options):
        visitor = Visitor(f"http://127.0.0.1:{port.number}", login)
        eventually(lambda: visitor.get("/healthcheck").status, within=30)
        yield visitor
    port.release()
