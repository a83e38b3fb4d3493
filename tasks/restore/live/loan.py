"""Settings that a server lends us for the time of a restore, and gets back whatever happens."""

from __future__ import annotations

import shlex

from tasks.errors import RedkeepError, SettingsLeft
from tasks.restore.live.fit import Fit
from tasks.server import Server

__all__ = ["Loan"]

HIDDEN = frozenset({"masterauth", "masteruser"})


class Loan:
    """What is changed there, and what it was.

    - `masterauth`: a one-time password, so that a stranger on our port is not given the data; `masteruser` empty, so
      that it is sent by itself.
    - `repl-diskless-load`: `swapdb` loads beside the old data, which is served meanwhile where the replication id is
      the server's own (7.0 and newer); `disabled` serves it until the load begins (6.2).
    - `tls-replication`: our side speaks plain TCP.
    """

    def __init__(self, server: Server, fitting: Fit, secret: str) -> None:
        wanted = {
            "masteruser": "",
            "masterauth": secret,
            "repl-diskless-load": "swapdb" if fitting.swap else "disabled",
            "tls-replication": "no",
        }
        found = server.config(*wanted)
        self._was = {name: found[name] for name, value in wanted.items() if found.get(name, value) != value}
        self._terms = {name: wanted[name] for name in self._was}
        self._cli = server.cli

    @property
    def remedy(self) -> list[str]:
        """The commands that free the server where we no longer can. Passwords are not among them."""
        shown = {name: "'as it was'" if name in HIDDEN and was else shlex.quote(was) for name, was in self._was.items()}
        lines = [f"{self._cli} CONFIG SET {name} {value}" for name, value in shown.items()]
        return [f"{self._cli} REPLICAOF NO ONE", *lines]

    def take(self, server: Server) -> None:
        """Raises ServerDenied, ServerRefused."""
        server.answers([("CONFIG", "SET", name, value) for name, value in self._terms.items()])

    def give_back(self, server: Server) -> None:
        """Put back what still is as we set it. A server that was restarted meanwhile has its own already.

        Raises:
            SettingsLeft: one of them could not be; the others were.
        """
        now = server.config(*self._terms)
        failed: list[str] = []
        for name, was in self._was.items():
            if now.get(name) != self._terms[name]:
                continue
            try:
                server.ask("CONFIG", "SET", name, was)
            except RedkeepError as error:
                failed.append(f"{name}: {error.message}")
        if failed:
            raise SettingsLeft(f"{server.shown} did not take its own settings back", detail="; ".join(failed))
