"""The archive's framing: what is written is read back, whatever the chunks; and hostile bytes are refused by name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.archive.format import LONGEST_KEY, LONGEST_PAYLOAD, Record, framed, records
from tasks.errors import ArchiveInvalid

RECORDS = st.lists(
    st.builds(
        Record,
        database=st.integers(0, 2**31),
        key=st.binary(max_size=50),
        payload=st.binary(min_size=10, max_size=200),
        expires=st.none() | st.integers(0, 2**63 - 1),
        type=st.text(max_size=20),
        rule=st.text(max_size=256),
    ),
    max_size=8,
)
HEAD = b'{"format":"redkeep-tidied","version":1}\n'
END = b'{"end":true,"records":0}\n'


def chunked(body: bytes, step: int) -> Iterator[bytes]:
    return (body[at : at + step] for at in range(0, len(body), step))


def written(wanted: list[Record]) -> bytes:
    return b"".join(framed(wanted))


@given(RECORDS, st.integers(1, 5000))
def test_what_is_written_is_read_back_in_chunks_of_any_length(wanted: list[Record], step: int) -> None:
    assert list(records(chunked(written(wanted), step))) == wanted


@given(RECORDS, st.data())
def test_an_archive_that_is_cut_anywhere_is_refused(wanted: list[Record], data: st.DataObject) -> None:
    body = written(wanted)
    cut = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(ArchiveInvalid):
        list(records(iter([body[:cut]])))


@given(RECORDS, st.binary(min_size=1))
def test_bytes_behind_the_end_are_refused(wanted: list[Record], more: bytes) -> None:
    with pytest.raises(ArchiveInvalid):
        list(records(iter([written(wanted), more])))


@given(st.binary(max_size=300), st.booleans())
@example(b"[" * 299 + b"\n", True)
@example(b'{"db":0,"expires":null,"key":1e3,"payload":0,"rule":"","type":""}\n', True)
@example(b'{"db":0,"expires":null,"key":true,"payload":0,"rule":"","type":""}\n', True)
@example(b'{"db":-1,"expires":null,"key":0,"payload":0,"rule":"","type":""}\n\n' + END, True)
@example(b'{"db":0,"expires":null,"key":0,"payload":0,"rule":"","type":"","x":1}\n\n' + END, True)
@example(b'{"db":0,"key":0,"payload":0,"rule":"","type":"","x":1}\n\n' + END, True)
@example(b'{"end":true,"records":7}\n', True)
@example(b'{"end":true}\n', True)
@example(b'{"db":' + b"9" * 5000 + b"}\n", True)
def test_bytes_that_somebody_made_up_are_refused_by_name(made_up: bytes, begins_well: bool) -> None:
    with pytest.raises(ArchiveInvalid):
        list(records(iter([(HEAD if begins_well else b"") + made_up])))


@pytest.mark.parametrize(("field", "most"), [("key", LONGEST_KEY), ("payload", LONGEST_PAYLOAD)])
def test_a_length_beyond_the_bound_is_refused_before_anything_is_read(field: str, most: int) -> None:
    lengths = {"key": 0, "payload": 0} | {field: most + 1}
    line = b'{"db":0,"expires":null,"key":%d,"payload":%d,"rule":"","type":""}\n' % (lengths["key"], lengths["payload"])

    def endless() -> Iterator[bytes]:
        yield HEAD + line
        raise AssertionError("it went on reading")

    with pytest.raises(ArchiveInvalid):
        list(records(endless()))


def test_a_line_without_an_end_is_not_read_for_ever() -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(10):
            yield b" " * 1000
        raise AssertionError("it went on reading")

    with pytest.raises(ArchiveInvalid):
        list(records(endless()))


def test_the_longest_names_fit_into_a_line() -> None:
    record = Record(2**31, b"k", b"p" * 10, 2**63 - 1, "t" * 300, "\U0001f600" * 300)
    (found,) = records(iter([written([record])]))
    assert (found.type, found.rule) == ("t" * 256, "\U0001f600" * 256)


def test_the_source_is_closed_however_it_ends() -> None:
    closed = []

    def source(body: bytes) -> Iterator[bytes]:
        try:
            yield body
        finally:
            closed.append(body)

    list(records(source(HEAD + END)))
    with pytest.raises(ArchiveInvalid):
        list(records(source(b"x")))
    assert len(closed) == 2


def test_a_payload_tells_its_rdb_version() -> None:
    assert Record(0, b"", bytes([0, 1, 2, 11, 0]) + bytes(8), None, "", "").version == 11
