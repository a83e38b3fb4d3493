"""The forecast's arithmetic: what the last forks showed, stretched to this one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tasks.guard import Machine, Past, Sheet
from tasks.guard.forecast import forecast

MB = 2**20
GB = 10**9
SHEET = Sheet(
    used=2 * GB, rss=2 * GB, dataset=2 * GB, forks=9, fork_usec=50_000, save=Past(20, 100 * MB),
    writes=1000.0, usual_writes=1000.0,
)  # fmt: skip


def test_the_last_save_is_what_the_next_is_expected_to_be() -> None:
    expected = forecast(SHEET, "save")
    assert (expected.seconds, expected.cow_bytes, expected.fork_usec) == (20.0, 100 * MB, 50_000)


def test_a_rewrite_is_as_long_as_the_last_rewrite_and_copies_as_long() -> None:
    expected = forecast(replace(SHEET, rewrite=Past(40, 10 * MB)), "rewrite")
    assert (expected.seconds, expected.cow_bytes) == (40.0, 200 * MB)


def test_a_save_shorter_than_a_second_is_not_stretched_without_end() -> None:
    assert forecast(replace(SHEET, save=Past(0, 5 * MB)), "save").cow_bytes == 5 * MB


@pytest.mark.parametrize(("now", "factor"), [(1000.0, 1), (500.0, 1), (2000.0, 2), (100_000.0, 3)])
def test_more_writing_than_usual_copies_more_within_bounds(now: float, factor: int) -> None:
    expected = forecast(replace(SHEET, writes=now), "save")
    assert expected.cow_bytes == factor * 100 * MB


def test_a_server_that_never_forked_copies_a_page_for_each_change() -> None:
    new = replace(SHEET, forks=0, fork_usec=0, save=Past())
    expected = forecast(new, "save")
    assert expected.seconds == 20.0  # 2 GB at 100 MB a second
    assert expected.cow_bytes == 1000 * 4096 * 20
    assert expected.fork_usec == 40_000


def test_no_more_is_copied_than_there_is() -> None:
    assert forecast(replace(SHEET, save=Past(1, 3 * GB), writes=1e6), "save").cow_bytes == 2 * GB


def test_one_busy_night_does_not_forbid_the_forks_of_a_calm_day() -> None:
    busy_then = replace(SHEET, save=Past(20, 3 * GB // 2), writes=10.0, usual_writes=10.0)
    assert forecast(busy_then, "save").cow_bytes == 10 * 4 * 4096 * 20 + 0.02 * 2 * GB + 2 * MB


def test_with_huge_pages_a_change_may_copy_five_hundred_times_as_much() -> None:
    machine = Machine(available=GB, total=4 * GB, huge_pages=True)
    expected = forecast(replace(SHEET, save=Past(20, GB), writes=10.0, usual_writes=10.0, machine=machine), "save")
    assert expected.cow_bytes == GB


def test_a_single_file_aof_buffers_what_is_written_meanwhile() -> None:
    plain = forecast(replace(SHEET, input=1e6), "rewrite").cow_bytes
    assert forecast(replace(SHEET, input=1e6, multi_part=False), "rewrite").cow_bytes == plain + 20_000_000
    assert forecast(replace(SHEET, input=1e6, multi_part=False), "save").cow_bytes == plain


def test_a_server_that_has_grown_since_is_expected_to_fork_slower() -> None:
    assert forecast(replace(SHEET, fork_usec=500), "save").fork_usec == 20_000


def test_a_fork_that_a_neighbour_made_slow_is_not_believed() -> None:
    small = replace(SHEET, rss=GB // 10, fork_usec=900_000)
    assert forecast(small, "save").fork_usec == 25_000


def test_the_disk_holds_the_new_file_and_with_save_points_the_next_one_too() -> None:
    assert forecast(SHEET, "save").data_bytes == 2 * GB
    assert forecast(replace(SHEET, save_points=True), "save").data_bytes == 4 * GB
    assert forecast(replace(SHEET, save_points=True, dump_bytes=GB // 2), "save").data_bytes == 2 * GB + GB * 3 // 4
    assert forecast(SHEET, "sync").data_bytes == 0
    assert forecast(replace(SHEET, snapshot_on_disk=True), "sync").data_bytes == 2 * GB


def test_a_rewrite_holds_the_new_base_and_what_is_written_meanwhile() -> None:
    expected = forecast(replace(SHEET, input=1e6), "rewrite")
    assert (expected.data_bytes, expected.aof_bytes) == (0, 2 * GB + 20_000_000)
    assert forecast(replace(SHEET, aof_bytes=GB), "rewrite").aof_bytes == GB
    assert forecast(replace(SHEET, aof_bytes=9 * GB), "rewrite").aof_bytes == 2 * GB
