"""What may go wrong while an S3 server writes and reads; the rest of the way is real."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from uuid import uuid4

import pytest
from rig import s3
from rig.faulty_s3 import LOST, RESET, Answer, Cut, Fault, Proxy, Slow, faulty
from rig.streams import KEY, MIB, PART, QUICK, TWICE, three_parts

from tasks.errors import (
    LeaseLost,
    ObjectExists,
    ObjectMissing,
    RedkeepError,
    StoreDenied,
    StoreFailed,
    StoreFull,
    StoreUnreachable,
)
from tasks.store.client import Limits
from tasks.store.s3 import S3Store

Use = Callable[[dict[str, str]], None]
Opener = Callable[..., S3Store]
DENIED = Answer(403, "AccessDenied")


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


@pytest.mark.parametrize("older", [None, b"of another length"])
def test_an_upload_that_is_gone_at_completion_is_missing(
    opened: Opener, proxy: Proxy, truth: S3Store, older: bytes | None
) -> None:
    if older is not None:
        truth.put(KEY, iter([older]))
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
    etags = {headers["if-match"] for headers in proxy.headers["get"][2:]}
    assert len(etags) == 1
    assert etags != {None}


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


def test_a_replaced_object_is_found_out_where_the_server_looks_at_no_if_match(rclone: s3.Server, use: Use) -> None:
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
