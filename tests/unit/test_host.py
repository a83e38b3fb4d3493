"""The machine as its kernel's files tell it: this one, and such as are written down here."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from rig.redis_servers import RedisServer

from tasks.guard import Machine
from tasks.host import Host, disk_at

GB = 2**30
MEMINFO = "MemTotal: 4194304 kB\nMemAvailable: 2097152 kB\nCommitLimit: 3145728 kB\nCommitted_AS: 1048576 kB\n"
STATUS = "Name:\tredis-server\nVmData:\t 1048576 kB\nVmSwap:\t 2048 kB\nNSpid:\t{numbers}\nTHP_enabled:\t{thp}\n"
UNLIMITED = 2**63 - 4096

Made = Callable[..., Host]


@pytest.fixture
def host(tmp_path: Path) -> Made:
    """``host({"proc/meminfo": ...})`` is a machine with these files on top of a plain one."""

    def made(files: dict[str, object] | None = None) -> Host:
        plain = {"proc/meminfo": MEMINFO, "proc/uptime": "10000.00 1.0", "proc/sys/vm/overcommit_memory": "1"}
        for name, text in (plain | (files or {})).items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(str(text))
        return Host(tmp_path / "proc", tmp_path / "sys")

    return made


def server(pid: int, *, inside: str = "", age: float = 100.0, comm: str = "redis-server", cgroup: str = "0::/",
           thp: int = 1) -> dict[str, object]:  # fmt: skip
    """The files of a process that is so many seconds old, and has another number inside its container."""
    ticks = int((10_000 - age) * os.sysconf("SC_CLK_TCK"))
    folder = f"proc/{pid}"
    return {
        f"{folder}/comm": comm,
        f"{folder}/stat": f"{pid} ({comm}) S " + "0 " * 18 + f"{ticks} 0 0",
        f"{folder}/status": STATUS.format(numbers=f"{pid} {inside}".strip(), thp=thp),
        f"{folder}/cgroup": cgroup,
    }


def machine(host: Host, pid: int = 7) -> Machine:
    process = host.process_of(pid, 100.0)
    assert process is not None
    return host.machine(process, rss=1)


# -- which process it is -----------------------------------------------------------------------------------------------


def test_the_process_is_the_one_of_that_number_name_and_age(host: Made) -> None:
    found = host(server(7) | server(8)).process_of(7, 101.5)
    assert found is not None
    assert found.path.name == "7"


@pytest.mark.parametrize("files", [server(7, comm="systemd"), server(7, age=5000.0), server(8)])
def test_another_process_is_not_taken_for_it(host: Made, files: dict[str, object]) -> None:
    assert host(files).process_of(7, 100.0) is None


def test_a_process_in_a_container_is_found_by_the_number_it_has_there(host: Made) -> None:
    files = server(1, comm="systemd", age=10_000.0) | server(4711, inside="1") | server(4712, inside="2")
    found = host(files).process_of(1, 100.0)
    assert found is not None
    assert found.path.name == "4711"


def test_of_two_that_would_fit_none_is_taken(host: Made) -> None:
    files = server(1, comm="systemd", age=10_000.0) | server(4711, inside="1") | server(4712, inside="1")
    assert host(files).process_of(1, 100.0) is None


def test_a_real_server_is_found_among_the_processes_of_this_machine(redis_server: RedisServer) -> None:
    info = redis_server.client().info("everything")
    here = Host()
    assert here.is_that_of(info["os"], info["total_system_memory"])
    assert not here.is_that_of(info["os"], info["total_system_memory"] + 4096)
    assert not here.is_that_of("Linux 2.6.0 x86_64", info["total_system_memory"])
    process = here.process_of(info["process_id"], info["uptime_in_seconds"])
    assert process is not None
    assert process.path.name == str(redis_server.process.pid)
    assert process.bytes_of("VmData") > 2**20


# -- memory ------------------------------------------------------------------------------------------------------------


def test_memory_swap_and_what_a_fork_promises_are_read(host: Made) -> None:
    files = server(7) | {"proc/pressure/memory": "some avg10=12.50 avg60=1.00 avg300=0.10 total=5\nfull avg10=9.0"}
    found = machine(host(files))
    assert (found.available, found.total) == (2 * GB, 4 * GB)
    assert (found.swapped, found.to_commit, found.stalled) == (2 * 2**20, GB, 12.5)
    assert (found.limit, found.headroom, found.committable) == (None, None, None)


def test_what_may_still_be_promised_counts_under_overcommit_2_alone(host: Made) -> None:
    assert machine(host(server(7) | {"proc/sys/vm/overcommit_memory": "2"})).committable == 2 * GB


def test_without_its_process_only_the_machine_is_known(host: Made) -> None:
    found = host().machine(None, rss=123)
    assert (found.available, found.swapped, found.to_commit, found.limit) == (2 * GB, 0, 123, None)


@pytest.mark.parametrize(("mode", "opted_out", "forced"), [
    ("[always] madvise never", False, True),
    ("[always] madvise never", True, False),
    ("always [madvise] never", False, False),
])  # fmt: skip
def test_huge_pages_are_forced_where_always_and_not_opted_out(
    host: Made, mode: str, opted_out: bool, forced: bool
) -> None:
    files = server(7, thp=0 if opted_out else 1) | {"sys/kernel/mm/transparent_hugepage/enabled": mode}
    assert machine(host(files)).huge_pages is forced


# -- cgroups -----------------------------------------------------------------------------------------------------------


def v2(folder: str, limit: object, used: int, *, high: object = "max", cache: int = 0) -> dict[str, object]:
    top = f"sys/fs/cgroup/{folder}".rstrip("/")
    stat = f"anon 1\ninactive_file {cache}\nactive_file {cache}\nslab_reclaimable 0\n"
    return {f"{top}/memory.max": limit, f"{top}/memory.high": high, f"{top}/memory.current": used,
            f"{top}/memory.stat": stat}  # fmt: skip


def v1(folder: str, limit: int, used: int, *, cache: int = 0) -> dict[str, object]:
    top = f"sys/fs/cgroup/memory/{folder}".rstrip("/")
    stat = f"cache 1\ntotal_inactive_file {cache}\ntotal_active_file 0\n"
    return {f"{top}/memory.limit_in_bytes": limit, f"{top}/memory.usage_in_bytes": used, f"{top}/memory.stat": stat}


def test_a_limit_of_cgroup_v2_counts_cache_as_left(host: Made) -> None:
    files = server(7, cgroup="0::/redis.service") | v2("redis.service", 2 * GB, GB, cache=GB // 4)
    found = machine(host(files))
    assert (found.limit, found.headroom) == (2 * GB, GB + GB // 2)


def test_the_tightest_of_the_cgroups_above_counts(host: Made) -> None:
    files = server(7, cgroup="0::/site/redis") | v2("site/redis", 3 * GB, GB) | v2("site", 2 * GB, GB + GB // 2)
    found = machine(host(files))
    assert (found.limit, found.headroom) == (2 * GB, GB // 2)


def test_memory_high_is_a_limit_too(host: Made) -> None:
    found = machine(host(server(7, cgroup="0::/r") | v2("r", "max", GB, high=2 * GB)))
    assert (found.limit, found.headroom) == (2 * GB, GB)


@pytest.mark.parametrize("limit", ["max", 8 * GB])
def test_a_limit_above_the_machine_is_none(host: Made, limit: object) -> None:
    assert machine(host(server(7, cgroup="0::/r") | v2("r", limit, GB))).limit is None


def test_a_limit_of_cgroup_v1_counts_cache_as_left(host: Made) -> None:
    cgroup = "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n0::/"
    files = server(7, cgroup=cgroup) | v1("docker/abc", 2 * GB, GB, cache=GB // 4) | v1("", UNLIMITED, 3 * GB)
    found = machine(host(files))
    assert (found.limit, found.headroom) == (2 * GB, GB + GB // 4)


def test_in_a_container_its_own_cgroup_is_the_top(host: Made) -> None:
    files = server(7, cgroup="4:memory:/docker/abc\n0::/") | v1("", GB, GB // 2)
    assert machine(host(files)).limit == GB


def test_a_cgroup_outside_of_our_own_cannot_be_seen(host: Made) -> None:
    files = server(7, cgroup="0::/../neighbour") | v2("", GB, GB // 2)
    assert machine(host(files)).limit is None


def test_the_swap_traffic_is_counted_in_bytes(host: Made) -> None:
    assert host({"proc/vmstat": "pgfault 9\npswpin 3\npswpout 4\n"}).swapped_bytes() == 7 * os.sysconf("SC_PAGE_SIZE")


def test_a_machine_that_tells_nothing_is_no_error(tmp_path: Path) -> None:
    nothing = Host(tmp_path / "proc", tmp_path / "sys")
    assert nothing.machine(None, rss=1) == Machine(available=0, total=0, overcommit=0, to_commit=1)
    assert (nothing.swapped_bytes(), nothing.process_of(1, 1.0)) == (0, None)


# -- disks -------------------------------------------------------------------------------------------------------------


def test_a_disk_is_that_of_its_path_and_none_where_there_is_none(tmp_path: Path) -> None:
    found = disk_at(tmp_path)
    assert found is not None
    assert found.path == str(tmp_path.resolve())
    assert 0 < found.free <= found.total
    assert disk_at(tmp_path / "nowhere") is None


def test_this_machine_can_be_read() -> None:
    found = Host().machine(None, rss=1)
    assert 0 < found.available <= found.total
