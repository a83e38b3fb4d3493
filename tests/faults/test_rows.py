"""The table names tests that are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults.rows import ROWS

TESTS = Path(__file__).parents[1]
NAMED = sorted({each for row in ROWS for each in row.tests})


@pytest.mark.parametrize("named", NAMED)
def test_every_test_that_the_table_names_is_there(named: str) -> None:
    path, _, name = named.partition("::")
    found = TESTS / path
    texts = [file.read_text() for file in (found.glob("test_*.py") if found.is_dir() else [found])]
    assert any(f"def {name or 'test_'}" in text for text in texts)
