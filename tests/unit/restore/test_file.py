"""Into a file that is there whole or not at all, and into a stream that says when nobody reads it."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tasks.errors import AgeCorrupt, FileExists, FileUnwritable
from tasks.restore import to_file, to_stream

BYTES = os.urandom(300_000)


# -- to a file ---------------------------------------------------------------------------------------------------------


def test_the_file_is_the_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        assert to_file(iter([b"ab", b"", b"c"]), tmp_path / "dump.rdb") == 3
    finally:
        os.umask(before)
    assert (tmp_path / "dump.rdb").read_bytes() == b"abc"
    assert (tmp_path / "dump.rdb").stat().st_mode & 0o777 == 0o600


def failing() -> Iterator[bytes]:
    yield b"half"
    raise AgeCorrupt("the rest is not there")


def interrupted() -> Iterator[bytes]:
    yield b"half"
    raise KeyboardInterrupt


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(("chunks", "error"), [(failing, AgeCorrupt), (interrupted, KeyboardInterrupt)])
def test_what_ends_in_the_middle_leaves_the_folder_as_it_was(
    tmp_path: Path, chunks: Callable[[], Iterator[bytes]], error: type[BaseException], force: bool
) -> None:
    if force:
        (tmp_path / "dump.rdb").write_bytes(b"before")
    with pytest.raises(error):
        to_file(chunks(), tmp_path / "dump.rdb", force=force)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"before"] * force


def test_a_file_that_is_there_is_kept_and_nothing_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "dump.rdb").write_bytes(b"before")
    chunks = iter([b"never"])
    with pytest.raises(FileExists):
        to_file(chunks, tmp_path / "dump.rdb")
    assert next(chunks) == b"never"
    assert (tmp_path / "dump.rdb").read_bytes() == b"before"


def test_a_file_that_came_meanwhile_is_kept(tmp_path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"ours"
        (tmp_path / "dump.rdb").write_bytes(b"somebody else's")

    with pytest.raises(FileExists):
        to_file(chunks(), tmp_path / "dump.rdb")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"somebody else's"]


def test_with_force_the_file_is_replaced_at_once(tmp_path: Path) -> None:
    (tmp_path / "dump.rdb").write_bytes(b"before")
    with (tmp_path / "dump.rdb").open("rb") as reader:
        to_file(iter([b"after"]), tmp_path / "dump.rdb", force=True)
        assert reader.read() == b"before", "who reads the old one goes on reading it"
    assert (tmp_path / "dump.rdb").read_bytes() == b"after"


@pytest.mark.parametrize("path", ["no/such/dump.rdb", "file/dump.rdb", "n" * 300])
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileUnwritable):
        to_file(iter([b"x"]), tmp_path / path)
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_folder_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "dump.rdb").mkdir()
    for force, error in ((False, FileExists), (True, FileUnwritable)):
        with pytest.raises(error):
            to_file(iter([b"x"]), tmp_path / "dump.rdb", force=force)
    assert [each.name for each in tmp_path.iterdir()] == ["dump.rdb"]


# -- to a stream -------------------------------------------------------------------------------------------------------


def test_a_stream_gets_the_bytes_as_they_come() -> None:
    file = io.BytesIO()
    assert to_stream(iter([b"ab", b"c"]), file) == 3
    assert file.getvalue() == b"abc"


def test_a_reader_that_has_gone_is_told_as_such() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as file:
        with pytest.raises(FileUnwritable, match="whoever reads") as caught:
            to_stream(iter([b"x" * 100]), file)
        assert "not whole" in caught.value.hint
        with pytest.raises(BrokenPipeError):
            file.close()


def test_a_slow_reader_gets_everything() -> None:
    reader, writer = os.pipe()
    got: list[bytes] = []

    def read() -> None:
        while piece := os.read(reader, 1000):
            got.append(piece)

    thread = threading.Thread(target=read)
    thread.start()
    with os.fdopen(writer, "wb") as file:
        to_stream(iter([BYTES]), file)
    thread.join()
    os.close(reader)
    assert b"".join(got) == BYTES


def test_a_full_disk_is_told_as_such() -> None:
    with Path("/dev/full").open("wb") as file:
        with pytest.raises(FileUnwritable, match="no space left"):
            to_stream(iter([b"x" * 100]), file)
        with pytest.raises(OSError, match="No space"):
            file.close()
