"""What stands in the way of the wanted state: each ends as a named outcome, and the data is kept as well as before."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rig.keep import Attempt, Keep, eventually
from rig.nobody import as_nobody
from rig.redis_servers import RedisServer, binary
from rig.saving import await_quiet
from rig.steps import APPLY, AS_IT_WAS, REPORT, at_change, kept, populated
from rig.wire import Wire

from tasks.errors import (
    AofFoundOff,
    AofUnproven,
    GuardRefused,
    PersistenceUnkept,
    PersistenceUnlasting,
    ServerDenied,
    ServerIsReplica,
    SettingRefused,
    SettingUnknown,
)

MakeKeep = Callable[..., Keep]


@pytest.fixture(scope="module")
def flavour() -> str:
    """For what does not depend on it."""
    return next(each for each in ("redis7", "valkey9", "redis8") if binary(each) is not None)


@pytest.fixture
def server(flavour: str) -> Iterator[RedisServer]:
    with populated(flavour) as server:
        yield server


def assert_aof_is_on_and_the_save_points_stay(server: RedisServer, attempt: Attempt, *lines: str) -> None:
    assert isinstance(attempt.error, PersistenceUnlasting)
    assert attempt.state == "failed"
    for line in lines:
        assert line in attempt.error.hint
        assert any(line.strip() in each for each in attempt.warnings)
    assert kept(server) == ("3600 1", "yes")
    state = server.client().info("persistence")
    assert (state["aof_enabled"], state["aof_rewrite_in_progress"]) == (1, 0)
    assert state["aof_base_size"] > 0


# -- it would not outlast a restart -----------------------------------------------------------------------


def test_without_a_file_aof_comes_on_and_the_operator_is_told_the_flags(redis_flavour: str, keep: MakeKeep) -> None:
    with populated(redis_flavour, config_file=False) as server:
        attempt = keep(server, persistence=APPLY).verb("enforce")
        line = 'where the server is started: --save "" --appendonly yes'
        assert_aof_is_on_and_the_save_points_stay(server, attempt, line)


def test_a_file_that_cannot_be_written_is_found_out_before_anything_changes(
    redis_flavour: str, keep: MakeKeep, read_only: Callable[[RedisServer], None]
) -> None:
    with populated(redis_flavour) as server:
        read_only(server)
        attempt = keep(server, persistence=APPLY).verb("enforce")
        assert_aof_is_on_and_the_save_points_stay(
            server, attempt, f"in {server.config_path}:", '  save ""', "  appendonly yes"
        )
        assert "cannot write its own file" in str(attempt.error)
        assert attempt.record.get("figures")["done"] == ["CONFIG SET appendonly yes, and its first rewrite"]


@pytest.fixture
def read_only() -> Iterator[Callable[[RedisServer], None]]:
    """Makes the server's file, and the folder it stands in, read-only even for root."""
    mounted: list[Path] = []

    def make(server: RedisServer) -> None:
        assert server.config_path is not None
        file = server.config_path
        for options in (["--bind", str(file), str(file)], ["-o", "remount,ro,bind", str(file)]):
            if subprocess.run(["mount", *options], capture_output=True, check=False).returncode:
                pytest.skip("a read-only mount needs root")
        mounted.append(file)

    yield make
    for file in mounted:
        subprocess.run(["umount", "--lazy", str(file)], check=False, capture_output=True)
        shutil.rmtree(file.parent)  # the server could not


def test_a_contrary_flag_keeps_the_save_points(redis_flavour: str, keep: MakeKeep) -> None:
    with populated(redis_flavour, arguments=("--appendonly", "no")) as server:
        whole = server.digest()
        ours = keep(server, persistence=APPLY)
        attempt = ours.verb("enforce")
        assert_aof_is_on_and_the_save_points_stay(
            server, attempt, "take --appendonly no from where the server is started"
        )
        assert attempt.record.get("figures")["command_line"] == "contrary"
        server.kill()
        server.restart()
        assert (kept(server), server.digest()) == (AS_IT_WAS, whole)
        assert isinstance(ours.verb("enforce").error, AofFoundOff)


def test_a_setting_that_somebody_changed_for_a_while_is_not_made_permanent(server: RedisServer, keep: MakeKeep) -> None:
    file = server.config_path.read_text()
    with server.config_path.open("a") as added:
        added.write("maxmemory 1gb\n")
    attempt = keep(server, persistence=APPLY).verb("enforce")
    assert_aof_is_on_and_the_save_points_stay(server, attempt, f"in {server.config_path}:")
    assert "maxmemory '1gb' there, '0' now" in str(attempt.error)
    assert server.config_path.read_text() == file + "maxmemory 1gb\n"


