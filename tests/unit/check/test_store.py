"""The doctor on stores."""

from __future__ import annotations

import getpass
import os
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from rig import s3
from rig.checked import Installation, found, rows
from rig.keep import as_nobody

from tasks.check.store import store


def test_a_folder_that_is_missing_fails(installed: Installation, tmp_path: Path) -> None:
    (tmp_path / "store").rmdir()
    failed = rows(installed(), "fail")
    assert failed["store"].told == f"no folder {tmp_path}/store"
    assert failed["store"].remedy.endswith(f"install -d -m 0700 -o {getpass.getuser()} {tmp_path}/store")


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
        assert any(each.startswith("s3://site/redis writes, reads, lists and deletes; ") for _, each in told)
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


def test_a_store_whose_clock_is_another_is_warned_of(installed: Installation) -> None:
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    (warned,) = [each for each in store(installed(), lambda: an_hour_ago) if each.level == "warn"]
    assert warned.told == "the store's clock is 3600 s ahead of this host's"
    assert "timedatectl" in warned.remedy


def test_versioning_and_object_lock_are_told_as_the_bucket_has_them(
    installed: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3.moto() as server:
        server.make_bucket("site")
        server.make_bucket("locked", object_lock=True)
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        address = f's3://locked/redis"\nendpoint_url = "{server.endpoint_url}"\nregion = "us-east-1'
        settings = installed(((tmp_path / "store").as_uri(), address), ("# object_lock", "object_lock"))
        told = [each.told for each in found(settings) if each.what == "store"]
        assert "versioning yes, Object Lock yes" in told[0]
        failed = rows(installed(("s3://locked", "s3://site")), "fail")
        assert "Object Lock" in failed["store"].remedy
        assert server.client.list_objects_v2(Bucket="site").get("Contents", []) == []


def test_something_else_behind_the_endpoint_fails(
    installed: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.NO_AWS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x" * 20)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y" * 20)
    with ThreadingHTTPServer(("127.0.0.1", 0), Website) as site:
        threading.Thread(target=site.serve_forever, args=(0.05,), daemon=True).start()
        address = f's3://site/redis"\nendpoint_url = "http://127.0.0.1:{site.server_port}"\nregion = "us-east-1'
        failed = rows(installed(((tmp_path / "store").as_uri(), address)), "fail")["store"]
        site.shutdown()
    assert failed.told.startswith("something answers there, but not as S3 does")
    assert failed.remedy == "Correct [store] endpoint_url."


class Website(BaseHTTPRequestHandler):
    """It knows nothing of what S3 is asked."""

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Quiet."""


def test_a_folder_whose_disk_is_nearly_full_is_warned_of(installed: Installation, small_folder: Path) -> None:
    settings = installed()
    address = settings.store.url
    settings = installed((address, small_folder.as_uri()))
    told = [each for each in found(settings) if each.what == "store" and "are free there" in each.told]
    assert [each.level for each in told] == ["ok"]
    (small_folder / "other").write_bytes(bytes(7_700_000))
    warned = rows(settings, "warn")["store"]
    assert warned.told.endswith("KiB of 8.0 MiB are free there")
    assert "Make room" in warned.remedy


@pytest.fixture
def small_folder(tmp_path: Path) -> Iterator[Path]:
    """On a disk of 8 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
