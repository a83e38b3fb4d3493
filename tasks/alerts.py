"""What leaves here to tell somebody: a webhook, and a heartbeat that somebody else misses when it stops.

Both URLs are secrets: whoever knows one may speak for us. So an error names the host alone, and nothing of urllib3's
own words, which quote the path.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from importlib.metadata import version
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from pydantic import SecretStr
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from tasks.errors import AlertUndelivered
from tasks.names import origin_of

__all__ = ["DEADLINE", "beat", "post"]

CONNECT = 3.0
"""Seconds for a connection."""
ANSWER = 5.0
"""Seconds without a byte of an answer. Not tried again: what was sent may have arrived."""
DEADLINE = 10.0
"""Seconds for all tries together, whatever the other side does: one that sends a byte every few seconds too."""
LEFT_ALONE = 120.0
"""Seconds for which one that was silent is not asked again by this process: else each of many targets would wait for it
in turn, and the looks would fall behind."""
TRIES = 3
PAUSE = 0.5
"""Seconds before the second try, about; twice that before the third."""
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that may be others a moment later."""
DETAILS: dict[type[Exception], str] = {
    NameResolutionError: "no such host",
    NewConnectionError: "nobody listens there",
    ConnectTimeoutError: "no connection in time",
    ReadTimeoutError: "no answer in time",
    SSLError: "TLS: its certificate is not trusted here, or is another host's",
    ProxyError: "the proxy does not connect us",
}
"""Told for the first kind that fits."""


def post(url: SecretStr, told: Mapping[str, Any]) -> int:
    """POST a JSON object. The HTTP status of the answer, which is one of success.

    Raises:
        AlertUndelivered: it did not arrive, or was refused.
    """
    headers = {"Content-Type": "application/json"}
    return _sent("webhook", "POST", url.get_secret_value(), headers, json.dumps(told).encode())


def beat(url: SecretStr, target: str, *, good: bool, test: bool = False) -> int:
    """GET the heartbeat's URL, or what stands below it at ``/fail``. ``{target}`` in it becomes the target's name.

    Raises as :func:`post`.
    """
    parts = urlsplit(url.get_secret_value().replace("{target}", target))
    path = parts.path if good else f"{parts.path.rstrip('/')}/fail"
    marked = {"User-Agent": f"{_agent()} (test)"} if test else {}
    return _sent("heartbeat", "GET", urlunsplit(parts._replace(path=path)), marked)


def _agent() -> str:
    return f"redkeep/{version('redkeep')}"


_silent: dict[str, float] = {}
"""Who was silent, and until when (monotonic) it is left alone."""


def _sent(what: str, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> int:
    where = f"{what} at {origin_of(url)}"
    if (left := _silent.get(where, 0.0) - time.monotonic()) > 0:
        raise AlertUndelivered(f"the {where} was silent a moment ago", detail=f"it is asked again in {left:.0f} s")
    bare, login = _without_login(url)
    wanted = {"User-Agent": _agent()} | login | dict(headers)
    return _within(DEADLINE, where, lambda end: _tried(where, end, lambda: _once(method, bare, wanted, body)))


def _without_login(url: str) -> tuple[str, dict[str, str]]:
    """A URL's ``user:password@`` as the header that it stands for."""
    parts = urlsplit(url)
    login, _, host = parts.netloc.rpartition("@")
    headers = urllib3.make_headers(basic_auth=unquote(login)) if login else {}
    return urlunsplit(parts._replace(netloc=host)), dict(headers)


def _within(seconds: float, where: str, call: Callable[[float], int]) -> int:
    """A thread of its own does it, and is left to itself when its time is over: no timeout of a socket ends an answer
    that goes on and on."""
    future: Future[int] = Future()
    end = time.monotonic() + seconds

    def run() -> None:
        try:
            future.set_result(call(end))
        except BaseException as error:  # noqa: BLE001  the caller raises it
            future.set_exception(error)

    threading.Thread(target=run, name="redkeep-alert", daemon=True).start()
    try:
        return future.result(seconds)
    except TimeoutError:
        _silent[where] = time.monotonic() + LEFT_ALONE
        raise AlertUndelivered(f"the {where} did not answer within {seconds:.0f} s") from None


def _tried(where: str, end: float, once: Callable[[], int]) -> int:
    for tries in range(1, TRIES + 1):
        try:
            status, detail, passing = once(), "", False
        except HTTPError as error:
            silent = isinstance(error, ReadTimeoutError)
            status, detail, passing = 0, _detail(error), not silent
            if silent:
                _silent[where] = time.monotonic() + LEFT_ALONE
        if 200 <= status < 300:
            return status
        pause = PAUSE * 2 ** (tries - 1) * random.uniform(0.5, 1.5)  # noqa: S311  many must not come back together
        if not (passing or status in PASSING) or tries == TRIES or time.monotonic() + pause >= end:
            raise AlertUndelivered(f"the {where} did not take it", detail=detail or _refusal(status))
        time.sleep(pause)
    raise AssertionError(where)


def _once(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> int:
    """One request; what the other side has to say beyond its status is not read."""
    timeout = urllib3.Timeout(connect=CONNECT, read=ANSWER)
    with _pool(url, timeout=timeout) as pool:
        # Redirects are not followed: a secret would go where nobody wrote it down, perhaps in the clear.
        answer = pool.request(
            method, url, body=body, headers=headers, retries=False, redirect=False, preload_content=False
        )
        answer.close()
        return int(answer.status)


def _pool(url: str, **options: Any) -> urllib3.PoolManager:
    """Through the environment's proxy where there is one, as the store's connections go."""
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    if proxy and not proxy_bypass(parts.hostname or ""):
        return urllib3.ProxyManager(proxy, **options)
    return urllib3.PoolManager(**options)


def _detail(error: HTTPError) -> str:
    return next((told for kind, told in DETAILS.items() if isinstance(error, kind)), "the connection broke off")


def _refusal(status: int) -> str:
    redirects = "; redirects are not followed, name the final address" if 300 <= status < 400 else ""
    return f"HTTP {status}{redirects}"
