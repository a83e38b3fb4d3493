"""Where a run's copies go, and how they are sealed and signed: as the target's backups are."""

from __future__ import annotations

from tasks import names
from tasks.archive import Shipper, Shipping
from tasks.job import Job
from tasks.keyring import signing_key_in
from tasks.server import Server
from tasks.settings import Settings, Target
from tasks.settings.rules import Tidy
from tasks.store import open_store
from tasks.tidy.copies import Ask, Copies

__all__ = ["open_copies"]

PART = 5 * 2**20
"""Bytes of a part in the store, the least that S3 takes: what waits to be sent is a segment and not much more."""


def open_copies(job: Job, settings: Settings, target: Target, tidy: Tidy, server: Server, ask: Ask) -> Copies:
    """The copies of this run, sealed and signed as the target's backups are. Nothing is asked of the store yet."""
    store = open_store(**settings.store.arguments() | {"part_size": PART, "concurrency": 1})
    shipping = Shipping(
        target=target.name,
        archive_id=names.manual_id(job.created, names.run8(job.ticket.run_id)),
        task_id=job.ticket.run_id,
        nonce=job.nonce,
        slot=job.ticket.slot,
        fence=lambda: job.fence,
        server=server.facts(),
        compression=target.backup.compression,
        recipients=tuple(settings.encryption.recipient_keys),
        signing_key=signing_key_in(settings.encryption.signing_key_file),
        prove=job.prove,
    )
    return Copies(server, Shipper(store, shipping, job.writes), tidy.max_copy, ask)
