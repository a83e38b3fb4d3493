"""Keys archived as a tidy run does it, and removed, without the run around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rig.keep import Keep
from tasks import names
from tasks.archive import Shipper, Shipping
from tasks.glob import Glob
from tasks.manifest import read_signing_key
from tasks.server import Server
from tasks.stream import age
from tasks.tidy.copies import Copies
from tasks.tidy.policy import Action, Rule

__all__ = ["RULE", "archived"]

RULE = Rule("old sessions", Glob("old:*"), Action("delete"), keep_copy=True)


def archived(keep: Keep, keys: Sequence[bytes], run_id: str, **changes: Any) -> str:
    """Archive these keys of database 0, signed and sealed as the installation does, and remove them. The archive's
    id."""
    archive_id = names.manual_id(names.moment_of("20261123T113700Z"), names.run8(run_id))
    with Server(keep.target.url.get_secret_value()) as server:
        wanted: dict[str, Any] = {
            "target": "main",
            "archive_id": archive_id,
            "task_id": run_id,
            "nonce": names.new_nonce(),
            "slot": None,
            "fence": lambda: 1,
            "server": server.facts(),
            "compression": "zstd:1",
            "recipients": tuple(age.recipient_of(each) for each in keep.identities),
            "signing_key": read_signing_key((keep.folder / "signing.pem").read_bytes()),
            "prove": lambda: None,
        }
        copies = Copies(server, Shipper(keep.store, Shipping(**wanted | changes)), 2**20, server.answers)
        copies.take(0, RULE, keys)
        copies.finish()
    return archive_id
