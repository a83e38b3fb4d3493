"""The doctor: each thing that can be wrong has its row, the row says what to do, and looking changes nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from rig import s3
from rig.checked import Installation, found, installation, rows, server_as_it_should_be
from rig.keep import as_nobody
from rig.redis_servers import RedisServer

from tasks.beginning import begin
from tasks.control import connect


@pytest.fixture(scope="module")
def site() -> Iterator[RedisServer]:
    with server_as_it_should_be() as server:
        yield server


@pytest.fixture(scope="module")
def control() -> Iterator[RedisServer]:
    """Who changes it changes it back."""
    with server_as_it_should_be() as server:
        yield server


@pytest.fixture
def installed(tmp_path: Path, site: RedisServer, control: RedisServer, namespace: str) -> Installation:
    return installation(tmp_path, site, control, namespace)


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
