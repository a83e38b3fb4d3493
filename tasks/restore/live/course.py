"""The course of a live restore, in the one order that is durable (see the package), and the way back from each step."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, BinaryIO, Self

from tasks.errors import (
    RedkeepError,
    RestoreCut,
    RestoreMismatch,
    RestoreUnpersisted,
    RestoreUnreached,
    ServerUnreachable,
    SettingsLeft,
)
from tasks.manifest import Manifest
from tasks.names import RESTORE_MARK
from tasks.restore.counts import differences
from tasks.restore.interrupt import uninterrupted
from tasks.restore.live.fit import check_alone, fit
from tasks.restore.live.loan import Loan
from tasks.restore.live.primary import Primary
from tasks.server import Checkpoint, Server, parse_keyspace

__all__ = ["Address", "Course", "Seen"]

Address = tuple[str, int]

POLL = 0.05
REACH = 20.0
"""Seconds within which the server has to come; it tries every second."""
ANSWER = 600.0
"""Seconds for one answer: to drop a large old data set may take minutes, in which a server does not answer."""
GONE = 5.0
"""Seconds after which a server that refuses connections is not waited for."""
STUCK = 10.0
"""Seconds for which a rewrite may be due, and the last one failed, before it is given up."""


@dataclass(frozen=True)
class Seen:
    """How far it is: `waiting`, `sending` (bytes), `loading` (percent), `writing` (to the server's disk)."""

    phase: str
    done: int = 0
    total: int = 0


class Course:
    """One restore into one server. Use as a context manager; entering checks everything and changes nothing.

    Args:
        file: the whole RDB, verified, at its beginning; open until the block has ended.
        listen: where our side listens; by default at the address that the server sees us by, port 0 for any.
        announce: what the server is told to come to, where that is another.
        force: as :func:`tasks.restore.live.fit.fit`.
        seen: told how far it is, often. checkpoint: called often; raises where it must stop.
    """

    def __init__(
        self,
        url: str,
        manifest: Manifest,
        file: BinaryIO,
        *,
        listen: Address | None = None,
        announce: Address | None = None,
        force: bool = False,
        control_run_id: str = "",
        seen: Callable[[Seen], None] = lambda _: None,
        checkpoint: Checkpoint = lambda: None,
    ) -> None:
        self._url = url
        self._manifest = manifest
        self._file = file
        self._listen = listen
        self._announce = announce
        self._force = force
        self._control_run_id = control_run_id
        self._seen = seen
        self._checkpoint = checkpoint
        self._stack = ExitStack()
        self._seconds: dict[str, float] = {}

    def __enter__(self) -> Self:
        """
        Raises:
            RedkeepError: as `fit`; RestoreBusy: another restore is at work there; RestoreUnreached: cannot listen.
        """
        with ExitStack() as stack:
            self._server = stack.enter_context(Server(self._url, timeout=ANSWER))
            check_alone(self._server)
            self.fit = fit(
                self._server, self._manifest, force=self._force, control_run_id=self._control_run_id
            )
            secret = RESTORE_MARK + secrets.token_hex(20)
            here = self._listen or (self._server.local_address(), 0)
            size = self._manifest.plaintext.bytes
            primary = Primary(here, self._file, size, self.fit.replication_id, secret)
            self._primary = stack.enter_context(primary)
            self._address = self._announced()
            self._loan = Loan(self._server, self.fit, secret)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def remedy(self) -> list[str]:
        """The commands that free the server if we are killed in the middle; to be shown before :meth:`run`."""
        return self._loan.remedy

    @property
    def address(self) -> str:
        """Where the server is told to come."""
        return f"{self._address[0]}:{self._address[1]}"

    def run(self) -> dict[str, Any]:
        """Do it. Returns figures for a report.

        Raises:
            RestoreUnreached: nobody came; RestoreCut, ServerUnreachable: it broke off. The old data is there, unless
                the server had none any more while it loaded (`fit.swap` is off).
            RestoreMismatch, RestoreUnpersisted: the new data is there, and something is wrong with it.
            SettingsLeft: all is well but for a setting.
        """
        try:
            self._lead()
            with uninterrupted():
                self._primary.close()
                self._loan.give_back(self._server)
        except BaseException as error:
            with uninterrupted():
                self._back_out(error)
            raise
        keys = sum(self._keys.values())
        return {"backup": self._manifest.id, "bytes": self._manifest.plaintext.bytes, "keys": keys} | {
            f"{name}_seconds": round(took, 3) for name, took in self._seconds.items()
        }

    # -- the order -----------------------------------------------------------------------------------------

    def _lead(self) -> None:
        server = self._server
        server.wait_until_quiet(STUCK, self._checkpoint)
        self._loan.take(server)
        began = time.monotonic()
        server.ask("REPLICAOF", self._address[0], str(self._address[1]))
        self._await_data(began)
        self._seconds["transfer"] = time.monotonic() - began
        self._compare()
        began = time.monotonic()
        self._await_disk(server)
        self._seconds["persist"] = time.monotonic() - began
        self._primary.check()  # alive to the end: what was written is what was compared
        with uninterrupted():
            server.ask("REPLICAOF", "NO", "ONE")

    def _announced(self) -> Address:
        host, port = self._primary.address
        if self._announce is not None:
            return self._announce[0], self._announce[1] or port
        return (self._server.local_address() if host in ("0.0.0.0", "::") else host), port  # noqa: S104 - not listening

    def _await_data(self, began: float) -> None:
        """Until the server has all of it, and says that its link is up."""
        while True:
            self._checkpoint()
            self._primary.check()
            info = self._server.info("replication")
            if not self._follows_us(info):
                raise RestoreCut(f"somebody else has told {self._server.shown} whom to follow")
            if self._primary.done and info.get("master_link_status") == "up":
                return
            if not self._primary.reached and time.monotonic() - began > REACH:
                raise RestoreUnreached(f"{self._server.shown} did not reach us at {self.address}")
            self._tell()
            time.sleep(POLL)

    def _tell(self) -> None:
        size = self._manifest.plaintext.bytes
        if not self._primary.reached:
            self._seen(Seen("waiting"))
        elif not self._primary.done:
            self._seen(Seen("sending", self._primary.sent, size))
        else:
            loaded = self._server.info("persistence").get("loading_loaded_perc", "0")
            self._seen(Seen("loading", int(float(loaded)), 100))

    def _follows_us(self, info: dict[str, str]) -> bool:
        return (info.get("master_host"), info.get("master_port")) == (self._address[0], str(self._address[1]))

    def _compare(self) -> None:
        self._keys = parse_keyspace(self._server.ask("INFO", "keyspace"))[0]
        found = differences(self._manifest, self._keys)
        if found:
            raise RestoreMismatch(f"{self._server.shown} has loaded something else", detail="; ".join(found))

    def _await_disk(self, server: Server) -> None:
        """Until what is in memory would survive a crash.

        Raises:
            RestoreUnpersisted: the server could not write it.
        """
        if server.info("persistence").get("aof_enabled") != "1":
            server.wait_until_quiet(ANSWER, self._checkpoint)
            server.ask("BGSAVE")
        failing_since = None
        while True:
            self._checkpoint()
            state = server.info("persistence")
            running = "1" in (state["aof_rewrite_in_progress"], state["rdb_bgsave_in_progress"])
            due = state["aof_rewrite_scheduled"] == "1"
            if not running and not due:
                break
            # A rewrite that failed is scheduled again at once while AOF waits for one (aof.c, AOF_WAIT_REWRITE).
            failing = due and not running and state["aof_last_bgrewrite_status"] != "ok"
            failing_since = (failing_since or time.monotonic()) if failing else None
            if failing_since is not None and time.monotonic() - failing_since > STUCK:
                break
            self._seen(Seen("writing"))
            time.sleep(POLL)
        status = "aof_last_bgrewrite_status" if state.get("aof_enabled") == "1" else "rdb_last_bgsave_status"
        if state[status] != "ok" or state["aof_rewrite_scheduled"] == "1":
            raise RestoreUnpersisted(f"{server.shown} holds the data and could not write it to its disk")

    # -- the way back -----------------------------------------------------------------------------------------

    def _back_out(self, error: BaseException) -> None:
        """Free the server and give its settings back. The first error stays the one that is shown."""
        self._primary.close()
        try:
            self._free()
        except RedkeepError as second:
            error.add_note(f"freeing the server failed as well: {second}")
            if isinstance(error, RedkeepError) and not isinstance(error, SettingsLeft):
                error.hint = f"{error.hint} {SettingsLeft.hint}"

    def _free(self) -> None:
        """Over a connection of its own: the other may stand in the middle of an answer."""
        end = time.monotonic() + GONE
        while True:
            try:
                with Server(self._url, timeout=ANSWER) as server:
                    if self._follows_us(server.info("replication")):
                        self._promote(server)
                    self._loan.give_back(server)
            except ServerUnreachable:
                if time.monotonic() > end:
                    raise
                time.sleep(POLL)
            else:
                return

    def _promote(self, server: Server) -> None:
        """A server that has begun to load from its disk cannot be stopped: it is waited for, and then has the new
        data, which must be on its disk before it is promoted."""
        loaded = False
        while "1" in ((state := server.info("persistence"))["loading"], state.get("async_loading")):
            loaded = state["loading"] == "1"
            time.sleep(POLL)
        self._checkpoint = lambda: None
        if loaded or self._seconds:
            with suppress(RestoreUnpersisted):
                self._await_disk(server)
        server.ask("REPLICAOF", "NO", "ONE")
        with suppress(RestoreUnpersisted):  # an AOF that was shut for the load is begun anew
            if server.info("persistence").get("aof_enabled") == "1":
                self._await_disk(server)
