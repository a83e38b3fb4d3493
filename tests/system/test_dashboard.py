"""The page inside Flower as it goes over the wire: who gets in, what is refused, what is told when one is away."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from rig.commands import CELERY, ROOT
from rig.flowers import Visitor, serving
from rig.installations import settings_text
from rig.keep import eventually
from rig.months import recorded
from rig.redis_servers import RedisServer
from rig.shelves import put_backup
from rig.wire import Wire

import tasks
from tasks import names
from tasks.control import connect
from tasks.errors import BucketMissing
from tasks.names import Keys
from tasks.records import Records
from tasks.settings import Settings, load
from tasks.store import open_store

EVIL = '<img src=x onerror="alert(1)">'
SHOWN = "&lt;img src=x onerror=&quot;alert(1)&quot;&gt;"


Install = Callable[..., tuple[Path, Settings]]


@pytest.fixture(scope="module")
def install(tmp_path_factory: pytest.TempPathFactory, control: RedisServer) -> Install:
    """``install()`` is a settings file with two targets, and what stands in it; nobody works for them."""

    def made(url: str = control.url) -> tuple[Path, Settings]:
        folder = tmp_path_factory.mktemp("page")
        (folder / "store").mkdir()
        path = folder / "redkeep.toml"
        store = (folder / "store").as_uri()
        text = settings_text(url, store=store, targets={"main": {}, "other": {}}, namespace=f"p{uuid4().hex[:12]}")
        path.write_text(text)
        return path, load(path)

    return made


@pytest.fixture(scope="module")
def installed(install: Install) -> tuple[Path, Settings]:
    """One with a fresh backup of main, and with whatever may stand in a store and in records that somebody spoiled."""
    path, settings = install()
    now, store = datetime.now(UTC).replace(microsecond=0), open_store(**settings.store.arguments())
    put_backup(store, now - timedelta(minutes=10))
    put_backup(store, now - timedelta(days=9), target="abandoned")
    store.put(names.manifest_key("main", "20260101T000000Z"), iter([b'{"format_version": 1}']))
    error = BucketMissing(EVIL, hint=EVIL).as_dict() | {"message": EVIL + "x" * 10_000}
    bad = recorded(settings, "main", "tasks.backup", now, 1.0, error=error, by=EVIL)
    tidied = {"rules": [{"rule": EVIL, "removed": 3}], EVIL: EVIL, "freed_bytes": 2**20, "removed": 3}
    recorded(settings, "main", "tasks.tidy", now, 1.0, figures=tidied, phases={EVIL: 1.0})
    client, keys = connect(settings.control), Keys(settings.control.namespace)
    Records(client, settings.control).queue("evil", task="tasks.backup", target=EVIL)
    broken = recorded(settings, "other", "tasks.drill", now, 1.0)
    client.hset(keys.run(broken), mapping={"figures": "{", "phases": '"x"', "attempts": "[1, {}]", "created": EVIL})
    client.hset(keys.run(bad), "warnings", '["' + "w" * 3000 + '", 7, null]')
    client.close()
    return path, settings


@pytest.fixture(scope="module")
def visitor(installed: tuple[Path, Settings]) -> Iterator[Visitor]:
    with serving(installed[0]) as made:
        yield made


def runs_of(settings: Settings, task: str) -> list[str]:
    client = connect(settings.control)
    try:
        return [each.id for each in Records(client, settings.control).newest(task=task, limit=50)]
    finally:
        client.close()


# -- what is shown -------------------------------------------------------------------------------------------------


def test_flowers_own_navigation_leads_to_the_page_and_the_page_is_marked_there(visitor: Visitor) -> None:
    assert re.search(r'<a class="nav-link"\s+href="/redkeep"', visitor.get("/workers").text)
    page = visitor.get("/redkeep")
    assert page.status == 200
    assert re.search(r'<a class="nav-link active"\s+href="/redkeep"\s+aria-current="page"', page.text)


def test_each_target_has_a_card_with_words_and_those_only_the_store_knows_are_shown_as_such(visitor: Visitor) -> None:
    page = eventually(lambda: (found := visitor.get("/redkeep").text) and "Not configured" in found and found)
    assert "10 min ago" in page
    assert "there is no backup" in page
    assert "1 cannot be read" in page
    assert visitor.get("/redkeep/target/abandoned").status == 200


@pytest.mark.parametrize("path", ["/redkeep", "/redkeep?target=main", "/redkeep/target/main"])
def test_markup_in_records_is_shown_as_text(visitor: Visitor, path: str) -> None:
    page = visitor.get(path).text
    assert EVIL not in page
    assert SHOWN in page


def test_markup_in_a_run_is_shown_as_text_and_all_of_a_long_error_is_there(
    visitor: Visitor, installed: tuple[Path, Settings]
) -> None:
    for run_id in (*runs_of(installed[1], "tasks.backup"), *runs_of(installed[1], "tasks.tidy")):
        page = visitor.get(f"/redkeep/run/{run_id}")
        assert page.status == 200
        assert EVIL not in page.text
        assert SHOWN in page.text
    (failed,) = [each for each in runs_of(installed[1], "tasks.backup") if each != "evil"]
    assert "x" * 10_000 in visitor.get(f"/redkeep/run/{failed}").text
    assert "x" * 200 not in visitor.get("/redkeep").text


def test_a_malformed_record_is_told_as_unreadable_and_the_rest_of_the_page_stands(
    visitor: Visitor, installed: tuple[Path, Settings]
) -> None:
    assert "unreadable: figures, phases" in visitor.get("/redkeep").text
    (run_id,) = runs_of(installed[1], "tasks.drill")
    page = visitor.get(f"/redkeep/run/{run_id}")
    assert page.status == 200
    assert "the record holds something else there" in page.text


def test_no_script_but_our_own_may_run_there(visitor: Visitor) -> None:
    page = visitor.get("/redkeep")
    assert "script-src 'self';" in page.headers["Content-Security-Policy"]
    assert not re.search(r"<script(?![^>]*\ssrc=)", page.text)
    assert not re.search(r"\son[a-z]+=", page.text.replace(SHOWN, ""))
    assert all(each.startswith("/") for each in re.findall(r'<script[^>]*\ssrc="([^"]*)', page.text))


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/redkeep/target/nobody", 404),
        ("/redkeep/target/%3Cb%3E", 404),
        ("/redkeep/run/nobody", 404),
        ("/redkeep?before=nan", 400),
        ("/redkeep?before=soon", 400),
        ("/redkeep?before=-1", 400),
        ("/redkeep?target=nobody&task=nothing&outcome=never&span=ever", 200),
        ("/redkeep/static/../pages.py", 403),
        ("/redkeep/static/%2e%2e/pages.py", 403),
    ],
)
def test_what_is_not_there_is_refused_without_a_trace(visitor: Visitor, path: str, status: int) -> None:
    answer = visitor.get(path)
    assert answer.status == status
    assert "Traceback" not in answer.text


def test_what_is_not_there_is_told_on_a_page_that_leads_back(visitor: Visitor) -> None:
    page = visitor.get("/redkeep/target/nobody").text
    assert "No target of that name, neither in the settings nor in the store." in page
    assert '<a href="/redkeep">' in page


# -- as JSON -------------------------------------------------------------------------------------------------------


def test_the_json_says_the_same_as_the_page(visitor: Visitor, installed: tuple[Path, Settings]) -> None:
    told = visitor.get("/redkeep/api/status").json
    assert [each["name"] for each in told["targets"]][:2] == ["main", "other"]
    assert (told["state"], told["problem"]) == ("broken", None)
    main = told["targets"][0]
    assert (main["state"], main["backups"]["count"]) == ("fresh", 2)
    one = visitor.get("/redkeep/api/target/main?span=30d").json
    assert one["target"]["name"] == "main"
    assert [value for _, value in one["series"]["bytes"]] == [1000]
    runs = visitor.get("/redkeep/api/runs?outcome=failed").json
    assert [each["task"] for each in runs["runs"]] == ["tasks.backup"]
    (run_id,) = runs_of(installed[1], "tasks.tidy")
    assert visitor.get(f"/redkeep/api/run/{run_id}").json["figures"]["removed"] == 3


def test_what_the_json_does_not_know_is_an_error_like_every_other(visitor: Visitor) -> None:
    for path, name in {"target/nobody": "unknown-target", "run/nobody": "run-unknown"}.items():
        answer = visitor.get(f"/redkeep/api/{path}")
        assert answer.status == 404
        assert answer.json["error"]["name"] == name


def test_prometheus_finds_flowers_figures_and_ours_on_one_page(visitor: Visitor) -> None:
    told = visitor.get("/metrics").text
    assert 'redkeep_state{state="fresh",target="main"} 1.0' in told
    assert "flower_" in told or "python_info" in told


# -- who gets in ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("login", ["", "ops:wrong", "nobody:secret"])
def test_without_the_password_nothing_is_told_and_nothing_started(visitor: Visitor, login: str) -> None:
    stranger = Visitor(visitor.url, login)
    for path in ("/redkeep", "/redkeep/target/main", "/redkeep/run/evil", "/redkeep/api/status", "/redkeep/api/runs"):
        answer = stranger.get(path)
        assert answer.status == 401
        assert "main" not in answer.text
    assert stranger.post("/redkeep/start", {"start": "backup main", "nonce": "n"}).status in (401, 403)


def test_a_button_pressed_on_another_site_is_refused(visitor: Visitor, installed: tuple[Path, Settings]) -> None:
    before = runs_of(installed[1], "tasks.verify")
    visitor.get("/redkeep")
    bare = {"start": "verify main", "nonce": "n"}
    assert visitor.post("/redkeep/start", bare).status == 403  # the cookie alone
    assert visitor.post("/redkeep/start", bare | {"_xsrf": "0" * 32}).status == 403
    assert visitor.start("verify main", Origin="http://elsewhere.example").status == 403
    assert visitor.start("verify main", **{"Sec-Fetch-Site": "cross-site"}).status == 403
    assert visitor.get("/redkeep/start?start=verify+main&nonce=n").status == 405
    assert runs_of(installed[1], "tasks.verify") == before


@pytest.mark.parametrize(
    ("what", "status"),
    [("backup nobody", 404), ("nonsense main", 400), ("retention main", 400), ("backup", 404), ("", 400)],
)
def test_a_button_that_is_not_there_starts_nothing(visitor: Visitor, what: str, status: int) -> None:
    assert visitor.start(what).status == status


def test_a_double_click_is_one_run(visitor: Visitor, installed: tuple[Path, Settings]) -> None:
    before = len(runs_of(installed[1], "tasks.verify"))
    first, second = (visitor.start("verify other", nonce="twice").json for _ in range(2))
    assert first == second
    assert len(runs_of(installed[1], "tasks.verify")) == before + 1
    run = visitor.get(f"/redkeep/api/run/{first['run']}").json
    assert (run["task"], run["target"]) == ("tasks.verify", "other")
    assert (run["outcome"], run["by"]) == ("queued", "ops in Flower")
    waiting = connect(installed[1].control)
    assert waiting.llen(f"{installed[1].control.namespace}:celery:drill") == before + 1
    waiting.close()


def test_without_a_script_the_button_leads_to_the_run(visitor: Visitor) -> None:
    answer = visitor.start("backup other", nonce="plain", Accept="text/html")
    assert answer.status == 303
    assert visitor.get(answer.headers["Location"]).status == 200


def test_a_read_only_flower_has_no_buttons_and_refuses_them(installed: tuple[Path, Settings]) -> None:
    with serving(installed[0], "--read-only=true") as visitor:
        page = visitor.get("/redkeep").text
        assert "10 min ago" in page or "11 min ago" in page
        assert 'name="start"' not in page
        answer = visitor.start("backup main", nonce="ro")
        assert answer.status == 403


# -- how it is started ---------------------------------------------------------------------------------------------


def test_celerys_own_command_serves_the_page_too_and_under_a_prefix(installed: tuple[Path, Settings]) -> None:
    conf = Path(tasks.__file__).parent / "dashboard" / "flowerconfig.py"
    celery = {"program": (CELERY, "-A", "tasks"), "cwd": ROOT}
    with serving(installed[0], f"--conf={conf}", "--url-prefix=flower", **celery) as visitor:
        page = visitor.get("/flower/redkeep")
        assert page.status == 200
        assert 'href="/flower/redkeep/target/main"' in page.text
        (style,) = re.findall(r'href="(/flower/redkeep/static/[^"]*)', page.text)
        assert ".rk-card" in visitor.get(style).text


def test_without_any_password_the_page_is_open_and_its_button_still_wants_the_token(
    installed: tuple[Path, Settings],
) -> None:
    with serving(installed[0], "--no-password", login="") as visitor:
        assert visitor.get("/redkeep").status == 200
        assert visitor.post("/redkeep/start", {"start": "backup main", "nonce": "n"}).status == 403
        assert visitor.get("/redkeep/api/status").status == 401  # as Flower's own API


# -- when something is away ----------------------------------------------------------------------------------------


def test_without_the_control_redis_the_page_says_so_and_shows_what_was_known(
    install: Install, any_redis: RedisServer
) -> None:
    path, settings = install(any_redis.url)
    now = datetime.now(UTC).replace(microsecond=0)
    put_backup(open_store(**settings.store.arguments()), now - timedelta(minutes=10))
    run_id = recorded(settings, "main", "tasks.backup", now, 1.0)
    with serving(path) as visitor:
        assert run_id in visitor.get("/redkeep").text
        any_redis.stop()
        page = visitor.get("/redkeep")
        assert page.status == 200
        assert "The control Redis does not answer; what stands below was known at" in page.text
        assert run_id in page.text
        assert "10 min ago" in page.text
        assert visitor.get("/redkeep/api/status").json["problem"]["name"] == "control-unreachable"
        for answer in (visitor.get(f"/redkeep/run/{run_id}"), visitor.start("backup main")):
            assert answer.status == 503
            assert "does not serve" in answer.text
            assert "Traceback" not in answer.text
        any_redis.restart()
        eventually(lambda: "does not answer" not in visitor.get("/redkeep").text)


def test_while_a_page_waits_for_a_control_redis_that_hangs_flower_answers_others(
    install: Install, control: RedisServer
) -> None:
    with Wire(control.port) as wire, ThreadPoolExecutor() as others:
        path, _ = install(wire.url)
        with serving(path) as visitor:
            visitor.get("/redkeep")
            wire.flows.clear()
            waiting = others.submit(Visitor(visitor.url).get, "/redkeep")
            eventually(waiting.running)
            assert visitor.get("/healthcheck").text == "OK"
            assert not waiting.done()
            assert "The control Redis does not answer" in waiting.result().text
            wire.flows.set()


def test_a_run_that_the_broker_does_not_take_is_recorded_as_failed(install: Install, control: RedisServer) -> None:
    with RedisServer(control.flavour, users=["app on >pw ~* &* +@all -lpush -rpush"]) as server:
        path, _ = install(server.url.replace("redis://", "redis://app:pw@"))
        with serving(path) as visitor:
            answer = visitor.start("backup main")
            assert answer.status == 503
            assert answer.json["error"]["message"].startswith("the broker does not take the run")
            (run,) = visitor.get("/redkeep/api/runs").json["runs"]
            assert (run["outcome"], run["error"]["name"]) == ("failed", "control-unreachable")


def test_without_the_store_the_page_says_so(install: Install) -> None:
    path, settings = install()
    os.rmdir(settings.store.url.removeprefix("file://"))  # noqa: PTH106  a URL's path
    with serving(path) as visitor:
        page = visitor.get("/redkeep")
    assert page.status == 200
    assert "It is not known whether the data is safe" in page.text
    assert "no folder" in page.text
