"""redkeep alert test, before a real web server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from rig.commands import here
from rig.installations import settings_text
from rig.listener import SECRET, Listener
from rig.ports import ReservedPort

from tasks.errors import AlertsUnset, AlertUndelivered


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as made:
        yield made


def config(folder: Path, **alerts: str) -> Path:
    path = folder / "redkeep.toml"
    lines = ["[alerts]", *(f'{name} = "{url}"' for name, url in alerts.items())]
    targets: dict[str, dict[str, str]] = {"main": {}, "other": {}}
    path.write_text(settings_text("redis://127.0.0.1:1", targets=targets) + "\n".join(lines) + "\n")
    return path


def test_both_get_a_test_that_says_so_and_what_they_answered_is_told(tmp_path: Path, listener: Listener) -> None:
    done = here("alert", "test", config=config(tmp_path, webhook_url=listener.url, heartbeat_url=listener.url))
    assert done.code == 0, done.err
    assert done.out.splitlines() == [f"✓ {what} at {listener.address}: HTTP 200" for what in ("webhook", "heartbeat")]
    posted, asked = listener.taken
    assert posted.json["test"] is True
    assert "nothing is wrong" in posted.json["text"]
    assert asked.headers["User-Agent"].endswith("(test)")
    assert SECRET not in done.out + done.err


def test_a_heartbeat_of_each_target_is_tried_for_each(tmp_path: Path, listener: Listener) -> None:
    done = here("alert", "test", "--json", config=config(tmp_path, heartbeat_url=listener.url + "/{target}"))
    assert [each["receiver"] for each in done.json] == ["heartbeat of main", "heartbeat of other"]
    assert listener.paths() == ["/main", "/other"]


def test_one_that_is_away_is_told_and_the_other_is_tried_all_the_same(tmp_path: Path, listener: Listener) -> None:
    port = ReservedPort()
    away = f"http://127.0.0.1:{port.number}/{SECRET}"
    path = config(tmp_path, webhook_url=away, heartbeat_url=listener.url)
    for asked in ((), ("--json",)):
        done = here("alert", "test", *asked, config=path)
        assert done.code == AlertUndelivered.code
        assert "nobody listens there" in done.out + done.err
        assert SECRET not in done.out + done.err
    port.release()
    assert listener.paths() == ["", ""]


def test_where_nobody_is_to_be_told_that_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    done = here("alert", "test", config=config(tmp_path))
    assert done.code == AlertsUnset.code
    assert "webhook_url" in done.err
