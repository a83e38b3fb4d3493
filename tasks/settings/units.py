"""How durations, sizes and shares are written in redkeep.toml.

A bare number is refused everywhere: nobody should have to guess whether 60 is seconds or minutes.
"""

from __future__ import annotations

import re
from typing import Annotated

from celery.schedules import ParseException, crontab
from pydantic import BaseModel, BeforeValidator, ConfigDict

SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
BYTES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)(B|KiB|MiB|GiB|TiB)")
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)%")


def parse_duration(text: object) -> float:
    """Seconds.

    >>> parse_duration("5m"), parse_duration("250ms"), parse_duration("30d")
    (300.0, 0.25, 2592000.0)
    >>> parse_duration(60)
    Traceback (most recent call last):
    ValueError: a duration is a number and a unit, like "60s", "5m", "2h" or "30d"
    """
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError('a duration is a number and a unit, like "60s", "5m", "2h" or "30d"')
    return float(match[1]) * SECONDS[match[2]]


def parse_size(text: object) -> int:
    """Bytes.

    >>> parse_size("16MiB")
    16777216
    """
    match = _SIZE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError('a size is a number and a unit, like "512KiB", "16MiB" or "2GiB"')
    return int(float(match[1]) * BYTES[match[2]])


class Space(BaseModel):
    """An amount of room: so many bytes, or that share of the whole, whichever is given."""

    model_config = ConfigDict(frozen=True)
    bytes: int = 0
    share: float = 0.0

    def of(self, whole: int) -> int:
        """The bytes meant, where there are `whole` altogether."""
        return max(self.bytes, int(self.share * whole))


def parse_space(text: object) -> Space:
    """
    >>> parse_space("10%").of(1000), parse_space("1KiB").of(1000)
    (100, 1024)
    """
    match = _PERCENT.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return Space(bytes=parse_size(text))
    if float(match[1]) > 100:
        raise ValueError("a share of the disk is at most 100%")
    return Space(share=float(match[1]) / 100)


def parse_schedule(text: object) -> str:
    """A crontab of five fields in UTC, or "off".

    >>> parse_schedule("7 * * * *")
    '7 * * * *'
    >>> parse_schedule("61 * * * *")
    Traceback (most recent call last):
    ValueError: not a crontab of five fields (minute hour day month weekday): Invalid end range: 61 > 59.
    """
    if text == "off":
        return "off"
    try:
        crontab.from_string(text if isinstance(text, str) else "")
    except (ParseException, ValueError) as error:
        raise ValueError(f"not a crontab of five fields (minute hour day month weekday): {error}") from None
    return str(text)


Duration = Annotated[float, BeforeValidator(parse_duration)]
Size = Annotated[int, BeforeValidator(parse_size)]
FreeSpace = Annotated[Space, BeforeValidator(parse_space)]
Schedule = Annotated[str, BeforeValidator(parse_schedule)]
