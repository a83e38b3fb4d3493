"""Whether the expression and the format of a stamp can be trusted with every key there is."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from re import _constants as code  # type: ignore[attr-defined]  # typeshed leaves them out
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

__all__ = ["check_format", "check_regex", "read", "span_of"]

SAMPLE = datetime(2026, 11, 23, 17, 41, 59, tzinfo=UTC)
OPEN_ENDS = 2
"""Repeats without an end that one expression may have: each multiplies the work by the length of the name."""
SPANS = (
    ("%Y-%m-%d %H:%M:%S", timedelta(seconds=1)),
    ("%Y-%m-%d %H:%M", timedelta(minutes=1)),
    ("%Y-%m-%d %H", timedelta(hours=1)),
    ("%Y-%m-%d", timedelta(days=1)),
    ("%Y-%m", timedelta(days=31)),
)
"""What a date may say of a moment, finest first, and how long the time is that it stands for."""


def check_regex(text: str) -> str:
    """
    Raises:
        ValueError: not an expression with exactly one group; or one that backtracks, which a single long name may
            keep busy for hours.

    >>> check_regex(r":(\\d{8})$")
    ':(\\\\d{8})$'
    >>> check_regex(r"^(\\w+\\s?)*$")
    Traceback (most recent call last):
    ValueError: may search a long name for ever: a repeat inside a repeat
    """
    try:
        groups = re.compile(text.encode()).groups
        parsed = parser.parse(text.encode())
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    if groups != 1:
        raise ValueError(f"needs exactly one group around the date, has {groups}")
    if _open_ends(parsed, repeated=False) > OPEN_ENDS:
        raise ValueError(f"may search a long name for ever: more than {OPEN_ENDS} repeats without an end")
    return text


def _open_ends(parsed: Any, *, repeated: bool) -> int:
    """How many repeats have no end worth the name; of what stands inside a repeat, each must have one fixed way."""
    found = 0
    for kind, what in parsed:
        if kind in (code.MAX_REPEAT, code.MIN_REPEAT, code.POSSESSIVE_REPEAT):
            least, most, body = what
            if repeated and least != most:
                raise ValueError("may search a long name for ever: a repeat inside a repeat")
            found += most > 16 and least != most
            found += _open_ends(body, repeated=repeated or most > 1)
        elif kind is code.BRANCH:
            if repeated:
                raise ValueError("may search a long name for ever: alternatives inside a repeat")
            found += max(_open_ends(each, repeated=False) for each in what[1])
        elif kind is code.SUBPATTERN:
            found += _open_ends(what[-1], repeated=repeated)
        elif kind in (code.ASSERT, code.ASSERT_NOT):
            found += _open_ends(what[1], repeated=repeated)
        elif kind is code.ATOMIC_GROUP:
            found += _open_ends(what, repeated=repeated)
        elif kind in (code.GROUPREF, code.GROUPREF_EXISTS):
            raise ValueError("refers back to a group, which may search a long name for ever")
    return found


def check_format(text: str) -> str:
    """
    Raises:
        ValueError: what it writes does not say which month of which year it was, so no age follows from it.

    >>> check_format("%Y%m%d")
    '%Y%m%d'
    >>> check_format("%m%d")
    Traceback (most recent call last):
    ValueError: not a date format with year and month, like "%Y%m%d"
    """
    if span_of(text) is None:
        raise ValueError('not a date format with year and month, like "%Y%m%d"')
    return text


def span_of(text: str) -> timedelta | None:
    """How long the time is that a date of this format stands for; None where it does not even tell the month.

    >>> span_of("%Y%m%dT%H"), span_of("%Y-%m"), span_of("%H:%M")
    (datetime.timedelta(seconds=3600), datetime.timedelta(days=31), None)
    """
    try:
        told = read(SAMPLE.strftime(text), text)
    except ValueError:
        return None
    return next((span for form, span in SPANS if told.strftime(form) == SAMPLE.strftime(form)), None)


def read(stamp: str, text: str) -> datetime:
    """The moment that a stamp names; UTC where it does not say.

    Raises:
        ValueError: it is none of that format.
    """
    moment = datetime.strptime(stamp, text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
