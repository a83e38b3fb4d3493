"""history, show, cancel, pause and resume: what runs did, and how they are stopped and held back."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from rig.commands import CELERY, REDKEEP, ROOT, Running, environment, here, redkeep, run
from rig.keep import Keep, eventually
from rig.redis_servers import RedisServer
from rig.saving import await_quiet, fill_slow, slow_down

from tasks.control import connect
from tasks.names import Keys
from tasks.records import Records

SLOT = "tasks.backup/main/2026-11-23T11:{:02}Z"


@pytest.fixture(scope="module")
def site(control: RedisServer) -> Iterator[RedisServer]:
    with RedisServer(control.flavour) as server:
        fill_slow(server, 0, keys=40, size=50_000)
        yield server


@pytest.fixture(scope="module")
def keep(site: RedisServer, control: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keep]:
    made = Keep(tmp_path_factory.mktemp("keep"), site.url, control.url, data_dir=site.dir)
    with Running("worker", "backup", config=made.config_path) as worker:
        worker.until("ready.")
        yield made


@pytest.fixture
def slow(site: RedisServer) -> Iterator[None]:
    """A backup takes four seconds, unless it is stopped."""
    slow_down(site, 0.1)
    yield
    slow_down(site, 0)
    await_quiet(site)


def sent(keep: Keep) -> str:
    said = redkeep("run", "backup", "main", "--detach", config=keep.config_path)
    assert said.code == 0, said.err
    return said.out.strip()


def scheduled(keep: Keep, slot: str) -> str:
    """What beat sends, sent by Celery's own command."""
    facts = json.dumps({"slot": slot, "by": "beat"})
    command = [CELERY, "-A", "tasks", "call", "tasks.backup", "--args", '["main"]', "--kwargs", facts]
    called = run(command, env=environment(keep.config_path), cwd=ROOT)
    assert called.code == 0, called.err
    return called.out.strip()


def ended(keep: Keep, run_id: str) -> str:
    eventually(lambda: keep.record(run_id).final)
    return keep.record(run_id).state


# -- cancel ------------------------------------------------------------------------------------------------------------


def test_a_queued_run_is_cancelled_at_once_and_never_begins(
    site: RedisServer, control: RedisServer, tmp_path: Path
) -> None:
    keep = Keep(tmp_path, site.url, control.url, data_dir=site.dir)
    cancelled, kept = sent(keep), sent(keep)
    said = here("cancel", cancelled[:8], config=keep.config_path)
    assert (said.code, said.out) == (0, "")
    assert said.err == f"Run {cancelled[:8]} is cancelled.\n"
    assert keep.record(cancelled).state == "cancelled"
    with Running("worker", "backup", config=keep.config_path):
        assert ended(keep, kept) == "succeeded"  # it stood behind the other in the queue
    assert keep.record(cancelled).get("started") is None
    assert [each.task_id for each in keep.manifests()] == [kept]
    again = here("cancel", cancelled[:8], config=keep.config_path)
    assert (again.code, again.err) == (0, f"Run {cancelled[:8]} had ended already: cancelled.\n")


@pytest.mark.usefixtures("slow")
def test_a_running_run_stops_and_leaves_nothing_in_the_store(keep: Keep) -> None:
    before = keep.left()
    with Running("run", "backup", "main", config=keep.config_path) as run:
        run.until("running ship")
        run_id = here("history", "--task", "backup", "--json", config=keep.config_path).json[0]["id"]
        shown = here("show", run_id, config=keep.config_path).out
        assert re.search(r"^now +ship", shown, re.MULTILINE)
        said = here("cancel", run_id, "--json", config=keep.config_path)
        assert said.json == {"id": run_id, "was": "running", "cancelled": True}
        assert run.wait() == 25
        assert "redkeep: the run was cancelled" in run.log
        assert "Traceback" not in run.log
    assert keep.record(run_id).state == "cancelled"
    assert keep.left() == before
    assert keep.lease_holder() is None


def test_a_finished_run_cannot_be_cancelled_any_more(keep: Keep) -> None:
    run_id = sent(keep)
    assert ended(keep, run_id) == "succeeded"
    said = here("cancel", run_id, "--json", config=keep.config_path)
    assert said.json == {"id": run_id, "was": "succeeded", "cancelled": False}
    assert keep.record(run_id).state == "succeeded"


# -- pause and resume --------------------------------------------------------------------------------------------------


