"""What makes a backup a backup, asserted in one place."""

from __future__ import annotations

from rig.keep import Attempt, Keep, eventually
from rig.redis_servers import RedisServer, load
from rig.saving import settings_are_back

__all__ = ["assert_no_phantom", "assert_whole"]


def assert_whole(keep: Keep, attempt: Attempt, server: RedisServer, *, like_now: bool = True) -> None:
    """The backup stands, stock tools open it, a server loads it, and it has the keys that its manifest counts.

    ``like_now``: nobody has written since, so it has the very data of the server.
    """
    assert attempt.error is None
    assert attempt.state == "succeeded"
    assert attempt.manifest is not None
    plaintext = attempt.manifest.plaintext
    with load(server.flavour, keep.open(attempt.manifest)) as loaded:
        counts = loaded.counts()
        assert {str(db): keys for db, (keys, _) in counts.items()} == plaintext.keys
        assert {str(db): some for db, (_, some) in counts.items()} == plaintext.expires
        if like_now:
            assert loaded.digest() == server.digest()
    assert settings_are_back(server)


def assert_no_phantom(server: RedisServer) -> None:
    """Nobody takes us for a replica, now or later."""
    eventually(lambda: server.client().info("replication")["connected_slaves"] == 0)
    assert "99999" not in str(server.client().info("replication"))
