"""What a server would be if it started now: what its configuration file says, and what its command line may add. Pure.

Flags win over the file, and ``CONFIG REWRITE`` knows nothing of them: a server started with ``--appendonly no`` is
without its AOF after the next crash, whatever was written into the file.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import combinations
from pathlib import PurePosixPath
from typing import Literal

from tasks.enforce.values import Difference, differences

__all__ = ["Flags", "directives", "flags", "said", "strangers"]

Flags = Literal["none", "contrary", "unseen"]
Directive = tuple[str, tuple[str, ...]]

SILENT = {"save": "3600 1 300 100 60 10000", "appendonly": "no", "appendfsync": "everysec"}
"""What a file that does not name them leaves them at (config.c of every supported server)."""
GROUPED = frozenset({"save", "client-output-buffer-limit"})
"""Directives that may stand on several lines, each adding to those before."""
CONTRARY = ("appendonly", "no")
USUAL = ("port", "daemonize", "supervised")
"""Flags that packages and containers give beside a file, none of which says how data is kept."""
_APART = """
    aclfile appenddirname appendfilename bind cluster-config-file cluster-enabled daemonize databases dbfilename dir
    enable-debug-command enable-module-command enable-protected-configs include io-threads loadmodule logfile masterauth
    masteruser pidfile port primaryauth primaryuser protected-mode rename-command replicaof requirepass slaveof
    supervised syslog-enabled syslog-facility syslog-ident tcp-backlog tls-client-key-file-pass tls-key-file-pass
    tls-port unixsocket unixsocketperm user
"""
APART = frozenset(_APART.split())
"""Directives that are not compared: nobody sets them for a while (they need a restart, come as flags, or say who the
primary is, which Sentinel writes), or they are secrets, or CONFIG does not know them."""


def directives(text: str, included: Callable[[str], Iterable[str]] = lambda pattern: ()) -> Iterator[Directive]:
    """The directives of a file in the order a server obeys them, included files in their place.

    Args:
        included: the texts of the files that an ``include`` names. May raise OSError.

    >>> list(directives('# yes\\nsave ""\\ndir "/a b"\\n'))
    [('save', ('',)), ('dir', ('/a b',))]
    """
    for line in text.splitlines():
        words = _split(line)
        if not words or words[0].startswith("#"):
            continue
        name = words[0].lower()
        if name == "include":
            for each in included(words[1] if words[1:] else ""):
                yield from directives(each, included)
        else:
            yield name, tuple(words[1:])


def said(lines: Iterable[Directive]) -> dict[str, str]:
    """The value that each directive has in the end, as CONFIG GET would write it.

    >>> said([("save", ("900", "1")), ("save", ("60", "1000")), ("hz", ("10",)), ("hz", ("20",))])
    {'save': '900 1 60 1000', 'hz': '20'}
    >>> said([("save", ("900", "1")), ("save", ("",))])["save"]
    ''
    """
    found: dict[str, str] = {}
    for name, words in lines:
        before = found.get(name, "") if name in GROUPED and words != ("",) else ""
        found[name] = " ".join([*before.split(), *words]) if name in GROUPED else " ".join(words)
    return found


def strangers(file: Mapping[str, str], actual: Mapping[str, str], ours: Iterable[str]) -> tuple[Difference, ...]:
    """Where the file and the running server differ in what is none of ours: settings that somebody changed for a
    while, which CONFIG REWRITE would make permanent. `wanted` is what the file says.

    >>> strangers({"maxmemory": "1gb", "port": "1"}, {"maxmemory": "2147483648", "port": "2"}, ["save"])
    (Difference(name='maxmemory', wanted='1gb', actual='2147483648'),)
    """
    apart = APART.union(ours)
    return differences({name: value for name, value in file.items() if name not in apart}, actual)


def flags(cmdline: bytes, info: Mapping[str, str], actual: Mapping[str, str]) -> Flags:
    """What can be said of a server's flags from ``/proc/<pid>/cmdline``.

    A server writes its title over its arguments, but the area keeps its length: program, file and flags, each with a
    NUL behind. Where the program and the file account for all of it, or with the usual flags at the values that the
    server has now, and no reading with ``--appendonly no`` does, there is no such flag.

    Args:
        info: INFO server: `executable` and `config_file`.
        actual: values of `USUAL`, as CONFIG GET gives them.

    >>> server = {"executable": "/usr/bin/redis-server", "config_file": "/etc/redis.conf"}
    >>> title = b"redis-server *:7000"
    >>> def given(*words: str) -> bytes:
    ...     return title.ljust(sum(len(each) + 1 for each in ("redis-server", *words)), b"\\0")
    >>> flags(given("/etc/redis.conf"), server, {"port": "7000"})
    'none'
    >>> flags(given("/etc/redis.conf", "--port", "7000"), server, {"port": "7000"})
    'none'
    >>> flags(given("/etc/redis.conf", "--appendonly", "no"), server, {"port": "7000"})
    'contrary'
    >>> debian = given("/etc/redis.conf", "--supervised", "systemd", "--daemonize", "no")
    >>> flags(debian, server, {"port": "6379", "supervised": "systemd", "daemonize": "no"})
    'none'
    >>> flags(given("/etc/redis.conf", "--hz", "1000"), server, {"port": "7000"})
    'unseen'
    """
    config_file = info.get("config_file", "")
    title, _, _ = cmdline.partition(b"\0")
    program = title.partition(b" ")[0].decode(errors="replace")
    usual_title = PurePosixPath(program).name == PurePosixPath(info.get("executable", "")).name
    if not config_file or not usual_title or len(cmdline) <= len(title) + 1:  # a longer title hides the area's end
        return "unseen"
    room = len(cmdline) - _length(program)
    usual = [_length(f"--{name}", actual[name]) for name in USUAL if name in actual]
    sums = {sum(some) for count in range(len(usual) + 1) for some in combinations(usual, count)}
    left = {room - _length(path) for path in _spellings(config_file)}
    contrary = {each + _length(f"--{CONTRARY[0]}", CONTRARY[1]) for each in sums}
    if left & contrary:
        return "contrary"
    return "none" if left & sums else "unseen"


def _spellings(path: str) -> tuple[str, ...]:
    """How a file may have been named on the command line; the server itself tells its absolute path."""
    name = PurePosixPath(path).name
    return path, name, f"./{name}"


def _length(*words: str) -> int:
    return sum(len(word.encode()) + 1 for word in words)


def _split(line: str) -> list[str]:
    if line.lstrip().startswith("#"):
        return []
    try:
        return shlex.split(line)
    except ValueError:  # a quote without an end: the server would not have started from it
        return line.split()
