"""The doctor on drills: whether a server of this host reads what the target writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from rig.checked import Installation, found
from rig.redis_servers import RedisServer, binary, why_missing

from tasks.check.finding import Finding


def drilled(installed: Installation, with_server: Path | str) -> list[Finding]:
    settings = installed(
        ("# identity_files", "identity_files"),
        ("# [target.drill]", "[target.drill]"),
        ('# redis_server = "/usr/local/bin/redis-server"', f'redis_server = "{with_server}"'),
    )
    return [each for each in found(settings) if each.what == "main: drill"]


def server_of(flavour: str) -> Path:
    found = binary(flavour)
    if found is None:
        pytest.skip(why_missing(flavour))
    return found


def test_a_server_as_new_as_the_target_will_do(installed: Installation, cared_for: RedisServer) -> None:
    (finding,) = drilled(installed, cared_for.binary)
    assert finding.level == "ok"


def test_one_that_is_too_old_fails(installed: Installation) -> None:
    (finding,) = drilled(installed, server_of("redis6"))
    assert finding.level == "fail"
    assert finding.told.startswith("redis 6.2 on this host cannot read what redis 7.0 writes")
    assert finding.remedy == "Name one as new as redis 7.0: [target.drill] redis_server."


@pytest.mark.parametrize("written_by", ["redis8", "valkey9"])
def test_the_other_vendors_fails(installed: Installation, cared_for: RedisServer, written_by: str) -> None:
    server_of(written_by)
    reader = server_of("valkey9" if written_by == "redis8" else "redis8")
    with RedisServer(written_by) as target:
        installed((cared_for.url, target.url))
        (finding,) = drilled(installed, reader)
    assert finding.level == "fail"


def test_a_server_that_is_not_there_fails(installed: Installation) -> None:
    (finding,) = drilled(installed, "/nowhere/redis-server")
    assert (finding.level, finding.told) == ("fail", "no redis-server to drill with is on this host")


def test_where_there_is_no_private_key_nobody_would_drill(installed: Installation) -> None:
    assert [each for each in found(installed()) if each.what == "main: drill"] == []
