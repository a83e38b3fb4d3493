"""Credentials with only the rights that the documentation names will do; without any one of them the error names it."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from rig.keep import Keep
from rig.policies import Policed, policed
from rig.redis_servers import RedisServer

from tasks.check.finding import safely
from tasks.check.store import store
from tasks.errors import StoreDenied

MakeKeep = Callable[..., Keep]
Policy = dict[str, Any]
PAGE = Path(__file__).parents[2] / "docs" / "permissions.md"
POLICIES: dict[str, Policy] = {
    name: json.loads(text)
    for name, text in re.findall(r"^```json policy ([a-z]+)\n(.*?)^```", PAGE.read_text(), flags=re.M | re.S)
}
BUCKET = "site-backups"


def actions(policy: Policy) -> list[str]:
    return [action for statement in policy["Statement"] for action in statement["Action"]]


def without(policy: Policy, action: str) -> Policy:
    left = copy.deepcopy(policy)
    for statement in left["Statement"]:
        statement["Action"] = [each for each in statement["Action"] if each != action]
    left["Statement"] = [each for each in left["Statement"] if each["Action"]]
    return left


@pytest.fixture(scope="module")
def bucket() -> Iterator[Policed]:
    with policed(BUCKET) as made:
        yield made


@pytest.fixture(scope="module")
def site(control: RedisServer) -> Iterator[RedisServer]:
    """More than one part's worth of data that no compression makes small."""
    with RedisServer(control.flavour) as server:
        server.client().execute_command("DEBUG", "POPULATE", 6, "key", 2**20)
        yield server


@pytest.fixture
def allowed(
    bucket: Policed, site: RedisServer, keep: MakeKeep, hasty: None, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Policy], Keep]:
    """An installation whose credentials have that policy."""

    def made(policy: Policy) -> Keep:
        for name, value in bucket.may(policy).items():
            monkeypatch.setenv(name, value)
        url = f"s3://{BUCKET}/redis/{uuid4().hex}"
        return keep(site, store_url=url, endpoint_url=bucket.endpoint_url, proving=True, compression="none")

    return made


def refusal(keep: Keep) -> str:
    """What `redkeep check` says of a store that refuses something."""
    failed = [each for each in safely("store", lambda: store(keep.settings)) if each.level == "fail"]
    assert len(failed) == 1, failed
    return failed[0].remedy


def test_the_page_has_a_policy_for_each_kind_of_worker() -> None:
    assert set(POLICIES) == {"worker", "drill"}


def test_the_policy_of_the_page_is_enough_for_a_backup_and_what_follows_it(allowed: Callable[[Policy], Keep]) -> None:
    keep = allowed(POLICIES["worker"])
    backup = keep.attempt()
    assert (backup.state, backup.warnings) == ("succeeded", [])
    assert backup.manifest is not None
    assert backup.manifest.object.parts > 1
    for task in ("verify", "retention"):
        done = keep.verb(task)
        assert (done.state, done.error) == ("succeeded", None)
    assert not [each for each in store(keep.settings) if each.level == "fail"]


def test_the_policy_for_drills_is_enough_to_verify_and_not_to_back_up(
    allowed: Callable[[Policy], Keep], bucket: Policed
) -> None:
    keep = allowed(POLICIES["worker"])
    assert keep.attempt().state == "succeeded"
    bucket.may(POLICIES["drill"])
    assert keep.verb("verify").error is None
    denied = keep.attempt().error
    assert isinstance(denied, StoreDenied)
    assert "s3:PutObject" in denied.hint


@pytest.mark.parametrize("action", actions(POLICIES["worker"]))
def test_without_any_one_of_them_check_names_it(allowed: Callable[[Policy], Keep], action: str) -> None:
    remedy = refusal(allowed(without(POLICIES["worker"], action)))
    assert remedy.startswith(f"Allow {action},"), remedy


@pytest.mark.parametrize(
    ("action", "task"),
    [
        ("s3:PutObject", "backup"),
        ("s3:GetObject", "backup"),
        ("s3:ListBucket", "retention"),
        ("s3:ListBucket", "verify"),
    ],
)
def test_without_one_of_them_a_run_fails_and_names_it(
    allowed: Callable[[Policy], Keep], action: str, task: str
) -> None:
    error = allowed(without(POLICIES["worker"], action)).verb(task).error
    assert isinstance(error, StoreDenied)
    assert error.hint.startswith(f"Allow {action},")


def test_an_upload_that_may_not_be_looked_for_is_warned_of(allowed: Callable[[Policy], Keep]) -> None:
    backup = allowed(without(POLICIES["worker"], "s3:ListBucketMultipartUploads")).attempt()
    assert backup.state == "succeeded"
    assert any("may have been left in the store" in each for each in backup.warnings)
