"""Flower's settings of a test that moves the page's clock."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tasks import dashboard

dashboard.install()
moved = Path(os.environ["REDKEEP_CLOCK"])


def clock() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=float(moved.read_text()))


dashboard.observer().clock = clock
