"""The drill: a snapshot that comes back is proven, and one that does not is marked and said aloud."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rig.drills import drilled, verdict_on
from rig.keep import ROOT, Keep, eventually
from rig.redis_servers import RedisServer
from rig.restores import every_type

from tasks.drill import throwaway
from tasks.errors import DrillFailed, DrillServerMissing, IdentityMismatch, MemoryShort, RdbTooNew
from tasks.manifest import Manifest
from tasks.stream import age

MakeKeep = Callable[..., Keep]


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """No folder and no process outlives a drill, whatever its end."""
    with tempfile.TemporaryDirectory(prefix="rk") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)
        assert left_in(Path(folder)) == []
        assert processes_in(Path(folder)) == []


def left_in(folder: Path) -> list[Path]:
    """The folders of drills."""
    return list(folder.glob("redkeep-drill-*"))


def processes_in(folder: Path) -> list[str]:
    """What has one of them as its working directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if str((entry / "cwd").readlink()).startswith(f"{folder}/redkeep-drill-"):
                found.append(entry.name)
        except OSError:
            continue
    return found


@pytest.fixture
def kept(any_redis: RedisServer, keep: MakeKeep) -> Keep:
    every_type(any_redis, keys=20)
    return keep(any_redis, source="follow")


def backed_up(keep: Keep) -> Manifest:
    """In the slot of a minute of its own: ids of one second have no order."""
    minute = len(keep.manifests())
    attempt = keep.attempt(slot=f"tasks.backup/main/2026-11-23T11:{minute:02}Z")
    assert attempt.manifest is not None
    return attempt.manifest


def corrupt(keep: Keep, manifest: Manifest) -> None:
    assert keep.store_folder is not None
    path = keep.store_folder / manifest.object.key
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(body)


# -- a snapshot that comes back --------------------------------------------------------------------


@pytest.mark.parametrize("source", ["follow", "stream"])
def test_a_good_snapshot_is_proven_and_its_recovery_time_is_measured(
    redis_flavour: str, source: str, keep: MakeKeep
) -> None:
    with RedisServer(redis_flavour, repl_diskless_sync_delay=0) as server:
        every_type(server, keys=20)
        ours = keep(server, source=source)
        manifest = backed_up(ours)
    found = drilled(ours, redis_flavour)
    assert found.error is None
    assert found.record.state == "succeeded"
    figures = found.figures
    assert figures["backup"] == manifest.id
    assert figures["keys"] == sum(manifest.plaintext.keys.values()) == 242
    assert figures["sampled"] > 20
    assert figures["recovery_seconds"] == pytest.approx(figures["fetch_seconds"] + figures["load_seconds"], abs=0.01)
    assert figures["check_seconds"] > 0
    said = verdict_on(ours, manifest.id)
    assert said is not None
    assert said.ok
    assert said.figures["recovery_seconds"] == figures["recovery_seconds"]


def test_keys_that_expire_meanwhile_are_counted_all_the_same(any_redis: RedisServer, keep: MakeKeep) -> None:
    with any_redis.client().pipeline(transaction=False) as pipe:
        for number in range(50):
            pipe.set(f"brief:{number}", number, px=1500)
        pipe.set("long", 1)
        pipe.execute()
    ours = keep(any_redis, source="follow")
    manifest = backed_up(ours)
    assert manifest.plaintext.keys == {"0": 51}
    eventually(lambda: any_redis.client().dbsize() == 1)
    found = drilled(ours)
    assert found.error is None
    assert found.figures["keys"] == 51


def test_a_temporary_folder_with_a_long_path_will_do(
    kept: Keep, nothing_is_left: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = nothing_is_left / ("a" * 120)  # a unix socket's path has 107 bytes
    far.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(far))
    backed_up(kept)
    assert drilled(kept).error is None
    assert left_in(far) == []


def test_an_older_one_can_be_named(kept: Keep, any_redis: RedisServer) -> None:
    first = backed_up(kept)
    any_redis.client().set("later", 1)
    backed_up(kept)
    assert drilled(kept, backup=first.id).figures["backup"] == first.id


def test_what_the_settings_expect_is_looked_at(kept: Keep) -> None:
    manifest = backed_up(kept)
    good = [{"key": "string:1"}, {"key": "nothing", "exists": False}]
    assert drilled(kept, expect=good, min_keys=242).error is None
    found = drilled(kept, expect=[{"key": "nothing"}, {"key": "large", "exists": False}], min_keys=243)
    assert isinstance(found.error, DrillFailed)
    for told in ("key nothing is missing", "key large is there", "242 keys, below min_keys = 243", "none before it"):
        assert told in str(found.error)
    said = verdict_on(kept, manifest.id)
    assert said is not None
    assert not said.ok


