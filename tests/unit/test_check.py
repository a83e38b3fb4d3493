"""The doctor: each thing that can be wrong has its row, the row says what to do, and looking changes nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rig import s3
from rig.keep import as_nobody, eventually
from rig.redis_servers import FLAVOURS, RedisServer, binary, why_missing

from tasks.beginning import begin
from tasks.check import Finding, check
from tasks.control import connect
from tasks.names import Keys
from tasks.settings import Settings, load

SERVING = {"backup@here": ["backup"], "others@here": ["drill", "housekeeping"], "celerybeat@here": []}


def a_flavour() -> str:
    flavour = next((each for each in ("redis7", "valkey9", "redis8") if binary(each) is not None), None)
    return flavour or pytest.skip("; ".join(map(why_missing, FLAVOURS)))


@pytest.fixture(scope="module")
def site() -> Iterator[RedisServer]:
    """The server under care, set as it should be; nobody changes it."""
    with RedisServer(a_flavour(), appendonly="yes", repl_diskless_sync_delay=0) as server:
        server.client().set("a", 1)
        server.client().save()
        yield server


@pytest.fixture(scope="module")
def control() -> Iterator[RedisServer]:
    """A control Redis as it should be; who changes it changes it back."""
    with RedisServer(a_flavour(), appendonly="yes") as server:
        yield server


Installation = Callable[..., Settings]


@pytest.fixture
def installed(tmp_path: Path, site: RedisServer, control: RedisServer, namespace: str) -> Installation:
    """Settings as `redkeep init` writes them, made to fit; and changed where a test says (old text, new text)."""
    (tmp_path / "store").mkdir()
    files = begin(
        tmp_path / "conf",
        control=control.url,
        store=(tmp_path / "store").as_uri(),
        server=site.url,
        data_dir=str(site.dir),
    )

    text = files.settings.read_text()
    files.settings.write_text(text.replace('# namespace = "redkeep"', f'namespace = "{namespace}"'))

    def settings(*changes: tuple[str, str]) -> Settings:
        text = files.settings.read_text()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        files.settings.write_text(text)
        return load(files.settings)

    return settings


def found(settings: Settings, serving: dict[str, list[str]] | None = None) -> list[Finding]:
    answers = SERVING if serving is None else serving
    return list(check(settings, list(settings.target), lambda: answers))


def rows(settings: Settings, level: str, **options: dict[str, list[str]]) -> dict[str, Finding]:
    return {each.what: each for each in found(settings, **options) if each.level == level}


def test_where_all_is_well_nothing_fails(installed: Installation) -> None:
    settings = installed()
    levels = [(each.what, each.level) for each in found(settings)]
    assert levels == [
        ("control", "ok"),
        ("keys", "ok"),
        ("keys", "warn"),
        ("keys", "ok"),
        ("store", "ok"),
        ("main: server", "ok"),
        ("main: source", "ok"),
        ("workers", "ok"),
        ("workers", "ok"),
    ]


def test_looking_leaves_no_object_no_key_and_no_setting_behind(
    installed: Installation, site: RedisServer, tmp_path: Path
) -> None:
    settings = installed()
    before = site.client().config_get("*"), site.client().lastsave(), site.counts()
    found(settings)
    assert (site.client().config_get("*"), site.client().lastsave(), site.counts()) == before
    assert [path for path in (tmp_path / "store").rglob("*") if path.is_file()] == []
    client = connect(settings.control)
    assert client.keys(f"{settings.control.namespace}*") == []
    client.close()


def test_whatever_is_not_well_has_a_remedy(installed: Installation, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "store")
    (tmp_path / "conf" / "signing.pem").chmod(0o644)
    settings = installed(("127.0.0.1", "127.0.0.2"))
    assert all(bool(each.remedy) == (each.level != "ok") for each in found(settings, {}))


# -- the control Redis -------------------------------------------------------------------------------------------------


def test_a_control_redis_that_is_down_fails_and_the_rest_is_looked_at(installed: Installation) -> None:
    settings = installed(('url = "redis://127.0.0.1', 'url = "redis://127.0.0.1:1/0#'))
    seen = found(settings)
    failed = {each.what: each for each in seen if each.level == "fail"}
    assert set(failed) == {"control", "workers"}
    assert "127.0.0.1:1/0" in failed["control"].told
    assert failed["control"].remedy == "Start the control Redis, or correct [control] url."
    assert {each.what for each in seen} >= {"keys", "store", "main: server"}


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_a_control_redis_that_may_evict_fails(
    installed: Installation, control: RedisServer, policy: str
) -> None:
    control.client().config_set("maxmemory-policy", policy)
    try:
        failed = rows(installed(), "fail")
    finally:
        control.client().config_set("maxmemory-policy", "noeviction")
    assert set(failed) == {"control"}
    assert policy in failed["control"].told
    assert "noeviction" in failed["control"].remedy


def test_a_control_redis_without_aof_is_warned_of(installed: Installation, control: RedisServer) -> None:
    control.client().config_set("appendonly", "no")
    try:
        assert "no AOF" in rows(installed(), "warn")["control"].told
    finally:
        control.client().config_set("appendonly", "yes")


def test_a_control_redis_that_is_the_one_under_care_is_warned_of(
    installed: Installation, control: RedisServer, site: RedisServer
) -> None:
    warned = rows(installed((str(control.port), str(site.port))), "warn")
    assert "it is the server under care (main)" in warned["control"].told


# -- keys --------------------------------------------------------------------------------------------------------------


def test_a_signer_that_readers_do_not_trust_fails(installed: Installation, tmp_path: Path) -> None:
    stranger = begin(tmp_path / "stranger").signer
    settings = installed()
    (own,) = settings.encryption.trusted_signers
    failed = rows(installed((own, stranger)), "fail")
    assert own in failed["keys"].told
    assert "no reader here will accept" in failed["keys"].remedy


@pytest.mark.parametrize("name", ["signing.pem", "identity.txt"])
def test_a_private_key_that_others_can_read_fails(installed: Installation, tmp_path: Path, name: str) -> None:
    path = tmp_path / "conf" / name
    path.chmod(0o640)
    failed = rows(installed(("# identity_files", "identity_files")), "fail")
    assert set(failed) == {"keys"}
    assert failed["keys"].told == f"{path} can be read by others"
    assert failed["keys"].remedy == f"chmod 600 {path}"


def test_a_signing_key_that_is_not_there_fails(installed: Installation, tmp_path: Path) -> None:
    (tmp_path / "conf" / "signing.pem").unlink()
    assert "cannot read the signing key" in rows(installed(), "fail")["keys"].told


def test_an_identity_of_somebody_else_fails(installed: Installation, tmp_path: Path) -> None:
    begin(tmp_path / "stranger").identity.replace(tmp_path / "conf" / "identity.txt")
    failed = rows(installed(("# identity_files", "identity_files")), "fail")
    assert "fits none of the recipients" in failed["keys"].told


def test_a_private_key_on_this_host_and_a_single_recipient_are_warned_of(installed: Installation) -> None:
    told = [each.told for each in found(installed(("# identity_files", "identity_files"))) if each.level == "warn"]
    assert told[0] == "only one key can read the backups"
    assert "lies on this host" in told[1]


def test_backups_in_the_clear_and_unsigned_are_warned_of(installed: Installation) -> None:
    settings = installed()
    (recipient,) = settings.encryption.recipient_keys
    settings = installed((f'["{recipient}"]', '"none"'), ("signing_key_file =", "# "), ("trusted_signers =", "# "))
    told = [each.told for each in found(settings) if each.what == "keys"]
    assert told == ["backups are stored in the clear", "manifests are not signed"]


# -- the store ---------------------------------------------------------------------------------------------------------


def test_a_folder_that_is_missing_fails(installed: Installation, tmp_path: Path) -> None:
    (tmp_path / "store").rmdir()
    failed = rows(installed(), "fail")
    assert failed["store"].told == f"no folder {tmp_path}/store"
    assert "Make the folder" in failed["store"].remedy


def test_a_folder_that_may_not_be_written_fails(installed: Installation, tmp_path: Path) -> None:
    settings = installed()
    if os.geteuid():
        pytest.skip("becoming another user needs root")
    for parent in [tmp_path, *tmp_path.parents]:
        if parent.owner() == "root" and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o711)
    (tmp_path / "store").chmod(0o755)
    with as_nobody():
        failed = rows(settings, "fail")
    assert "permission denied" in str(failed["store"].told)


@pytest.mark.parametrize("kind", ["moto", "rclone"])
def test_a_store_that_does_not_know_conditions_is_warned_of(
    installed: Installation, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3.moto() if kind == "moto" else s3.rclone(tmp_path / "store") as server:
        server.make_bucket("site")
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        address = f's3://site/redis"\nendpoint_url = "{server.endpoint_url}"\nregion = "us-east-1'
        settings = installed(((tmp_path / "store").as_uri(), address))
        told = {(each.level, each.told) for each in found(settings) if each.what == "store"}
        assert ("ok", "s3://site/redis writes, reads, lists and deletes") in told
        assert (("warn", "it replaced an object that was there") in told) == (kind == "rclone")
        assert server.client.list_objects_v2(Bucket="site").get("Contents", []) == []


def test_a_bucket_that_is_missing_fails(
    installed: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3.rclone(tmp_path / "store") as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        address = f's3://site/redis"\nendpoint_url = "{server.endpoint_url}"\nregion = "us-east-1'
        failed = rows(installed(((tmp_path / "store").as_uri(), address)), "fail")
    assert "site" in failed["store"].told
    assert "Create the bucket" in failed["store"].remedy


# -- the server under care ---------------------------------------------------------------------------------------------


def test_a_server_that_is_down_fails(installed: Installation, any_redis: RedisServer, site: RedisServer) -> None:
    settings = installed((site.url, any_redis.url))
    any_redis.kill()
    failed = rows(settings, "fail")
    assert set(failed) == {"main: server"}
    assert str(any_redis.port) in failed["main: server"].told


def test_a_wrong_password_fails_without_being_told(
    installed: Installation, any_redis: RedisServer, site: RedisServer
) -> None:
    any_redis.client().config_set("requirepass", "secret-of-the-server")
    settings = installed((site.url, f"redis://:hunter2-is-wrong@127.0.0.1:{any_redis.port}"))
    failed = rows(settings, "fail")
    assert "user and password" in failed["main: server"].remedy
    assert "hunter2" not in str(found(settings))


def test_a_replica_fails_unless_it_is_meant(installed: Installation, any_redis: RedisServer, site: RedisServer) -> None:
    any_redis.client().replicaof("127.0.0.1", str(site.port))
    eventually(lambda: any_redis.client().info("replication")["master_link_status"] == "up")
    settings = installed((site.url, any_redis.url))
    failed = rows(settings, "fail")
    assert "replica" in failed["main: server"].told
    assert 'replica = "accept"' in failed["main: server"].remedy
    accepted = rows(installed(('# replica = "refuse"', 'replica = "accept"')), "ok")
    assert "main: server" in accepted


def test_save_points_and_a_missing_aof_are_warned_of(
    installed: Installation, any_redis: RedisServer, site: RedisServer
) -> None:
    any_redis.client().config_set("save", "900 1")
    told = [each.told for each in found(installed((site.url, any_redis.url))) if each.what == "main: server"]
    assert any("no AOF" in each for each in told)
    assert any("saves by itself" in each for each in told)


def test_a_data_dir_that_is_missing_is_warned_of_and_fails_where_it_must_be_followed(
    installed: Installation, site: RedisServer
) -> None:
    settings = installed((str(site.dir), "/nowhere"))
    assert rows(settings, "warn")["main: source"].told == "no folder /nowhere"
    settings = installed(('# source = "auto"', 'source = "follow"'))
    assert rows(settings, "fail")["main: source"].told == "no folder /nowhere"


def test_without_a_data_dir_it_is_said_that_the_server_is_streamed(installed: Installation, site: RedisServer) -> None:
    settings = installed((f'data_dir = "{site.dir}"', ""))
    assert "streamed" in rows(settings, "ok")["main: source"].told


def test_a_pause_is_shown_with_its_reason_and_its_end(installed: Installation) -> None:
    settings = installed()
    client = connect(settings.control)
    client.hset(Keys(settings.control.namespace).paused("main"), mapping={"*": "moving house", "tasks.tidy": "x"})
    told = [each for each in found(settings) if each.what == "main: schedule"]
    client.delete(Keys(settings.control.namespace).paused("main"))
    client.close()
    assert [(each.level, each.told, each.remedy) for each in told] == [
        ("warn", "everything is paused, moving house", "redkeep resume main"),
        ("warn", "tidy is paused, x", "redkeep resume main tidy"),
    ]


# -- workers -----------------------------------------------------------------------------------------------------------


def test_a_queue_without_a_worker_and_a_missing_beat_fail_with_the_command_to_start_them(
    installed: Installation,
) -> None:
    failed = [each for each in found(installed(), {"tidy@here": ["tidy"]}) if each.level == "fail"]
    assert [(each.told, each.remedy) for each in failed] == [
        ("no worker serves queue backup", "redkeep worker backup"),
        ("no beat answers: nothing is sent on schedule", "redkeep beat"),
    ]


def test_a_target_with_a_worker_of_its_own_needs_that_one(installed: Installation) -> None:
    settings = installed(('# worker = "db1"', 'worker = "db1"'))
    assert rows(settings, "fail")["workers"].remedy == "redkeep worker backup.db1"
    assert rows(settings, "fail", serving={"celerybeat@x": [], "db1@here": ["backup.db1"]}) == {}


def test_another_queue_to_which_the_schedule_sends_is_only_warned_of(installed: Installation) -> None:
    seen = found(installed(), {"backup@here": ["backup"], "celerybeat@here": []})
    assert [each.told for each in seen if each.level == "fail"] == []
    warned = [each for each in seen if each.what == "workers" and each.level == "warn"]
    assert [(each.told, each.remedy) for each in warned] == [
        ("no worker serves queue housekeeping, to which the schedule sends", "redkeep worker housekeeping")
    ]
