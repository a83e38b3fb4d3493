"""docs/recovery.md, walked word for word: its commands are read from it, and only its stand-ins are replaced."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from rig.commands import REDKEEP, ROOT, Running, environment
from rig.keep import Keep, eventually
from rig.ports import ReservedPort
from rig.redis_servers import RedisServer, binary, why_missing
from rig.restores import Shelf, every_type, started_in

RECOVERY = (ROOT / "docs" / "recovery.md").read_text()
NAME = "20261123T110700Z"
AWS = """#!/bin/sh
# `aws s3` for what the document asks of it, over a folder
set -e
from=$(echo "$3" | sed "s|^s3://site-backups/redis|$STORE|")
case "$2 $4" in
  "ls ") ls "$from" ;;
  "cp -") cat "$from" ;;
  "cp .") cp "$from" . ;;
  *) exit 2 ;;
esac
"""


def commands(section: str) -> list[list[str]]:
    """The commands of each console block of a section."""
    text = RECOVERY.split(f"## {section}\n")[1].split("\n## ")[0]
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [re.findall(r"^\$ (.*)$", block, re.MULTILINE) for block in blocks]


@pytest.fixture(scope="module")
def shipped(control: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """A backup of a server with AOF; the server itself is gone."""
    if binary("redis7") is None:
        pytest.skip(why_missing("redis7"))
    with RedisServer("redis7", appendonly="yes") as server:
        every_type(server, keys=20)
        keep = Keep(tmp_path_factory.mktemp("keep"), server.url, control.url, data_dir=server.dir)
        return Shelf.of(keep, server)


class Desk:
    """A terminal on a new host: a folder with the identity in it, and the programs that the document names."""

    def __init__(self, folder: Path, shelf: Shelf) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.data.mkdir()
        shutil.copy(shelf.keep.folder / "identity0.txt", folder / "identity.txt")
        programs = folder / "bin"
        programs.mkdir()
        (programs / "redis-server").symlink_to(binary("redis7"))
        (programs / "redkeep").symlink_to(REDKEEP)
        (programs / "aws").write_text(AWS)
        (programs / "aws").chmod(0o755)
        assert shelf.keep.store_folder is not None
        self.store = shelf.keep.store_folder
        self.env = environment(PATH=f"{programs}:{os.environ['PATH']}", STORE=str(self.store))
        self.stand_ins = {
            "/var/lib/redis": str(self.data),
            "redis: ": f"{os.getuid()}:{os.getgid()} ",  # the server's user
            f"{NAME}-1a2b3c4d.rdb.zst.age": Path(shelf.manifest.object.key).name,
            NAME: shelf.manifest.id,
        }

    def line(self, written: str) -> str:
        if written.startswith("redkeep"):
            written = written.replace("s3://site-backups/redis", self.store.as_uri())
        for stand_in, real in self.stand_ins.items():
            written = written.replace(stand_in, real)
        return written

    def type(self, written: str) -> str:
        done = subprocess.run(
            ["sh", "-c", self.line(written)], cwd=self.folder, env=self.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{written}\n{done.stdout}{done.stderr}"
        return done.stdout

    @contextmanager
    def left_running(self, written: str) -> Iterator[redis.Redis]:
        port = ReservedPort()
        command = f"exec {self.line(written)} --port {port.number} --enable-debug-command yes"
        with Running(program=["sh", "-c", command], cwd=self.folder, **self.env):
            client = redis.Redis(port=port.number)
            eventually(lambda: answers(client))
            yield client
            client.close()
        port.release()


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def digest(client: redis.Redis) -> str:
    return bytes(client.execute_command("DEBUG", "DIGEST")).decode()


@pytest.fixture
def desk(tmp_path: Path, shipped: Shelf) -> Desk:
    return Desk(tmp_path, shipped)


def test_onto_a_new_host_with_nothing_but_the_address_and_the_identity(desk: Desk, shipped: Shelf) -> None:
    ((listing, restoring, owning, starting),) = commands("With redkeep, onto a new host")
    assert shipped.manifest.id in desk.type(listing)
    desk.type(restoring)
    desk.type(owning)
    for _ in range(2):  # and again after a kill
        with desk.left_running(starting) as client:
            assert digest(client) == shipped.digest


def test_into_a_running_server(desk: Desk, shipped: Shelf) -> None:
    ((restoring, looking),) = commands("With redkeep, into a running server")
    with RedisServer("redis7", appendonly="yes") as server:
        server.client().set("old", 1)
        desk.stand_ins["6379"] = str(server.port)
        desk.type(restoring)
        assert shutil.which("redis-cli") is None or "keys=121" in desk.type(looking)
        server.kill()
        server.restart()
        assert server.digest() == shipped.digest


def test_with_stock_tools_only(desk: Desk, shipped: Shelf) -> None:
    if not (shutil.which("age") and shutil.which("zstd")):
        pytest.skip("no age or no zstd on PATH")
    (listing, showing, fetching, opening, summing), (*placing, starting) = commands("With stock tools only")
    assert f"{shipped.manifest.id}.json" in desk.type(listing)
    told = desk.type(showing)
    assert Path(shipped.manifest.object.key).name in told
    desk.type(fetching)
    desk.type(opening)
    assert desk.type(summing).split()[0] in told
    for command in placing:
        desk.type(command)
    for _ in range(2):
        with desk.left_running(starting) as client:
            assert digest(client) == shipped.digest


@pytest.mark.parametrize(("flavour", "appendonly"), [("redis6", "yes"), ("redis6", "no"), ("redis7", "no")])
def test_the_other_places_are_right_as_well(
    flavour: str, appendonly: str, tmp_path: Path, keep: object, control: RedisServer
) -> None:
    if binary(flavour) is None:
        pytest.skip(why_missing(flavour))
    name = {"yes": "appendonly.aof", "no": "dump.rdb"}[appendonly]
    assert f"`cp dump.rdb /var/lib/redis/{name}`" in RECOVERY
    with RedisServer(flavour) as origin:
        every_type(origin, keys=20)
        origin.client().save()
        told = origin.digest()
        (tmp_path / "data").mkdir()
        shutil.copy(origin.dir / "dump.rdb", tmp_path / "data" / name)
    with started_in(tmp_path / "data", flavour, appendonly=appendonly) as server:
        assert server.digest() == told


def test_a_server_with_aof_that_is_started_on_a_dump_is_empty_as_the_document_warns(redis_flavour: str) -> None:
    assert "does not look at `dump.rdb`" in RECOVERY
    with RedisServer(redis_flavour) as origin:
        origin.client().set("a", 1)
        origin.client().save()
        with RedisServer(redis_flavour, appendonly="yes", rdb=origin.dir / "dump.rdb") as server:
            assert server.counts() == {}
