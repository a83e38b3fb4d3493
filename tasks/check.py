"""The doctor: what a backup needs, looked at piece by piece, each with its remedy. Changes nothing that stays."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import SecretStr
from redis.connection import parse_url

from tasks import control as control_redis
from tasks import names
from tasks.errors import ControlUnreachable, KeyInvalid, RedkeepError, ServerDenied
from tasks.manifest import public_key_of, read_signing_key
from tasks.schedule import queue_for, schedules_of
from tasks.server import Server
from tasks.settings import Settings, Target
from tasks.store import Store, open_store
from tasks.stream import age
from tasks.stream.source import check_readable

__all__ = ["Finding", "check"]

Level = Literal["ok", "warn", "fail"]
Queues = Callable[[], dict[str, list[str]]]


@dataclass(frozen=True)
class Finding:
    """One row of the table."""

    what: str
    level: Level
    told: str
    remedy: str = ""


def check(settings: Settings, targets: list[Target], serving: Queues) -> Iterator[Finding]:
    """Look at everything that the backups of these targets need.

    Args:
        serving: asks the workers which queues they take from, by worker name.
    """
    control = list(_safely("control", lambda: _control(settings, targets)))
    reached = any(each.level == "ok" for each in control)
    yield from control
    yield from _safely("keys", lambda: _keys(settings))
    yield from _safely("store", lambda: _store(open_store(**settings.store.arguments())))
    for target in targets:
        yield from _safely(f"{target.name}: server", lambda target=target: _server(target))  # type: ignore[misc]
    if reached:
        yield from _safely("workers", lambda: _workers(settings, targets, serving()))
    else:
        yield Finding("workers", "fail", "nobody can be asked without the control Redis", ControlUnreachable.hint)


def _safely(what: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """An error of ours is a finding like any other."""
    try:
        yield from look()
    except RedkeepError as error:
        yield Finding(what, "fail", str(error), error.hint)


def _control(settings: Settings, targets: list[Target]) -> Iterator[Finding]:
    keys = names.Keys(settings.control.namespace)
    client = control_redis.connect(settings.control)
    try:
        with control_redis.speaking(client):
            memory, persistence = client.info("memory"), client.info("persistence")
            paused = {target.name: client.hgetall(keys.paused(target.name)) for target in targets}
    finally:
        client.close()
    yield Finding("control", "ok", names.masked_url(settings.control.url.get_secret_value()))
    policy = memory.get("maxmemory_policy")
    if policy != "noeviction":
        remedy = "CONFIG SET maxmemory-policy noeviction there; other policies were seen to remove leases."
        yield Finding("control", "fail", f"it may evict leases and messages ({policy})", remedy)
    if not persistence.get("aof_enabled"):
        yield Finding("control", "warn", "no AOF: a crash loses queued runs and records", "Set appendonly yes there.")
    same = [target.name for target in settings.target if _place(target.url) == _place(settings.control.url)]
    if same:
        remedy = "Give it a small Redis of its own, so that runs can be recorded while this one is down."
        yield Finding("control", "warn", f"it is the server under care ({', '.join(same)})", remedy)
    for name, tasks in paused.items():
        yield from _pauses(name, tasks)


def _place(url: SecretStr) -> tuple[str, str, int]:
    """Which server that is, whatever its database and user."""
    told: dict[str, Any] = dict(parse_url(url.get_secret_value()))  # type: ignore[no-untyped-call]
    return told.get("path", ""), told.get("host", "localhost"), told.get("port", 6379)


def _pauses(target: str, paused: dict[str, str]) -> Iterator[Finding]:
    for task, why in sorted(paused.items()):
        what = "everything" if task == "*" else task.removeprefix("tasks.")
        remedy = f"redkeep resume {target}{'' if task == '*' else f' {what}'}"
        yield Finding(f"{target}: schedule", "warn", f"{what} is paused, {why}", remedy)


def _keys(settings: Settings) -> Iterator[Finding]:
    encryption = settings.encryption
    for recipient in encryption.recipient_keys:
        age.check_recipient(recipient)
    if encryption.recipient_keys:
        count = len(encryption.recipient_keys)
        yield Finding("keys", "ok", f"backups are encrypted to {count} recipient{'s' if count > 1 else ''}")
    else:
        yield Finding("keys", "warn", "backups are stored in the clear", "Name recipients, unless that is meant.")
    if len(encryption.recipient_keys) == 1:
        remedy = "Add a second recipient whose identity is kept elsewhere: lost keys are lost backups."
        yield Finding("keys", "warn", "only one key can read the backups", remedy)
    yield from _signing(settings)
    for path in encryption.identity_files:
        yield from _identity(path, settings)


def _signing(settings: Settings) -> Iterator[Finding]:
    path = settings.encryption.signing_key_file
    if path is None:
        yield Finding("keys", "warn", "manifests are not signed", "Set signing_key_file and trusted_signers.")
        return
    try:
        signer = public_key_of(read_signing_key(path.read_bytes()))
    except OSError as error:
        raise KeyInvalid(f"cannot read the signing key {path}", detail=(error.strerror or "").lower()) from None
    yield from _mode(path)
    if settings.encryption.trusted_signers and signer not in settings.encryption.trusted_signers:
        remedy = "Add it, or no reader here will accept what is written here."
        yield Finding("keys", "fail", f"the signer {signer} is not among trusted_signers", remedy)
    else:
        yield Finding("keys", "ok", f"manifests are signed by {signer}")


def _identity(path: Path, settings: Settings) -> Iterator[Finding]:
    try:
        identities = age.read_identities(path.read_text(encoding="utf-8"))
    except OSError as error:
        yield Finding("keys", "warn", f"cannot read {path}: {(error.strerror or '').lower()}", "Only drills need it.")
        return
    yield from _mode(path)
    fitting = {age.recipient_of(each) for each in identities} & set(settings.encryption.recipient_keys)
    if not fitting:
        remedy = "Restores and drills here would fail; name the identity of one of the recipients."
        yield Finding("keys", "fail", f"{path} fits none of the recipients", remedy)
    else:
        remedy = "Keep it only on the drill worker: whoever takes this host over can read every backup."
        yield Finding("keys", "warn", f"the private key {path} lies on this host", remedy)


def _mode(path: Path) -> Iterator[Finding]:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        yield Finding("keys", "fail", f"{path} can be read by others", f"chmod 600 {path}")


def _store(store: Store) -> Iterator[Finding]:
    probe = f"probe/{names.new_nonce()}"
    store.put(probe, iter([b"redkeep"]))
    try:
        if store.read(probe) != b"redkeep":
            yield Finding("store", "fail", "it does not give back what was written", "Do not use this store.")
            return
    finally:
        store.delete(probe)
    yield Finding("store", "ok", f"{store.url} writes, reads, lists and deletes")
    if not store.exclusive(probe):
        remedy = "Slots and unique keys still keep runs apart; a server with If-None-Match keeps two hosts apart too."
        yield Finding("store", "warn", "it replaced an object that was there", remedy)


def _server(target: Target) -> Iterator[Finding]:
    what = f"{target.name}: server"
    with Server(target.url.get_secret_value(), timeout=5.0) as server:
        facts = server.facts()
        yield from _left_by_a_restore(server, what)
        server.check_role(accept_replica=target.backup.replica == "accept")
        state = server.info("persistence")
        yield Finding(what, "ok", f"{facts.name} {facts.version} at {server.shown}, {facts.role}")
        if state.get("aof_enabled") != "1":
            yield Finding(what, "warn", "no AOF: a crash loses what came after the last save", "Set appendonly yes.")
        if server.config("save").get("save"):
            remedy = "CONFIG SET save \"\", once AOF is on: the backup saves explicitly."
            yield Finding(what, "warn", "it also saves by itself, beside the backup", remedy)
    yield from _source(target)


def _left_by_a_restore(server: Server, what: str) -> Iterator[Finding]:
    """A restore that was killed could not give the server back what it had borrowed."""
    try:
        lent = server.config("masterauth").get("masterauth", "")
    except ServerDenied:  # then no restore could have borrowed it either
        return
    if not lent.startswith(names.RESTORE_MARK):
        return
    told = "a restore into it was killed: it is left as a read-only replica of nobody, or with borrowed settings"
    remedy = "REPLICAOF NO ONE there, then CONFIG SET masterauth, masteruser and repl-diskless-load to what they were."
    yield Finding(what, "fail", told, remedy)


def _source(target: Target) -> Iterator[Finding]:
    what = f"{target.name}: source"
    if target.backup.source == "stream" or target.data_dir is None:
        yield Finding(what, "ok", "streamed over the server's replication protocol")
        return
    try:
        check_readable(target.data_dir)
    except RedkeepError as error:
        level: Level = "fail" if target.backup.source == "follow" else "warn"
        yield Finding(what, level, str(error), error.hint)
    else:
        yield Finding(what, "ok", f"the server's own save is followed in {target.data_dir}")


def _workers(settings: Settings, targets: list[Target], serving: dict[str, list[str]]) -> Iterator[Finding]:
    served = {queue for queues in serving.values() for queue in queues}
    for queue in sorted({queue_for(settings, "tasks.backup", target.name) for target in targets}):
        if queue in served:
            by = ", ".join(sorted(worker for worker, queues in serving.items() if queue in queues))
            yield Finding("workers", "ok", f"queue {queue} is served by {by}")
        else:
            yield Finding("workers", "fail", f"no worker serves queue {queue}", f"redkeep worker {queue}")
    others = {queue_for(settings, task, each.name) for each in targets for task in schedules_of(settings, each)}
    for queue in sorted(others - served - {queue_for(settings, "tasks.backup", each.name) for each in targets}):
        told = f"no worker serves queue {queue}, to which the schedule sends"
        yield Finding("workers", "warn", told, f"redkeep worker {queue}")
    if any(worker.startswith("celerybeat@") for worker in serving):
        yield Finding("workers", "ok", "beat is alive")
    else:
        yield Finding("workers", "fail", "no beat answers: nothing is sent on schedule", "redkeep beat")
