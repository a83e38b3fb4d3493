"""What may go wrong on the way to an S3 server and in it; the rest of the way is real."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from itertools import chain, repeat
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from rig import s3
from rig.faulty_s3 import LOST, RESET, Answer, Cut, Fault, Proxy, Slow, faulty
from rig.ports import ReservedPort

from tasks.errors import (
    LeaseLost,
    ObjectExists,
    ObjectMissing,
    RedkeepError,
    StoreDenied,
    StoreFailed,
    StoreFull,
    StoreUnreachable,
    StoreUnusable,
)
from tasks.store.client import Limits
from tasks.store.s3 import S3Store

MIB = 1024 * 1024
PART = 5 * MIB
KEY = "main/snapshots/a.rdb.zst.age"
QUICK = Limits(connect=2, read=2, attempts=1)
TWICE = Limits(connect=2, read=2, attempts=2)
DENIED = Answer(403, "AccessDenied")


@pytest.fixture
def bucket(moto: s3.Server, use: Callable[[dict[str, str]], None]) -> str:
    use(moto.environment)
    name = f"bucket-{uuid4().hex}"
    moto.make_bucket(name)
    return name


@pytest.fixture
def proxy(moto: s3.Server) -> Iterator[Proxy]:
    with faulty(moto.endpoint_url) as proxy:
        yield proxy


Opener = Callable[..., S3Store]


@pytest.fixture
def opened(bucket: str, proxy: Proxy) -> Opener:
    """A store that speaks through the faulty way."""

    def opened(limits: Limits = QUICK, **options: Any) -> S3Store:
        options = {"endpoint_url": proxy.endpoint_url, "part_size": PART, "concurrency": 2} | options
        return S3Store(bucket, "prefix", limits=limits, **options)

    return opened


@pytest.fixture
def truth(bucket: str, moto: s3.Server) -> S3Store:
    """The same bucket with nothing in between."""
    return S3Store(bucket, "prefix", endpoint_url=moto.endpoint_url, part_size=PART, limits=QUICK)


def three_parts() -> Iterator[bytes]:
    for number in range(3):
        yield bytes([number]) * PART


# -- uploads in parts ---------------------------------------------------------------------------------------

FAULTS: list[tuple[str, Fault, type[RedkeepError]]] = [
    ("create", DENIED, StoreDenied),
    ("create", RESET, StoreUnreachable),
    ("part", DENIED, StoreDenied),
    ("part", Answer(503, "SlowDown"), StoreFailed),
    ("part", Answer(500, "InternalError"), StoreFailed),
    ("part", Answer(500, "InternalError", "write /data: no space left on device"), StoreFull),
    ("part", Answer(507, "XMinioStorageFull"), StoreFull),
    ("part", RESET, StoreUnreachable),
    ("part", LOST, StoreUnreachable),
    ("part", Slow(3), StoreUnreachable),
    ("complete", DENIED, StoreDenied),
    ("complete", Answer(200, "InternalError"), StoreFailed),
    ("complete", RESET, StoreUnreachable),
]


@pytest.mark.parametrize(
    ("operation", "fault", "wanted", "after"),
    [(*each, after) for each in FAULTS for after in (0, 2) if each[0] == "part" or not after],
)
def test_an_upload_that_fails_leaves_nothing(
    opened: Opener, proxy: Proxy, truth: S3Store, operation: str, fault: Fault, wanted: type[RedkeepError], after: int
) -> None:
    proxy.faults[operation] = chain(repeat(None, after), repeat(fault))
    with pytest.raises(RedkeepError) as caught:
        opened().put(KEY, three_parts())
    assert type(caught.value) is wanted
    assert caught.value.hint
    assert not hasattr(caught.value, "__notes__")
    assert list(truth.list("")) == []
    assert list(truth.uploads("")) == []


@pytest.mark.parametrize("fault", [Answer(503, "SlowDown"), Answer(500, "InternalError"), RESET, LOST])
@pytest.mark.parametrize("operation", ["create", "part", "complete", "put"])
def test_what_fails_once_is_tried_again(
    opened: Opener, proxy: Proxy, truth: S3Store, operation: str, fault: Fault
) -> None:
    proxy.faults[operation] = iter([fault])
    body = b"small" if operation == "put" else b"".join(three_parts())
    stored = opened(TWICE).put(KEY, iter([body]))
    assert stored.bytes == len(body)
    assert b"".join(truth.get(KEY)) == body


def test_a_completion_whose_reply_was_lost_counts_when_the_object_is_there(
    opened: Opener, proxy: Proxy, truth: S3Store
) -> None:
    proxy.faults["complete"] = iter([LOST, Answer(404, "NoSuchUpload")])  # as AWS says once it is forgotten
    stored = opened(TWICE).put(KEY, three_parts())
    assert stored.bytes == 3 * PART
    assert truth.head(KEY) is not None


def test_an_upload_that_is_gone_at_completion_is_missing(opened: Opener, proxy: Proxy) -> None:
    proxy.faults["complete"] = iter([Answer(404, "NoSuchUpload")])
    with pytest.raises(ObjectMissing):
        opened().put(KEY, three_parts())


def test_a_failing_abort_becomes_a_note_of_the_first_error(opened: Opener, proxy: Proxy, truth: S3Store) -> None:
    proxy.faults["abort"] = repeat(Answer(500, "InternalError"))
    first = KeyboardInterrupt()

    def interrupted() -> Iterator[bytes]:
        yield bytes(2 * PART)
        raise first

    with pytest.raises(KeyboardInterrupt) as caught:
        opened().put(KEY, interrupted())
    assert caught.value is first
    assert "aborting the upload" in caught.value.__notes__[0]
    assert [upload.key for upload in truth.uploads("")] == [KEY]
    assert list(truth.list("")) == []


def test_the_abort_waits_for_the_parts_under_way(opened: Opener, proxy: Proxy) -> None:
    proxy.faults["part"] = iter([Slow(0.5), Slow(0.5)])

    def dying() -> Iterator[bytes]:
        yield bytes(2 * PART)
        raise LeaseLost("gone")

    with pytest.raises(LeaseLost):
        opened().put(KEY, dying())
    assert proxy.log.index(("begin", "abort")) > max(
        at for at, entry in enumerate(proxy.log) if entry == ("end", "part")
    )


def test_an_interrupt_from_outside_aborts_as_well(opened: Opener, proxy: Proxy, truth: S3Store) -> None:
    def interrupting() -> Iterator[Fault]:
        os.kill(os.getpid(), signal.SIGINT)
        yield Slow(0.2)

    proxy.faults["part"] = interrupting()
    with pytest.raises(KeyboardInterrupt):
        opened(concurrency=1).put(KEY, three_parts())
    assert list(truth.list("")) == []
    assert list(truth.uploads("")) == []


def test_no_more_parts_are_under_way_than_asked_for_and_the_source_waits(opened: Opener, proxy: Proxy) -> None:
    proxy.faults["part"] = repeat(Slow(0.1))
    ahead: list[int] = []

    def watched() -> Iterator[bytes]:
        for number in range(8):
            ahead.append(number - proxy.log.count(("end", "part")))
            yield bytes(PART)

    stored = opened(concurrency=3).put(KEY, watched())
    assert stored.parts == 8
    under_way = most = 0
    for moment, operation in proxy.log:
        if operation == "part":
            under_way += 1 if moment == "begin" else -1
            most = max(most, under_way)
    assert most == 3
    assert max(ahead) <= 3 + 2  # three under way, one full, one being filled


def test_a_failed_part_ends_the_upload_before_the_source_does(opened: Opener, proxy: Proxy) -> None:
    proxy.faults["part"] = repeat(DENIED)
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield bytes(PART)

    with pytest.raises(StoreDenied):
        opened().put(KEY, endless())
    assert taken < 10


# -- conditional writes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [LOST, RESET, Answer(503, "SlowDown")])
def test_put_once_survives_a_lost_reply(opened: Opener, proxy: Proxy, truth: S3Store, fault: Fault) -> None:
    proxy.faults["put"] = iter([fault])
    assert opened(TWICE).put_once(KEY, b"body").bytes == 4
    assert truth.read(KEY) == b"body"


def test_put_once_tries_again_while_the_server_says_conflict(opened: Opener, proxy: Proxy, truth: S3Store) -> None:
    proxy.faults["put"] = repeat(Answer(409, "ConditionalRequestConflict"), 2)
    opened().put_once(KEY, b"body")
    assert proxy.count("put") == 3
    assert truth.read(KEY) == b"body"


def test_put_once_ends_when_the_conflict_does_not(opened: Opener, proxy: Proxy) -> None:
    proxy.faults["put"] = repeat(Answer(409, "ConditionalRequestConflict"))
    with pytest.raises(StoreFailed, match="written by others"):
        opened().put_once(KEY, b"body")


def test_put_once_does_without_the_condition_where_it_is_not_implemented(
    opened: Opener, proxy: Proxy, truth: S3Store
) -> None:
    proxy.faults["put"] = iter([Answer(501, "NotImplemented")])
    opened().put_once(KEY, b"body")
    assert truth.read(KEY) == b"body"
    with pytest.raises(ObjectExists):
        opened().put_once(KEY, b"other")


def test_put_once_sees_the_other_who_came_between_asking_and_writing(
    opened: Opener, proxy: Proxy, truth: S3Store
) -> None:
    truth.put_once(KEY, b"theirs")
    proxy.faults["head"] = iter([Answer(404, "")])
    with pytest.raises(ObjectExists):
        opened().put_once(KEY, b"ours")
    assert proxy.count("put") == 1
    assert truth.read(KEY) == b"theirs"


# -- downloads -----------------------------------------------------------------------------------------------


def test_a_download_that_is_cut_goes_on_where_it_ended(opened: Opener, proxy: Proxy, truth: S3Store) -> None:
    body = b"".join(three_parts())
    truth.put(KEY, iter([body]))
    proxy.faults["get"] = iter([Cut(1), Cut(0), Cut(7 * MIB + 3), RESET, LOST])
    assert b"".join(opened(Limits(2, 2, 3)).get(KEY)) == body


def test_a_download_that_brings_nothing_ends_as_unreachable(opened: Opener, proxy: Proxy, truth: S3Store) -> None:
    truth.put(KEY, three_parts())
    proxy.faults["get"] = chain([Cut(2 * MIB)], repeat(Cut(0)))
    chunks = opened().get(KEY)
    with pytest.raises(StoreUnreachable, match="less than it announced"):
        for _ in chunks:
            pass
    assert 5 < proxy.count("get") < 10


def test_a_download_never_goes_on_in_another_version(opened: Opener, proxy: Proxy, truth: S3Store) -> None:
    truth.put(KEY, three_parts())
    proxy.faults["get"] = iter([Cut(2 * MIB)])
    chunks = opened().get(KEY)
    next(chunks)
    truth.put(KEY, iter([bytes(3 * PART)]))
    with pytest.raises(StoreFailed, match="replaced while it was read"):
        list(chunks)


def test_a_replaced_object_is_found_out_where_the_server_looks_at_no_if_match(
    rclone: s3.Server, use: Callable[[dict[str, str]], None]
) -> None:
    use(rclone.environment)
    rclone.make_bucket(name := f"bucket-{uuid4().hex}")
    truth = S3Store(name, endpoint_url=rclone.endpoint_url, limits=QUICK)
    truth.put(KEY, iter([b"1" * 3 * MIB]))
    with faulty(rclone.endpoint_url) as proxy:
        proxy.faults["get"] = iter([Cut(2 * MIB)])
        chunks = S3Store(name, endpoint_url=proxy.endpoint_url, limits=QUICK).get(KEY)
        next(chunks)
        truth.put(KEY, iter([b"2" * 3 * MIB]))
        with pytest.raises(StoreFailed, match="replaced while it was read"):
            list(chunks)


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


# -- the way there, and the right to go it -----------------------------------------------------------------


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


def test_nobody_listening_is_unreachable(use: Callable[[dict[str, str]], None], moto: s3.Server) -> None:
    use(moto.environment)
    port = ReservedPort()
    store = S3Store("bucket", endpoint_url=f"http://127.0.0.1:{port.number}", limits=QUICK)
    for error in errors(store, StoreUnreachable, moto.secret_key):
        assert str(error) == f"cannot connect to 127.0.0.1:{port.number} (connection refused)"
    port.release()


def test_a_name_that_is_none_is_unreachable(use: Callable[[dict[str, str]], None], moto: s3.Server) -> None:
    use(moto.environment)
    store = S3Store("bucket", endpoint_url="http://no-such-host.invalid", limits=QUICK)
    errors(store, StoreUnreachable)


def test_https_to_a_server_without_it_is_said_to_be_tls(use: Callable[[dict[str, str]], None], moto: s3.Server) -> None:
    use(moto.environment)
    store = S3Store("bucket", endpoint_url=moto.endpoint_url.replace("http:", "https:"), limits=QUICK)
    for error in errors(store, StoreUnreachable):
        assert "TLS with 127.0.0.1" in str(error)


def test_over_tls_everything_works_with_the_certificate_and_nothing_without(
    tmp_path: Path, use: Callable[[dict[str, str]], None]
) -> None:
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
def test_wrong_credentials_are_denied(rclone: s3.Server, use: Callable[[dict[str, str]], None], wrong: str) -> None:
    rclone.make_bucket(name := f"bucket-{uuid4().hex}")
    environment = rclone.environment | {wrong: "WRONGWRONGWRONGWRONG"}
    use(environment)
    store = S3Store(name, endpoint_url=rclone.endpoint_url, limits=QUICK)
    errors(store, StoreDenied, environment["AWS_SECRET_ACCESS_KEY"], environment["AWS_ACCESS_KEY_ID"])


def test_no_credentials_at_all_are_a_matter_of_settings(use: Callable[[dict[str, str]], None], moto: s3.Server) -> None:
    use(s3.NO_AWS)
    store = S3Store("bucket", endpoint_url=moto.endpoint_url, region="us-east-1", limits=QUICK)
    for error in errors(store, StoreUnusable):
        assert "AWS_ACCESS_KEY_ID" in error.hint


def test_half_credentials_and_a_missing_profile_are_too(use: Callable[[dict[str, str]], None], moto: s3.Server) -> None:
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


def test_a_full_disk_under_the_server_leaves_nothing(small_disk: Path, use: Callable[[dict[str, str]], None]) -> None:
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
    moto: s3.Server, proxy: Proxy, use: Callable[[dict[str, str]], None]
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
    bucket: str, moto: s3.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stored(checksums: str) -> dict[str, Any]:
        monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", checksums)
        store = S3Store(bucket, endpoint_url=moto.endpoint_url, part_size=PART)
        store.put(checksums, iter([b"123456789"]))
        found: dict[str, Any] = moto.client.head_object(Bucket=bucket, Key=checksums, ChecksumMode="ENABLED")
        return found

    assert stored("when_supported")["ChecksumCRC32"] == "y/Q5Jg=="  # the check value of CRC-32, 0xcbf43926
    assert "ChecksumCRC32" not in stored("when_required")


def test_lists_longer_than_a_page_are_whole(tmp_path: Path, use: Callable[[dict[str, str]], None]) -> None:
    folder = tmp_path / "bucket" / "main"
    folder.mkdir(parents=True)
    for number in range(2_100):
        (folder / f"{number:04}").touch()
    with s3.rclone(tmp_path) as server:
        use(server.environment)
        store = S3Store("bucket", endpoint_url=server.endpoint_url, limits=QUICK)
        assert [found.key for found in store.list("main/")] == [f"main/{number:04}" for number in range(2_100)]
