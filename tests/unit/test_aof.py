"""The AOF's files: what a server would start from, and what rewrites have left."""

from __future__ import annotations

from pathlib import Path

import pytest
from rig.redis_servers import RedisServer

from tasks.aof import Aof, Base, aof_of
from tasks.server import Server


def aof(folder: Path, *, multi_part: bool = True, manifest: str = "") -> Aof:
    below = folder / "appendonlydir" if multi_part else folder
    below.mkdir(exist_ok=True)
    if manifest:
        (below / "appendonly.aof.manifest").write_text(manifest)
    return Aof(folder, below, "appendonly.aof", multi_part)


def test_the_base_is_the_one_that_the_manifest_names(tmp_path: Path) -> None:
    found = aof(tmp_path, manifest="file a.2.base.rdb seq 2 type b\nfile a.7.incr.aof seq 7 type i startoffset 0\n")
    (found.folder / "a.2.base.rdb").write_bytes(b"REDIS")
    base = found.base()
    assert base is not None
    assert (base.name, base.seq, base.bytes) == ("a.2.base.rdb", 2, 5)


@pytest.mark.parametrize(
    "manifest",
    ["", "file a.1.incr.aof seq 1 type i\n", "file gone.1.base.rdb seq 1 type b\n", "# nothing\n"],
    ids=["no manifest", "no base yet", "the base is gone", "only a comment"],
)
def test_where_there_is_no_base_there_is_none(tmp_path: Path, manifest: str) -> None:
    assert aof(tmp_path, manifest=manifest).base() is None


def test_a_name_in_quotes_is_a_name(tmp_path: Path) -> None:
    found = aof(tmp_path, manifest='file "my site.aof.1.base.rdb" seq 1 type b\n')
    (found.folder / "my site.aof.1.base.rdb").write_bytes(b"x")
    assert found.base() is not None


def test_an_aof_of_one_file_is_its_own_base(tmp_path: Path) -> None:
    found = aof(tmp_path, multi_part=False)
    assert found.base() is None
    (tmp_path / "appendonly.aof").write_bytes(b"REDIS")
    base = found.base()
    assert base is not None
    assert (base.name, base.seq) == ("appendonly.aof", 0)


@pytest.mark.parametrize(
    ("before", "after", "replaced"),
    [
        (Base("a", 1, 10, 5), Base("b", 2, 11, 5), True),
        (Base("a", 1, 10, 5), Base("a", 1, 10, 9), False),
        (Base("a", 2, 10, 5), Base("a", 1, 12, 5), False),
        (Base("a", 0, 10, 5), Base("a", 0, 11, 5), True),
        (Base("a", 0, 10, 5), Base("a", 0, 10, 9), False),
        (Base("a", 1, 10, 5), Base("b", 2, 11, 0), False),
        (None, Base("a", 1, 10, 5), True),
        (None, Base("a", 1, 10, 0), False),
    ],
)
def test_a_base_is_new_by_its_number_or_where_it_has_none_by_its_inode(
    before: Base | None, after: Base, replaced: bool
) -> None:
    assert after.replaces(before) is replaced


def test_the_temp_files_of_rewrites_are_told_from_those_of_saves(tmp_path: Path) -> None:
    for name in ("temp-rewriteaof-bg-12.aof", "temp-rewriteaof-13.aof", "temp-12.rdb", "temp-appendonly.aof.incr"):
        (tmp_path / name).write_bytes(b"xx")
    assert aof(tmp_path).temps() == {"temp-rewriteaof-13.aof": 2, "temp-rewriteaof-bg-12.aof": 2}


def test_the_files_of_a_real_server_are_found_by_its_own_names(redis_flavour: str) -> None:
    with RedisServer(redis_flavour, appendonly="yes", appendfilename="site.aof") as server, Server(server.url) as ours:
        found = aof_of(ours, server.dir)
        assert found is not None
        assert found.multi_part is (redis_flavour != "redis6")
        assert found.filename == "site.aof"
        assert aof_of(ours, server.dir / "nowhere") is None
