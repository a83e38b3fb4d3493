"""A new user on a machine with a Redis: from nothing to a first backup by what each command says, in any order."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rig.alone import alone

from tasks.settings import load

SITE = "mkdir -p site; redis-server --dir $PWD/site --appendonly yes --save '' --daemonize yes >/dev/null; "
SECOND = "mkdir -p second; redis-server --port {port} --dir $PWD/second --save '' --daemonize yes {more} >/dev/null; "
READY = "until redis-cli -p {port} ping 2>/dev/null | grep -q -e PONG -e NOAUTH; do sleep 0.02; done; "
FILLED = SITE + READY.format(port=6379) + "redis-cli set a 1 >/dev/null\n"


def beside(port: int, more: str = "") -> str:
    return SECOND.format(port=port, more=more) + READY.format(port=port) + "\n"


def test_init_and_what_check_says_lead_to_a_first_backup(tmp_path: Path) -> None:
    """Nobody is asked anything; the settings are changed by nobody but `init`, save for where the backups go."""
    done = alone(
        f"""{FILLED}
        redkeep init conf
        export REDKEEP_CONFIG=$PWD/conf/redkeep.toml
        sed -i "s|file:///var/backups/redkeep|file://$PWD/backups|" conf/redkeep.toml
        redkeep check > before || echo "check ended with $?"
        eval "$(sed -n 's/^.*\\(install -d .*\\)$/\\1/p' before)"
        redkeep run backup main --inline
        redkeep backups main
        """,
        tmp_path,
    )
    assert done.code == 0, done.out + done.err
    assert done.out.startswith("Found redis ")
    assert "check ended with 58" in done.out
    before = (tmp_path / "before").read_text()
    assert re.findall(r"^fail (.*)$", before, re.MULTILINE) == [
        f"store             no folder {tmp_path}/backups",
        "workers           no worker serves queue backup",
        "workers           no beat answers: nothing is sent on schedule",
    ]
    assert "still lies beside the settings" in before
    assert "tasks.backup main: succeeded" in done.err
    (target,) = load(tmp_path / "conf" / "redkeep.toml").target
    assert target.data_dir == tmp_path / "site"


def test_each_wrong_order_of_steps_is_told_the_right_one(tmp_path: Path) -> None:
    done = alone(
        f"""redkeep run backup main 2>&1 || echo "run before init: $?"
        {FILLED}
        redkeep check 2>&1 || echo "check before init: $?"
        redkeep init conf
        redkeep init conf 2>&1 || echo "init twice: $?"
        """,
        tmp_path,
    )
    assert "run before init: 10" in done.out
    assert "check before init: 10" in done.out
    assert "Run `redkeep init`" in done.out
    assert "init twice: 15" in done.out
    assert "Go on with `redkeep check`" in done.out


def test_without_a_redis_it_says_so_and_writes_settings_to_be_filled_in(tmp_path: Path) -> None:
    done = alone("redkeep init conf", tmp_path)
    assert done.code == 0
    assert done.out.startswith("Found no Redis on this machine.\n")
    assert "Name your Redis and your store" in done.out
    assert load(tmp_path / "conf" / "redkeep.toml").target[0].data_dir is None


def test_of_two_the_one_with_keys_is_kept_and_the_empty_one_carries_what_is_ours(tmp_path: Path) -> None:
    done = alone(FILLED + beside(7000) + "redkeep init conf </dev/null", tmp_path)
    settings = load(tmp_path / "conf" / "redkeep.toml")
    assert settings.target[0].url.get_secret_value() == "redis://127.0.0.1:6379"
    assert settings.control.url.get_secret_value() == "redis://127.0.0.1:7000/0"
    assert "redkeep's own messages and records go to redis" in done.out


@pytest.mark.parametrize(("typed", "port"), [("\\n", 6379), ("2\\n", 7000)])
def test_of_two_one_is_asked_for_at_a_terminal(tmp_path: Path, typed: str, port: int) -> None:
    terminal = f"printf '{typed}' | script -qec 'redkeep init conf' /dev/null"
    done = alone(FILLED + beside(7000) + terminal, tmp_path)
    assert "Which one is to be kept? [1]:" in done.out
    url = load(tmp_path / "conf" / "redkeep.toml").target[0].url
    assert url.get_secret_value() == f"redis://127.0.0.1:{port}"


def test_one_with_a_password_is_written_down_with_where_the_password_comes_from(tmp_path: Path) -> None:
    done = alone(
        f"""{beside(6379, more="--requirepass secret")}
        redkeep init conf
        export REDKEEP_CONFIG=$PWD/conf/redkeep.toml
        redkeep check 2>&1 || echo "without the password: $?"
        REDIS_PASSWORD=secret redkeep check | grep "main: server"
        """,
        tmp_path,
    )
    assert done.code == 0, done.out + done.err
    assert "It wants a password: set REDIS_PASSWORD" in done.out
    assert "without the password: 12" in done.out
    assert re.search(r"^ok +main: server +redis", done.out, re.MULTILINE)
    assert "${REDIS_PASSWORD}" in (tmp_path / "conf" / "redkeep.toml").read_text()
