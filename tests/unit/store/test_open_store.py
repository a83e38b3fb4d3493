from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.errors import StoreUnusable
from tasks.store import open_store


@pytest.fixture(autouse=True)
def nothing_of_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "backups",
        "/var/backups",
        "file:relative",
        "file://var/backups",
        "file:///",
        "s3://",
        "s3:bucket",
        "http://bucket/x",
        "gs://bucket",
        "s3://key:secret@bucket/x",
        "s3://bucket/x?versionId=1",
        "s3://bucket/x#y",
    ],
)
def test_an_address_that_is_none_is_refused_with_a_hint(url: str) -> None:
    with pytest.raises(StoreUnusable) as caught:
        open_store(url)
    assert "file:///folder" in caught.value.hint
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("endpoint", ["ftp://host", "host:9000", "http://", "http://key:secret@host", ""])
def test_an_endpoint_that_is_none_is_refused_with_a_hint(endpoint: str) -> None:
    with pytest.raises(StoreUnusable) as caught:
        open_store("s3://bucket", endpoint_url=endpoint)
    assert "endpoint_url" in caught.value.hint
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/", "s3://bucket"),
        ("s3://bucket/a/b/", "s3://bucket/a/b"),
        ("file:///var/backups", "file:///var/backups"),
        ("file://localhost/var/backups/", "file:///var/backups"),
        ("file:///var/with%20space", "file:///var/with%20space"),
    ],
)
def test_the_url_is_shown_in_one_way(url: str, shown: str) -> None:
    assert open_store(url, region="us-east-1").url == shown


def test_nothing_is_asked_of_a_store_that_is_only_opened(tmp_path: Path) -> None:
    open_store((tmp_path / "missing").as_uri())
    open_store("s3://bucket", endpoint_url="http://127.0.0.1:9", region="us-east-1")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_opened_without_importing_boto3(tmp_path: Path) -> None:
    program = (
        "import sys; from tasks.store import open_store; open_store(sys.argv[1]); print('botocore' in sys.modules)"
    )
    arguments = [sys.executable, "-c", program, tmp_path.as_uri()]
    ended = subprocess.run(arguments, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    assert ended.stdout == "False\n"
