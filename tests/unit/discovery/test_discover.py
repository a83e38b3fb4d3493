"""A Redis is found by what the kernel tells of this machine; nothing but loopback and sockets is spoken to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from rig.keep import eventually
from rig.redis_servers import RedisServer

from tasks.discovery import Found, discover, look
from tasks.discovery.listening import ports, sockets, titled

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


class Machine:
    """A /proc that tells what a test wants."""

    def __init__(self, folder: Path) -> None:
        self.proc = folder
        (folder / "net").mkdir()
        for name in ("tcp", "tcp6", "unix"):
            (folder / "net" / name).write_text(HEAD)

    def listens(self, address: str, port: int, state: str = "0A") -> None:
        """As the kernel prints it: `address` in its hex words."""
        table = self.proc / "net" / ("tcp" if len(address) == 8 else "tcp6")
        with table.open("a") as file:
            file.write(f"   0: {address}:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 0\n")

    def has_socket(self, path: object, flags: str = "00010000") -> None:
        with (self.proc / "net" / "unix").open("a") as file:
            file.write(f"0000000000000000: 00000002 00000000 {flags} 0001 01 1234 {path}\n")

    def runs(self, pid: int, title: str) -> None:
        (self.proc / str(pid)).mkdir()
        (self.proc / str(pid) / "cmdline").write_text(title + "\0" * 20)

    def runs_server(self, server: RedisServer) -> None:
        self.listens("0100007F", server.port)
        self.runs(server.port, f"{server.binary} 127.0.0.1:{server.port}")

    def discover(self) -> list[Found]:
        return discover(self.proc, places=())


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


# -- what listens ------------------------------------------------------------------------------------------------------


def test_only_ports_that_loopback_reaches_are_looked_at(machine: Machine) -> None:
    machine.listens("0100007F", 6379)
    machine.listens("00000000", 6380)
    machine.listens("0500000A", 6381)
    machine.listens("0100007F", 6382, state="01")
    machine.listens("00000000000000000000000001000000", 6383)
    machine.listens("0000000000000000FFFF00000500000A", 6384)
    assert ports(machine.proc) == {6379: "127.0.0.1", 6380: "127.0.0.1", 6383: "[::1]"}


def test_a_server_names_its_port_in_its_title(machine: Machine) -> None:
    machine.runs(1, "/usr/bin/redis-server *:6390")
    machine.runs(2, "valkey-server 127.0.0.1:6391 [cluster]")
    machine.runs(3, "redis-server unixsocket:/run/redis.sock")
    machine.runs(4, "python manage.py runserver 127.0.0.1:8000")
    machine.runs(5, "")
    assert titled(machine.proc) == {6390, 6391}


def test_only_sockets_that_listen_and_are_called_so_are_looked_at(machine: Machine) -> None:
    machine.has_socket("/run/redis/redis-server.sock")
    machine.has_socket("/run/valkey socket")
    machine.has_socket("/run/redis-client.sock", flags="00000000")
    machine.has_socket("/run/postgresql/.s.PGSQL.5432")
    machine.has_socket("@redis-abstract")
    assert sockets(machine.proc) == ["/run/redis/redis-server.sock", "/run/valkey socket"]


def test_a_machine_without_any_of_it_has_none(tmp_path: Path) -> None:
    assert discover(tmp_path / "nowhere", places=()) == []


# -- who answers -------------------------------------------------------------------------------------------------------


def test_every_kind_of_server_is_found_with_what_it_tells(machine: Machine, redis_server: RedisServer) -> None:
    redis_server.client().set("a", 1)
    machine.runs_server(redis_server)
    (found,) = machine.discover()
    assert found.url == f"redis://127.0.0.1:{redis_server.port}"
    assert found.name == ("valkey" if redis_server.flavour == "valkey9" else "redis")
    assert (found.keys, found.primary, found.locked, found.data_dir) == (1, True, False, str(redis_server.dir))


def test_one_with_a_password_is_found_and_told_so(machine: Machine) -> None:
    with RedisServer("redis7", password="secret") as server:
        machine.runs_server(server)
        (found,) = machine.discover()
    assert found == Found(f"redis://127.0.0.1:{server.port}", locked=True)
    assert str(found) == f"a Redis with a password at redis://127.0.0.1:{server.port}"


def test_a_server_that_answers_at_a_port_and_a_socket_is_one(machine: Machine) -> None:
    with RedisServer("redis7", unix_socket=True) as server:
        machine.has_socket(server.socket_path)
        machine.runs_server(server)
        assert [each.url for each in machine.discover()] == [f"redis://127.0.0.1:{server.port}"]


def test_one_that_only_has_a_socket_is_found_there(machine: Machine) -> None:
    with RedisServer("redis7", unix_socket=True) as server:
        machine.has_socket(server.socket_path)
        assert [each.url for each in machine.discover()] == [f"unix://{server.socket_path}"]


def test_the_one_most_worth_keeping_comes_first(machine: Machine, any_redis: RedisServer) -> None:
    """An open primary with keys; then an empty one, a replica, one with a password."""
    with (
        RedisServer("redis7") as empty,
        RedisServer("redis7") as replica,
        RedisServer("redis7", password="x") as locked,
    ):
        any_redis.client().set("a", 1)
        replica.client().replicaof("127.0.0.1", str(any_redis.port))
        eventually(lambda: replica.client().info("replication")["master_link_status"] == "up")
        for server in (locked, replica, empty, any_redis):
            machine.runs_server(server)
        assert [each.url for each in machine.discover()] == [
            f"redis://127.0.0.1:{each.port}" for each in (any_redis, empty, replica, locked)
        ]


@pytest.fixture(params=[b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"$5\r\nhello\r\n"], ids=["mute", "http", "bulk"])
def stranger(request: pytest.FixtureRequest) -> Iterator[int]:
    """Something else on a port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            try:
                while True:
                    with listening.accept()[0] as connection:
                        connection.recv(1000)
                        connection.sendall(request.param)
            except OSError:
                return

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


def test_what_is_no_redis_is_left_out(machine: Machine, stranger: int) -> None:
    machine.listens("0100007F", stranger)
    machine.runs(1, f"redis-server *:{stranger}")
    assert machine.discover() == []


def test_one_that_says_no_dir_has_none(any_redis: RedisServer) -> None:
    any_redis.client().execute_command("ACL", "SETUSER", "watcher", "on", ">secret", "-@all", "+info")
    found = look(f"redis://watcher:secret@127.0.0.1:{any_redis.port}")
    assert found is not None
    assert (found.locked, found.data_dir) == (False, "")