def test_a_snapshot_that_lost_most_of_the_keys_before_it_fails(kept: Keep, any_redis: RedisServer) -> None:
    backed_up(kept)
    any_redis.client().flushdb()
    backed_up(kept)
    assert drilled(kept, min_share_of_previous=0.4).error is None
    found = drilled(kept, min_share_of_previous=0.6)
    assert "below min_share_of_previous = 0.6" in str(found.error)
    assert found.figures["before"]["ok"]


# -- one that does not -----------------------------------------------------------------------------


def test_a_corrupted_snapshot_fails_aloud_is_marked_and_the_one_before_it_is_tried(kept: Keep) -> None:
    first, second = backed_up(kept), backed_up(kept)
    corrupt(kept, second)
    found = drilled(kept)
    assert isinstance(found.error, DrillFailed)
    assert found.record.state == "failed"
    assert f"backup {second.id} of main did not come back" in str(found.error)
    assert f"the one before it, {first.id}, did" in str(found.error)
    assert found.figures["before"]["ok"]
    assert found.figures["before"]["recovery_seconds"] > 0
    said = [verdict_on(kept, each.id) for each in (first, second)]
    assert [each is not None and each.ok for each in said] == [True, False]
    assert said[1].error["name"] == "age-corrupt"


def test_when_neither_comes_back_both_are_marked(kept: Keep) -> None:
    first, second = backed_up(kept), backed_up(kept)
    corrupt(kept, first)
    corrupt(kept, second)
    found = drilled(kept)
    assert f"the one before it, {first.id}, did not either" in str(found.error)
    assert [verdict_on(kept, each.id).ok for each in (first, second)] == [False, False]


def test_counts_that_differ_from_the_manifest_fail(kept: Keep) -> None:
    manifest = backed_up(kept)
    told = manifest.plaintext.model_copy(update={"keys": {"0": 121, "3": 122}})
    lying = manifest.model_copy(update={"plaintext": told, "signature": None})
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key((kept.folder / "signing.pem").read_bytes(), None)
    kept.store.put(f"main/manifests/{manifest.id}.json", iter([lying.signed(key).body()]))
    assert "db3 has 121 keys, its manifest says 122" in str(drilled(kept).error)


# -- what says nothing about the snapshot ----------------------------------------------------------


def test_a_wrong_identity_says_nothing_about_the_snapshot(kept: Keep) -> None:
    manifest = backed_up(kept)
    (kept.folder / "identity0.txt").write_text(age.generate_identity() + "\n")
    found = drilled(kept)
    assert isinstance(found.error, IdentityMismatch)
    assert verdict_on(kept, manifest.id) is None


def test_a_server_too_old_for_it_is_named(keep: MakeKeep) -> None:
    with RedisServer("redis8") as server:
        server.client().set("a", 1)
        ours = keep(server)
        manifest = backed_up(ours)
    found = drilled(ours, "redis7")
    assert isinstance(found.error, RdbTooNew)
    assert "redis RDB version 12, and redis 7.0.15" in str(found.error)
    assert verdict_on(ours, manifest.id) is None


def test_no_server_here_is_said(kept: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    backed_up(kept)
    monkeypatch.setenv("PATH", "/nowhere")
    assert isinstance(drilled(kept, redis_server=None).error, DrillServerMissing)
    assert isinstance(drilled(kept, redis_server=Path("/nowhere/redis-server")).error, DrillServerMissing)


def test_no_memory_for_it_is_said_before_anything_is_fetched(kept: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    backed_up(kept)
    monkeypatch.setattr(throwaway, "available_here", lambda: 100_000)
    assert isinstance(drilled(kept).error, MemoryShort)


# -- its end ---------------------------------------------------------------------------------------


def test_a_killed_drill_leaves_no_server_and_the_next_one_clears_its_folder(
    keep: MakeKeep, nothing_is_left: Path, any_redis: RedisServer
) -> None:
    every_type(any_redis, keys=20)
    kept = keep(any_redis, control={"lease_ttl": "1s"})
    manifest = backed_up(kept)
    text = kept.config_path.read_text().replace("[encryption]\n", '[encryption]\nidentity_files = ["identity0.txt"]\n')
    text += f'[target.drill]\nredis_server = "{any_redis.binary}"\n'
    kept.config_path.write_text(text)
    script = "import sys; from rig.drills import run_here; run_here(*sys.argv[1:])"
    python_path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    command = [sys.executable, "-c", script, str(kept.config_path), str(nothing_is_left)]
    with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": python_path}) as running:
        eventually(lambda: processes_in(nothing_is_left))
        running.send_signal(signal.SIGKILL)
    eventually(lambda: not processes_in(nothing_is_left))
    assert left_in(nothing_is_left)
    assert verdict_on(kept, manifest.id) is None
    assert drilled(kept).error is None