def test_a_pause_holds_back_what_the_schedule_sends_and_nothing_else(keep: Keep) -> None:
    assert here("pause", "main", "--why", "moving house", config=keep.config_path).err == (
        "Everything scheduled for main is paused.\n"
    )
    skipped = scheduled(keep, SLOT.format(1))
    assert ended(keep, skipped) == "skipped"
    error = keep.record(skipped).get("error")
    assert (error["code"], error["name"]) == (91, "paused")
    assert "moving house, by " in error["message"]
    assert redkeep("run", "backup", "main", config=keep.config_path).code == 0
    assert here("resume", "main", "--json", config=keep.config_path).json == {
        "target": "main", "task": None, "paused": False,
    }  # fmt: skip
    assert ended(keep, scheduled(keep, SLOT.format(1))) == "succeeded", "a slot that was skipped may still be done"


def test_one_task_may_be_paused_alone(keep: Keep) -> None:
    assert here("pause", "main", "tidy", config=keep.config_path).err == "Tidy of main is paused.\n"
    assert ended(keep, scheduled(keep, SLOT.format(2))) == "succeeded"
    assert here("pause", "main", "backup", "--json", config=keep.config_path).json["paused"] is True
    assert ended(keep, scheduled(keep, SLOT.format(3))) == "skipped"
    assert here("resume", "main", "backup", config=keep.config_path).err == "Backup of main is no longer paused.\n"
    assert ended(keep, scheduled(keep, SLOT.format(3))) == "succeeded"


def test_resuming_one_task_does_not_hide_that_all_are_paused(keep: Keep) -> None:
    here("pause", "main", config=keep.config_path)
    said = here("resume", "main", "backup", config=keep.config_path)
    assert said.err.splitlines()[-1] == "Everything scheduled for main is paused; `redkeep resume main` ends that."
    assert here("resume", "main", "backup", "--json", config=keep.config_path).json["paused"] is True
    here("resume", "main", config=keep.config_path)


# -- history and show --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lived(keep: Keep) -> Keep:
    """An installation that has a run of each end."""
    with_slot = scheduled(keep, SLOT.format(10))
    assert ended(keep, with_slot) == "succeeded"
    assert ended(keep, scheduled(keep, SLOT.format(10))) == "skipped"
    assert ended(keep, sent(keep)) == "succeeded"
    return keep


def test_history_has_the_newest_run_first(lived: Keep) -> None:
    said = here("history", "--task", "backup", "--json", config=lived.config_path)
    assert said.code == 0
    runs = said.json
    assert [run["sent"] for run in runs] == sorted((run["sent"] for run in runs), reverse=True)
    assert [run["outcome"] for run in runs[:3]] == ["succeeded", "skipped", "succeeded"]
    assert set(runs[0]) == {"id", "task", "target", "slot", "outcome", "error", "phases", "figures", "sent"}
    assert runs[1]["slot"] == runs[2]["slot"] == SLOT.format(10)
    assert "was done by run" in runs[1]["error"]["message"]


def test_history_is_a_table_of_whole_lines(lived: Keep) -> None:
    said = here("history", "--task", "backup", config=lived.config_path)
    header, *rows = said.out.splitlines()
    assert header.split() == ["RUN", "SENT", "TASK", "TARGET", "OUTCOME", "TOOK", "RDB", "STORED", "BY", "NOTE"]
    ids = [run["id"][:8] for run in here("history", "--task", "backup", "--json", config=lived.config_path).json]
    assert [row.split()[0] for row in rows] == ids
    assert not [line for line in said.out.splitlines() if line != line.rstrip()]


def test_history_is_narrowed_down_by_target_task_outcome_and_number(lived: Keep) -> None:
    def found(*options: object) -> list[dict[str, object]]:
        return list(here("history", *options, "--json", config=lived.config_path).json)

    assert {run["outcome"] for run in found("--outcome", "skipped")} == {"skipped"}
    assert len(found("-n", "2")) == 2
    assert found("main", "--task", "backup") == found("--task", "backup")
    assert {run["task"] for run in found("--task", "backup")} == {"tasks.backup"}
    assert found("--task", "tidy") == []
    assert here("history", "--task", "tidy", config=lived.config_path).err == "No such run.\n"


