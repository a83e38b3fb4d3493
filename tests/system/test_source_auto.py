"""`auto` follows where it can and streams where it cannot, and says why; `follow` refuses there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rig.keep import Attempt, Keep, as_nobody, eventually
from rig.redis_servers import RedisServer
from rig.saving import fill_slow, forks, is_saving, settings_are_back, temps
from rig.wire import Wire

from tasks.errors import DataDirForeign, DataDirUnreadable, ServerSaving

MakeKeep = Callable[..., Keep]


@pytest.fixture
def server(any_redis: RedisServer) -> Iterator[RedisServer]:
    """One of which a snapshot can be streamed at once; its files are for its own user alone, as the official image
    has them."""
    with RedisServer(any_redis.flavour, umask=0o077, repl_diskless_sync="yes", repl_diskless_sync_delay=0) as server:
        server.client().mset({"a": 1, "b": 2})
        yield server


def assert_streamed(attempt: Attempt, why: str) -> None:
    assert attempt.error is None
    assert attempt.manifest is not None
    assert attempt.manifest.source.kind == "stream"
    assert attempt.manifest.plaintext.keys == {"0": 2}
    assert len(attempt.warnings) == 1
    assert attempt.warnings[0].startswith("streamed, since ")
    assert why in attempt.warnings[0]


def assert_refused(attempt: Attempt, kind: type[Exception], words: str, ours: Keep) -> None:
    assert isinstance(attempt.error, kind)
    assert words in str(attempt.error)
    assert 'source = "stream"' in attempt.error.hint
    assert attempt.state == "failed"
    assert ours.left() == []
    assert ours.lease_holder() is None


@contextmanager
def reachable(server: RedisServer) -> Iterator[None]:
    """The way to the server's folder is open to everybody; the folder itself is as it is."""
    server.dir.parent.chmod(0o755)
    yield
    server.dir.parent.chmod(0o700)


def test_auto_follows_where_it_can(server: RedisServer, keep: MakeKeep) -> None:
    attempt = keep(server, source="auto").attempt()
    assert attempt.manifest is not None
    assert attempt.manifest.source.kind == "follow"
    assert attempt.warnings == []


def test_without_a_data_dir_auto_streams_and_has_nothing_to_warn_of(server: RedisServer, keep: MakeKeep) -> None:
    attempt = keep(server, source="auto", data_dir=None).attempt()
    assert attempt.manifest is not None
    assert attempt.manifest.source.kind == "stream"
    assert attempt.warnings == []
    refused = keep(server, source="follow", data_dir=None)
    assert_refused(refused.attempt(), DataDirUnreadable, "no data_dir is set", refused)


@pytest.mark.parametrize("mode", [None, 0o700, 0o744])
def test_a_folder_that_may_not_be_read_is_known_before_any_fork(
    server: RedisServer, keep: MakeKeep, public: Path, mode: int | None
) -> None:
    """The way there is closed; the folder itself is; it may be listed but not entered."""
    if mode is not None:
        server.dir.chmod(mode)
        server.dir.parent.chmod(0o755)
    follow, auto = keep(server, source="follow", folder=public), keep(server, source="auto", folder=public)
    for each in (follow, auto):
        (each.folder / "store").chmod(0o777)
    with as_nobody():
        refused = follow.attempt()
        assert forks(server) == 0
        streamed = auto.attempt()
    assert_refused(refused, DataDirUnreadable, "permission denied", follow)
    assert_streamed(streamed, "permission denied")
    assert forks(server) == 1


