"""The doctor: each thing that can be wrong has its row, the row says what to do, and looking changes nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

from rig.checked import Installation, found
from rig.redis_servers import RedisServer

from tasks.control import connect
from tasks.names import Keys


def test_where_all_is_well_nothing_fails(installed: Installation) -> None:
    settings = installed()
    levels = [(each.what, each.level) for each in found(settings)]
    assert levels == [
        ("control", "ok"),
        ("keys", "ok"),
        ("keys", "warn"),
        ("keys", "ok"),
        ("store", "ok"),
        ("store", "ok"),
        ("main: server", "ok"),
        ("main: persistence", "ok"),
        ("main: rights", "ok"),
        ("main: source", "ok"),
        ("schedule", "ok"),
        ("workers", "ok"),
        ("workers", "ok"),
        ("workers", "ok"),
        ("workers", "ok"),
        ("workers", "ok"),
    ]


def test_looking_leaves_no_object_no_key_and_no_setting_behind(
    installed: Installation, cared_for: RedisServer, tmp_path: Path
) -> None:
    settings = installed()
    before = cared_for.client().config_get("*"), cared_for.client().lastsave(), cared_for.counts()
    found(settings)
    assert (cared_for.client().config_get("*"), cared_for.client().lastsave(), cared_for.counts()) == before
    assert [path for path in (tmp_path / "store").rglob("*") if path.is_file()] == []
    client = connect(settings.control)
    client.delete(Keys(settings.control.namespace).roster())  # which the rig wrote
    assert client.keys(f"{settings.control.namespace}*") == []
    client.close()


def test_whatever_is_not_well_has_a_remedy(installed: Installation, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "store")
    (tmp_path / "conf" / "signing.pem").chmod(0o644)
    settings = installed(("127.0.0.1", "127.0.0.2"))
    assert all(bool(each.remedy) == (each.level != "ok") for each in found(settings, {}))