def test_an_empty_history_says_how_to_begin(site: RedisServer, control: RedisServer, tmp_path: Path) -> None:
    keep = Keep(tmp_path, site.url, control.url, data_dir=site.dir)
    assert "redkeep run backup TARGET" in here("history", config=keep.config_path).err
    assert here("history", "--task", "backup", "--json", config=keep.config_path).json == []


def test_show_tells_all_of_a_run_by_the_beginning_of_its_id(lived: Keep) -> None:
    newest = here("history", "--task", "backup", "--json", config=lived.config_path).json[0]
    said = here("show", newest["id"][:8], config=lived.config_path)
    assert said.code == 0
    for words in (newest["id"], "succeeded", newest["figures"]["backup"], newest["figures"]["sha256"], "fence", "ship"):
        assert words in said.out
    told = here("show", newest["id"][:8], "--json", config=lived.config_path).json
    assert told["figures"] == newest["figures"]
    assert isinstance(told["fence"], int)
    assert (told["attempts"], told["warnings"]) == ([], [])
    assert set(told) == {
        "id", "task", "target", "slot", "outcome", "error", "phases", "figures", "by", "host", "fence", "attempts",
        "warnings", "created", "started", "ended", "progress",
    }  # fmt: skip


def shown(keep: Keep, task: str, state: str, figures: dict[str, object]) -> str:
    """What `show` says of a run that ended so."""
    client = connect(keep.settings.control)
    records = Records(client, keep.settings.control)
    run_id = str(uuid.uuid4())
    records.queue(run_id, task=f"tasks.{task}", target="main", slot="", by="test")
    told = {"state": state, "figures": json.dumps(figures)}
    client.hset(Keys(keep.settings.control.namespace).run(run_id), mapping=told)
    client.close()
    return here("show", run_id, config=keep.config_path).out


RETENTION = {
    "dry_run": False, "to_keep": 3, "to_remove": 1, "removed": 1, "leftovers": 0,
    "decisions": [{"action": "remove", "backup": "20261121T100700Z", "reasons": ["no rule keeps it"]}],
}  # fmt: skip


def test_show_tells_what_came_of_a_run_in_words(lived: Keep) -> None:
    said = shown(lived, "retention", "succeeded", RETENTION)
    assert re.search(r"^ +3 stay, 1 to go, 1 removed; 0 leftovers$", said, re.MULTILINE)
    assert re.search(r"^ +remove 20261121T100700Z  no rule keeps it$", said, re.MULTILINE)
    assert "decisions" not in said
    assert not set("{[") & set(said)


def test_show_tells_every_figure_of_a_run_that_failed_and_of_another_version_s(lived: Keep) -> None:
    failed = shown(lived, "retention", "failed", RETENTION)
    assert re.search(r"^  decisions +action remove, backup 20261121T100700Z, reasons no rule", failed, re.MULTILINE)
    strange = shown(lived, "backup", "succeeded", {"octets": 12, "used": {"before": 1, "after": 2}})
    assert re.search(r"^  octets +12$", strange, re.MULTILINE)
    assert re.search(r"^  used +before 1, after 2$", strange, re.MULTILINE)


def test_show_gives_the_reason_and_the_hint_of_a_run_that_did_nothing(lived: Keep) -> None:
    skipped = here("history", "--outcome", "skipped", "--json", config=lived.config_path).json[0]
    said = here("show", skipped["id"], config=lived.config_path)
    assert re.search(r"^error +slot .* was done by run .*\[slot-committed, 90\]$", said.out, re.MULTILINE)
    assert re.search(r"^hint +The slot's backup is committed", said.out, re.MULTILINE)


@pytest.mark.parametrize(("beginning", "told"), [("zzzz", "no runs begin with 'zzzz'"), ("", "runs begin with ''")])
def test_an_id_that_fits_none_or_many_is_an_error(lived: Keep, beginning: str, told: str) -> None:
    for command in ("show", "cancel"):
        said = here(command, beginning, config=lived.config_path)
        assert said.code == 24
        assert told in said.err


@pytest.mark.parametrize("command", ["history", "history --json", "show LAST", "show LAST --json"])
def test_a_reader_that_stops_early_is_no_error(lived: Keep, command: str) -> None:
    last = here("history", "--task", "backup", "--json", config=lived.config_path).json[0]["id"]
    script = f"set -o pipefail; {REDKEEP} {command.replace('LAST', last)} | true"
    said = run(["bash", "-c", script], env=environment(lived.config_path))
    assert (said.code, said.err) == (0, "")
