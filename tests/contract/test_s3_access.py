"""The way to an S3 server, the right to go it, and how it keeps what it is given."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.message import Message
from ipaddress import ip_address
from itertools import repeat
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from rig import s3
from rig.faulty_s3 import Answer, Proxy, Slow
from rig.ports import ReservedPort
from rig.streams import KEY, MIB, PART, QUICK, three_parts

from tasks.errors import (
    RedkeepError,
    StoreDenied,
    StoreFailed,
    StoreUnreachable,
    StoreUnusable,
)
from tasks.store.client import Limits
from tasks.store.s3 import S3Store

Use = Callable[[dict[str, str]], None]
Opener = Callable[..., S3Store]


def calls(store: S3Store) -> list[Callable[[], object]]:
    return [
        lambda: store.put(KEY, iter([b"x"])),
        lambda: store.put(KEY, three_parts()),
        lambda: store.put_once(KEY, b"x"),
        lambda: store.read(KEY),
        lambda: store.head(KEY),
        lambda: list(store.list("")),
        lambda: list(store.uploads("")),
        lambda: store.delete(KEY),
    ]


def errors(store: S3Store, wanted: type[RedkeepError], *secrets: str) -> list[RedkeepError]:
    """Every call fails as wanted, and none of its words is a secret."""
    found = []
    for call in calls(store):
        with pytest.raises(RedkeepError) as caught:
            call()
        assert type(caught.value) is wanted
        shown = f"{caught.value} {caught.value.hint} {getattr(caught.value, '__notes__', '')}"
        assert not any(secret in shown for secret in secrets)
        assert "X-Amz" not in shown
        found.append(caught.value)
    return found


def test_nobody_listening_is_unreachable(use: Use, moto: s3.Server) -> None:
    use(moto.environment)
    port = ReservedPort()
    store = S3Store("bucket", endpoint_url=f"http://127.0.0.1:{port.number}", limits=QUICK)
    for error in errors(store, StoreUnreachable, moto.secret_key):
        assert str(error) == f"cannot connect to 127.0.0.1:{port.number} (connection refused)"
    port.release()


def test_a_name_that_is_none_is_unreachable(use: Use, moto: s3.Server) -> None:
    use(moto.environment)
    store = S3Store("bucket", endpoint_url="http://no-such-host.invalid", limits=QUICK)
    errors(store, StoreUnreachable)


def test_https_to_a_server_without_it_is_said_to_be_tls(use: Use, moto: s3.Server) -> None:
    use(moto.environment)
    store = S3Store("bucket", endpoint_url=moto.endpoint_url.replace("http:", "https:"), limits=QUICK)
    for error in errors(store, StoreUnreachable):
        assert "TLS with 127.0.0.1" in str(error)


def certificate_for_localhost(folder: Path) -> tuple[Path, Path]:
    """A certificate that only itself vouches for, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, *plain))
    return folder / "certificate.pem", folder / "key.pem"


def test_over_tls_everything_works_with_the_certificate_and_nothing_without(tmp_path: Path, use: Use) -> None:
    certificate, key = certificate_for_localhost(tmp_path)
    (tmp_path / "served").mkdir()
    with s3.rclone(tmp_path / "served", "--cert", str(certificate), "--key", str(key)) as server:
        endpoint_url = server.endpoint_url.replace("http:", "https:")
        use(server.environment)
        (tmp_path / "served" / "bucket").mkdir()
        for error in errors(S3Store("bucket", endpoint_url=endpoint_url, limits=QUICK), StoreUnreachable):
            assert "TLS with 127.0.0.1" in str(error)
            assert "certificate verify failed" in str(error)
        use(server.environment | {"AWS_CA_BUNDLE": str(certificate)})
        store = S3Store("bucket", endpoint_url=endpoint_url, part_size=PART, limits=QUICK)
        store.put(KEY, three_parts())
        assert b"".join(store.get(KEY)) == b"".join(three_parts())
        store.put_once("main/manifests/a.json", b"{}")
        assert [found.key for found in store.list("")] == ["main/manifests/a.json", KEY]


def test_a_server_that_does_not_answer_is_unreachable(opened: Opener, proxy: Proxy) -> None:
    proxy.faults["list"] = repeat(Slow(1))
    with pytest.raises(StoreUnreachable, match="did not answer in time"):
        list(opened(Limits(connect=1, read=0.2, attempts=1)).list(""))


@pytest.mark.parametrize("wrong", ["AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"])
def test_wrong_credentials_are_denied(rclone: s3.Server, use: Use, wrong: str) -> None:
    rclone.make_bucket(name := f"bucket-{uuid4().hex}")
    environment = rclone.environment | {wrong: "WRONGWRONGWRONGWRONG"}
    use(environment)
    store = S3Store(name, endpoint_url=rclone.endpoint_url, limits=QUICK)
    errors(store, StoreDenied, environment["AWS_SECRET_ACCESS_KEY"], environment["AWS_ACCESS_KEY_ID"])


