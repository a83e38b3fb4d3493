"""Every error has its own code and a sentence that says what to do, and survives the way through Celery."""

from __future__ import annotations

import pickle

import pytest

from tasks.errors import USAGE_EXIT, RedkeepError, Unexpected, catalogue, recorded

KINDS = sorted(catalogue().values(), key=lambda kind: kind.code)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_has_a_code_a_name_and_a_hint_that_is_a_sentence(kind: type[RedkeepError]) -> None:
    error = kind("what was found")
    assert 10 <= error.code < 126
    assert error.code != USAGE_EXIT
    assert error.name.replace("-", "").isalpha()
    assert error.name.islower()
    assert error.hint[0].isupper() or error.hint.startswith("redkeep ")
    assert error.hint[-1] in ".)"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_is_the_same_after_pickle_and_after_a_record(kind: type[RedkeepError]) -> None:
    error = kind("no bucket", detail="HTTP 404", hint="Do this.")
    for other in (pickle.loads(pickle.dumps(error)), recorded(error.as_dict())):
        assert type(other) is kind
        assert other.as_dict() == error.as_dict()


def test_an_error_that_a_newer_redkeep_recorded_is_told_all_the_same() -> None:
    error = recorded({"code": 200, "name": "later", "message": "something new", "hint": "Update."})
    assert isinstance(error, Unexpected)
    assert (str(error), error.hint) == ("something new", "Update.")
