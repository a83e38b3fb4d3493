"""The doctor: each thing that can be wrong has its row, the row says what to do, and looking changes nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

from rig.checked import Installation, found
from rig.redis_servers import RedisServer

from tasks.control import connect
from tasks.names import Keys


def test_where_all_is_well_nothing_fails_and_everything_has_a_row(installed: Installation) -> None:
    seen = found(installed())
    assert [each for each in seen if each.level == "fail"] == []
    order = list(dict.fromkeys(each.what for each in seen))
    assert order[:4] == ["control", "keys", "store", "main: server"]
    assert order[-4:] == ["main: rights", "main: source", "schedule", "workers"]
    assert {"main: persistence", "main: memory", "main: replication"} < set(order)
    told = " ".join(each.told for each in seen if each.what == "workers")
    assert all(words in told for words in ("queue backup is served", "beat is alive", "all 3 were started with these"))


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
