"""What a restored data set must be: exact where the manifest is, within bounds where it is not."""

from __future__ import annotations

import pytest

from tasks.drill.judge import objections
from tasks.manifest import Manifest
from tasks.settings import Drill


def manifest(keys: dict[str, int], *, exact: bool = True) -> Manifest:
    server = {"name": "redis", "version": "7.0.15", "run_id": "", "role": "master", "mode": "standalone"}
    plain = {"bytes": 1, "sha256": "", "rdb_version": 10, "crc64": None, "keys": keys, "expires": {}}
    told = {"id": "20261123T110700Z", "target": "main", "slot": None, "created": "", "task_id": "", "run_id": ""}
    return Manifest.model_validate(
        told
        | {"fence": 1, "server": server, "source": {"kind": "stream", "exact": exact, "seconds": 1.0}}
        | {"plaintext": plain, "object": {"key": "", "bytes": 1, "sha256": "", "etag": "", "parts": 1}}
        | {"stages": (), "recipients": (), "redkeep_version": "0"}
    )


def judged(said: dict[str, int], found: dict[str, int], *, exact: bool = True, **wanted: object) -> list[str]:
    before = wanted.pop("before", None)
    assert before is None or isinstance(before, int)
    return objections(manifest(said, exact=exact), found, wanted=Drill.model_validate(wanted), before=before)


def test_the_same_counts_are_no_objection() -> None:
    assert judged({"0": 10, "12": 3}, {"0": 10, "12": 3}) == []
    assert judged({}, {}) == []


@pytest.mark.parametrize("found", [{"0": 9}, {"0": 11}, {}, {"0": 10, "1": 1}, {"1": 10}])
def test_one_key_more_or_less_is_one_where_counts_are_exact(found: dict[str, int]) -> None:
    assert judged({"0": 10}, found) != []


@pytest.mark.parametrize(
    ("said", "found", "good"),
    [
        (10_000, 9_500, True),
        (10_000, 10_500, True),
        (10_000, 9_499, False),
        (10_000, 10_501, False),
        (12, 2, True),
        (12, 1, False),
        (5, 0, False),
        (0, 10, True),
        (0, 11, False),
    ],
)
def test_a_streamed_snapshot_has_a_tolerance_but_never_of_everything(said: int, found: int, good: bool) -> None:
    keys = {"0": found} if found else {}
    assert (judged({"0": said} if said else {}, keys, exact=False) == []) == good


def test_bounds_from_the_settings_are_told_with_their_numbers() -> None:
    assert judged({"0": 10}, {"0": 10}, min_keys=11) == ["10 keys, below min_keys = 11"]
    assert judged({"0": 10}, {"0": 10}, min_share_of_previous=0.5, before=21) == [
        "48% of the 21 keys before it, below min_share_of_previous = 0.5"
    ]
    assert judged({"0": 10}, {"0": 10}, min_share_of_previous=0.5, before=20) == []
    assert judged({"0": 10}, {"0": 10}, min_share_of_previous=0.5) == []
