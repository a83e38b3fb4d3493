"""A settings file that somebody garbled is refused by a named error that quotes no secret, or it is a whole one."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from rig.example_toml import EXAMPLE, FILE

from tasks.errors import SecretMissing, SettingsInvalid
from tasks.settings import Settings, parse

LINES = [number for number, line in enumerate(EXAMPLE.splitlines()) if "=" in line]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30)
VALUES = SCALARS.filter(lambda value: value is not None) | st.lists(st.text(max_size=8), max_size=3)
SECRET = "s3cr3tw0rd"


def written(value: object) -> str:
    return json.dumps(value) if not isinstance(value, float) else repr(value)


def refused_or_whole(text: str) -> None:
    assert SECRET not in told(text)


def told(text: str) -> str:
    """All that is said of this text, which is nothing where it is whole."""
    try:
        assert isinstance(parse(text, {}, FILE), Settings)
    except (SettingsInvalid, SecretMissing) as error:
        return f"{error} {error!r} {error.hint}"
    return ""


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(LINES), VALUES)
def test_any_value_in_place_of_another(number: int, value: object) -> None:
    lines = EXAMPLE.splitlines()
    lines[number] = f"{lines[number].partition('=')[0]}= {written(value)}"
    refused_or_whole("\n".join(lines))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(EXAMPLE)), st.integers(0, 40), st.text(max_size=10))
def test_any_piece_in_place_of_another(at: int, gone: int, put: str) -> None:
    refused_or_whole(EXAMPLE[:at] + put + EXAMPLE[at + gone :])


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    refused_or_whole(text)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(LINES), st.sampled_from(["", "/", "#", "?", "@", ":", "[", "%", " ", "\\\\"]), st.booleans())
def test_no_refusal_quotes_a_password_however_it_is_written(number: int, mark: str, host: bool) -> None:
    url = f"redis://user:{SECRET}{mark}{SECRET}@{'127.0.0.1:6379' if host else ''}"
    lines = EXAMPLE.splitlines()
    lines[number] = f'{lines[number].partition("=")[0]}= "{url}"'
    text = "\n".join(lines)
    if not lines[number].lstrip().startswith(("url", "heartbeat_url", "webhook_url")):
        return  # what stands in a field that holds no secret may be told
    refused_or_whole(text)
