"""What a server's file and command line would make of it."""

from __future__ import annotations

import pytest

from tasks.enforce.start import directives, flags, said, strangers

FILE = "/etc/redis/redis.conf"
INFO = {"executable": "/usr/bin/redis-server", "config_file": FILE}
ACTUAL = {"port": "6379", "daemonize": "no", "supervised": "no"}


def test_later_lines_win_and_save_points_add_up() -> None:
    text = '# save 1 1\nSAVE 900 1\nsave 300 10\nappendonly no\n\nappendonly yes\nmaxmemory 1gb\ndir "/a b"\n'
    assert said(directives(text)) == {"save": "900 1 300 10", "appendonly": "yes", "maxmemory": "1gb", "dir": "/a b"}


def test_an_included_file_counts_where_it_is_named() -> None:
    texts = {"a.conf": "appendonly no\n", "b.conf": "appendonly yes\ninclude a.conf\n"}
    found = said(directives("include b.conf\nhz 10\n", lambda name: [texts[name]]))
    assert found == {"appendonly": "no", "hz": "10"}


def test_flags_and_secrets_are_not_compared_with_the_file() -> None:
    file = {"port": "1", "requirepass": "a", "maxmemory": "1gb", "timeout": "5", "save": "900 1"}
    actual = {"port": "2", "requirepass": "b", "maxmemory": "1073741824", "timeout": "0", "save": ""}
    assert [each.name for each in strangers(file, actual, ["save"])] == ["timeout"]


def command_line(*words: str, title: str = "redis-server 127.0.0.1:6379") -> bytes:
    """As the kernel has it once the server has written its title over it."""
    room = sum(len(word) + 1 for word in words)
    return title.replace("redis-server", words[0]).encode().ljust(room, b"\0")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("redis-server", FILE), "none"),
        (("redis-server", "redis.conf"), "unseen"),
        (("/usr/bin/redis-server", "redis.conf", "--port", "6379"), "none"),
        (("redis-server", FILE, "--port", "6379"), "none"),
        (("redis-server", FILE, "--port", "6379", "--daemonize", "no"), "none"),
        (("redis-server", FILE, "--appendonly", "no"), "contrary"),
        (("redis-server", FILE, "--appendonly", "no", "--port", "6379"), "contrary"),
        (("redis-server", "./redis.conf", "--appendonly", "no"), "contrary"),
        (("redis-server", FILE, "--hz", "1000"), "unseen"),
    ],
)
def test_the_room_that_a_command_line_took_tells_of_its_flags(given: tuple[str, ...], told: str) -> None:
    assert flags(command_line(*given), INFO, ACTUAL) == told


def test_a_title_of_the_operators_own_tells_nothing() -> None:
    assert flags(command_line("redis-server", FILE, title="the database"), INFO, ACTUAL) == "unseen"