def test_a_file_that_includes_another_which_says_otherwise_is_found_out(server: RedisServer, keep: MakeKeep) -> None:
    other = server.config_path.with_name("other.conf")
    other.write_text("appendonly no\n")
    with server.config_path.open("a") as added:
        added.write(f"include {other}\n")
    attempt = keep(server, persistence=APPLY).verb("enforce")
    assert_aof_is_on_and_the_save_points_stay(server, attempt, "  appendonly yes")
    assert "includes another file" in str(attempt.error)


def test_where_its_flags_cannot_be_told_the_save_points_go_once_a_restart_has_shown_aof(
    server: RedisServer, keep: MakeKeep
) -> None:
    """The title that the server has written over them is not one that is known."""
    server.client().config_set("proc-title-template", "hidden {title}")
    ours = keep(server, persistence=APPLY)
    attempt = ours.verb("enforce")
    assert (attempt.state, kept(server)) == ("succeeded", ("3600 1", "yes"))
    assert "once a restart has shown that AOF comes back" in attempt.warnings[0]
    server.kill()
    server.restart()
    assert ours.verb("enforce").state == "succeeded"
    assert kept(server) == ("", "yes")


# -- it may not be ----------------------------------------------------------------------------------------


def test_config_renamed_away_is_said(flavour: str, keep: MakeKeep) -> None:
    with populated(flavour, rename_command='CONFIG ""') as server:
        attempt = keep(server, persistence=APPLY).verb("enforce")
        assert isinstance(attempt.error, ServerDenied)
        assert attempt.state == "failed"
        assert "rename-command" in attempt.error.hint
        assert server.client().info("persistence")["aof_enabled"] == 0


def test_a_replica_is_refused_unless_it_is_meant(flavour: str, keep: MakeKeep) -> None:
    with populated(flavour, repl_diskless_sync_delay=0) as server:
        server.client().execute_command("REPLICAOF", "127.0.0.1", "1")
        refused = keep(server, persistence=APPLY).verb("enforce")
        assert isinstance(refused.error, ServerIsReplica)
        assert kept(server) == AS_IT_WAS


def test_a_guard_that_refuses_comes_before_any_change(server: RedisServer, keep: MakeKeep) -> None:
    file = server.config_path.read_text()
    ours = keep(server, guard={"min_free_disk": "100%"}, persistence=APPLY | {"appendfsync": "always"})
    attempt = ours.verb("enforce")
    assert isinstance(attempt.error, GuardRefused)
    assert (kept(server), server.config_path.read_text()) == (AS_IT_WAS, file)
    assert server.client().config_get("appendfsync")["appendfsync"] == "everysec"


def test_a_setting_that_the_server_does_not_have_is_named_and_nothing_is_changed(
    server: RedisServer, keep: MakeKeep
) -> None:
    attempt = keep(server, persistence=APPLY | {"config": {"aof-time-travel": "yes"}}).verb("enforce")
    assert isinstance(attempt.error, SettingUnknown)
    assert "[target.persistence.config] aof-time-travel" in str(attempt.error)
    assert kept(server) == AS_IT_WAS


def test_a_value_that_the_server_does_not_take_leaves_the_others_as_they_were(
    server: RedisServer, keep: MakeKeep
) -> None:
    config = {"hz": "50", "maxmemory-policy": "whatever-fits"}
    attempt = keep(server, persistence=APPLY | {"config": config}).verb("enforce")
    assert isinstance(attempt.error, SettingRefused)
    assert "does not take 'whatever-fits' for maxmemory-policy" in str(attempt.error)
    assert server.client().config_get("hz")["hz"] == "10"
    assert kept(server) == AS_IT_WAS


def test_a_worker_that_may_not_look_leaves_aof_to_the_operator(
    server: RedisServer, keep: MakeKeep, public: Path
) -> None:
    ours = keep(server, folder=public, persistence=APPLY)
    ours.folder.chmod(0o755)
    with as_nobody():
        attempt = ours.verb("enforce")
    assert isinstance(attempt.error, PersistenceUnlasting)
    assert f"{server.dir} cannot be read from here: permission denied" in str(attempt.error)
    assert kept(server) == AS_IT_WAS