def test_no_credentials_at_all_are_a_matter_of_settings(use: Use, moto: s3.Server) -> None:
    use(s3.NO_AWS)
    store = S3Store("bucket", endpoint_url=moto.endpoint_url, region="us-east-1", limits=QUICK)
    for error in errors(store, StoreUnusable):
        assert "AWS_ACCESS_KEY_ID" in error.hint


def test_half_credentials_and_a_missing_profile_are_too(use: Use, moto: s3.Server) -> None:
    use(s3.NO_AWS | {"AWS_ACCESS_KEY_ID": "only this"})
    with pytest.raises(StoreUnusable, match="no usable AWS credentials"):
        S3Store("bucket", endpoint_url=moto.endpoint_url).head(KEY)
    use(s3.NO_AWS | {"AWS_PROFILE": "nobody"})
    with pytest.raises(StoreUnusable, match="no usable AWS credentials"):
        S3Store("bucket", endpoint_url=moto.endpoint_url)


def test_a_head_that_may_not_be_asked_is_denied_not_missing(opened: Opener, proxy: Proxy) -> None:
    proxy.faults["head"] = repeat(Answer(403, ""))
    with pytest.raises(StoreDenied):
        opened().head(KEY)


def test_a_full_disk_under_the_server_leaves_nothing(small_disk: Path, use: Use) -> None:
    # rclone takes the part that did not fit with 200, and says 500 without a cause when it is to complete
    with s3.rclone(small_disk) as server:
        use(server.environment)
        server.make_bucket("bucket")
        store = S3Store("bucket", endpoint_url=server.endpoint_url, part_size=9 * MIB, limits=QUICK)
        for length in (10 * MIB, 9 * MIB - 1):  # in parts, and whole
            with pytest.raises(StoreFailed):
                store.put(KEY, iter([bytes(length)]))
        assert list(store.list("")) == []
        assert list(store.uploads("")) == []


# -- how objects are kept ----------------------------------------------------------------------------------

NOW = datetime.now(UTC).replace(microsecond=0)


def test_what_is_written_is_locked_and_only_what_is_large_changes_class(
    moto: s3.Server, proxy: Proxy, use: Use
) -> None:
    use(moto.environment)
    moto.make_bucket(name := f"bucket-{uuid4().hex}", object_lock=True)
    store = S3Store(
        name,
        endpoint_url=proxy.endpoint_url,
        part_size=PART,
        storage_class="STANDARD_IA",
        object_lock=timedelta(days=30),
        now=lambda: NOW,
    )
    store.put("parts", three_parts())
    store.put("whole", iter([bytes(MIB)]))
    store.put_once("manifest", b"{}")
    for key, wanted in (("parts", "STANDARD_IA"), ("whole", "STANDARD_IA"), ("manifest", None)):
        assert moto.client.head_object(Bucket=name, Key=key).get("StorageClass") == wanted
    until = f"{NOW + timedelta(days=30):%Y-%m-%dT%H:%M:%S}"
    for sent in (*proxy.headers["create"], *proxy.headers["put"]):
        assert sent["x-amz-object-lock-mode"] == "COMPLIANCE"
        assert sent["x-amz-object-lock-retain-until-date"].startswith(until)
    store.delete("whole")
    assert store.head("whole") is None


def test_a_lock_on_a_bucket_without_one_is_a_matter_of_settings(bucket: str, moto: s3.Server) -> None:
    store = S3Store(bucket, endpoint_url=moto.endpoint_url, object_lock=timedelta(days=1))
    with pytest.raises(StoreUnusable) as caught:
        store.put_once(KEY, b"{}")
    assert "object_lock" in caught.value.hint


def test_every_body_carries_a_crc32_and_may_carry_a_signed_sha256_instead(
    opened: Opener, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sent(checksums: str) -> list[Message]:
        monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", checksums)
        proxy.headers.clear()
        opened().put("whole", iter([b"123456789"]))
        opened().put("parts", three_parts())
        return [*proxy.headers["put"], *proxy.headers["part"]]

    for headers in (normal := sent("when_supported")):
        assert headers["x-amz-checksum-crc32"]
        assert headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
        assert "x-amz-trailer" not in headers
    assert normal[0]["x-amz-checksum-crc32"] == "y/Q5Jg=="  # CRC-32's check value, 0xcbf43926
    for headers in (signed := sent("when_required")):
        assert "x-amz-checksum-crc32" not in headers
    assert signed[0]["x-amz-content-sha256"] == hashlib.sha256(b"123456789").hexdigest()


def test_lists_longer_than_a_page_are_whole(tmp_path: Path, use: Use) -> None:
    folder = tmp_path / "bucket" / "main"
    folder.mkdir(parents=True)
    for number in range(2_100):
        (folder / f"{number:04}").touch()
    with s3.rclone(tmp_path) as server:
        use(server.environment)
        store = S3Store("bucket", endpoint_url=server.endpoint_url, limits=QUICK)
        assert [found.key for found in store.list("main/")] == [f"main/{number:04}" for number in range(2_100)]
