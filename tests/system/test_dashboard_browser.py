"""The page as somebody uses it: a real browser, a real Flower, a real worker and a real backup."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rig.browser import chromium
from rig.commands import Running
from rig.flowers import CLOCK, LOGIN, Visitor, serving
from rig.installations import settings_text
from rig.keep import Keep, eventually
from rig.months import lived_in
from rig.redis_servers import RedisServer
from rig.saving import fill_slow

from tasks.control import connect
from tasks.errors import BucketMissing
from tasks.records import Records
from tasks.settings import load

SECONDS = 5.0
"""What a backup takes here: long enough to see its bar move."""
USER, _, PASSWORD = LOGIN.partition(":")
EVIL = '<img src=x onerror="window.stolen = 1">'
PATIENCE = 15_000
"""Milliseconds after which a browser test says that something never came."""
PICTURES = Path(os.environ["REDKEEP_PICTURES"]) if "REDKEEP_PICTURES" in os.environ else None
"""Where ``make pictures`` keeps those of the documentation."""
SITE = {"main": "db1", "queue": "db2", "sessions": "db1"}
OTHER = """
[[target]]
name = "other"
url = "redis://127.0.0.1:1"
"""


@dataclass
class Stage:
    """An installation at work, its Flower, and the clock that Flower goes by."""

    keep: Keep
    visitor: Visitor
    browser: Any
    moved: Path

    def open(self, path: str = "/redkeep", *, password: str = PASSWORD, **look: Any) -> Any:
        """A new window of somebody who logs in with that password."""
        login = {"username": USER, "password": password}
        usual = {"http_credentials": login, "viewport": {"width": 1280, "height": 960}}
        window = self.browser.new_context(**usual | look)
        page = window.new_page()
        page.set_default_timeout(PATIENCE)
        page.trouble = []
        page.on("pageerror", lambda error: page.trouble.append(str(error)))
        page.on("console", lambda said: page.trouble.append(said.text) if said.type == "error" else None)
        page.goto(self.visitor.url + path)
        return page

    def move_clock(self, seconds: float) -> None:
        """At once or not at all: the page may read it at any moment."""
        beside = self.moved.with_suffix(".new")
        beside.write_text(str(seconds))
        beside.replace(self.moved)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, control: RedisServer) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("stage")
    with chromium() as browser, RedisServer(control.flavour) as site:
        fill_slow(site, SECONDS)
        keep = Keep(folder, site.url, control.url, data_dir=site.dir, schedule="7 3 * * *", max_age="2h")
        with keep.config_path.open("a") as file:
            file.write(OTHER)
        moved = folder / "clock"
        moved.write_text("0")
        clock = {"FLOWER_CONF": str(CLOCK), "REDKEEP_CLOCK": str(moved)}
        with (
            Running("worker", "backup", "housekeeping", config=keep.config_path) as worker,
            serving(keep.config_path, **clock) as visitor,
        ):
            worker.until("ready.")
            yield Stage(keep, visitor, browser, moved)


@pytest.fixture
def open_page(stage: Stage) -> Iterator[Any]:
    """``open_page(path)``; every window is closed at the end, and nothing in it may have gone wrong."""
    pages = []

    def opened(*arguments: Any, **look: Any) -> Any:
        pages.append(stage.open(*arguments, **look))
        return pages[-1]

    yield opened
    stage.move_clock(0)
    for page in pages:
        page.context.close()
        assert page.trouble == []


def card(page: Any, target: str) -> Any:
    return page.locator(f"article[data-key='card-{target}']")


def look_again(page: Any) -> None:
    """As when its window comes to the front: at once, and not only after the usual seconds."""
    with page.expect_response(lambda answer: answer.request.resource_type == "fetch"):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def backed_up(stage: Stage) -> None:
    """A fresh backup of main, whatever order the tests run in."""
    if not stage.keep.manifests():
        assert stage.keep.attempt().error is None


# -- the way of somebody who looks after it ------------------------------------------------------------------------


def test_a_backup_started_by_the_button_is_seen_at_work_and_then_in_the_table_and_on_its_own_page(
    stage: Stage, open_page: Any
) -> None:
    page = open_page("/workers")
    page.get_by_role("link", name="Redkeep").click()
    page.locator(".rk-scripted").wait_for()  # before that the button works too, and leads to the run's page
    main = card(page, "main")
    main.get_by_role("button", name="Back up").click()
    page.get_by_role("status").filter(has_text="Back up: sent.").wait_for()
    bar = main.locator("progress")
    bar.wait_for()
    seen = {float(bar.get_attribute("value") or 0)}
    eventually(lambda: seen.add(float(bar.get_attribute("value") or 0)) or len(seen) > 2 if bar.count() else True)
    assert len(seen) > 2, "the bar never moved"
    assert seen == {each for each in seen if 0 <= each <= 100}
    bar.wait_for(state="detached")
    row = page.locator(".rk-runs tbody tr", has=page.get_by_role("link", name="backup", exact=True)).first
    row.get_by_text("succeeded").wait_for()
    assert "ops in Flower" in row.inner_text()
    main.get_by_text("Fresh").wait_for()

    row.get_by_role("link", name="backup").click()
    page.get_by_role("heading", name="Phases").wait_for()
    assert page.locator(".rk-phases rect").count() >= 3
    assert "ship" in page.locator(".rk-phase-list").inner_text()
    (manifest,) = stage.keep.manifests()
    assert manifest.id in page.locator("#rk-live").inner_text()
    page.get_by_role("link", name="Task in Flower").click()
    page.get_by_text("SUCCESS", exact=True).wait_for()
    page.get_by_role("link", name="Run record").click()
    page.get_by_role("heading", name="Phases").wait_for()
    page.get_by_role("link", name="Redis persistence").click()
    card(page, "main").wait_for()


def test_two_clicks_at_once_are_one_run(stage: Stage, open_page: Any) -> None:
    page = open_page()
    before = len(stage.visitor.get("/redkeep/api/runs?task=verify").json["runs"])
    with page.expect_response("**/redkeep/start"):
        card(page, "main").get_by_role("button", name="Verify").dblclick(delay=5)
    page.get_by_role("status").filter(has_text="Verify: sent.").wait_for()
    assert len(stage.visitor.get("/redkeep/api/runs?task=verify").json["runs"]) == before + 1


def test_the_filters_show_what_they_say_and_stay_while_the_page_refreshes(stage: Stage, open_page: Any) -> None:
    client = connect(stage.keep.settings.control)
    records = Records(client, stage.keep.settings.control)
    records.queue("broken", task="tasks.drill", target="other", by="test")
    records.close("broken", "failed", BucketMissing("no bucket").as_dict())
    client.close()
    page = open_page()
    page.get_by_label("Outcome", exact=True).select_option("failed")
    page.wait_for_url("**outcome=failed**")
    rows = page.locator(".rk-runs tbody tr")
    assert rows.count() == 1
    assert "no bucket" in rows.inner_text()
    look_again(page)
    assert page.get_by_label("Outcome", exact=True).input_value() == "failed"
    page.get_by_label("Target", exact=True).select_option("main")
    page.wait_for_url("**target=main**")
    page.get_by_text("No such run among the").wait_for()


def test_when_time_passes_without_a_backup_the_page_turns_red_and_says_why(stage: Stage, open_page: Any) -> None:
    backed_up(stage)
    page = open_page()
    main = card(page, "main")
    main.locator(".rk-badge-good", has_text="Fresh").wait_for()
    page.evaluate("window.scrollTo(0, 120)")
    main.get_by_role("button", name="Verify").focus()
    stage.move_clock(3 * 3600)
    look_again(page)
    main.locator(".rk-badge-bad", has_text="Stale").wait_for()
    main.get_by_text(re.compile(r"The newest backup is 3 h( \d+ min)? old, its objective 2 h")).wait_for()
    page.locator(".rk-hero.rk-bad").get_by_text("attention").wait_for()
    red = main.locator(".rk-badge").evaluate("node => getComputedStyle(node).color")
    assert red == "rgb(180, 35, 24)"
    assert page.evaluate("document.activeElement.value") == "verify main"  # neither focus nor place was lost
    assert page.evaluate("window.scrollY") == 120


# -- who must not ----------------------------------------------------------------------------------------------------


def test_a_wrong_password_shows_nothing(stage: Stage) -> None:
    page = stage.open(password="wrong")
    assert "Access denied" in page.content()
    assert page.locator("article").count() == 0
    page.context.close()


def test_a_page_whose_token_is_gone_starts_nothing_and_says_so(stage: Stage) -> None:
    page = stage.open()
    page.context.clear_cookies()
    before = len(stage.visitor.get("/redkeep/api/runs?task=drill").json["runs"])
    card(page, "other").get_by_role("button", name="Drill").click()
    page.get_by_role("status").filter(has_text="Flower answers 403").wait_for()
    assert len(stage.visitor.get("/redkeep/api/runs?task=drill").json["runs"]) == before
    page.context.close()


def test_a_read_only_flower_shows_everything_and_offers_nothing(stage: Stage) -> None:
    with serving(stage.keep.config_path, "--read-only=true") as visitor:
        page = Stage(stage.keep, visitor, stage.browser, stage.moved).open()
        card(page, "main").wait_for()
        assert page.locator("button[name=start]").count() == 0
        page.context.close()


def test_markup_in_a_target_a_rule_and_an_error_is_read_as_text(stage: Stage, open_page: Any) -> None:
    client = connect(stage.keep.settings.control)
    records = Records(client, stage.keep.settings.control)
    records.queue("evil", task="tasks.tidy", target=EVIL, by=EVIL)
    records.begin("evil", "n", host=EVIL)
    figures = {"rules": [{"rule": EVIL, "removed": 1}], EVIL: EVIL}
    told = {"error": {"code": 99, "name": EVIL, "message": EVIL, "hint": EVIL}, "figures": figures, "phases": {EVIL: 1}}
    records.leave("evil", "n", "failed", told | {"warnings": [EVIL]})
    client.close()
    for path in ("/redkeep", "/redkeep/run/evil"):
        page = open_page(path)
        page.locator("#rk-live").get_by_text(EVIL).first.wait_for()
        look_again(page)  # and so it stays when the script puts the next one in its place
        assert page.locator("#rk-live img").count() == 0
        assert page.evaluate("window.stolen") is None


# -- for everybody ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("theme", "width"), [("dark", 360), ("light", 1280)])
def test_nothing_stands_in_anybodys_way(stage: Stage, open_page: Any, theme: str, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    backed_up(stage)
    (run, *_) = stage.visitor.get("/redkeep/api/runs?task=backup&target=main").json["runs"]
    for path in ("/redkeep", "/redkeep/target/main?span=30d", f"/redkeep/run/{run['id']}"):
        # bypass_csp: the page lets no script in, not even this one
        page = open_page(path, color_scheme=theme, viewport={"width": width, "height": 800}, bypass_csp=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        found = axe.Axe().run(page).response["violations"]
        serious = [each for each in found if each["impact"] in ("serious", "critical")]
        assert [(each["id"], each["nodes"][0]["html"]) for each in serious] == []


def test_the_keyboard_reaches_every_button_in_order(stage: Stage, open_page: Any) -> None:
    page = open_page()
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.value || document.activeElement.textContent.trim()"))
    wanted = [f"{task} {target}" for target in ("main", "other") for task in ("backup", "verify", "drill")]
    places = {each: reached.index(each) for each in wanted}
    assert len(places) == len(wanted)
    assert [places[f"{task} main"] for task in ("backup", "verify", "drill")] == sorted(
        places[f"{task} main"] for task in ("backup", "verify", "drill")
    )


# -- the pictures of the documentation -------------------------------------------------------------------------------


def test_the_pictures_of_a_site_that_is_well_are_taken(stage: Stage, control: RedisServer, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    targets = {name: {"url": f"redis://{host}.internal:6379"} for name, host in SITE.items()}
    text = settings_text(control.url, store=(tmp_path / "store").as_uri(), targets=targets, namespace="picture")
    (tmp_path / "redkeep.toml").write_text(text)
    settings, now = load(tmp_path / "redkeep.toml"), datetime.now(UTC)
    for name, gib, minutes in zip(SITE, (1.1, 3.4, 0.22), (52, 41, 12), strict=True):
        lived_in(settings, name, now, gib=gib, newest=timedelta(minutes=minutes))
    client = connect(settings.control)
    records = Records(client, settings.control)
    records.queue("at-work", task="tasks.backup", target="main", by="ops in Flower")
    records.begin("at-work", "n", host="db1")
    records.beat("at-work", "n", {"phase": "ship", "bytes": 7 * 10**8, "total": 11 * 10**8})
    client.close()
    with serving(tmp_path / "redkeep.toml") as visitor:
        for theme in ("light", "dark"):
            page = Stage(stage.keep, visitor, stage.browser, stage.moved).open(color_scheme=theme)
            page.get_by_text("The data is safe").wait_for()
            picture = (PICTURES or tmp_path) / f"dashboard-{theme}.png"
            page.screenshot(path=picture, clip={"x": 0, "y": 0, "width": 1280, "height": 960}, animations="disabled")
            page.context.close()
            assert picture.read_bytes().startswith(b"\x89PNG")
            assert picture.stat().st_size < 300_000