def test_a_first_rewrite_that_fails_leaves_aof_off_as_it_was(
    redis_flavour: str, keep: MakeKeep, small_disk: Path
) -> None:
    with populated(redis_flavour, dir=small_disk) as server:
        server.client().set("large", b"x" * 2**20)
        server.client().save()
        filler = small_disk / "filler"
        fill = ["dd", "if=/dev/zero", f"of={filler}", "bs=64k"]
        with Wire(server.port) as wire:
            ours = keep(server, url=wire.url, data_dir=small_disk, persistence=APPLY)
            # after the guard has looked
            at_change(wire, 2, lambda: subprocess.run(fill, capture_output=True, check=False))
            attempt = ours.verb("enforce")
        assert isinstance(attempt.error, AofUnproven)
        assert attempt.state == "failed"
        assert kept(server) == AS_IT_WAS
        filler.unlink()
        assert keep(server, data_dir=small_disk, persistence=APPLY).verb("enforce").state == "succeeded"


# -- alarms -----------------------------------------------------------------------------------------------


def test_aof_found_off_beside_its_files_is_an_alarm_that_changes_nothing(redis_flavour: str, keep: MakeKeep) -> None:
    with populated(redis_flavour) as server:
        client = server.client()
        client.config_set("appendonly", "yes")
        await_quiet(server)
        client.set("newer", "than the dump")
        eventually(lambda: client.info("persistence")["aof_buffer_length"] == 0)  # a write may wait for an fsync
        server.kill()
        server.restart()
        assert server.client().get("newer") is None, "the server came up without its AOF"
        for settings in (APPLY, REPORT):
            attempt = keep(server, persistence=settings).verb("enforce")
            assert isinstance(attempt.error, AofFoundOff)
            assert attempt.state == "failed"
            assert str(server.dir / "appendonly") in str(attempt.error)
            assert kept(server) == AS_IT_WAS
        assert "appendonly yes" in attempt.error.hint
        server.restart(appendonly="yes")
        assert server.client().get("newer") == b"than the dump"


@pytest.mark.parametrize("settings", [APPLY, REPORT], ids=["apply", "report"])
def test_drift_is_told_from_first_use(server: RedisServer, keep: MakeKeep, settings: dict[str, str]) -> None:
    ours = keep(server, persistence=settings)
    server.client().config_set("appendfsync", "no")
    first = ours.verb("enforce")
    assert first.record.get("figures")["drift"] == []
    server.client().config_set("appendfsync", "everysec")
    ours.verb("enforce")
    server.client().config_set("appendfsync", "no")
    for _ in range(2 if settings == REPORT else 1):
        drifted = ours.verb("enforce")
        assert drifted.record.get("figures")["drift"] == ["appendfsync"]
    assert server.client().config_get("appendfsync")["appendfsync"] == ("everysec" if settings == APPLY else "no")


def test_aof_that_a_record_remembers_is_missed_even_where_its_files_are_gone(
    server: RedisServer, keep: MakeKeep
) -> None:
    ours = keep(server, persistence=APPLY)
    assert ours.verb("enforce").state == "succeeded"
    server.client().config_set("appendonly", "no")
    for path in server.dir.rglob("appendonly.aof*"):
        path.unlink()
    attempt = ours.verb("enforce")
    assert isinstance(attempt.error, AofFoundOff)
    assert "it was on when redkeep last looked" in str(attempt.error)
    assert server.client().config_get("appendonly")["appendonly"] == "no"


def test_somebody_who_switches_aof_off_in_the_middle_keeps_the_save_points(server: RedisServer, keep: MakeKeep) -> None:
    with Wire(server.port) as wire:
        ours = keep(server, url=wire.url, persistence=APPLY)
        at_change(wire, 3, lambda: server.client().config_set("appendonly", "no"))
        attempt = ours.verb("enforce")
        assert isinstance(attempt.error, PersistenceUnkept)
        assert kept(server) == AS_IT_WAS
        assert isinstance(ours.verb("enforce").error, AofFoundOff)


# -- before a backup --------------------------------------------------------------------------------------


def test_a_backup_warns_of_what_is_not_as_wanted_and_is_taken(server: RedisServer, keep: MakeKeep) -> None:
    attempt = keep(server, source="follow", persistence=REPORT).attempt()
    assert attempt.state == "succeeded"
    assert attempt.warnings == [
        "save is '3600 1', and '' is wanted; appendonly is 'no', and 'yes' is wanted: "
        "see `redkeep run enforce main --dry-run`"
    ]
    assert attempt.record.get("figures")["settings"] == "differ"