def test_files_that_may_not_be_read_are_known_at_the_first_save(
    server: RedisServer, keep: MakeKeep, public: Path
) -> None:
    server.dir.chmod(0o755)
    follow, auto = keep(server, source="follow", folder=public), keep(server, source="auto", folder=public)
    for each in (follow, auto):
        (each.folder / "store").chmod(0o777)
    with reachable(server), as_nobody():
        refused = follow.attempt()
        assert settings_are_back(server)
        eventually(lambda: not is_saving(server))
        assert forks(server) == 1
        for path in server.dir.glob("*.rdb"):
            with pytest.raises(PermissionError):
                path.read_bytes()
        assert_refused(follow.attempt(), DataDirUnreadable, "dump.rdb (permission denied)", follow)
        assert forks(server) == 1, "the second time the dump is there to know it by"
        streamed = auto.attempt()
    assert_refused(refused, DataDirUnreadable, "permission denied", follow)
    assert_streamed(streamed, "permission denied")


def test_auto_awaits_its_own_save_when_it_cannot_read_the_file(
    server: RedisServer, keep: MakeKeep, public: Path
) -> None:
    """However long that takes, it costs no patience."""
    fill_slow(server, 0.6, keys=2)
    server.client().delete("a", "b")
    server.dir.chmod(0o755)
    ours = keep(server, source="auto", folder=public, control={"patience": "100ms"})
    (ours.folder / "store").chmod(0o777)
    with reachable(server), as_nobody():
        attempt = ours.attempt()
    assert_streamed(attempt, "permission denied")
    assert forks(server) == 2
    assert settings_are_back(server)


def test_auto_does_not_wait_for_ever_for_somebody_elses_save(server: RedisServer, keep: MakeKeep) -> None:
    fill_slow(server, 600)
    server.client().bgsave(schedule=False)
    ours = keep(server, source="auto", data_dir="/nonexistent", control={"patience": "200ms"})
    attempt = ours.attempt()
    assert isinstance(attempt.error, ServerSaving)
    assert ours.left() == []


def test_a_folder_that_is_not_there_is_no_data_dir(server: RedisServer, keep: MakeKeep, tmp_path: Path) -> None:
    missing = tmp_path / "no such folder"
    follow = keep(server, source="follow", data_dir=missing)
    assert_refused(follow.attempt(), DataDirUnreadable, f"no folder {missing}", follow)
    assert forks(server) == 0
    assert_streamed(keep(server, source="auto", data_dir=missing).attempt(), f"no folder {missing}")


def test_another_servers_folder_is_seen_to_be_another_servers(
    server: RedisServer, any_redis: RedisServer, keep: MakeKeep
) -> None:
    any_redis.client().mset({"x": 1, "y": 2})
    any_redis.client().save()
    follow = keep(server, source="follow", data_dir=any_redis.dir)
    assert_refused(follow.attempt(), DataDirForeign, f"not in {any_redis.dir}", follow)
    assert settings_are_back(server)
    assert_streamed(keep(server, source="auto", data_dir=any_redis.dir).attempt(), f"not in {any_redis.dir}")


@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_another_servers_save_of_the_same_moment_is_not_backed_up_as_this_ones(
    server: RedisServer, any_redis: RedisServer, keep: MakeKeep, seconds: float
) -> None:
    """Two targets, each with the other's data_dir, in the same minute: the file is new, and named as ours would be."""
    fill_slow(any_redis, seconds, keys=20)
    with Wire(server.port) as wire:

        def save_there() -> None:
            any_redis.client().bgsave(schedule=False)
            eventually(lambda: temps(any_redis.dir) if seconds else (any_redis.dir / "dump.rdb").exists())

        wire.when_sent(b"BGSAVE", save_there)
        follow = keep(server, url=wire.url, source="follow", data_dir=any_redis.dir)
        attempt = follow.attempt()
    assert_refused(attempt, DataDirForeign, f"not in {any_redis.dir}", follow)


def test_a_foreign_folder_is_known_although_our_own_save_goes_on(
    server: RedisServer, any_redis: RedisServer, keep: MakeKeep
) -> None:
    fill_slow(server, 600)
    follow = keep(server, source="follow", data_dir=any_redis.dir)
    assert_refused(follow.attempt(), DataDirForeign, f"not in {any_redis.dir}", follow)
    assert is_saving(server)
