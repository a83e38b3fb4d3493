"""The servers that the other tests stand on come up, go down, come back, and leave nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis
from rig.ports import ReservedPort
from rig.redis_servers import RedisServer, ServerDied, load

from tasks.demo.lifelike import fill


def is_free(port: int) -> bool:
    """Whether a server could listen there; connections in TIME_WAIT do not count."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
            sock.listen()
        except OSError:
            return False
        return True


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_server_answers_as_the_flavour_it_is(redis_server: RedisServer) -> None:
    info = redis_server.client().info("server")
    version = info.get("valkey_version", info["redis_version"])
    assert version.startswith(redis_server.flavour[-1] + ".")
    assert info["process_id"] == redis_server.process.pid
    assert os.getpgid(redis_server.process.pid) == redis_server.process.pid
    assert redis_server.client().config_get("dir")["dir"] == str(redis_server.dir)


def test_nothing_of_a_server_is_left_when_its_block_ends(redis_flavour: str) -> None:
    with RedisServer(redis_flavour, rdb_key_save_delay=100_000) as server:
        fill(server.client(), 1)
        server.client().bgsave(schedule=False)
        assert not is_free(server.port)
        server.kill()
        assert list(server._orphans()), "the save child outlives its server"
        with pytest.raises(redis.ConnectionError):
            server.client().ping()
    assert is_free(server.port)
    assert not server.dir.exists()
    assert not list(server._orphans())


def test_a_reserved_port_is_only_for_servers_that_are_told_it() -> None:
    port = ReservedPort()
    assert is_free(port.number)
    with socket.socket() as stranger, pytest.raises(OSError, match="Address already in use"):
        stranger.bind(("127.0.0.1", port.number))
    port.release()


def test_a_restart_keeps_port_folder_and_what_was_persisted(redis_flavour: str) -> None:
    with RedisServer(redis_flavour, appendonly="yes", appendfsync="always") as server:
        server.client().set("before", 1)
        port = server.port
        server.kill()
        server.restart(maxmemory_policy="allkeys-lru")
        assert server.port == port
        assert server.client().get("before") == b"1"
        assert server.client().config_get("maxmemory-policy")["maxmemory-policy"] == "allkeys-lru"


def test_a_stopped_server_saves_where_it_has_save_points(redis_flavour: str) -> None:
    with RedisServer(redis_flavour, save="900 1") as server:
        server.client().set("a", 1)
        server.stop()
        assert (server.dir / "dump.rdb").exists()


def test_config_rewrite_works_with_a_file_and_fails_without(redis_flavour: str) -> None:
    with RedisServer(redis_flavour) as server:
        server.client().config_set("hz", 33)
        server.client().config_rewrite()
        assert server.restart().client().config_get("hz")["hz"] == "33"
    with RedisServer(redis_flavour, config_file=False, hz=44) as server:
        assert server.client().config_get("hz")["hz"] == "44"
        with pytest.raises(redis.ResponseError, match="without a config file"):
            server.client().config_rewrite()


@pytest.mark.parametrize("config_file", [True, False])
def test_passwords_users_sockets_and_umask_are_the_asked_ones(redis_flavour: str, config_file: bool) -> None:
    with RedisServer(
        redis_flavour,
        password="p@ss w'rd",
        users=["reader on >secret ~* +ping +get"],
        unix_socket=True,
        umask=0o007,
        config_file=config_file,
    ) as server:
        assert server.client().ping()
        assert server.client(username="reader", password="secret").ping()
        with pytest.raises(redis.AuthenticationError):
            server.client(password="wrong").ping()
        with redis.Redis.from_url(server.unix_url) as by_socket:
            assert by_socket.ping()
        server.client().save()
        assert (server.dir / "dump.rdb").stat().st_mode & 0o777 == 0o660


def test_a_loaded_file_has_the_counts_and_the_digest_it_was_saved_with(redis_server: RedisServer) -> None:
    client = redis_server.client()
    written = fill(client, 2)
    client.set("expired", 1, px=1)
    client.execute_command("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    before = redis_server.digest()
    client.save()
    with load(redis_server.flavour, redis_server.dir / "dump.rdb") as loaded:
        counts = loaded.counts()
        assert {db: keys for db, (keys, _) in counts.items()} == {0: written[0] + 1, 1: written[1]}
        assert counts[1] == (written[1], written[1]), "every page expires"
        assert loaded.digest() == before


def test_a_file_that_cannot_be_loaded_says_why(redis_flavour: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.rdb"
    bad.write_bytes(b"REDIS0009 and nothing of the sort")
    with pytest.raises(ServerDied, match="RDB"):
        load(redis_flavour, bad)


def test_a_server_may_be_had_while_it_is_still_loading(redis_flavour: str) -> None:
    with RedisServer(redis_flavour) as server:
        fill(server.client(), 16)  # while it loads, it answers once in 2 MB of the file
        server.client().save()
        server.restart(wait_loaded=False, key_load_delay=50)
        assert server.log.count("Ready to accept connections") == 1, "in its first life only"


def test_a_server_does_not_outlive_the_session_that_started_it(any_redis: RedisServer) -> None:
    script = f"""
import os
from rig.redis_servers import RedisServer
server = RedisServer({any_redis.flavour!r}).__enter__()
print(server.process.pid, server._folder, flush=True)
input()
"""
    session = subprocess.Popen(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with session:
        pid, folder = session.stdout.readline().split(maxsplit=1)
        assert is_alive(int(pid))
        session.send_signal(signal.SIGKILL)
        session.wait()
    while is_alive(int(pid)):
        time.sleep(0.01)
    subprocess.run(["rm", "-r", folder.strip()], check=True)
