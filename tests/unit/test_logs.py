"""Log lines say which run they belong to, as text or as JSON."""

from __future__ import annotations

import io
import json
import logging

import pytest

from tasks import logs


@pytest.fixture
def written(request: pytest.FixtureRequest) -> tuple[logging.Logger, io.StringIO]:
    stream = io.StringIO()
    logger = logging.Logger("redkeep.test")
    logger.addHandler(logging.StreamHandler(stream))
    return logger, stream


def test_a_text_line_has_time_level_message_and_what_it_is_about(
    written: tuple[logging.Logger, io.StringIO],
) -> None:
    logger, stream = written
    logs.dress(logger, "text")
    with logs.about(run="7f3a", target="main"):
        logger.warning("slow: %s", "store")
    logger.info("outside")
    inside, outside = stream.getvalue().splitlines()
    assert inside.endswith("Z WARNING slow: store  [run=7f3a target=main]")
    assert outside.endswith("Z INFO    outside")


def test_a_json_line_is_one_object_whatever_the_message(written: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = written
    logs.dress(logger, "json")
    error = ValueError("a\nb")
    with logs.about(run="7f3a"):
        logger.error('two\nlines and a "quote" ä', exc_info=error)
    (line,) = stream.getvalue().splitlines()
    told = json.loads(line)
    assert (told["level"], told["run"], told["message"]) == ("error", "7f3a", 'two\nlines and a "quote" ä')
    assert "ValueError: a\nb" in told["trace"]
    assert told["logger"] == "redkeep.test"


def test_what_a_line_is_about_ends_with_its_block_even_after_an_error() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "m", (), None)
    facts = []

    def about_two() -> None:
        with logs.about(run="1"), logs.about(run="2"):
            facts.append(json.loads(logs.formatter("json").format(record)))
            raise KeyError

    with pytest.raises(KeyError):
        about_two()
    assert facts[0]["run"] == "2"
    assert "run" not in json.loads(logs.formatter("json").format(record))
