"""One installation of redkeep for one test: its settings file, keys, store and control Redis, and a way to run it.

    keep = Keep(tmp_path, server.url, control.url, data_dir=server.dir, source="follow")
    attempt = keep.attempt()
    assert attempt.state == "succeeded"
    keep.open(attempt.manifest)           # the plain RDB, by stock age and zstd

A backup runs as everywhere: settings read from a file, through the job frame, with lease and record.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from rig.nobody import as_nobody
from tasks import job, settings
from tasks.backup import backup
from tasks.control import connect
from tasks.enforce import enforce
from tasks.errors import RedkeepError, RunUnknown
from tasks.job import Again, Job, Ticket
from tasks.manifest import Manifest, public_key_of
from tasks.names import Keys
from tasks.records import Record, Records
from tasks.retention import retention
from tasks.rewrite import rewrite
from tasks.store import Store, open_store
from tasks.stream import age
from tasks.tidy import tidy
from tasks.verify import verify

__all__ = ["Attempt", "Keep", "as_nobody", "eventually"]

AS_IT_STARTS = {"appendonly": "no"}
"""[target.persistence] that is content with a server as the rig starts it."""
ROOT = Path(__file__).parents[2]
VERBS: dict[str, Callable[[Job, settings.Settings, settings.Target], None]] = {
    "backup": backup,
    "enforce": enforce,
    "retention": retention,
    "rewrite": rewrite,
    "tidy": tidy,
    "verify": verify,
}


@dataclass(frozen=True)
class Attempt:
    """How one attempt of a run ended.

    Attributes:
        state: the record's; ``waiting`` where the run would be tried again.
        error: what the attempt raised, None where it succeeded.
        manifest: the one with this run's id, where there is one.
    """

    run_id: str
    state: str
    error: RedkeepError | None
    record: Record
    manifest: Manifest | None

    @property
    def warnings(self) -> list[str]:
        return list(self.record.get("warnings", []))

    @property
    def shown(self) -> dict[str, Any]:
        """The error as the record shows it."""
        return dict(self.record.get("error") or {})


class Keep:
    """The installation under ``folder``, for one target called ``main``.

    Args:
        url: the server under care. control_url: the control Redis; each Keep has a namespace of its own there.
        store_url: a folder of its own where none is given.
        behind: endpoint by which a test looks at the store behind redkeep's back, where ``endpoint_url`` fails.
        recipients: how many age keys; 0 ships in the clear.
        control: more of [control]. guard: of [target.guard]. backup: of [target.backup]. host: the target's.
        persistence: of [target.persistence]. tidy: the text of [target.tidy] and its rules.
        proving: it has the identities as well, and trusts its own signer.
    """

    def __init__(
        self,
        folder: Path,
        url: str,
        control_url: str,
        *,
        data_dir: Path | None = None,
        store_url: str | None = None,
        endpoint_url: str | None = None,
        behind: str | None = None,
        recipients: int = 1,
        control: dict[str, str] | None = None,
        proving: bool = False,
        persistence: Mapping[str, Any] = AS_IT_STARTS,
        guard: dict[str, Any] | None = None,
        host: str | None = None,
        tidy: str = "",
        **backup: Any,
    ) -> None:
        self.folder = folder
        self.identities = [age.generate_identity() for _ in range(recipients)]
        self.store_folder: Path | None = None
        if store_url is None:
            self.store_folder = folder / "store"
            self.store_folder.mkdir()
            store_url = self.store_folder.as_uri()
        key = Ed25519PrivateKey.generate()
        self.signer = public_key_of(key)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / "signing.pem").write_bytes(pem)
        for number, identity in enumerate(self.identities):
            (folder / f"identity{number}.txt").write_text(identity + "\n")
        self.config_path = folder / "redkeep.toml"
        tables = {
            "control": {"url": control_url, "namespace": f"k{uuid.uuid4().hex[:12]}", "patience": "5s"}
            | (control or {}),
            "store": {"url": store_url, "part_size": "5MiB", "concurrency": 2}
            | ({"endpoint_url": endpoint_url, "region": "us-east-1"} if endpoint_url else {}),
            "encryption": {
                "recipients": [age.recipient_of(each) for each in self.identities] or "none",
                "signing_key_file": "signing.pem",
            }
            | (self._proving(len(self.identities)) if proving else {}),
        }
        target = {"name": "main", "url": url} | ({"data_dir": str(data_dir)} if data_dir else {})
        target |= {"host": host} if host else {}
        text = "".join(f"[{name}]\n{_toml(table)}\n" for name, table in tables.items())
        text += f"[[target]]\n{_toml(target)}\n[target.backup]\n{_toml(backup)}\n"
        text += f"[target.persistence]\n{_toml(persistence)}\n"
        text += f"[target.guard]\n{_toml(guard)}\n" if guard else ""
        text += tidy
        self.config_path.write_text(text)
        self.settings = settings.load(self.config_path)
        self.target = settings.target_of(self.settings, "main")
        self._behind = {"endpoint_url": behind} if behind else {}

    def _proving(self, recipients: int) -> dict[str, Any]:
        files = [f"identity{number}.txt" for number in range(recipients)]
        return {"identity_files": files, "trusted_signers": [self.signer]}

    # -- running

    def verb(self, task: str, run_id: str = "", **options: Any) -> Attempt:
        """One attempt at another task, in this thread."""
        return self.attempt(run_id, task=task, **{"dry_run": False} | options)

    def attempt(self, run_id: str = "", *, slot: str | None = None, task: str = "backup", **options: Any) -> Attempt:
        """One attempt at a backup, or at another task, in this thread."""
        name = f"tasks.{task}"
        ticket = Ticket(run_id or str(uuid.uuid4()), name, "main", slot=slot, by="test", options=options)
        error: RedkeepError | None = None

        def work(each: Job) -> None:
            VERBS[task](each, self.settings, self.target)

        try:
            job.run(work, ticket, self.settings, self.target)
        except Again as again:
            if not isinstance(again.__cause__, RedkeepError):
                raise
            error = again.__cause__
        except RedkeepError as raised:
            error = raised
        record = self.record(ticket.run_id)
        return Attempt(ticket.run_id, record.state, error, record, self.manifest_of(ticket.run_id))

    def attempt_if_free(self, run_id: str, task: str = "backup") -> Attempt | None:
        """The same; None while the record still counts an earlier attempt as alive."""
        try:
            return self.attempt(run_id, task=task)
        except Again:
            return None

    def started(self, run_id: str = "", **options: Any) -> Future[Attempt]:
        """The same in a thread of its own, for a test that does something meanwhile."""
        future: Future[Attempt] = Future()

        def run() -> None:
            try:
                future.set_result(self.attempt(run_id, **options))
            except BaseException as error:  # noqa: BLE001 - the test's own thread raises it
                future.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        return future

    def process(self, run_id: str, task: str = "backup") -> subprocess.Popen[bytes]:
        """The same in a process of its own, which a test may kill."""
        script = "import sys; from rig.keep import run_here; run_here(*sys.argv[1:])"
        python_path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
        return subprocess.Popen(
            [sys.executable, "-c", script, str(self.config_path), run_id, task],
            env=os.environ | {"PYTHONPATH": python_path},
            stdin=subprocess.DEVNULL,
        )

    def cancel(self, run_id: str) -> None:
        with self._records() as records:
            records.ask_to_cancel(run_id)

    def record(self, run_id: str) -> Record:
        with self._records() as records:
            return records.read(run_id)

    def shipped(self, run_id: str) -> int:
        """Bytes of the snapshot that the run has read so far, as its record tells them."""
        try:
            return int(self.record(run_id).get("progress", {}).get("bytes", 0))
        except RunUnknown:
            return 0

    def lease_holder(self) -> str | None:
        client = connect(self.settings.control)
        try:
            holder = client.hget(Keys(self.settings.control.namespace).lease("target:main"), "holder")
            return None if holder is None else str(holder)
        finally:
            client.close()

    # -- what is in the store

    @property
    def store(self) -> Store:
        return open_store(**self.settings.store.arguments() | self._behind)

    def manifests(self) -> list[Manifest]:
        return [Manifest.read(self.store.read(each.key)) for each in self.store.list("main/manifests/")]

    def manifest_of(self, run_id: str) -> Manifest | None:
        try:
            return next((each for each in self.manifests() if each.task_id == run_id), None)
        except RedkeepError:  # a store that the test has broken
            return None

    def left(self) -> list[str]:
        """Everything that lies in the store, unfinished uploads and temporary files included."""
        if self.store_folder is not None:
            files = [each for each in self.store_folder.rglob("*") if each.is_file()]
            return sorted(str(each.relative_to(self.store_folder)) for each in files)
        objects = [each.key for each in self.store.list("")]
        return objects + [f"upload of {each.key}" for each in self.store.uploads("")]

    def sealed(self, manifest: Manifest) -> bytes:
        return b"".join(self.store.get(manifest.object.key))

    def open(self, manifest: Manifest, identity: int = 0) -> Path:
        """The plain RDB, by stock tools alone, each as the object's own suffix says."""
        body = self.sealed(manifest)
        for suffix in reversed(Path(manifest.object.key).name.partition(".rdb")[2].split(".")[1:]):
            command = {
                "age": ["age", "-d", "-i", str(self.folder / f"identity{identity}.txt")],
                "zst": ["zstd", "-d"],
                "gz": ["gzip", "-d"],
            }[suffix]
            body = subprocess.run(command, input=body, capture_output=True, check=True, timeout=60).stdout
        path = self.folder / f"{manifest.id}.{identity}.rdb"
        path.write_bytes(body)
        return path

    @contextmanager
    def _records(self) -> Iterator[Records]:
        client = connect(self.settings.control)
        try:
            yield Records(client, self.settings.control)
        finally:
            client.close()


def run_here(config: str, run_id: str, task: str) -> None:
    """What :meth:`Keep.process` runs."""
    loaded = settings.load(Path(config))
    target = settings.target_of(loaded, "main")
    ticket = Ticket(run_id, f"tasks.{task}", "main", by="test")
    job.run(lambda each: VERBS[task](each, loaded, target), ticket, loaded, target)


def eventually(holds: Callable[[], Any], *, within: float = 20.0) -> Any:
    """The first true answer. A test that waits here waits for a fact, never for a time."""
    end = time.monotonic() + within
    while not (found := holds()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.005)
    return found


def _toml(table: Mapping[str, Any]) -> str:
    return "".join(f"{name} = {_value(value)}\n" for name, value in table.items())


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_value(each)}" for name, each in value.items()) + " }"
    return json.dumps(value)
