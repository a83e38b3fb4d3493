"""Redis' glob, said here as a real server says it."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rig.redis_servers import RedisServer

from tasks.glob import Glob, any_of

LETTERS = st.sampled_from(list("abc[]^-\\*?.$é\n"))
NAMES = st.lists(st.sampled_from([*b"abc[]^-\\*?.$\n\x00\xff", *"é".encode()]), max_size=6).map(bytes)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pattern=st.lists(LETTERS, min_size=1, max_size=6).map("".join), names=st.lists(NAMES, min_size=10, max_size=30))
def test_a_glob_matches_what_the_server_matches(
    control_server: RedisServer, pattern: str, names: list[bytes]
) -> None:
    try:
        glob = Glob(pattern)
    except ValueError:
        return
    client = control_server.client(db=9)
    client.flushdb()
    client.mset(dict.fromkeys(names, 1))
    matched = set(client.keys(pattern.encode()))
    assert {name for name in names if glob.matches(name)} == matched
    assert all(name.startswith(glob.prefix) for name in matched)
    if glob.plain:
        assert matched - {b""} == {name for name in names if name.startswith(glob.prefix)} - {b""}
    client.close()


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [("a[b", "without its ]"), ("a[", "without its ]"), ("a\\", "ends in a backslash"), ("[]", "empty brackets"),
     ("[^]", "empty brackets"), ("[a-é]", "not of ASCII"), ("[a\\]", "without its ]")],
)
def test_a_glob_that_servers_read_differently_or_that_says_nothing_is_refused(pattern: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Glob(pattern)


def test_many_stars_do_not_make_a_long_name_slow() -> None:
    assert not Glob("*a" * 20 + "b").matches(b"a" * 5000)


def test_of_no_globs_none_matches() -> None:
    assert any_of(()).fullmatch(b"") is None
    assert any_of((Glob("a*"), Glob("b?"))).fullmatch(b"bx")
