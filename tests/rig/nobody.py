"""Another user, for a while."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["NOBODY", "as_nobody"]

NOBODY = 65534
codecs.lookup("utf-16be")  # manifests need it; nobody may not be allowed to read Python's own files


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without root's rights, groups included, for this process and all its threads. Needs root to begin with."""
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)
