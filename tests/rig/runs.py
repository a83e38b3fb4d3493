"""Runs as the tests of the records send, begin and kill them."""

from __future__ import annotations

from tasks.control import Client
from tasks.names import Keys
from tasks.records import Records

BACKUP = "tasks.backup"


def sent(records: Records, run_id: str, target: str = "main", task: str = BACKUP) -> str:
    records.queue(run_id, task=task, target=target, by="test")
    return run_id


def begun(records: Records, run_id: str, nonce: str = "n1") -> str:
    sent(records, run_id)
    assert records.begin(run_id, nonce, host="web1")[0] == "go"
    return run_id


def dies(client: Client, names: Keys, run_id: str) -> None:
    """What the beat's time to live does."""
    assert client.delete(names.alive(run_id)) == 1
