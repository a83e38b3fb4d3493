"""redkeep untidy, as a user calls it, and as a task; with all that stands in its way."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rig.archived import archived
from rig.commands import REDKEEP, ROOT, Done, environment, here, in_terminal, run
from rig.keep import Keep
from rig.page import RULES, granted_by, without
from rig.redis_servers import RedisServer

from tasks import archive, errors
from tasks.tidy import copies

MakeKeep = Callable[..., Keep]
RUN = "1a2b3c4d-5e6f-4708-9a0b-c1d2e3f40516"
KEYS = [b"old:%d" % at for at in range(5)]


@pytest.fixture
def ours(any_redis: RedisServer, keep: MakeKeep) -> Keep:
    """An installation with its identity, whose tidy has archived five keys."""
    made = keep(any_redis, proving=True)
    any_redis.client().mset({key: b"value of " + key for key in KEYS})
    archived(made, KEYS, RUN)
    assert any_redis.client().dbsize() == 0
    return made


def untidy(keep: Keep, *words: object, **options: Any) -> Done:
    return here("untidy", *words, config=keep.config_path, **options)


def code_of(done: Done) -> int:
    assert done.json["error"]["code"] == done.code
    return done.code


# -- what comes back -----------------------------------------------------------------------------------------


def test_a_run_is_named_by_its_id_or_a_beginning_and_an_archive_by_its_own(ours: Keep, any_redis: RedisServer) -> None:
    for named in (RUN, RUN[:8], RUN[:4], "latest", f"20261123T113700Z-{RUN[:8]}"):
        done = untidy(ours, named, "main", "--yes", "--json")
        figures = done.json["figures"]
        assert (done.code, figures["restored"] + figures["there"]) == (0, 5), named
    assert any_redis.client().mget(KEYS) == [b"value of " + key for key in KEYS]


def test_it_is_a_run_of_its_own_with_a_record(ours: Keep) -> None:
    done = untidy(ours, RUN, "main", "--match", "old:[12]", "--yes", "--json").json
    assert (done["task"], done["outcome"]) == ("tasks.untidy", "succeeded")
    assert done["figures"] | {"restored": 2, "unmatched": 3, "dry_run": False} == done["figures"]
    assert ours.record(done["id"]).get("by").endswith("inline")
    assert ours.lease_holder() is None


def test_a_dry_run_reads_all_of_it_and_changes_nothing(ours: Keep, any_redis: RedisServer) -> None:
    any_redis.client().set(KEYS[0], "new")
    figures = untidy(ours, RUN, "main", "--dry-run", "--json").json["figures"]
    assert (figures["restored"], figures["there"], figures["dry_run"]) == (4, 1, True)
    assert any_redis.client().dbsize() == 1
    figures = untidy(ours, RUN, "main", "--dry-run", "--replace", "--json").json["figures"]
    assert (figures["restored"], figures["there"]) == (5, 0)
    assert any_redis.client().get(KEYS[0]) == b"new"


def test_it_says_what_it_is_about_to_do_and_asks(ours: Keep, any_redis: RedisServer) -> None:
    told = run([REDKEEP, "untidy", RUN, "main"], env=environment(ours.config_path), stdin=b"n\n")
    for words in ("5 keys", "by rule 'old sessions'", "left alone", "redkeep pause main tidy", "Go on?"):
        assert words in told.err
    assert (told.code, any_redis.client().dbsize()) == (1, 0)
    shown = in_terminal("untidy", RUN, "main", "--yes", config=ours.config_path)
    assert "5 keys are back" in shown.out
    assert any_redis.client().dbsize() == 5


def test_with_only_the_store_and_an_identity_it_needs_no_settings_and_no_control_redis(
    ours: Keep, any_redis: RedisServer, tmp_path: Path
) -> None:
    assert ours.store_folder is not None
    words = ["untidy", RUN, "main", "--store", ours.store_folder.as_uri(), "--to-redis", any_redis.url, "--yes"]
    nowhere = tmp_path / "nothing.toml"
    refused = here(*words, "--json", "--allow-unsigned", config=nowhere)
    assert code_of(refused) == errors.IdentityMissing.code
    words += ["--identity", str(ours.folder / "identity0.txt")]
    assert code_of(here(*words, "--json", config=nowhere)) == errors.SnapshotUnsigned.code
    done = here(*words, "--allow-unsigned", "--json", config=nowhere)
    assert (done.code, done.json["restored"]) == (0, 5)
    assert "5 there already" in here(*words, "--allow-unsigned", config=nowhere).out


def test_as_a_task_it_needs_an_identity_on_its_worker(any_redis: RedisServer, keep: MakeKeep) -> None:
    from tasks.celery import app

    bare = keep(any_redis)
    any_redis.client().set("old:1", 1)
    archived(bare, [b"old:1"], RUN)
    done = untidy(bare, RUN, "main", "--yes", "--json", "--allow-unsigned")
    assert code_of(done) == errors.IdentityMissing.code
    assert "--identity" in done.json["error"]["hint"]
    assert "tasks.untidy" in app.tasks
    identity = bare.folder / "identity0.txt"
    given = untidy(bare, RUN, "main", "--yes", "--json", "--allow-unsigned", "--identity", identity)
    assert given.json["figures"]["restored"] == 1


# -- what is refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", ["ffff0000", "", "../x", "20261123T113700Z-ffff0000", "*"])
def test_an_archive_that_is_not_there_is_refused(ours: Keep, named: str) -> None:
    assert code_of(untidy(ours, named, "main", "--yes", "--json")) == errors.ArchiveUnknown.code


def test_a_beginning_that_several_runs_share_is_refused_and_they_are_named(ours: Keep, any_redis: RedisServer) -> None:
    any_redis.client().set("old:1", 1)
    other = archived(ours, [b"old:1"], "1a2b0000-5e6f-4708-9a0b-c1d2e3f40516")
    done = untidy(ours, "1a2b", "main", "--yes", "--json")
    assert code_of(done) == errors.ArchiveUnknown.code
    assert other in done.json["error"]["message"]


def test_a_bad_glob_and_a_question_that_nobody_can_answer_are_refused_at_once(ours: Keep) -> None:
    assert code_of(untidy(ours, RUN, "main", "--match", "[a", "--yes", "--json")) == errors.PatternInvalid.code
    assert untidy(ours, RUN, "main", "--json").code == errors.USAGE_EXIT
    assert untidy(ours, RUN, "main", "--store", "file:///x", "--yes").code == errors.USAGE_EXIT


def test_an_archive_of_a_stranger_is_refused(ours: Keep, any_redis: RedisServer, keep: MakeKeep) -> None:
    any_redis.client().set("old:1", 1)
    archived(ours, [b"old:1"], "ffff0000-5e6f-4708-9a0b-c1d2e3f40516", signing_key=None)
    assert code_of(untidy(ours, "ffff", "main", "--yes", "--json")) == errors.SignatureInvalid.code
    assert any_redis.client().dbsize() == 0


def test_a_segment_that_was_swapped_or_is_gone_is_told_of_and_the_others_come_back(
    ours: Keep, any_redis: RedisServer
) -> None:
    client = any_redis.client()
    client.mset({"old:8": 1, "old:9": 1})
    archive_id = archived(ours, [b"old:8"], RUN, fence=lambda: 2)
    archived(ours, [b"old:9"], RUN, fence=lambda: 3)
    _, first, second = (each.object.key for each in archive.find(ours.store, "main", archive_id))
    ours.store.put(first, ours.store.get(second))
    done = untidy(ours, RUN, "main", "--yes", "--json")
    assert code_of(done) == errors.ArchiveIncomplete.code
    assert client.dbsize() == 6
    ours.store.delete(first)
    assert code_of(untidy(ours, RUN, "main", "--yes", "--json")) == errors.ArchiveIncomplete.code


def test_payloads_that_the_server_cannot_load_are_refused_by_it_and_named(ours: Keep, any_redis: RedisServer) -> None:
    """As those of a newer server are: here the version in them is raised."""
    any_redis.client().set("old:new", "value")
    whole = copies._copy_of

    def newer(*told: Any) -> Any:
        made = whole(*told)
        payload = made.record.payload[:-10] + b"\xff\x7f" + made.record.payload[-8:]
        return replace(made, record=replace(made.record, payload=payload))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copies, "_copy_of", newer)
        archived(ours, [b"old:new"], "ffff0000-5e6f-4708-9a0b-c1d2e3f40516")
    any_redis.client().flushall()
    done = untidy(ours, "ffff", "main", "--yes", "--json")
    assert code_of(done) == errors.UntidyRefused.code
    assert "DUMP payload" in done.json["error"]["message"]


def test_a_server_that_cannot_take_keys_now_ends_it(ours: Keep, any_redis: RedisServer) -> None:
    any_redis.client().config_set("maxmemory", "1")
    done = untidy(ours, RUN, "main", "--yes", "--json")
    assert code_of(done) == errors.ServerRefused.code
    assert "maxmemory" in done.json["error"]["message"]


# -- what the documents say ------------------------------------------------------------------------------------


def test_the_rights_on_the_permissions_page_are_enough(ours: Keep, any_redis: RedisServer) -> None:
    rule = RULES["untidy"]
    any_redis.client().execute_command("ACL", "SETUSER", "bringer", ">secret", *rule.split())
    url = f"redis://bringer:secret@127.0.0.1:{any_redis.port}"
    for more in (["--dry-run"], ["--yes"], ["--yes", "--replace"]):
        assert untidy(ours, RUN, "main", "--to-redis", url, "--json", *more).json["restored"] == 5


@pytest.mark.parametrize("missing", granted_by(RULES["untidy"]))
def test_without_any_one_of_the_rights_it_fails_and_names_it(ours: Keep, any_redis: RedisServer, missing: str) -> None:
    words = without(RULES["untidy"], missing).split()
    any_redis.client().execute_command("ACL", "SETUSER", "bringer", ">secret", *words)
    url = f"redis://bringer:secret@127.0.0.1:{any_redis.port}"
    how = "--dry-run" if missing == "+exists" else "--yes"  # which alone looks before it would write
    error = untidy(ours, RUN, "main", "--to-redis", url, "--json", how).json["error"]
    assert (error["code"], error["hint"]) == (errors.ServerDenied.code, f"Grant it: ACL SETUSER bringer {missing}")


def test_the_way_back_without_redkeep_is_as_the_page_says(ours: Keep, any_redis: RedisServer) -> None:
    """Stock age, stock zstd, and the few lines of Python that stand there."""
    (script,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "tidy.md").read_text(), re.DOTALL)
    script = script.replace("redis.Redis()", f"redis.Redis(port={any_redis.port})")
    (manifest,) = archive.find(ours.store, "main", RUN)
    body = b"".join(ours.store.get(manifest.object.key))
    for command in (["age", "-d", "-i", str(ours.folder / "identity0.txt")], ["zstd", "-d"]):
        body = subprocess.run(command, input=body, capture_output=True, check=True, timeout=60).stdout
    subprocess.run([sys.executable, "-c", script], input=body, check=True, timeout=60)
    assert any_redis.client().mget(KEYS) == [b"value of " + key for key in KEYS]
